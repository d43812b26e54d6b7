import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import type { PhaseReport, Report } from '../../../src/lib/report.js';
import { OUTCOMES } from '../../../src/lib/report.js';
import { summaryWords } from '../../../src/report/summary/language.js';
import { SPANISH_ADVICE } from '../../../src/report/summary/spanish-advice.js';
import { summaryOf } from '../../../src/report/summary/summary.js';

const report = (more: Partial<Report>): Report => ({
  ...{
    mode: 'deploy',
    environment: 'staging',
    outcome: 'success',
    phases: [],
    problems: [],
    warnings: [],
    facts: {},
  },
  ...{ startedAt: 0, milliseconds: 5 },
  ...more,
});

/** The words of each row of the page, as people look for them. */
function rowsOfPage(): string[][] {
  const lines = readFileSync('docs/troubleshooting.md', 'utf8').split('\n');
  return lines
    .filter((line) => line.startsWith('| ') && !/^\| (?:Words|---)/.test(line))
    .map((line) =>
      [...line.slice(0, line.indexOf(' | ', 2)).matchAll(/`([^`]+)`/g)].map(([, words]) => words!),
    )
    .filter((words) => words.length > 0);
}

describe('a summary in Spanish', () => {
  test('row 185: every message that troubleshooting lists has an advice in Spanish', () => {
    const known = SPANISH_ADVICE.map(([words]) => words);
    const has = (words: string): boolean =>
      known.some((each) => words.includes(each) || each.includes(words));
    assert.deepEqual(
      rowsOfPage().filter((row) => !row.some(has)),
      [],
    );
    assert.ok(rowsOfPage().length > 150);
    for (const [words, advice] of SPANISH_ADVICE) {
      assert.ok(words !== '' && advice !== '', words);
      assert.equal(summaryWords('es').advice({ message: words }), advice);
    }
    assert.equal(new Set(known).size, known.length);
  });

  test('every outcome has its headline, in both languages another', () => {
    const [en, es] = [summaryWords('en'), summaryWords('es')];
    for (const outcome of OUTCOMES) {
      const ended = report({ outcome, facts: { schemaAhead: ['1'] } });
      assert.notEqual(es.headline(ended), en.headline(ended));
      assert.doesNotMatch(es.headline(ended), /undefined/);
    }
    const watched: PhaseReport = {
      ...{
        phase: 'watch',
        outcome: 'failed',
        startedAt: 0,
        milliseconds: 1,
        steps: [],
        problems: [],
        facts: {},
      },
      cancelled: true,
    };
    const cut = report({ outcome: 'cancelled', phases: [watched] });
    assert.deepEqual(
      [en.headline(cut), es.headline(cut)],
      [
        'deploy to staging was cancelled: live, not watched to the end',
        'despliegue en staging: se canceló: está en marcha, sin vigilarla hasta el final',
      ],
    );
    assert.equal(
      es.headline(report({ outcome: 'rolled-back', facts: { schemaAhead: ['2'] } })),
      'despliegue en staging: falló y se revirtió; siguen aplicadas: 2',
    );
  });

  test('headline, phases and known next steps are Spanish; a message nobody knows keeps its English', () => {
    const phase = (name: PhaseReport['phase'], outcome: PhaseReport['outcome']): PhaseReport => ({
      ...{ phase: name, outcome, startedAt: 0, milliseconds: 1, steps: [], problems: [], facts: {} },
    });
    const next = 'Commit the lock file.';
    const failed = report({
      outcome: 'failure',
      phases: [phase('plan', 'passed'), phase('migrate', 'failed')],
      problems: [
        { message: 'package.json is there, but no lock file', next },
        { message: 'never heard of', next: 'Look at it.' },
      ],
      next,
    });
    const run = { id: '1', attempt: 1, serverUrl: 'https://github.com', fork: false };
    const context = { run, places: { workspace: '/', project: '.' } };
    const spanish = summaryOf(failed, { ...context, language: 'es' });
    for (const words of [
      '## ❌ despliegue en staging: falló',
      '### Qué falló',
      '**Siguiente paso:** Añade el lock file al repositorio. — Commit the lock file.',
      'Look at it.',
      '| migración | ❌ falló |',
      '| plan | ✅ bien |',
    ])
      assert.ok(spanish.includes(words), `${words}\n${spanish}`);
    assert.ok(summaryOf(failed, context).includes('**Next:** Commit the lock file.'));
  });
});

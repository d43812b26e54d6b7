import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { PhaseReport, Report, Step } from '../../src/base/report.js';
import { annotationsOf } from '../../src/github/annotations.js';
import { code, escapeText, table } from '../../src/github/markdown.js';
import { summaryOf } from '../../src/github/summary.js';
import { timeline } from '../../src/github/timeline.js';
import type { Run } from '../../src/settings/settings.js';

const SHA = 'b'.repeat(40);
const run: Run = {
  id: '1001',
  attempt: 1,
  repository: 'octocat/hotel',
  serverUrl: 'https://github.com',
  sha: SHA,
  fork: false,
};

const step = (name: string, milliseconds = 5, outcome: Step['outcome'] = 'passed'): Step => ({
  name,
  outcome,
  startedAt: 1_000,
  milliseconds,
});

const phase = (name: PhaseReport['phase'], steps: Step[], more: Partial<PhaseReport> = {}): PhaseReport => ({
  phase: name,
  outcome: 'passed',
  startedAt: 1_000,
  milliseconds: 20,
  steps,
  problems: [],
  facts: {},
  ...more,
});

const rolledBack: Report = {
  mode: 'deploy',
  environment: 'staging',
  outcome: 'rolled-back',
  phases: [
    phase('migrate', [step('20250102000000_rooms')], { summary: '1 applied.' }),
    phase('health', [step('/api/health', 9, 'failed')], { outcome: 'failed' }),
    phase('rollback', [step('code'), step('20250102000000_rooms')]),
  ],
  failedPhase: 'health',
  failedStep: '/api/health',
  problems: [{ message: '/api/health answered 500', code: '500', next: 'Look at the application log.' }],
  warnings: [
    {
      message: 'drops a column',
      at: { file: 'supabase/migrations/x y.sql', line: 3, column: 1, text: 'drop <b>column</b>' },
    },
  ],
  facts: {
    pending: ['20250102000000'],
    applied: ['20250102000000'],
    reverted: ['20250102000000'],
    previousSha: 'a'.repeat(40),
    deployedSha: 'a'.repeat(40),
    rollbackMs: 1_250,
    hosts: [{ host: 1, outcome: 'rolled-back', 'previous-sha': 'a'.repeat(40), 'downtime-ms': 0 }],
    health: [
      {
        name: '/api/health',
        from: 'runner',
        ok: false,
        status: 500,
        'latency-ms': 12,
        attempts: 3,
        detail: 'Internal | Error',
      },
    ],
    tables: [
      {
        schema: 'public',
        name: 'rooms',
        rows: 3,
        exact: false,
        bytes: 8_192,
        rls: true,
        forced: false,
        policies: 1,
      },
    ],
    verified: true,
  },
  next: 'Look at the application log.',
  startedAt: 0,
  milliseconds: 4_200,
};

describe('summaryOf', () => {
  const markdown = summaryOf(rolledBack, { run });

  test('begins with the outcome, the cause and the next action', () => {
    const lines = markdown.split('\n').filter((line) => line !== '');
    assert.equal(lines[0], '## ↩️ deploy to staging failed and was rolled back');
    const [cause, next, phases] = ['answered 500', '**Next:** Look at', '| phase | outcome'].map((text) =>
      lines.findIndex((line) => line.includes(text)),
    );
    assert.ok(cause! > 0 && cause! < next! && next! < phases!, markdown);
  });

  test('shows phases, timeline, migrations, hosts with linked commits, health, tables and what was rolled back', () => {
    for (const expected of [
      '| migrate | ✅ passed | 20 ms | 1 applied. |',
      'section health',
      '| <code>20250102000000&#95;rooms</code> | taken back | 5 ms |\n',
      `https://github.com/octocat/hotel/commit/${'a'.repeat(40)}`,
      '| 1 | rolled-back |',
      'Internal &#124; Error',
      '- Code put back in 1.3 s.',
      '| <code>rooms</code> | ~3 | 8,192 | on | 1 |',
    ])
      assert.ok(markdown.includes(expected), `${expected}\n${markdown}`);
  });

  test('links a problem to its line, and shows the line as text', () => {
    assert.ok(markdown.includes(`/octocat/hotel/blob/${SHA}/supabase/migrations/x%20y.sql#L3`), markdown);
    assert.ok(markdown.includes('3 | drop &#60;b&#62;column&#60;/b&#62;'), markdown);
  });

  test('row 124: stays under 1 MiB and tells how much is missing', () => {
    const steps = Array.from({ length: 150 }, (_, index) => ({
      ...step(`step ${index}`),
      detail: '|'.repeat(3_000),
    }));
    const huge = summaryOf(
      { ...rolledBack, phases: Array.from({ length: 20 }, () => phase('migrate', steps)) },
      { run },
    );
    assert.ok(Buffer.byteLength(huge) <= 1_000_000, String(Buffer.byteLength(huge)));
    assert.match(huge, /\n\d+ more lines are in the report file\.\n$/);
    assert.match(
      table(
        ['a'],
        Array.from({ length: 500 }, () => ['x']),
      ).join('\n'),
      /300 more rows are in the report file/,
    );
  });
});

describe('escaping', () => {
  test('untrusted text cannot become structure, a mention or a reference', () => {
    const hostile =
      '</td><img src=x onerror=alert(1)> | **b** `c` [x](javascript:y) @octocat #12 ::error::x\n# head';
    for (const shown of [escapeText(hostile), code(hostile)]) {
      const plain = shown
        .replaceAll('<br>', '')
        .replace(/^<code>|<\/code>$/g, '')
        .replaceAll('&#8203;', '');
      assert.doesNotMatch(plain.replace(/&#\d+;/g, ''), /[<>|*`[\]#]/, shown);
      assert.doesNotMatch(shown, /@octocat/);
    }
  });

  test('a hostile step name cannot break the timeline', () => {
    const lines = timeline({
      ...rolledBack,
      phases: [phase('migrate', [step('a:b;c#d\n```\nclick x', 50), step('section y', 50), step('😀', 50)])],
    });
    assert.equal(lines.filter((line) => line.startsWith('```')).length, 2);
    assert.deepEqual(lines.slice(4, -1), [
      '    section migrate',
      '    a b c d click x :done, 1000, 1050',
      '    - section y :done, 1000, 1050',
      '    step :done, 1000, 1050',
    ]);
  });

  test('the timeline leaves out hair-thin bars, but not the one that failed', () => {
    const steps = [
      step('long', 900),
      step('thin', 1),
      step('broken', 1, 'failed'),
      step('later', 0, 'skipped'),
    ];
    const bars = timeline({ ...rolledBack, milliseconds: 1_000, phases: [phase('verify', steps)] }).filter(
      (line) => line.includes(' :'),
    );
    assert.deepEqual(bars, ['    long :done, 1000, 1900', '    broken :crit, 1000, 1001']);
  });
});

describe('annotationsOf', () => {
  const places = { workspace: '/work', project: '.' };

  test('the end of the run first, then errors, then warnings with a place', () => {
    const found = annotationsOf(
      { ...rolledBack, warnings: [{ message: 'a remark' }, ...rolledBack.warnings] },
      places,
    );
    assert.deepEqual(
      found.map(({ level, message }) => [level, message]),
      [
        ['failed', 'Deploy to staging failed and was rolled back: /api/health answered 500'],
        ['warning', 'drops a column'],
        ['warning', 'a remark'],
      ],
    );
    assert.deepEqual(found[1]!.properties, {
      file: 'supabase/migrations/x y.sql',
      startLine: 3,
      startColumn: 1,
    });
  });

  test('an SQL error keeps its place even when it is the cause', () => {
    const at = { file: '/work/supabase/migrations/a.sql', line: 7, column: 13 };
    const [failed, error] = annotationsOf(
      { ...rolledBack, problems: [{ message: 'no table', code: '42P01', at }] },
      places,
    );
    assert.equal(failed?.level, 'failed');
    assert.equal(error?.message, 'no table (42P01)');
    assert.equal(error?.properties.file, 'supabase/migrations/a.sql');
  });

  test('a file of a project in a subfolder is named from the top of the checkout', () => {
    const at = { file: 'supabase/migrations/a.sql', line: 1, column: 1 };
    const problems = [{ message: 'wrong', at }];
    for (const project of ['apps/web', './apps/web/', '/work/apps/web']) {
      const found = annotationsOf({ ...rolledBack, problems }, { workspace: '/work', project });
      assert.equal(found[1]?.properties.file, 'apps/web/supabase/migrations/a.sql', project);
    }
  });

  test('row 124: ten at most, and the last one counts the others', () => {
    const problems = Array.from({ length: 30 }, (_, index) => ({ message: `problem ${index}` }));
    const found = annotationsOf({ ...rolledBack, problems, warnings: problems }, places);
    assert.equal(found.length, 10);
    assert.deepEqual(found[9], {
      level: 'notice',
      message: '21 more are in the log and in the report file.',
      properties: {},
    });
  });

  test('after success there are only the warnings', () => {
    assert.deepEqual(
      annotationsOf({ ...rolledBack, outcome: 'success', problems: [], warnings: [] }, places),
      [],
    );
  });
});

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { OUTCOMES, type Report, type TableFact } from '../../src/lib/report.js';
import { exitCodeOf, OUTPUT_NAMES, outputsOf, reportFile } from '../../src/report/outputs.js';

const report = (more: Partial<Report> = {}): Report => ({
  mode: 'deploy',
  outcome: 'success',
  phases: [],
  problems: [],
  warnings: [],
  facts: {},
  startedAt: 0,
  milliseconds: 12.6,
  ...more,
});

describe('outputsOf', () => {
  test('sets every output also where nothing was found out, lists as valid JSON', () => {
    const { values, cuts } = outputsOf(report({ outcome: 'failure' }), '/tmp/r.json');
    assert.deepEqual(Object.keys(values).sort(), [...OUTPUT_NAMES].sort());
    assert.deepEqual(cuts, []);
    assert.equal(values.pending, '[]');
    assert.equal(values.verified, 'false');
    assert.equal(values['rolled-back'], 'false');
    assert.equal(values.healthy, '');
    assert.equal(values['duration-ms'], '13');
  });

  test('hands facts over under their names', () => {
    const { values } = outputsOf(
      report({
        facts: {
          applied: ['20240102000000'],
          schemaAhead: ['1'],
          verified: true,
          downtimeMs: 0,
          healthy: false,
        },
      }),
      '',
    );
    assert.equal(values.applied, '["20240102000000"]');
    assert.equal(values['schema-ahead'], '["1"]');
    assert.equal(values.verified, 'true');
    assert.equal(values['downtime-ms'], '0');
    assert.equal(values.healthy, 'false');
  });

  test('row 124: lists too long for GitHub lose entries at the end, stay JSON, and the cut is told', () => {
    const table: TableFact = {
      schema: 'public',
      name: 'a_table_with_a_long_name',
      rows: 1,
      exact: false,
      bytes: 8_192,
      rls: true,
      forced: false,
      policies: 1,
    };
    const versions = Array.from({ length: 20_000 }, (_, index) => String(20_250_101_000_000 + index));
    const { values, cuts } = outputsOf(
      report({
        facts: {
          tables: Array.from({ length: 20_000 }, () => table),
          pending: versions,
          applied: versions,
          skipped: versions,
        },
        failedStep: 'x'.repeat(10_000),
      }),
      '',
    );
    const all = Object.values(values).reduce((sum, value) => sum + Buffer.byteLength(value, 'utf16le'), 0);
    assert.ok(all < 500_000, `${all} bytes`);
    const kept = (JSON.parse(values.pending) as string[]).length;
    assert.ok(kept > 3_000 && kept < 20_000, String(kept));
    assert.ok(cuts.includes(`output pending holds ${kept} of 20000 entries`), cuts.join('\n'));
    assert.ok((JSON.parse(values.tables) as unknown[]).length >= 0);
    assert.match(cuts.join('\n'), /output failed-step holds 2000 of 10000 characters/);
  });
});

test('only what was asked for, and a newer live run, end with 0', () => {
  const codes = Object.fromEntries(OUTCOMES.map((outcome) => [outcome, exitCodeOf(report({ outcome }))]));
  assert.deepEqual(codes, {
    success: 0,
    skipped: 0,
    failure: 1,
    'rolled-back': 1,
    'rollback-failed': 1,
    cancelled: 1,
    unknown: 1,
  });
  assert.equal(exitCodeOf(report({ mode: 'rollback', outcome: 'rolled-back' })), 0);
});

test('the report file holds the phases and steps in the words of the outputs', () => {
  const file = JSON.parse(
    reportFile(
      report({
        facts: { previousSha: 'abc' },
        planned: ['pending   20250101000000_rooms'],
        phases: [
          {
            phase: 'verify',
            outcome: 'passed',
            startedAt: 0,
            milliseconds: 2,
            problems: [],
            facts: {},
            steps: [{ name: 'tables', outcome: 'passed', startedAt: 0, milliseconds: 1.234_567 }],
          },
          {
            phase: 'health',
            outcome: 'failed',
            cancelled: true,
            startedAt: 0,
            milliseconds: 2,
            problems: [],
            facts: {},
            steps: [],
          },
        ],
      }),
      { id: '42', attempt: 2, sha: 'abc', url: 'https://github.com/o/r/actions/runs/42' },
    ),
  );
  const { version, attempt, commit, url } = file;
  assert.deepEqual(
    [file['run-id'], attempt, commit, url],
    ['42', 2, 'abc', 'https://github.com/o/r/actions/runs/42'],
  );
  assert.equal(version, JSON.parse(readFileSync('package.json', 'utf8')).version);
  assert.equal(file.facts['previous-sha'], 'abc');
  assert.equal(file['duration-ms'], 13);
  assert.deepEqual(file.planned, ['pending   20250101000000_rooms']);
  assert.equal(file.phases[1].outcome, 'cancelled');
  assert.deepEqual(file.phases[0].steps[0], {
    name: 'tables',
    outcome: 'passed',
    'started-at': '1970-01-01T00:00:00.000Z',
    'duration-ms': 1,
    detail: null,
  });
});

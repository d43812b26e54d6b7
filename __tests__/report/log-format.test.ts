import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { LogEntry } from '../../src/lib/log.js';
import type { PhaseReport, Report } from '../../src/lib/report.js';
import { closingLines, formatLogEntry, outcomeText, whatStays } from '../../src/report/log-format.js';

const step = (
  name: string,
  outcome: 'passed' | 'failed' | 'skipped',
  milliseconds = 0,
  detail?: string,
): LogEntry => ({
  kind: 'step',
  phase: 'migrate',
  step: { name, outcome, startedAt: 0, milliseconds, ...(detail === undefined ? {} : { detail }) },
});

const failed: PhaseReport = {
  phase: 'migrate',
  outcome: 'failed',
  startedAt: 0,
  milliseconds: 9,
  steps: [
    { name: '20250101000000_hotels', outcome: 'passed', startedAt: 0, milliseconds: 4 },
    { name: '20250102000000_rooms', outcome: 'failed', startedAt: 4, milliseconds: 1 },
  ],
  problems: [
    {
      message: 'relation "hotel" does not exist',
      code: '42P01',
      at: {
        file: 'supabase/migrations/20250102000000_rooms.sql',
        line: 7,
        column: 13,
        text: 'alter table hotel add column rooms int;',
      },
      next: 'Create the table first, or correct its name.',
    },
  ],
  summary: 'The batch was rolled back: 0 applied. The VPS was not changed.',
  facts: {},
};

describe('voice', () => {
  test('a failed migration reads as it is meant to', () => {
    const entries: Exclude<LogEntry, { kind: 'output' }>[] = [
      { kind: 'phase-started', phase: 'migrate', detail: '3 pending in 1 batch', facts: {} },
      step('20250101000000_hotels', 'passed', 4) as never,
      step('20250102000000_rooms', 'failed', 1) as never,
      step('20250103000000_later', 'skipped') as never,
      { kind: 'phase-ended', report: failed },
    ];
    assert.deepEqual(entries.flatMap(formatLogEntry), [
      '',
      'migrate   3 pending in 1 batch',
      '  passed  20250101000000_hotels                              4 ms',
      '  failed  20250102000000_rooms                               1 ms',
      '  skipped 20250103000000_later',
      '          supabase/migrations/20250102000000_rooms.sql:7:13  relation "hotel" does not exist (42P01)',
      '          7 | alter table hotel add column rooms int;',
      '                          ^',
      '          next: Create the table first, or correct its name.',
      'migrate failed at 20250102000000_rooms. The batch was rolled back: 0 applied. The VPS was not changed.',
    ]);
  });

  test('the caret counts code points and keeps tabs, and is left out beyond the shown text', () => {
    const caret = (text: string, column: number): string | undefined =>
      formatLogEntry({
        kind: 'problem',
        problem: { message: 'x', at: { file: 'a.sql', line: 1, column, text } },
      })[2];
    assert.equal(caret("select '😀' fron", 12), `${' '.repeat(2 + 4 + 11)}^`);
    assert.equal(caret('\tselect', 2), `${' '.repeat(6)}\t^`);
    assert.equal(caret('short', 9), undefined);
  });

  test('details and messages of several lines stay below their step', () => {
    const lines = formatLogEntry(step('build', 'failed', 2_500, 'exit 1\n::error::gotcha') as never);
    assert.deepEqual(lines, [
      '  failed  build                                             2.5 s  exit 1',
      '          ::error::gotcha',
    ]);
    assert.deepEqual(
      formatLogEntry({ kind: 'warning', problem: { message: 'a\n##[endgroup]', next: 'b' } }),
      ['warning: a', '  ##[endgroup]', '  next: b'],
    );
  });

  test('a phase that was cancelled is not called failed', () => {
    const steps: PhaseReport['steps'] = [
      { name: 'drift', outcome: 'skipped', startedAt: 0, milliseconds: 3, detail: 'cancelled' },
    ];
    const { summary: _, ...ended } = failed;
    const stopped: PhaseReport = { ...ended, steps, problems: [], cancelled: true };
    const sentence = (report: PhaseReport): string[] => formatLogEntry({ kind: 'phase-ended', report });
    assert.deepEqual(sentence(stopped), ['migrate was cancelled.']);
    assert.deepEqual(sentence({ ...stopped, summary: 'The batch was rolled back: 0 applied.' }), [
      'migrate was cancelled. The batch was rolled back: 0 applied.',
    ]);
    assert.match(sentence({ ...stopped, outcome: 'unknown' })[0]!, /not known/);
  });

  const report: Report = {
    mode: 'deploy',
    environment: 'staging',
    outcome: 'rolled-back',
    phases: [],
    problems: [],
    warnings: [],
    facts: {},
    next: 'Look at the log.',
    startedAt: 0,
    milliseconds: 61_000,
  };

  test('every mode is named with its environment', () => {
    const named = (mode: string, outcome: Report['outcome'], environment = 'staging'): string =>
      outcomeText({ ...report, mode, outcome, environment });
    assert.equal(named('redeploy', 'success'), 'redeploy to staging succeeded');
    assert.equal(named('plan', 'success', 'production'), 'plan for production succeeded');
    assert.equal(named('health', 'failure'), 'health on staging failed');
    assert.equal(named('rollback', 'rolled-back'), 'rollback on staging succeeded');
    const { environment: _, ...nowhere } = report;
    assert.equal(outcomeText({ ...nowhere, mode: 'plan' }), 'plan failed and was rolled back');
  });

  test('row 175: versions that stay applied stand in the headline', () => {
    const ended = (outcome: Report['outcome']): string =>
      outcomeText({
        ...report,
        mode: 'deploy',
        environment: 'staging',
        outcome,
        facts: { schemaAhead: ['2', '1'] },
      });
    assert.equal(
      ended('rollback-failed'),
      'deploy to staging failed, and so did the rollback; 2, 1 stay applied',
    );
    assert.equal(ended('success'), 'deploy to staging succeeded');
  });

  test('row 174: a run that was stopped while it watched is live', () => {
    const stopped: Report['phases'][number] = {
      phase: 'watch',
      outcome: 'failed',
      cancelled: true,
      startedAt: 0,
      milliseconds: 1,
      steps: [],
      problems: [],
      facts: {},
    };
    assert.equal(
      outcomeText({ ...report, outcome: 'cancelled', phases: [stopped] }),
      'deploy to staging was cancelled: live, not watched to the end',
    );
    assert.equal(outcomeText({ ...report, outcome: 'cancelled' }), 'deploy to staging was cancelled');
  });

  test('what a run that was stopped leaves behind', () => {
    const left = (facts: Report['facts']): string => whatStays({ ...report, facts });
    assert.equal(left({ applied: ['1', '2'], reverted: ['2'] }), '1 applied');
    assert.equal(
      left({ applied: ['1'], hosts: [{ host: 1, outcome: 'deployed' }] }),
      '1 applied, the new version is live on the server',
    );
    assert.equal(
      left({
        hosts: [
          { host: 1, outcome: 'deployed' },
          { host: 2, outcome: 'unknown' },
          { host: 3, outcome: 'unchanged' },
        ],
      }),
      'the new version is live on host 1, it is not known what host 2 serves',
    );
    assert.equal(left({}), '');
    assert.equal(whatStays({ ...report, outcome: 'unknown' }), 'it is not known what was changed');
  });

  test('the end says how it ended, and the next action', () => {
    assert.deepEqual(closingLines(report), [
      '',
      'deploy to staging failed and was rolled back (1 min 1 s).',
      'next: Look at the log.',
    ]);
  });
});

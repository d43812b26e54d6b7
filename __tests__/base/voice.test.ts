import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { LogEntry } from '../../src/base/log.js';
import type { PhaseReport, Report } from '../../src/base/report.js';
import { farewell, voice } from '../../src/base/voice.js';

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
    assert.deepEqual(entries.flatMap(voice), [
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
      voice({ kind: 'problem', problem: { message: 'x', at: { file: 'a.sql', line: 1, column, text } } })[2];
    assert.equal(caret("select '😀' fron", 12), `${' '.repeat(2 + 4 + 11)}^`);
    assert.equal(caret('\tselect', 2), `${' '.repeat(6)}\t^`);
    assert.equal(caret('short', 9), undefined);
  });

  test('details and messages of several lines stay below their step, and obey nobody', () => {
    const lines = voice(step('build', 'failed', 2_500, 'exit 1\n::error::gotcha') as never);
    assert.deepEqual(lines, [
      '  failed  build                                             2.5 s  exit 1',
      '          : :error::gotcha',
    ]);
    assert.deepEqual(voice({ kind: 'warning', problem: { message: 'a\n##[endgroup]', next: 'b' } }), [
      'warning: a',
      '  # #[endgroup]',
      '  next: b',
    ]);
  });

  test('the end says how it ended, and the next action', () => {
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
    assert.deepEqual(farewell(report), [
      '',
      'deploy to staging failed and was rolled back (1 min 1 s).',
      'next: Look at the log.',
    ]);
  });
});

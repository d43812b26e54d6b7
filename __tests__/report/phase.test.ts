import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { eachWarningOnce, type LogEntry } from '../../src/lib/log.js';
import { Cancelled, Failure, NotNeeded, type PhaseReport } from '../../src/lib/report.js';
import { runPhase } from '../../src/report/phase.js';

describe('a step that does not pass', () => {
  const ended = (error: unknown): Promise<PhaseReport> =>
    runPhase(
      'verify',
      () => {},
      undefined,
      (record) =>
        record.step('look', () => {
          throw error;
        }),
    );

  test('has failed, and the phase with it', async () => {
    const report = await ended(new Failure({ message: 'no' }));
    assert.deepEqual([report.outcome, report.steps[0]?.outcome], ['failed', 'failed']);
    assert.deepEqual([report.problems, report.cancelled], [[{ message: 'no' }], undefined]);
  });

  test('row 114: is skipped where it was cancelled, and nothing is complained of', async () => {
    const report = await ended(new Cancelled('cancelled while reading the history'));
    assert.deepEqual([report.outcome, report.cancelled, report.problems], ['failed', true, []]);
    const [step] = report.steps;
    assert.deepEqual([step?.outcome, step?.detail], ['skipped', 'cancelled while reading the history']);
    assert.equal(report.summary, 'Cancelled while reading the history.');
    assert.equal((await ended(new Cancelled())).summary, undefined);
  });

  test('is skipped with the reason where it is none of the business of this run', async () => {
    const { steps } = await ended(new NotNeeded('a newer run is live already'));
    assert.deepEqual([steps[0]?.outcome, steps[0]?.detail], ['skipped', 'a newer run is live already']);
  });
});

test('a step whose result cannot be put into words has passed all the same, as in the worker', async () => {
  const noWords = (): string => {
    throw new Error('no words');
  };
  const report = await runPhase(
    'verify',
    () => {},
    undefined,
    async (record) => assert.equal(await record.step('look', () => 1, noWords), 1),
  );
  assert.deepEqual([report.outcome, report.steps[0]?.outcome], ['passed', 'passed']);
});

test('a warning is told once, and again about another place', () => {
  const told: LogEntry[] = [];
  const log = eachWarningOnce((entry) => told.push(entry));
  const at = { file: 'a.sql', line: 1, column: 1 };
  const warnings = [
    { message: 'PM2 drops requests', next: 'Remove wait_ready.' },
    { message: 'PM2 drops requests' },
    { message: 'drops a table', at },
    { message: 'drops a table', at: { ...at, line: 2 } },
    { message: 'drops a table', at },
  ];
  for (const problem of warnings) log({ kind: 'warning', problem });
  for (const _ of [1, 2]) log({ kind: 'line', text: 'the same line' });
  assert.deepEqual(told, [
    { kind: 'warning', problem: warnings[0] },
    { kind: 'warning', problem: warnings[2] },
    { kind: 'warning', problem: warnings[3] },
    { kind: 'line', text: 'the same line' },
    { kind: 'line', text: 'the same line' },
  ]);
});

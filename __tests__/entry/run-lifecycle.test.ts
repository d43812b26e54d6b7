import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import {
  conclude,
  firstLine,
  logRecorder,
  refusedReport,
  snapshot,
  startedRun,
  stoppable,
  writeReport,
} from '../../src/entry/run-lifecycle.js';
import type { PhaseName, Problem, Report } from '../../src/lib/report.js';
import { runPhase } from '../../src/report/phase.js';

const folder = mkdtempSync(join(tmpdir(), 'lifecycle-test-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const run = { mode: 'deploy', environment: 'staging', startedAt: Date.now() };
const identity = { id: '7', attempt: 2, serverUrl: 'https://github.com', fork: false };

/** Hears a phase begin with one step, and nothing more. */
function heardOf(phase: PhaseName): ReturnType<typeof logRecorder> {
  const heard = logRecorder(() => {});
  heard.log({ kind: 'phase-started', phase, facts: {} });
  heard.log({
    kind: 'step',
    phase,
    step: { name: 'first', outcome: 'passed', startedAt: 0, milliseconds: 1 },
  });
  heard.log({ kind: 'warning', problem: { message: 'careful' } });
  return heard;
}

describe('a run that does not come back', () => {
  const stop = (listen: (tell: (problems: Problem[]) => void) => void) =>
    stoppable<Report>(
      { crashes: { listen }, grace: 50, impatient: false, onStop: () => {}, onStray: () => {} },
      () => new Promise(() => {}),
    );

  test('row 114: is given up after the grace time, and told as unknown where it was writing', async () => {
    const ended = stop(() => {});
    process.emit('SIGINT');
    const report = conclude(await ended, heardOf('migrate'), run);
    assert.deepEqual([report.outcome, report.failedPhase, report.unsettled], ['unknown', 'migrate', true]);
    assert.deepEqual(report.problems, [{ message: 'The run was cancelled.' }]);
    assert.deepEqual(
      report.phases[0]?.steps.map(({ name }) => name),
      ['first'],
    );
    assert.deepEqual(report.warnings, [{ message: 'careful' }]);
  });

  test('row 114: is told as cancelled where it only looked', async () => {
    const ended = stop(() => {});
    process.emit('SIGTERM');
    const report = conclude(await ended, heardOf('health'), run);
    // A cancel is what a person wanted: nothing to complain of.
    assert.deepEqual([report.outcome, report.environment, report.problems], ['cancelled', 'staging', []]);
    assert.deepEqual([report.phases[0]?.outcome, report.phases[0]?.cancelled], ['failed', true]);
  });

  test('row 114: a terminal that is closed stops it as a cancel does', async () => {
    const ended = stop(() => {});
    process.emit('SIGHUP', 'SIGHUP');
    assert.deepEqual((await ended).stopped, { signal: 'SIGHUP' });
  });

  test('row 114: what was committed so far is told, of ended phases and of the one under way', async () => {
    const heard = logRecorder(() => {});
    await runPhase('migrate', heard.log, undefined, async ({ facts }) => {
      facts.applied = ['1', '2'];
    });
    void runPhase('migrate', heard.log, undefined, ({ facts }) => {
      facts.applied = ['3'];
      return new Promise(() => {});
    });
    assert.deepEqual(heard.report(run, []).facts.applied, ['1', '2', '3']);
  });

  test('row 132: an error that nobody caught is a failure with that error as its cause', async () => {
    const report = conclude(await stop((tell) => tell([{ message: 'socket lost' }])), heardOf('health'), run);
    assert.deepEqual([report.outcome, report.problems], ['failure', [{ message: 'socket lost' }]]);
  });
});

test('a run that comes back after a stop keeps its own report', async () => {
  const own: Report = { ...refusedReport(run, [{ message: 'stopped in time' }]), outcome: 'cancelled' };
  const ended = stoppable(
    { crashes: { listen: () => {} }, grace: 5_000, impatient: false, onStop: () => {}, onStray: () => {} },
    (signal) => new Promise<Report>((done) => signal.addEventListener('abort', () => done(own))),
  );
  process.emit('SIGINT');
  const report = conclude(await ended, heardOf('migrate'), run);
  assert.deepEqual([report.outcome, report.problems], ['cancelled', own.problems]);
});

test('inputs are read once: what changes later changes nothing', () => {
  const source: Record<string, string> = { mode: 'plan' };
  const read = snapshot((name) => source[name] ?? '');
  source.mode = 'deploy';
  assert.equal(read('mode'), 'plan');
});

test('the report file belongs to its user alone, also for a mode that is a path', () => {
  const path = writeReport(refusedReport({ ...run, mode: '../../x' }, [{ message: 'no' }]), identity, folder);
  assert.ok(path.startsWith(`${folder}/muva-deploy-refused-`), path);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(JSON.parse(readFileSync(path, 'utf8')).outcome, 'failure');
});

test('what a run begins with: its first line, and a refusal that names the environment where one is given', () => {
  const given = (environment: string) =>
    startedRun((name) => ({ mode: 'deploy', environment })[name as 'mode'], 5);
  assert.deepEqual(given(''), { mode: 'deploy', startedAt: 5 });
  assert.equal(refusedReport(given('staging'), []).environment, 'staging');
  assert.equal(firstLine(run, identity), 'muva-deploy deploy, run 7 attempt 2');
  assert.equal(
    firstLine(run, { ...identity, sha: '0123456789abcdef' }),
    'muva-deploy deploy, run 7 attempt 2, commit 0123456789',
  );
});

test('what was pasted into the mode or environment by mistake is not repeated in the report', () => {
  const given = (value: string) =>
    refusedReport(
      startedRun(() => value, 0),
      [],
    );
  for (const mode of ['helth', 'deploy']) assert.equal(given(mode).mode, mode);
  for (const secret of ['postgresql://u:p@h/d', 'sbp_0123456789abcdef0123', `-----BEGIN\nPRIVATE KEY-----`]) {
    assert.equal(given(secret).mode, '(not a mode)');
    assert.ok(!JSON.stringify(given(secret)).includes(secret));
  }
});

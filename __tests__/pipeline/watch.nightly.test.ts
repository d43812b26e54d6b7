import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import type { LogEntry } from '../../src/lib/log.js';
import type { HealthFact, PhaseReport } from '../../src/lib/report.js';
import { watch } from '../../src/pipeline/watch.js';
import { type Inputs, settingsFor, withTools } from '../servers/deployment.js';
import { type AppFaults, appFiles, appVersion } from '../servers/fixture-app.js';
import { oneServer } from '../servers/one-server.js';
import { deployRequest, runWorker } from '../servers/worker.js';

/** A look each half second instead of each half minute. */
const PACE = { between: 500, atOnce: 100, told: 1_000 };

interface WatchedOptions {
  during?: () => Promise<unknown>;
  /** Milliseconds. */
  cancelAfter?: number;
}

interface Watched {
  report: PhaseReport;
  overtaken: boolean;
  log: LogEntry[];
}

describe('a version that is watched', () => {
  const one = oneServer(appFiles('v0'));

  const GOOD: HealthFact = {
    name: '/api/health',
    from: 'vps',
    ok: true,
    status: 200,
    'latency-ms': 1,
    attempts: 2,
  };

  /** What names the version that is live, and the run that deployed it. */
  let live: Inputs;
  async function deployed(version: string, faults: AppFaults): Promise<void> {
    const sha = one.origin.commit(appVersion(version, faults));
    const request = deployRequest(one.server.vps, sha, {
      health: { paths: ['/api/health'], timeout: 2_000, deadline: 6_000, successes: 2, checkAssets: false },
    });
    const { result } = await runWorker(one.server.vps, request);
    assert.equal(result.outcome, 'deployed', JSON.stringify(result));
    live = { ref: sha, 'run-id': request.run.id };
  }

  /** Watches what is live; by default as the run that deployed it. */
  function watched(inputs: Inputs, { during, cancelAfter }: WatchedOptions = {}): Promise<Watched> {
    const settings = settingsFor([one.server], {
      mode: 'deploy',
      watch: '3s',
      'health-paths': '/api/health',
      'health-from': 'vps',
      ...live,
      ...inputs,
    });
    return withTools(settings, async ({ work, servers, log, cancel }) => {
      if (cancelAfter !== undefined) setTimeout(cancel, cancelAfter);
      const [end] = await Promise.all([
        watch({ ...work, servers }, { before: [GOOD], deployedOn: new Set([1]), pace: PACE }),
        during?.(),
      ]);
      return { ...end, log };
    });
  }

  const lines = (log: readonly LogEntry[]): string =>
    log.flatMap((entry) => (entry.kind === 'progress' ? [entry.text] : [])).join('\n');

  test('row 174: a good one stays; it is told now and then, and its requests are counted', async () => {
    const counter = join(one.server.vps.root, 'asked');
    await deployed('v1', { countIn: counter });
    const { report, overtaken, log } = await watched({});
    assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
    assert.equal(overtaken, false);
    assert.match(lines(log), /^watched for .*: (\d+) of \1 answers good, 0 restarts, \d+ MB$/m);
    const asked = readFileSync(counter, 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('live ')).length;
    const { appPath } = one.server.vps;
    const ledger = readFileSync(join(dirname(appPath), `.${basename(appPath)}.deploy/requests.log`), 'utf8');
    assert.ok(asked <= 60, String(asked));
    assert.ok(ledger.split('\n').length > 1);
  });

  test('row 174: the watch ends, told, where what another run deployed is live', async () => {
    const { report, overtaken } = await watched({ 'run-id': '1', watch: '1m' });
    assert.equal(report.outcome, 'passed');
    assert.equal(overtaken, true);
    assert.match(report.summary!, /what run \d+ deployed is live there; what came later is that run's/);
  });

  test('row 174: a cancel ends the watch and takes nothing back', async () => {
    const { report } = await watched({ watch: '1m' }, { cancelAfter: 1_500 });
    assert.equal(report.cancelled, true);
    assert.deepEqual(report.problems, []);
    assert.equal((await one.server.vps.served())?.version, 'v1');
  });

  test('row 174: programs without a port are followed by what PM2 tells, each of them', async () => {
    const { vps } = one.server;
    await vps.run(
      `printf '%s' 'setInterval(() => {}, 1000)' > ../jobs.js && pm2 start ../jobs.js --name jobs`,
      vps.appPath,
    );
    const inputs = { 'health-from': 'none', 'app-name': 'app none\njobs none' };
    const good = await watched(inputs);
    assert.equal(good.report.outcome, 'passed', JSON.stringify(good.report.problems));
    assert.match(good.report.steps[0]!.detail!, /^0 restarts, \d+ MB$/);
    const { report } = await watched(
      { ...inputs, watch: '1m' },
      { during: () => vps.run('for _ in 1 2; do sleep 2; pm2 sendSignal SIGKILL jobs; done', vps.appPath) },
    );
    assert.equal(report.outcome, 'failed');
    assert.match(report.problems[0]!.message, /: PM2 has restarted instance \d+ [2-9] times since\.$/);
  });

  test('row 174: one that answers badly three times in a row falls', async () => {
    await deployed('v2', { healthStatus: 503, sickAfter: 20_000, onlyLive: true });
    const { report } = await watched({ watch: '1m' });
    assert.equal(report.outcome, 'failed');
    assert.match(
      report.problems[0]!.message,
      /^The new version was healthy, and fell within .*: .*3 times in a row/,
    );
  });
});

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { LogEntry } from '../../src/lib/log.js';
import type { PhaseReport } from '../../src/lib/report.js';
import { redeploy } from '../../src/pipeline/redeploy.js';
import { resolveInterruptedFleet } from '../../src/server/fleet/resolve-interrupted.js';
import { rollbackFleet } from '../../src/server/fleet/rollback-fleet.js';
import { SshError } from '../../src/server/ssh/ssh-error.js';
import {
  type Inputs,
  makeReachable,
  type OnEntry,
  plainRecord,
  type Reachable,
  type SessionOptions,
  settingsFor,
  withTools,
} from '../servers/deployment.js';
import { appFiles, appVersion } from '../servers/fixture-app.js';
import { type Origin, startOrigin } from '../servers/origin.js';
import { kill } from '../servers/pm2.js';
import { until } from '../servers/until.js';
import { startVps, workersOn } from '../servers/vps.js';

describe('redeploy to one server, with worse luck', () => {
  let origin: Origin;
  let server: Reachable;
  before(async () => {
    origin = startOrigin(appFiles('v1'));
    server = await makeReachable(await startVps(origin));
  });
  after(async () => {
    await server?.stop();
    origin?.stop();
  });

  const deploy = (inputs: Inputs, onEntry?: OnEntry, options: SessionOptions = {}): Promise<PhaseReport> => {
    const settings = settingsFor([server], inputs);
    return withTools(settings, ({ servers }) => redeploy(servers), { ...options, onEntry });
  };

  test('a cancel before the cutover stops the run on the server, and the live version is untouched', async () => {
    const before = await server.vps.served();
    const sha = origin.commit(appVersion('v2', { build: 'slow' }));
    const report = await deploy({ ref: sha }, (entry, cancel) => {
      if (entry.kind === 'output' && entry.source === 'build') cancel();
    });
    assert.equal(report.outcome, 'failed');
    assert.equal(report.facts.hosts?.[0]?.outcome, 'unchanged');
    assert.equal(report.facts.hosts?.[0]?.detail, 'stopped before the cutover');
    assert.equal((await server.vps.served())?.pid, before?.pid);
  });

  test('row 114: a cancel after the cutover began stops nothing, and a verification that then fails is told as failed', async () => {
    const sha = origin.commit(appVersion('v2b', { healthStatus: 500, onlyLive: true }));
    const report = await deploy({ ref: sha, 'health-deadline': '3s' }, (entry, cancel) => {
      if (entry.kind === 'step' && entry.step.name === 'cutover') cancel();
    });
    assert.equal(report.outcome, 'failed');
    assert.deepEqual(
      report.steps.slice(-3).map(({ name, outcome }) => `${outcome} ${name}`),
      ['passed cutover', 'failed verification', 'passed put back'],
    );
    assert.equal(report.facts.hosts?.[0]?.outcome, 'rolled-back');
    assert.match(report.problems[0]!.message, /not healthy/);
    assert.equal((await server.vps.served())?.version, 'v1');
  });

  test('a failed build fails the phase with its output, and the old version serves', async () => {
    const sha = origin.commit(appVersion('v3', { build: 'fails' }));
    const output: string[] = [];
    const report = await deploy({ ref: sha }, (entry) => {
      if (entry.kind === 'output') output.push(entry.text);
    });
    assert.equal(report.outcome, 'failed');
    assert.equal(report.steps.find((step) => step.outcome === 'failed')?.name, 'build');
    assert.match(output.join(''), /module not found/);
    assert.equal(report.facts.hosts?.[0]?.outcome, 'failed');
    assert.match(report.summary!, /the live version was not touched/);
    assert.equal((await server.vps.served())?.version, 'v1');
  });

  test('row 85: a server that stays away leaves the outcome unknown, and the run goes on there', async () => {
    const sha = origin.commit(appVersion('v4'));
    const settings = settingsFor([server], { ref: sha });
    const cut = (entry: LogEntry): void => {
      if (entry.kind !== 'step' || entry.step.name !== 'fetch') return;
      server.wire.refuse(true);
      server.wire.cut('reset');
    };
    const report = await withTools(settings, ({ servers }) => redeploy(servers), {
      onEntry: cut,
      reconnectFor: 500,
      patience: 200,
    });
    server.wire.refuse(false);
    assert.equal(report.outcome, 'unknown');
    assert.equal(report.facts.hosts?.[0]?.outcome, 'unknown');
    assert.match(report.summary!, /not known which version is live/);
    // Nothing is unlocked by hand: the rollback of the same run waits for it, and then undoes it.
    const facts = (
      await withTools(settings, ({ servers }) =>
        rollbackFleet(servers, plainRecord(), () => ({ undoRun: settings.rollback.runId })),
      )
    ).map(({ fact }) => fact);
    assert.equal(facts[0]?.outcome, 'rolled-back', JSON.stringify(facts));
    assert.equal((await server.vps.served())?.version, 'v1');
  });

  test('an action that is gone: settling stops its worker, which alone knew the invocation', async () => {
    const sha = origin.commit(appVersion('v7', { build: 'slow' }));
    const settings = settingsFor([server], { ref: sha });
    let building = (): void => {};
    const seen = new Promise<void>((resolve) => {
      building = resolve;
    });
    // The phase is left alone in the middle of the build, and its connection is closed.
    await withTools(settings, ({ servers }) => Promise.race([redeploy(servers), seen]), {
      onEntry: (entry) => {
        if (entry.kind === 'output' && entry.source === 'build') building();
      },
      patience: 1,
      reconnectFor: 1,
    });
    const started = performance.now();
    const facts = await withTools(settings, ({ servers }) =>
      resolveInterruptedFleet(servers, settings.run.session!),
    );
    assert.equal(facts[0]?.outcome, 'unchanged', JSON.stringify(facts));
    assert.ok(performance.now() - started < 30_000, 'it was stopped, not waited for');
    assert.equal((await server.vps.served())?.version, 'v1');
  });

  test('row 138: settling stops a worker that still waits for the lock, and it never deploys', async (context) => {
    const { vps } = server;
    const before = await vps.served();
    const lock = join(vps.root, 'var/www/.app.deploy/lock');
    mkdirSync(dirname(lock), { recursive: true });
    const other = spawn('flock', [lock, 'sleep', '600'], { detached: true, stdio: 'ignore' });
    context.after(() => kill(-other.pid!));
    await until('the lock to be taken', async () => (await vps.run(`flock -n '${lock}' true`)).code !== 0);
    const settings = settingsFor([server], { ref: origin.commit(appVersion('v7b')), 'lock-wait': '10m' });
    let waiting = (): void => {};
    const seen = new Promise<void>((resolve) => {
      waiting = resolve;
    });
    await withTools(settings, ({ servers }) => Promise.race([redeploy(servers), seen]), {
      onEntry: (entry) => {
        if (entry.kind === 'progress' && entry.text.includes('to finish')) waiting();
      },
      patience: 1,
      reconnectFor: 1,
    });
    const facts = await withTools(settings, ({ servers }) =>
      resolveInterruptedFleet(servers, settings.run.session!),
    );
    assert.equal(facts[0]?.outcome, 'unchanged', JSON.stringify(facts));
    await until('the worker to end', () => !workersOn(server.vps).length, 60_000);
    process.kill(-other.pid!, 'SIGKILL');
    assert.deepEqual(await vps.served(), before);
  });

  test('a connection that nobody answers any more is noticed without a word from the command', async () => {
    const settings = settingsFor([server], { ref: origin.head() });
    await withTools(settings, async ({ servers }) => {
      const started = performance.now();
      const running = servers.fleet.hosts[0]!.exec('echo; exec sleep 120', {
        onStdout: () => server.wire.freeze(),
      });
      await assert.rejects(running, (error) => error instanceof SshError && error.kind === 'lost');
      assert.ok(performance.now() - started < 40_000);
      server.wire.thaw();
    });
  });

  test('rows 102 and 119: a second deploy to the same server waits for the first, names it, and follows it', async () => {
    const first = settingsFor([server], { ref: origin.commit(appVersion('v8')), 'run-id': '8001' });
    const second = settingsFor([server], { ref: origin.commit(appVersion('v9')), 'run-id': '8002' });
    let next: Promise<PhaseReport> | undefined;
    let progress: string[] = [];
    const report = await withTools(first, ({ servers }) => redeploy(servers), {
      onEntry: (entry) => {
        if (entry.kind !== 'step' || entry.step.name !== 'fetch') return;
        next = withTools(second, async (session) => {
          const done = await redeploy(session.servers);
          progress = session.progress();
          return done;
        });
      },
    });
    assert.equal(report.outcome, 'passed');
    const after = await next!;
    assert.equal(after.outcome, 'passed', JSON.stringify(after.problems));
    assert.ok(
      progress.some((text) => /waiting for .*8001/.test(text)),
      progress.join('\n'),
    );
    assert.equal((await server.vps.served())?.version, 'v9');
    for (const [run, version] of [
      ['8002', 'v8'],
      ['8001', 'v1'],
    ] as const) {
      const settings = settingsFor([server], { mode: 'rollback', 'run-id': run });
      await withTools(settings, ({ servers }) =>
        rollbackFleet(servers, plainRecord(), () => ({ undoRun: settings.rollback.runId })),
      );
      assert.equal((await server.vps.served())?.version, version);
    }
  });

  test('a worker that is killed is told, what it left is repaired, and the old version serves', async () => {
    const sha = origin.commit(appVersion('v6', { build: 'slow' }));
    const report = await deploy({ ref: sha }, (entry) => {
      if (entry.kind === 'output' && entry.source === 'build') killWorker(server);
    });
    assert.equal(report.outcome, 'failed', JSON.stringify(report.problems));
    assert.match(report.problems[0]!.message, /ended without a result/);
    assert.equal(report.facts.hosts?.[0]?.outcome, 'failed');
    assert.equal((await server.vps.served())?.version, 'v1');
  });
});

function killWorker(server: Reachable): void {
  for (const pid of workersOn(server.vps)) kill(pid);
}

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { PhaseReport } from '../../src/lib/report.js';
import { redeploy } from '../../src/pipeline/redeploy.js';
import { inspectFleet } from '../../src/server/fleet/inspect-fleet.js';
import { probeFleet } from '../../src/server/fleet/probe-fleet.js';
import { rollbackFleet } from '../../src/server/fleet/rollback-fleet.js';
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
import { startVps } from '../servers/vps.js';

describe('redeploy to one server', () => {
  let origin: Origin;
  let server: Reachable;
  before(async () => {
    origin = startOrigin(appFiles('v0'));
    server = await makeReachable(await startVps(origin));
    // Row 93: what an interactive user's profile says reaches every non-interactive session too.
    writeFileSync(
      join(server.vps.home, '.bashrc'),
      'echo Welcome; echo "muva-worker {broken"; printf "no newline"\n',
    );
  });
  after(async () => {
    await server?.stop();
    origin?.stop();
  });

  const deploy = (inputs: Inputs, onEntry?: OnEntry, options: SessionOptions = {}): Promise<PhaseReport> => {
    const settings = settingsFor([server], inputs);
    return withTools(settings, ({ servers }) => redeploy(servers), { ...options, onEntry });
  };

  test('rows 85, 86 and 93: deployed and told completely, though every kind of loss cuts the connection', async () => {
    const sha = origin.commit(appVersion('v1'));
    const cuts: Record<string, () => unknown> = {
      fetch: () => server.wire.cut('reset'),
      install: () => server.wire.cut('close'),
      build: () => server.sshd.dropConnections(),
      rehearsal: () => killTellers(server),
    };
    const report = await deploy({ ref: sha, 'run-id': '5001' }, (entry) => {
      if (entry.kind === 'step') cuts[entry.step.name]?.();
    });
    assert.deepEqual(report.problems, []);
    assert.equal(report.outcome, 'passed');
    const names = report.steps.map((step) => step.name);
    assert.deepEqual([...new Set(names)], names, 'each step is told once');
    for (const name of ['look', 'fetch', 'install', 'build', 'rehearsal', 'cutover', 'verification'])
      assert.ok(names.includes(name), `${name} in ${names}`);
    assert.equal(report.facts.deployedSha, sha);
    assert.equal(report.facts.hosts?.[0]?.outcome, 'deployed');
    assert.equal((await server.vps.served())?.version, 'v1');
    assert.match(report.summary!, new RegExp(`^${sha.slice(0, 7)} is live on the server`));
  });

  test('row 116: the same commit again in the same run changes nothing and says so', async () => {
    const before = await server.vps.served();
    const report = await deploy({ ref: origin.head(), 'run-id': '5001' });
    assert.equal(report.outcome, 'passed');
    assert.equal(report.facts.hosts?.[0]?.outcome, 'unchanged');
    assert.equal((await server.vps.served())?.pid, before?.pid);
    assert.match(report.summary!, /was live on the server already/);
  });

  test('what the worker would refuse is refused before anything is started', async () => {
    const before = await server.vps.served();
    const report = await deploy({ ref: 'f'.repeat(40) });
    assert.equal(report.outcome, 'failed');
    assert.deepEqual(
      report.steps.map((step) => step.name),
      ['look'],
    );
    assert.match(report.problems[0]!.message, /f{7}/);
    assert.equal((await server.vps.served())?.pid, before?.pid);
  });

  test('rollback undoes what the named run changed, once, and probe asks what serves', async () => {
    const sha = origin.commit(appVersion('v5'));
    const settings = settingsFor([server], { ref: sha });
    await withTools(settings, async ({ servers }) => {
      assert.equal((await redeploy(servers)).outcome, 'passed');
      const health = await probeFleet(servers);
      assert.deepEqual(
        health.map((fact) => [fact.name, fact.from, fact.ok]),
        [
          ['/', 'vps', true],
          ['/api/health', 'vps', true],
          ['assets', 'vps', true],
        ],
      );
      const [looked] = await inspectFleet(servers);
      assert.equal(looked?.facts?.liveSha, sha);
      const record = plainRecord();
      const [{ fact: back } = { fact: undefined }] = await rollbackFleet(servers, record, () => ({
        undoRun: settings.rollback.runId,
      }));
      assert.equal(back?.outcome, 'rolled-back');
      assert.ok(record.steps.length > 0);
      assert.equal((await server.vps.served())?.version, 'v1');
      const [{ fact: again } = { fact: undefined }] = await rollbackFleet(servers, plainRecord(), () => ({
        undoRun: settings.rollback.runId,
      }));
      assert.equal(again?.outcome, 'unchanged');
    });
  });
});

/** Kills what tells the run's events to the action, but not the worker. */
function killTellers({ vps }: Reachable): void {
  const tellers = vps
    .processes()
    .filter((pid) => /\bnode\0-\0$/.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8')));
  assert.equal(tellers.length, 1);
  for (const pid of tellers) kill(pid);
}

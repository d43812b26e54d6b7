/** Builds that change the record of their own run, through the action's side and a real server. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { LogEntry } from '../../src/base/log.js';
import type { PhaseReport } from '../../src/base/report.js';
import { redeploy } from '../../src/phases/redeploy.js';
import { settleFleet } from '../../src/vps/settle-fleet.js';
import { makeReachable, type Reachable, settingsFor, withTools } from '../servers/deployment.js';
import { appFiles, appVersion } from '../servers/fixture-app.js';
import { cuttingBuild, forgingBuild, overwritingBuild } from '../servers/hostile-build.js';
import { type Origin, startOrigin } from '../servers/origin.js';
import { startVps } from '../servers/vps.js';

describe('a build that changes the record of its run', () => {
  let origin: Origin;
  let server: Reachable;
  let runs: string;
  before(async () => {
    origin = startOrigin(appFiles('v1'));
    server = await makeReachable(await startVps(origin));
    runs = join(server.vps.root, 'var/www/.app.deploy/runs');
  });
  after(async () => {
    await server?.stop();
    origin?.stop();
  });

  async function deploy(
    version: string,
    build: string,
  ): Promise<{
    report: PhaseReport;
    log: LogEntry[];
    took: number;
    settle: () => ReturnType<typeof settleFleet>;
  }> {
    const own = appFiles(version)['build.js'];
    const files = { ...appVersion(version), 'build.js': `${own}\n;{${build}}` };
    const settings = settingsFor([server], { ref: origin.commit(files) });
    const log: LogEntry[] = [];
    let built = 0;
    const report = await withTools(settings, ({ servers }) => redeploy(servers), {
      onEntry: (entry) => {
        log.push(entry);
        if (entry.kind === 'step' && entry.step.name === 'install') built = performance.now();
      },
    });
    const took = performance.now() - built;
    return {
      report,
      log,
      took,
      settle: () => withTools(settings, ({ servers }) => settleFleet(servers, settings.run.session!)),
    };
  }

  test('row 145: forged, repeated, malformed, endless and 200,000 events change nothing, and are told once', async () => {
    const { report, log } = await deploy('v2', forgingBuild(runs));
    assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
    assert.equal((await server.vps.served())?.version, 'v2');
    assert.equal(report.facts.hosts?.[0]?.outcome, 'deployed');
    assert.doesNotMatch(JSON.stringify(report), /forged/);
    const warnings = log.flatMap((entry) => (entry.kind === 'warning' ? [entry.problem.message] : []));
    assert.equal(warnings.filter((text) => /another program than the worker/.test(text)).length, 1);
    const names = report.steps.map(({ name }) => name);
    assert.deepEqual([...new Set(names)], names, 'no step was told twice');
  });

  for (const [name, version, build] of [
    ['writes over', 'v3', overwritingBuild],
    ['cuts off', 'v4', cuttingBuild],
  ] as const)
    test(`row 145: one that ${name} its record ends the run as not known within seconds, and the look finds the truth`, async () => {
      const before = await server.vps.served();
      const { report, took, settle } = await deploy(version, build(runs));
      assert.equal(report.outcome, 'unknown', JSON.stringify(report.problems));
      assert.equal(report.facts.hosts?.[0]?.outcome, 'unknown');
      assert.match(report.problems[0]!.message, /record of the run/);
      assert.ok(took < 20_000, String(took));
      const [fact] = await settle();
      assert.equal(fact?.outcome, 'unchanged', JSON.stringify(fact));
      assert.equal((await server.vps.served())?.pid, before?.pid, 'the live version was not touched');
    });
});

/** Builds that change the record of their own run, through the action's side and a real server. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import type { LogEntry } from '../../src/lib/log.js';
import type { PhaseReport } from '../../src/lib/report.js';
import { redeploy } from '../../src/pipeline/redeploy.js';
import { resolveInterruptedFleet } from '../../src/server/fleet/resolve-interrupted.js';
import { settingsFor, withTools } from '../servers/deployment.js';
import { appFiles, appVersion } from '../servers/fixture-app.js';
import { cuttingBuild, forgingBuild, overwritingBuild } from '../servers/hostile-build.js';
import { oneServer } from '../servers/one-server.js';

describe('a build that changes the record of its run', () => {
  const place = oneServer(appFiles('v1'));
  let runs: string;
  before(() => {
    runs = join(place.server.vps.root, 'var/www/.app.deploy/runs');
  });

  async function deploy(
    version: string,
    build: string,
  ): Promise<{
    report: PhaseReport;
    log: LogEntry[];
    took: number;
    settle: () => ReturnType<typeof resolveInterruptedFleet>;
  }> {
    const own = appFiles(version)['build.js'];
    const files = { ...appVersion(version), 'build.js': `${own}\n;{${build}}` };
    const settings = settingsFor([place.server], { ref: place.origin.commit(files) });
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
      settle: () =>
        withTools(settings, ({ servers }) => resolveInterruptedFleet(servers, settings.run.session!)),
    };
  }

  test('row 145: forged, repeated, malformed, endless and 200,000 events change nothing, and are told once', async () => {
    const { report, log } = await deploy('v2', forgingBuild(runs));
    assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
    assert.equal((await place.server.vps.served())?.version, 'v2');
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
      const before = await place.server.vps.served();
      const { report, took, settle } = await deploy(version, build(runs));
      assert.equal(report.outcome, 'unknown', JSON.stringify(report.problems));
      assert.equal(report.facts.hosts?.[0]?.outcome, 'unknown');
      assert.match(report.problems[0]!.message, /record of the run/);
      // The build goes on for 15 s, and what it writes over is missed at the latest by the first line behind it.
      assert.ok(took < 60_000, String(took));
      const [fact] = await settle();
      assert.equal(fact?.outcome, 'unchanged', JSON.stringify(fact));
      assert.equal((await place.server.vps.served())?.pid, before?.pid, 'the live version was not touched');
    });
});

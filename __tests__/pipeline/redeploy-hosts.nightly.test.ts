import assert from 'node:assert/strict';
import { renameSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { LogEntry } from '../../src/lib/log.js';
import type { PhaseReport } from '../../src/lib/report.js';
import { redeploy } from '../../src/pipeline/redeploy.js';
import { probeFleet } from '../../src/server/fleet/probe-fleet.js';
import { rollbackFleet } from '../../src/server/fleet/rollback-fleet.js';
import {
  makeFleet,
  type OnEntry,
  plainRecord,
  type Reachable,
  settingsFor,
  withTools,
} from '../servers/deployment.js';
import { appFiles, appVersion } from '../servers/fixture-app.js';
import { type Origin, startOrigin } from '../servers/origin.js';
import { startVps, type Vps } from '../servers/vps.js';

describe('redeploy to two servers', () => {
  let origin: Origin;
  let boxes: Vps[];
  let servers: Reachable[];
  before(async () => {
    origin = startOrigin(appFiles('v0'));
    boxes = [await startVps(origin), await startVps(origin)];
    servers = await makeFleet(boxes);
  });
  after(async () => {
    for (const server of servers ?? []) await server.stop();
    origin?.stop();
  });

  const versions = async (): Promise<(string | undefined)[]> =>
    (await Promise.all(boxes.map((vps) => vps.served()))).map((served) => served?.version);

  const deploy = async (
    ref: string,
    onEntry?: OnEntry,
  ): Promise<{ report: PhaseReport; log: LogEntry[] }> => {
    const settings = settingsFor(servers, { ref });
    return withTools(settings, async ({ servers, log }) => ({ report: await redeploy(servers), log }), {
      onEntry,
    });
  };

  test('both are prepared before the first cuts over, and the second cuts over after the first', async () => {
    const sha = origin.commit(appVersion('v1'));
    const load = boxes.map((vps) => vps.load(20));
    const { report, log } = await deploy(sha);
    const seen = await Promise.all(load.map((one) => one.stop()));
    assert.deepEqual(report.problems, []);
    assert.deepEqual(await versions(), ['v1', 'v1']);
    assert.deepEqual(
      report.facts.hosts?.map((host) => [host.host, host.outcome, host['deployed-sha']]),
      [
        [1, 'deployed', sha],
        [2, 'deployed', sha],
      ],
    );
    assert.deepEqual(
      seen.map((result) => result.failed),
      [0, 0],
      JSON.stringify(seen),
    );
    const told = log.flatMap((entry) =>
      entry.kind === 'step' ? [entry.step.name] : entry.kind === 'progress' ? [entry.text] : [],
    );
    const at = (text: string): number => {
      const index = told.indexOf(text);
      assert.ok(index >= 0, `${text} in ${told.join(' | ')}`);
      return index;
    };
    assert.ok(at('host 2: rehearsal') < at('host 1 cuts over'));
    assert.ok(at('host 1: verification') < at('host 2 cuts over'));
    assert.match(report.summary!, /is live on host 1, host 2/);
  });

  test('the second fails its rehearsal: the first is untouched', async () => {
    const before = await boxes[0]!.served();
    // Only the second server's environment makes this version sick.
    const sha = origin.commit({ ...appVersion('v2'), 'server.js': SICK_WHERE_TOLD });
    writeFileSync(join(boxes[1]!.appPath, '.env.local'), 'SICK=1\n');
    const { report } = await deploy(sha);
    unlinkSync(join(boxes[1]!.appPath, '.env.local'));
    assert.equal(report.outcome, 'failed');
    assert.deepEqual(
      report.steps.filter((step) => step.outcome === 'failed').map((step) => step.name),
      ['host 2: rehearsal'],
    );
    assert.match(report.problems[0]!.message, /^host 2: /);
    assert.deepEqual(
      report.facts.hosts?.map((host) => host.outcome),
      ['unchanged', 'failed'],
    );
    assert.equal((await boxes[0]!.served())?.pid, before?.pid);
    assert.deepEqual(await versions(), ['v1', 'v1']);
    assert.equal(report.summary, 'On host 1, host 2 the live version was not touched.');
  });

  test('the second fails its cutover: both are put back', async () => {
    const sha = origin.commit({ ...appVersion('v3'), 'server.js': appFiles('v3')['server.js']! });
    const restore = breakFirstReload(boxes[1]!);
    const { report } = await deploy(sha);
    restore();
    assert.equal(report.outcome, 'failed');
    assert.deepEqual(
      report.facts.hosts?.map((host) => host.outcome),
      ['rolled-back', 'rolled-back'],
      JSON.stringify(report.facts.hosts),
    );
    assert.equal(report.facts.rolledBack, true);
    assert.deepEqual(await versions(), ['v1', 'v1']);
    assert.equal(report.summary, 'On host 1, host 2 the previous version is live again.');
  });

  test('a cancel while both wait or build touches neither', async () => {
    const before = await Promise.all(boxes.map((vps) => vps.served()));
    const sha = origin.commit(appVersion('v4', { build: 'slow' }));
    const { report } = await deploy(sha, (entry, cancel) => {
      if (entry.kind === 'output' && entry.source === 'host 2: build') cancel();
    });
    assert.deepEqual(
      report.facts.hosts?.map((host) => host.outcome),
      ['unchanged', 'unchanged'],
    );
    assert.deepEqual(await Promise.all(boxes.map((vps) => vps.served())), before);
  });

  test('a server that is out of reach when it is to stop is told when it is back', async (context) => {
    const before = await Promise.all(boxes.map((vps) => vps.served()));
    const sha = origin.commit({ ...appVersion('v6'), 'build.js': FAILS_WHERE_TOLD });
    writeFileSync(join(boxes[0]!.appPath, '.env.local'), 'FAIL=1\n');
    context.after(() => unlinkSync(join(boxes[0]!.appPath, '.env.local')));
    const { wire } = servers[1]!;
    const settings = settingsFor(servers, { ref: sha });
    const { report, told } = await withTools(
      settings,
      async ({ servers, progress }) => ({ report: await redeploy(servers), told: progress() }),
      {
        // Nothing is tried twice by itself within that time, so the first words to the second server are lost.
        patience: 200,
        reconnectFor: 60_000,
        onEntry(entry) {
          if (entry.kind === 'output' && entry.source === 'host 1: build' && entry.text.includes('told to')) {
            wire.refuse(true);
            wire.cut('reset');
            setTimeout(() => wire.refuse(false), 8_000);
          }
        },
      },
    );
    assert.deepEqual(
      report.facts.hosts?.map((host) => host.outcome),
      ['failed', 'unchanged'],
      JSON.stringify(report),
    );
    assert.match(told.join('\n'), /could not be told to stop yet/);
    assert.deepEqual(await Promise.all(boxes.map((vps) => vps.served())), before);
  });

  test('probe and rollback speak of both', async () => {
    const sha = origin.commit(appVersion('v5'));
    const settings = settingsFor(servers, { ref: sha });
    await withTools(settings, async ({ servers }) => {
      assert.equal((await redeploy(servers)).outcome, 'passed');
      const names = (await probeFleet(servers)).map((fact) => fact.name);
      assert.ok(names.includes('host 1: /') && names.includes('host 2: /api/health'), names.join());
      const record = plainRecord();
      const facts = (await rollbackFleet(servers, record, () => ({ undoRun: settings.rollback.runId }))).map(
        ({ fact }) => fact,
      );
      assert.deepEqual(
        facts.map((fact) => fact.outcome),
        ['rolled-back', 'rolled-back'],
      );
      assert.ok(record.steps.some((step) => step.name.startsWith('host 2: ')));
    });
    assert.deepEqual(await versions(), ['v1', 'v1']);
  });
});

const FAILS_WHERE_TOLD = `
const fs = require('node:fs');
if (fs.existsSync('.env.local') && fs.readFileSync('.env.local', 'utf8').includes('FAIL')) { console.error('told to fail'); process.exit(1); }
${appFiles('any')['build.js']}`;

const SICK_WHERE_TOLD = `
const env = require('node:path').join(__dirname, '.env.local');
if (require('node:fs').existsSync(env) && require('node:fs').readFileSync(env, 'utf8').includes('SICK')) process.exit(1);
${appFiles('any')['server.js']}`;

/** The server's pm2 fails its next reload, and works again after it. Returns what puts the right one back. */
function breakFirstReload(vps: Vps): () => void {
  const pm2 = join(vps.root, 'bin/pm2');
  const real = resolve('node_modules/.bin/pm2');
  const used = join(vps.root, 'reload-failed');
  unlinkSync(pm2);
  const text = `#!/bin/sh\nif [ "$1" = reload ] && [ ! -e ${used} ]; then : >${used}; echo broken >&2; exit 1; fi\nexec ${real} "$@"\n`;
  writeFileSync(`${pm2}.new`, text, { mode: 0o755 });
  renameSync(`${pm2}.new`, pm2);
  return () => {
    unlinkSync(pm2);
    symlinkSync(real, pm2);
  };
}

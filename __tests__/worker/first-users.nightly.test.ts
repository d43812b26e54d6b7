import assert from 'node:assert/strict';
import { rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pause } from '../../src/lib/retry.js';
import { entryOn } from '../servers/ecosystem.js';
import { buildId, installNext, nextFiles, nextVersion } from '../servers/next-app.js';
import { type Origin, startOrigin } from '../servers/origin.js';
import { until } from '../servers/until.js';
import { ask, startVps, type Vps } from '../servers/vps.js';
import { app, deployRequest, HEALTH, rollbackRequest, runWorker } from '../servers/worker.js';

const PATIENT = {
  health: { ...HEALTH, paths: ['/', '/api/health'], timeout: 15_000, deadline: 60_000 },
  timeout: 480_000,
};
/** The last release of the major before; from the registry, as Next.js is. Two packages cannot both bring the program pm2. */
const PM2_6 = 'pm2@6.0.14';

/** As the first users have it: `npm start` in cluster mode. */
function usersEntry(vps: Vps): Record<string, unknown> {
  return {
    script: 'npm',
    args: 'start',
    exec_mode: 'cluster',
    instances: 1,
    min_uptime: '10s',
    restart_delay: 4_000,
    max_memory_restart: '1G',
    node_args: '--max-old-space-size=1024',
    env: { NODE_ENV: 'production', PORT: String(vps.port) },
  };
}

/** The entry that the commit brings: Next.js itself, in cluster mode. */
function newEntry(vps: Vps): string {
  const entry = {
    name: vps.appName,
    cwd: vps.appPath,
    script: 'node_modules/next/dist/bin/next',
    args: 'start',
    exec_mode: 'cluster',
    instances: 1,
    min_uptime: '10s',
    kill_timeout: 10_000,
    listen_timeout: 30_000,
    max_memory_restart: '1G',
    env: { NODE_ENV: 'production', PORT: vps.port },
  };
  return `module.exports = { apps: [${JSON.stringify(entry)}] };\n`;
}

/** Asks without a pause while `work` runs; resolves to the milliseconds of the longest time without a good answer. */
async function longestOutage(vps: Vps, work: () => Promise<void>): Promise<number> {
  let ended = false;
  let longest = 0;
  let good = performance.now();
  const asking = (async () => {
    while (!ended) {
      const status = await ask(vps.port, '/api/health').then(
        (answer) => answer.status,
        () => 0,
      );
      const now = performance.now();
      if (status === 200) {
        longest = Math.max(longest, now - good);
        good = now;
      }
      await pause(25);
    }
  })();
  try {
    await work();
  } finally {
    ended = true;
    await asking;
  }
  return Math.round(longest);
}

describe("the first users' server: Next.js 15 through npm in cluster mode", () => {
  let origin: Origin;
  let vps: Vps;

  before(async () => {
    origin = startOrigin({
      ...nextFiles('v1'),
      'ecosystem.guesthouse.config.js': 'module.exports = { apps: [] };\n',
    });
    vps = await startVps(origin, { installed: false });
    await installNext(vps, origin, usersEntry(vps));
    writeFileSync(join(vps.appPath, '.env.local'), 'NEXT_PUBLIC_NAME=guesthouse\n');
  });
  after(async () => {
    await vps?.stop();
    origin?.stop();
  });

  /** Deployed and rolled back, both told from one restart by hand. */
  async function thereAndBack(version: string): Promise<void> {
    const byHand = await longestOutage(vps, async () => {
      await vps.run('pm2 restart app');
      await until('Next.js to answer', () => vps.served(), 60_000);
    });
    // The same machine does the same work in another minute: it may take half as long again, and a second.
    const most = byHand * 1.5 + 1_000;
    const sha = origin.commit({
      ...nextVersion(version),
      'ecosystem.guesthouse.config.js': null,
      'ecosystem.config.cjs': newEntry(vps),
    });
    const request = deployRequest(vps, sha, { ...PATIENT, app: app(vps, { ecosystem: 'follow' }) });
    const built = buildId(vps);
    const deploying = await longestOutage(vps, async () => {
      const followed = await runWorker(vps, request);
      const { result, steps, events } = followed;
      assert.equal(result.outcome, 'deployed', JSON.stringify({ result, steps }, null, 1));
      assert.equal(result.rehearsed, true);
      assert.match(JSON.stringify(events), /the PM2 entry follows ecosystem\.config\.cjs: script/);
    });
    const now = await entryOn(vps);
    assert.deepEqual([now.exec_mode, now.restart_time, now.status], ['cluster_mode', 0, 'online']);
    assert.equal((await vps.served())?.commit, sha);
    const back = await longestOutage(vps, async () => {
      const { result, steps } = await runWorker(
        vps,
        rollbackRequest(vps, { ...PATIENT, undoRun: request.run.id }),
      );
      assert.equal(result.outcome, 'rolled-back', JSON.stringify({ result, steps }, null, 1));
    });
    assert.match(String((await entryOn(vps)).pm_exec_path), /npm/);
    assert.deepEqual([(await vps.served())?.version, buildId(vps)], ['v1', built]);
    console.log(`      longest outage: by hand ${byHand} ms, deploy ${deploying} ms, rollback ${back} ms`);
    assert.ok(deploying <= most && back <= most, `${deploying} and ${back} of ${most}`);
  }

  test('row 165: PM2 7: follows a commit that brings cluster mode of its own, and back', () =>
    thereAndBack('v2'));

  test('row 165: PM2 6: the same', async () => {
    const folder = join(vps.root, 'pm2-6');
    const installed = await vps.run(
      `npm install --no-audit --no-fund --ignore-scripts --prefix '${folder}' ${PM2_6}`,
    );
    assert.equal(installed.code, 0, installed.stderr);
    await vps.run('pm2 save && pm2 kill');
    rmSync(join(vps.root, 'bin/pm2'));
    symlinkSync(resolve(folder, 'node_modules/.bin/pm2'), join(vps.root, 'bin/pm2'));
    const resurrected = await vps.run('pm2 resurrect && pm2 --version');
    assert.match(resurrected.stdout, /^6\.0\.14$/m);
    await until('Next.js to answer', () => vps.served(), 60_000);
    origin.commit({ 'ecosystem.guesthouse.config.js': 'module.exports = { apps: [] }; // once more\n' });
    await thereAndBack('v3');
  });
});

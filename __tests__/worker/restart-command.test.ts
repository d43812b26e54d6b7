import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { isAlive } from '../../src/worker/host/processes.js';
import type { DeployRequest, RunResult } from '../../src/worker/protocol.js';
import { type AppFaults, appFiles, appVersion } from '../servers/fixture-app.js';
import { type Origin, startOrigin } from '../servers/origin.js';
import { until } from '../servers/until.js';
import { startVps, type Vps } from '../servers/vps.js';
import { app, deployRequest, HEALTH, rollbackRequest, runWorker } from '../servers/worker.js';

/**
 * A supervisor like gunicorn or puma: a master that stays, and on SIGHUP starts a new program before it ends the old
 * one. The application names no commit; only the script of its page tells the versions apart.
 */
const MASTER = `
const cluster = require('node:cluster');
const { existsSync } = require('node:fs');
cluster.setupPrimary({ exec: 'server.js', silent: false });
cluster.fork();
process.on('SIGHUP', () => {
  if (existsSync(process.env.DEAF)) return;
  const old = Object.values(cluster.workers);
  cluster.fork().once('listening', () => { for (const worker of old) worker.process.kill('SIGINT'); });
});`;

describe('an application that another supervisor reloads', () => {
  let origin: Origin;
  let vps: Vps;
  let master: number;
  before(async () => {
    origin = startOrigin(appFiles('v1', { anonymous: true }));
    vps = await startVps(origin, { mode: 'fork' });
    const path = (name: string): string => join(vps.root, name);
    writeFileSync(path('master.cjs'), MASTER);
    const start = `PORT=${vps.port} DEAF=${path('deaf')} setsid node ${path('master.cjs')} >/dev/null 2>&1 & echo $! >${path('pid')}`;
    await vps.run('pm2 delete app');
    await vps.run(start, vps.appPath);
    master = Number(readFileSync(path('pid'), 'utf8'));
    await until('the application under its new supervisor', () => vps.served());
  });
  after(async () => {
    await vps?.stop();
    origin?.stop();
  });

  const supervised = (restartCommand: string) => app(vps, { restartCommand, healthPort: vps.port });
  const push = (version: string, faults: AppFaults = {}): string =>
    origin.commit(appVersion(version, { anonymous: true, ...faults }));
  const reload = (): string => `kill -HUP ${master}`;
  const deploy = async (
    sha: string,
    restartCommand: string,
    more: Partial<DeployRequest> = {},
  ): Promise<{ result: RunResult; request: DeployRequest }> => {
    const request = deployRequest(vps, sha, { app: supervised(restartCommand), ...more });
    return { request, result: (await runWorker(vps, request)).result };
  };
  const warnings = (result: RunResult): string => result.warnings.map(({ message }) => message).join('\n');

  test('row 139: a restart-command that ends with 0 and restarts nothing is put back', async () => {
    const before = await vps.served();
    const live = (await vps.run('git rev-parse HEAD', vps.appPath)).stdout;
    const { result } = await deploy(push('v2'), 'true');
    assert.equal(result.outcome, 'put-back', JSON.stringify(result));
    assert.match(result.problems[0]!.message, /restart-command ended with 0 and restarted nothing/);
    assert.deepEqual(await vps.served(), before);
    assert.equal((await vps.run('git rev-parse HEAD', vps.appPath)).stdout, live);
    assert.equal(
      JSON.parse(readFileSync(join(vps.appPath, 'dist/build.json'), 'utf8')).version,
      before?.version,
    );
  });

  test('row 139: where neither programs nor answers tell, that is a warning', async () => {
    const health = { ...HEALTH, paths: ['/api/health'], checkAssets: false, deadline: 2_000 };
    const { result, request } = await deploy(push('v2'), 'true', { health });
    assert.equal(result.outcome, 'deployed', JSON.stringify(result));
    assert.match(warnings(result), /is not proven that restart-command restarted .* name no version/);
    const back = rollbackRequest(vps, {
      app: supervised(reload()),
      undoRun: request.run.id,
    });
    assert.equal((await runWorker(vps, back)).result.outcome, 'rolled-back');
  });

  test('row 139: a graceful reload keeps its master, and is proven by the program behind it', async () => {
    const health = { ...HEALTH, paths: ['/api/health'], checkAssets: false };
    const { result, request } = await deploy(push('v3'), reload(), { health });
    assert.equal(result.outcome, 'deployed', JSON.stringify(result));
    assert.doesNotMatch(warnings(result), /not proven/);
    assert.equal((await vps.served())?.version, 'v3');
    assert.ok(isAlive(master, undefined));
    const undone = rollbackRequest(vps, { app: supervised(reload()), undoRun: request.run.id });
    const back = await runWorker(vps, undone);
    assert.equal(back.result.outcome, 'rolled-back', JSON.stringify(back.result));
    assert.doesNotMatch(warnings(back.result), /not proven/);
    assert.equal((await vps.served())?.version, 'v1');
  });

  test('row 139: the text of expect-version is a proof where the version that leaves does not have it', async () => {
    const said = (expectVersion: string) => ({
      ...HEALTH,
      paths: ['/api/health'],
      checkAssets: false,
      deadline: 3_000,
      expectVersion,
    });
    const both = await deploy(push('v4'), 'true', { health: said('"status":"ok"') });
    assert.equal(both.result.outcome, 'deployed', JSON.stringify(both.result));
    assert.match(warnings(both.result), /not proven/);
    const slow = `(sleep 2; kill -HUP ${master}) >/dev/null 2>&1 &`;
    const own = await deploy(push('v5'), slow, { health: { ...said('"version":"v5"'), deadline: 60_000 } });
    assert.equal(own.result.outcome, 'deployed', JSON.stringify(own.result));
    assert.doesNotMatch(warnings(own.result), /not proven/);
    assert.equal((await vps.served())?.version, 'v5');
  });

  test('row 105: a put-back whose old version does not come is told as one that failed', async () => {
    // Sick after the cutover; and the supervisor, deaf by then, keeps the sick version when the files are back.
    const deaf = join(vps.root, 'deaf');
    const shows = `node -e "fetch('http://127.0.0.1:${vps.port}/api/health').then((r) => r.text()).then((t) => process.exit(t.includes('v6') ? 0 : 1), () => process.exit(1))"`;
    const once = `kill -HUP ${master}; while ! ${shows}; do sleep 0.1; done; : >${deaf}`;
    const restart = `if [ -e ${deaf} ]; then kill -HUP ${master}; else ${once}; fi`;
    const { result } = await deploy(push('v6', { healthStatus: 500 }), restart, {
      health: { ...HEALTH, deadline: 3_000 },
    });
    assert.equal(result.outcome, 'broken', JSON.stringify(result));
    assert.match(result.problems[0]!.message, /is not healthy/);
    const commands = result.problems[result.problems.length - 1]!;
    assert.match(commands.message, /could not be brought back and verified/);
    assert.match(commands.next!, /kill -HUP/);
  });
});

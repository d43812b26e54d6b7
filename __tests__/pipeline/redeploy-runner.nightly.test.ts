import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { redeploy } from '../../src/pipeline/redeploy.js';
import { makeReachable, type Reachable, settingsFor, withTools } from '../servers/deployment.js';
import { appFiles, appVersion } from '../servers/fixture-app.js';
import { type Origin, startOrigin } from '../servers/origin.js';
import { startVps } from '../servers/vps.js';

describe('build-on: runner', () => {
  let origin: Origin;
  let server: Reachable;
  let checkout: string;
  before(async () => {
    origin = startOrigin(appFiles('v1'));
    server = await makeReachable(await startVps(origin));
    // A small server that could not install or build if it wanted to.
    unlinkSync(join(server.vps.root, 'bin/pnpm'));
    checkout = mkdtempSync(join(tmpdir(), 'muva-job-'));
  });
  after(async () => {
    await server?.stop();
    origin?.stop();
    rmSync(checkout, { recursive: true, force: true });
  });

  test('the build of the job is sent and served; nothing is installed or built on the server', async () => {
    const sha = origin.commit(appVersion('v2'));
    origin.git('clone', '-q', origin.url, checkout);
    execFileSync(process.execPath, ['build.js'], { cwd: checkout, env: { ...process.env, DEPLOY_SHA: sha } });
    const settings = settingsFor([server], { ref: sha, 'build-on': 'runner', 'working-directory': checkout });
    const report = await withTools(settings, ({ servers }) => redeploy(servers));
    assert.deepEqual(report.problems, []);
    const steps = report.steps.map((step) => step.name);
    assert.ok(steps.includes('pack the build') && steps.includes('send the build'), steps.join());
    assert.ok(!steps.includes('install') && !steps.includes('build'), steps.join());
    assert.equal((await server.vps.served())?.version, 'v2');
    const state = join(dirname(server.vps.appPath), '.app.deploy');
    const incoming = join(state, 'incoming');
    assert.deepEqual(existsSync(incoming) ? readdirSync(incoming) : [], [], 'the archive is removed');
  });

  test('a checkout at another commit is refused before anything is sent', async () => {
    const sha = origin.commit(appVersion('v3'));
    const settings = settingsFor([server], { ref: sha, 'build-on': 'runner', 'working-directory': checkout });
    const report = await withTools(settings, ({ servers }) => redeploy(servers));
    assert.equal(report.outcome, 'failed');
    assert.equal(report.steps.find((step) => step.outcome === 'failed')?.name, 'pack the build');
    assert.equal((await server.vps.served())?.version, 'v2');
  });
});

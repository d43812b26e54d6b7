import assert from 'node:assert/strict';
import { appendFileSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import type { DeployRequest, RunResult } from '../../src/worker/protocol.js';
import { type AppFaults, appFiles, appVersion, mismatchedPackage } from '../servers/fixture-app.js';
import { type Origin, startOrigin } from '../servers/origin.js';
import { type LoadResult, startVps, type Vps } from '../servers/vps.js';
import {
  deployRequest,
  type Followed,
  HEALTH,
  inspectHost,
  refusalsOf,
  runWorker,
} from '../servers/worker.js';

describe('a deploy that goes wrong leaves the old version serving, with 0 failed requests', () => {
  let origin: Origin;
  let vps: Vps;
  let first: string;
  let load: { stop(): Promise<LoadResult> };
  before(async () => {
    origin = startOrigin(appFiles('v1'));
    first = origin.head();
    vps = await startVps(origin);
  });
  after(async () => {
    await vps?.stop();
    origin?.stop();
  });
  beforeEach(() => {
    load = vps.load(50);
  });
  afterEach(async () => {
    const { failed, failures, versions } = await load.stop();
    assert.deepEqual([failed, failures], [0, []]);
    assert.deepEqual(versions, ['v1']);
    assert.equal((await vps.served())?.version, 'v1');
    const head = await vps.run('git rev-parse HEAD && git status --porcelain', vps.appPath);
    assert.equal(head.stdout.trim(), first);
    // Nothing is left of the stage.
    const state = join(vps.root, 'var/www/.app.deploy');
    if (existsSync(state)) {
      assert.deepEqual(
        readdirSync(join(state, 'releases')).filter((name) => !name.endsWith(first.slice(0, 12))),
        [],
      );
      assert.ok(!existsSync(join(state, 'plan.json')));
    }
  });

  const deployFaulty = async (
    files: Record<string, string | null>,
    more: Partial<DeployRequest> = {},
  ): Promise<Followed> => {
    const sha = origin.commit(files);
    const run = await runWorker(vps, deployRequest(vps, sha, more));
    // The next test starts from a good tree again.
    origin.commit({ ...appFiles('v1') });
    return run;
  };
  const failedAt = ({ result, steps }: Followed, step: string): RunResult => {
    assert.equal(result.outcome, 'failed', JSON.stringify(result));
    assert.equal(steps[steps.length - 1], `failed ${step}`);
    assert.ok(result.problems[0]?.next, 'the next action is named');
    return result;
  };
  const faulty = (faults: AppFaults) => appVersion('v2', faults);

  test('the build fails', async () => {
    const result = failedAt(await deployFaulty(faulty({ build: 'fails' })), 'build');
    assert.match(result.problems[0]!.message, /pnpm run build ended with 1[\s\S]*module not found/);
  });

  test('row 95: the build is killed as by the kernel when memory runs out', async () => {
    const result = failedAt(await deployFaulty(faulty({ build: 'killed' })), 'build');
    assert.match(result.problems[0]!.message, /memory|SIGKILL|137/);
  });

  test('row 95: the build ends with 0 and has made nothing', async () => {
    const { result, steps } = await deployFaulty(faulty({ build: 'says-nothing' }));
    assert.equal(result.outcome, 'failed');
    assert.equal(steps[steps.length - 1], 'failed build');
    assert.match(result.problems[0]!.message, /ended with 0, but dist was not made/);
  });

  test('row 96: the lock file does not fit package.json', async () => {
    const result = failedAt(await deployFaulty(mismatchedPackage()), 'install');
    assert.match(result.problems[0]!.next!, /lock file does not fit/);
  });

  test('the new version crashes at boot', async () => {
    const result = failedAt(await deployFaulty(faulty({ crashAtBoot: true })), 'rehearsal');
    assert.match(result.problems[0]!.message, /ended with 1[\s\S]*cannot start: no database/);
  });

  test('row 113: the new version boots slower than the deadline', async () => {
    const health = { ...HEALTH, deadline: 1_500 };
    const result = failedAt(await deployFaulty(faulty({ bootDelay: 20_000 }), { health }), 'rehearsal');
    assert.match(result.problems[0]!.message, /not healthy on its spare port/);
  });

  test('the new version answers health with 500', async () => {
    const health = { ...HEALTH, deadline: 2_000 };
    const result = failedAt(await deployFaulty(faulty({ healthStatus: 500 }), { health }), 'rehearsal');
    assert.match(result.problems[0]!.message, /api\/health.*500/);
  });

  test('the page links to a script that was not built', async () => {
    const health = { ...HEALTH, deadline: 2_000 };
    const result = failedAt(await deployFaulty(faulty({ missingChunk: true }), { health }), 'rehearsal');
    assert.match(result.problems[0]!.message, /assets.*app-gone\.js/);
  });

  test('row 97: a tracked file was changed on the server', async () => {
    appendFileSync(join(vps.appPath, 'server.js'), '\n// changed by hand\n');
    try {
      const run = await deployFaulty(appVersion('v2'));
      assert.equal(run.result.outcome, 'failed');
      assert.match(run.result.problems[0]!.message, /changed on the server: server\.js/);
      assert.match(readFileSync(join(vps.appPath, 'server.js'), 'utf8'), /changed by hand/);
    } finally {
      await vps.run('git checkout -q -- server.js', vps.appPath);
    }
  });

  test('row 98: the commit is not on the remote', async () => {
    const nowhere = '0123456789012345678901234567890123456789';
    const { result } = await runWorker(vps, deployRequest(vps, nowhere));
    assert.equal(result.outcome, 'failed');
    assert.match(result.problems[0]!.message, /is not on the remote/);
    const facts = await inspectHost(vps, { sha: nowhere });
    assert.equal(facts.shaOnRemote, false);
  });

  test('row 99: PM2 does not know the application, or is missing', async () => {
    const wrong = { ...deployRequest(vps, first).app, appName: 'shop' };
    const { result } = await runWorker(vps, deployRequest(vps, first, { app: wrong }));
    assert.match(result.problems[0]!.message, /PM2 does not know the application "shop"/);
    rmSync(join(vps.root, 'bin/pm2'));
    try {
      const facts = await inspectHost(vps);
      assert.match(refusalsOf(facts)[0]!.message, /pm2 is not found/);
    } finally {
      await vps.run(`ln -s '${process.cwd()}/node_modules/.bin/pm2' '${join(vps.root, 'bin/pm2')}'`);
    }
  });

  test('row 106: an environment file that is empty or half written', async () => {
    for (const envFile of ['', 'A=1\nB="not closed\n', 'A=1\nHALF']) {
      const { result } = await deployFaulty(appVersion('v2'), { envFile });
      assert.equal(result.outcome, 'failed', envFile);
      assert.match(result.problems[0]!.message, /env-file (is empty|line|the quote)/);
    }
    writeFileSync(join(vps.appPath, '.env.local'), 'A=1\nHALF');
    try {
      const { result } = await deployFaulty(appVersion('v2'));
      assert.match(result.problems[0]!.message, /\.env\.local on the server looks half written/);
    } finally {
      rmSync(join(vps.appPath, '.env.local'));
    }
  });

  test('an untracked file of the host lies where the commit brings one', async () => {
    writeFileSync(join(vps.appPath, 'notes.txt'), 'mine');
    try {
      const { result } = await deployFaulty({ ...appVersion('v2'), 'notes.txt': 'theirs' });
      assert.match(result.problems[0]!.message, /lie untracked on the server: notes\.txt/);
      assert.equal(readFileSync(join(vps.appPath, 'notes.txt'), 'utf8'), 'mine');
    } finally {
      rmSync(join(vps.appPath, 'notes.txt'));
      origin.commit({ 'notes.txt': null });
    }
  });
});

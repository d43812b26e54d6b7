import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { DeployRequest } from '../../src/worker/protocol.js';
import { appFiles, appVersion } from '../servers/fixture-app.js';
import { type Origin, startOrigin } from '../servers/origin.js';
import { until } from '../servers/until.js';
import { startVps, type Vps } from '../servers/vps.js';
import {
  app,
  deployRequest,
  HEALTH,
  inspectHost,
  refusalsOf,
  rollbackRequest,
  runWorker,
} from '../servers/worker.js';

const SHORT = { ...HEALTH, deadline: 2_500 };

describe('what is live, what was, and the way back', () => {
  let origin: Origin;
  let vps: Vps;
  let state: string;
  const shas: Record<string, string> = {};
  before(async () => {
    origin = startOrigin(appFiles('v1'));
    shas.v1 = origin.head();
    vps = await startVps(origin, { envLocal: 'GREETING=one\n' });
    state = join(vps.root, 'var/www/.app.deploy');
  });
  after(async () => {
    await vps?.stop();
    origin?.stop();
  });

  const push = (version: string, faults = {}): string => {
    shas[version] = origin.commit(appVersion(version, faults));
    return shas[version];
  };
  const deployed = async (sha: string, more: Partial<DeployRequest> = {}): Promise<DeployRequest> => {
    const request = deployRequest(vps, sha, more);
    const { result } = await runWorker(vps, request);
    assert.equal(result.outcome, 'deployed', JSON.stringify(result));
    return request;
  };
  const serves = async (version: string): Promise<void> =>
    assert.equal((await vps.served())?.version, version);

  test('row 100: a version that crashes only when live is put back by the worker, and told', async () => {
    const load = vps.load(50);
    const sha = push('v2', { crashAfter: 100, onlyLive: true });
    const { result, steps, events } = await runWorker(vps, deployRequest(vps, sha, { health: SHORT }));
    assert.equal(result.outcome, 'put-back', JSON.stringify(result));
    assert.match(result.problems[0]!.message, /does not stay up|not healthy/);
    assert.deepEqual(steps.slice(-2), ['failed verification', 'passed put back']);
    assert.ok(events.some((event) => event.kind === 'state' && event.state === 'putting-back'));
    await serves('v1');
    await load.stop();
    assert.ok(existsSync(join(vps.appPath, 'dist/static/app-v2.js')), 'chunks of open pages are kept');
    assert.ok(!readdirSync(join(state, 'releases')).some((name) => name.endsWith(sha.slice(0, 12))));
  });

  test('row 100: a min_uptime of the PM2 entry is waited for, so a crash before it is noticed', async () => {
    const crashing = push('v2b', { crashAfter: 1_500, onlyLive: true });
    const ecosystem = join(vps.home, 'ecosystem.config.json');
    const text = readFileSync(ecosystem, 'utf8');
    writeFileSync(ecosystem, text.replace('"exec_mode"', '"min_uptime":5500,"exec_mode"'));
    await vps.run(`pm2 delete app && pm2 start '${ecosystem}' && pm2 save`);
    await until('the application to answer', () => vps.served());
    const { result } = await runWorker(vps, deployRequest(vps, crashing));
    assert.equal(result.outcome, 'put-back', JSON.stringify(result));
    assert.match(result.problems[0]!.message, /does not stay up/);
    await serves('v1');
    writeFileSync(ecosystem, text);
    await vps.run(`pm2 delete app && pm2 start '${ecosystem}' && pm2 save`);
    await until('the application to answer', () => vps.served());
  });

  test('a push of three commits after two failures in a row: the rollback lands on what really was live', async () => {
    await runWorker(vps, deployRequest(vps, push('v3', { build: 'fails' })));
    await runWorker(vps, deployRequest(vps, push('v4', { crashAtBoot: true }), { health: SHORT }));
    push('v5');
    push('v6');
    const request = await deployed(push('v7'));
    await serves('v7');
    const again = await runWorker(vps, { ...request, run: { ...request.run, attempt: 2 } });
    assert.equal(again.result.outcome, 'unchanged', 'row 116: a rerun changes nothing');
    const back = await runWorker(vps, rollbackRequest(vps, { undoRun: request.run.id }));
    assert.equal(back.result.outcome, 'rolled-back', JSON.stringify(back.result));
    assert.equal(back.result.deployedSha, shas.v1);
    await serves('v1');
    const twice = await runWorker(vps, rollbackRequest(vps, { undoRun: request.run.id }));
    assert.equal(twice.result.outcome, 'unchanged');
    await serves('v1');
  });

  test('a commit that was rolled back is refused, unless a person names it', async () => {
    const { result } = await runWorker(vps, deployRequest(vps, shas.v7!));
    assert.match(result.problems[0]!.message, /rolled back on this server and is marked bad/);
    const facts = await inspectHost(vps, { sha: shas.v7! });
    assert.match(refusalsOf(facts)[0]!.message, /marked bad/);
    await deployed(shas.v7!, { explicit: true });
    await serves('v7');
  });

  test('row 117, 118: an older commit is skipped or refused', async () => {
    const skipped = await runWorker(vps, deployRequest(vps, shas.v6!));
    assert.equal(skipped.result.outcome, 'newer-is-live');
    const refused = await runWorker(vps, deployRequest(vps, shas.v6!, { run: { id: 'old', attempt: 2 } }));
    assert.match(refused.result.problems[0]!.message, /downgrade/);
    await serves('v7');
  });

  test('previous goes further back each time it is asked', async () => {
    await deployed(push('v8'));
    for (const version of ['v7', 'v1']) {
      const { result } = await runWorker(vps, rollbackRequest(vps, { to: 'previous' }));
      assert.equal(result.outcome, 'rolled-back', JSON.stringify(result));
      await serves(version);
    }
    const none = await runWorker(vps, rollbackRequest(vps, { to: 'previous' }));
    assert.match(none.result.problems[0]!.message, /no verified release/);
    const named = await runWorker(vps, rollbackRequest(vps, { to: shas.v8!.slice(0, 10) }));
    assert.equal(named.result.outcome, 'rolled-back', JSON.stringify(named.result));
    await serves('v8');
  });

  test('an env file is written with the mode of the one before, built in, and put back by a rollback', async () => {
    const file = join(vps.appPath, '.env.local');
    chmodSync(file, 0o640);
    const request = await deployed(push('v9'), { envFile: 'GREETING=two\n' });
    assert.equal(statSync(file).mode & 0o777, 0o640);
    assert.equal((await vps.served())?.greeting, 'two');
    await runWorker(vps, rollbackRequest(vps, { undoRun: request.run.id }));
    assert.equal((await vps.served())?.greeting, 'one');
    assert.equal(readFileSync(file, 'utf8'), 'GREETING=one\n');
    // Changed by hand while v8 was live: that, too, is what v8 has when it comes back.
    writeFileSync(file, 'GREETING=three\n');
    const carrying = await deployed(push('v9b'));
    assert.equal((await vps.served())?.greeting, 'three');
    await runWorker(vps, rollbackRequest(vps, { undoRun: carrying.run.id }));
    assert.equal(readFileSync(file, 'utf8'), 'GREETING=three\n');
  });

  test('what only the leaving version brought goes with it, and comes back with it; an env file is 0600', async () => {
    const brought = join(vps.appPath, '.env.production');
    const more = { envFile: 'MODE=nine\n', envFilePath: '.env.production' };
    const request = await deployed(push('v9c', { outputs: 1 }), more);
    assert.deepEqual([existsSync(brought), existsSync(join(vps.appPath, 'made-0.txt'))], [true, true]);
    assert.equal(statSync(brought).mode & 0o777, 0o600);
    await runWorker(vps, rollbackRequest(vps, { undoRun: request.run.id }));
    assert.deepEqual([existsSync(brought), existsSync(join(vps.appPath, 'made-0.txt'))], [false, false]);
    const { result } = await runWorker(vps, rollbackRequest(vps, { to: shas.v9c! }));
    assert.equal(result.outcome, 'rolled-back', JSON.stringify(result));
    assert.equal(readFileSync(brought, 'utf8'), 'MODE=nine\n');
    assert.equal(readFileSync(join(vps.appPath, 'made-0.txt'), 'utf8'), 'v9c');
    await runWorker(vps, rollbackRequest(vps, { to: 'previous' }));
    assert.equal(existsSync(brought), false);
  });

  test('row 8: a host that remembers another environment is refused, unless it is adopted', async () => {
    await deployed(push('v10'), { app: app(vps, { environment: 'staging' }) });
    const production = app(vps, { environment: 'production' });
    const { result } = await runWorker(vps, deployRequest(vps, push('v11'), { app: production }));
    assert.match(result.problems[0]!.message, /deployed as "staging", and this run says "production"/);
    await serves('v10');
    await deployed(shas.v11!, { app: { ...production, adoptEnvironment: true } });
    assert.equal((await inspectHost(vps)).environment, 'production');
  });

  test('dirty-checkout: stash keeps the changes as a patch beside the log', async () => {
    const file = join(vps.appPath, 'server.js');
    writeFileSync(file, `${readFileSync(file, 'utf8')}\n// by hand\n`);
    const request = await deployed(push('v12'), { dirtyCheckout: 'stash' });
    const patch = join(state, 'runs', `${request.run.id}.1.deploy/local-changes.patch`);
    assert.match(readFileSync(patch, 'utf8'), /\+\/\/ by hand/);
    assert.doesNotMatch(readFileSync(file, 'utf8'), /by hand/);
  });

  test('row 97: detached HEAD, a diverged branch and a force-push change nothing: the exact commit is live', async () => {
    await vps.run('git checkout -q --detach', vps.appPath);
    await deployed(push('v13'));
    await vps.run('git checkout -q -B main && git commit -q --allow-empty -m local', vps.appPath);
    origin.dropNewest(1);
    const sha = push('v14');
    await deployed(sha);
    assert.equal((await vps.run('git rev-parse HEAD', vps.appPath)).stdout.trim(), sha);
    await serves('v14');
  });

  test('row 104: pruning keeps keep-releases, and a rollback still has its target', async () => {
    for (const version of ['v15', 'v16', 'v17']) await deployed(push(version), { keepReleases: 2 });
    const there = readdirSync(join(state, 'releases'));
    // Beside them lies the environment file that people wrote, and that a deploy of the tests above replaced.
    assert.equal(there.filter((name) => !name.endsWith('.left-behind')).length, 2);
    const { result } = await runWorker(vps, rollbackRequest(vps, { to: 'previous' }));
    assert.equal(result.outcome, 'rolled-back', JSON.stringify(result));
    await serves('v16');
    const gone = await runWorker(vps, rollbackRequest(vps, { to: shas.v15! }));
    assert.match(gone.result.problems[0]!.message, /pruned/);
  });

  test('row 105: the way back fails too: the exact commands are printed', async () => {
    const request = await deployed(push('v18'));
    // The kept build of the old version is damaged, so that it cannot start.
    const old = readdirSync(join(state, 'releases')).find((name) => name.endsWith(shas.v16!.slice(0, 12)))!;
    writeFileSync(join(state, 'releases', old, 'dist/build.json'), 'not json');
    const { result } = await runWorker(vps, rollbackRequest(vps, { undoRun: request.run.id, health: SHORT }));
    assert.equal(result.outcome, 'broken', JSON.stringify(result));
    const commands = result.problems[result.problems.length - 1]!.next!;
    assert.match(commands, new RegExp(`git -C ${vps.appPath} reset --hard ${shas.v16}`));
    assert.match(commands, /pm2 restart app && pm2 save/);
    const cure = await runWorker(vps, deployRequest(vps, push('v19'), { health: SHORT }));
    assert.equal(cure.result.outcome, 'deployed', JSON.stringify(cure.result));
    await serves('v19');
  });

  test('row 101: a port that another program serves is not taken for the new version', async () => {
    await vps.run('pm2 delete app');
    const squatter = execFile('node', ['server.js'], {
      cwd: vps.appPath,
      env: { ...vps.env, PORT: String(vps.port) },
    });
    await until('the squatter', () => vps.served());
    await vps.run(`PORT=${vps.port} pm2 start server.js --name app`, vps.appPath);
    const { result } = await runWorker(vps, deployRequest(vps, push('v20'), { health: SHORT }));
    assert.equal(result.outcome, 'failed', JSON.stringify(result));
    assert.match(result.problems[0]!.message, /is served by another program/);
    squatter.kill('SIGKILL');
    assert.ok(existsSync(state));
  });
});

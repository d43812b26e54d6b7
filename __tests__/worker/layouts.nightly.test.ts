import assert from 'node:assert/strict';
import { existsSync, lstatSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, test } from 'node:test';
import { appVersion } from '../servers/fixture-app.js';
import { withVps } from '../servers/vps.js';
import { app, deployRequest, inspectHost, rollbackRequest, runWorker } from '../servers/worker.js';

describe('other layouts and supervisors', () => {
  test('nothing there yet: the first deploy makes releases, the second has no failed request, and back', () =>
    withVps({ installed: false }, async (vps, origin) => {
      const first = origin.head();
      const more = {
        app: app(vps, { healthPort: vps.port }),
        repositoryUrl: origin.url,
        sharedPaths: ['uploads'],
      };
      const one = await runWorker(vps, deployRequest(vps, first, more));
      assert.equal(one.result.outcome, 'deployed', JSON.stringify(one.result));
      assert.equal(one.result.rehearsed, true);
      assert.ok(lstatSync(vps.appPath).isSymbolicLink());
      writeFileSync(join(vps.appPath, 'uploads/photo'), 'mine');
      const load = vps.load(100);
      const second = origin.commit(appVersion('v2'));
      const two = await runWorker(vps, deployRequest(vps, second, more));
      assert.equal(two.result.outcome, 'deployed', JSON.stringify(two.result));
      assert.equal((await vps.served())?.commit, second);
      assert.equal(basename(realpathSync(vps.appPath)), two.result.release);
      assert.equal(readFileSync(join(vps.appPath, 'uploads/photo'), 'utf8'), 'mine');
      const back = await runWorker(vps, rollbackRequest(vps, { to: 'previous' }));
      assert.equal(back.result.outcome, 'rolled-back', JSON.stringify(back.result));
      assert.equal((await vps.served())?.version, 'v1');
      const { failed, failures } = await load.stop();
      assert.deepEqual([failed, failures], [0, []]);
    }));

  test('nothing there yet: an ecosystem file is started with the block of the environment, and told where none fits', () =>
    withVps({ installed: false }, async (vps, origin) => {
      const entry = {
        name: 'app',
        script: 'server.js',
        exec_mode: 'cluster',
        env: { PORT: String(vps.port), MODE: 'any' },
        env_production: { MODE: 'live' },
      };
      const ecosystem = JSON.stringify({ apps: [entry] });
      const start = (environment: string, sha: string) =>
        runWorker(
          vps,
          deployRequest(vps, sha, { app: app(vps, { environment }), repositoryUrl: origin.url }),
        );
      const sick = appVersion('v1', { crashAtBoot: true, onlyLive: true });
      const other = await start('staging', origin.commit({ ...sick, 'ecosystem.config.json': ecosystem }));
      assert.equal(other.result.outcome, 'put-back', JSON.stringify(other.result));
      const warned = other.result.warnings.map(({ message }) => message).join('\n');
      assert.match(warned, /has env_production for "app", and environment is staging/);
      const sha = origin.commit(appVersion('v2'));
      const { result } = await start('production', sha);
      assert.equal(result.outcome, 'deployed', JSON.stringify(result));
      assert.equal((await vps.served())?.commit, sha);
      assert.match((await vps.run('pm2 jlist')).stdout, /"MODE":"live"/);
    }));

  test('nothing there yet, and the first version is sick: nothing is left, and it says so', () =>
    withVps({ installed: false }, async (vps, origin) => {
      const sha = origin.commit(appVersion('v1', { crashAtBoot: true, onlyLive: true }));
      const request = deployRequest(vps, sha, {
        app: app(vps, { healthPort: vps.port }),
        repositoryUrl: origin.url,
      });
      const { result } = await runWorker(vps, request);
      assert.equal(result.outcome, 'put-back', JSON.stringify(result));
      assert.ok(!existsSync(vps.appPath));
      assert.equal(JSON.parse((await vps.run('pm2 jlist')).stdout).length, 0);
      const good = await runWorker(vps, {
        ...request,
        run: { id: 'good', attempt: 1 },
        sha: origin.commit(appVersion('v2')),
      });
      assert.equal(good.result.outcome, 'deployed', JSON.stringify(good.result));
    }));

  test('adopt turns a checkout into releases, with 0 failed requests in cluster mode', () =>
    withVps({ envLocal: 'GREETING=hello\n' }, async (vps, origin) => {
      mkdirSync(join(vps.appPath, 'uploads'));
      writeFileSync(join(vps.appPath, 'uploads/photo'), 'mine');
      const load = vps.load(100);
      const second = origin.commit(appVersion('v2'));
      const adopting = { app: app(vps, { strategy: 'adopt' }), sharedPaths: ['uploads'] };
      const { result } = await runWorker(vps, deployRequest(vps, second, adopting));
      assert.equal(result.outcome, 'deployed', JSON.stringify(result));
      assert.ok(lstatSync(vps.appPath).isSymbolicLink());
      const served = await vps.served();
      assert.deepEqual([served?.version, served?.greeting, served?.commit], ['v2', 'hello', second]);
      assert.equal(readFileSync(join(vps.appPath, 'uploads/photo'), 'utf8'), 'mine');
      assert.equal((await inspectHost(vps)).layout, 'releases');
      const back = await runWorker(vps, rollbackRequest(vps, { to: 'previous' }));
      assert.equal(back.result.outcome, 'rolled-back', JSON.stringify(back.result));
      assert.equal((await vps.served())?.version, 'v1');
      assert.equal(readFileSync(join(vps.appPath, 'uploads/photo'), 'utf8'), 'mine');
      const { failed, failures } = await load.stop();
      assert.deepEqual([failed, failures], [0, []]);
    }));

  test('adopt after deploys in place: what is complete can be gone back to, what is not is refused', () =>
    withVps({}, async (vps, origin) => {
      const adopting = { app: app(vps, { strategy: 'adopt' }) };
      const load = vps.load(100);
      for (const [version, more] of [
        ['v2', {}],
        ['v3', {}],
        ['v4', adopting],
        ['v5', {}],
      ] as const) {
        const { result } = await runWorker(vps, deployRequest(vps, origin.commit(appVersion(version)), more));
        assert.equal(result.outcome, 'deployed', `${version} ${JSON.stringify(result)}`);
        assert.equal((await vps.served())?.version, version);
      }
      for (const version of ['v4', 'v3', 'v2']) {
        const { result } = await runWorker(vps, rollbackRequest(vps, { to: 'previous' }));
        assert.equal(result.outcome, 'rolled-back', JSON.stringify(result));
        assert.equal((await vps.served())?.version, version);
      }
      // Of v1, which was there before, only the output was kept.
      const { result } = await runWorker(vps, rollbackRequest(vps, { to: 'previous' }));
      assert.equal(result.outcome, 'failed', JSON.stringify(result));
      assert.equal((await vps.served())?.version, 'v2');
      const { failed, failures } = await load.stop();
      assert.deepEqual([failed, failures], [0, []]);
    }));

  test('fork mode: the gap is announced before, and measured', () =>
    withVps({ mode: 'fork', portFrom: 'arguments' }, async (vps, origin) => {
      const facts = await inspectHost(vps);
      assert.match(facts.warnings.map(({ message }) => message).join(), /fork mode/);
      assert.equal(facts.port, vps.port);
      const { result } = await runWorker(vps, deployRequest(vps, origin.commit(appVersion('v2'))));
      assert.equal(result.outcome, 'deployed', JSON.stringify(result));
      assert.equal(result.rehearsed, true);
      assert.ok((result.downtimeMs ?? 0) > 20, `${result.downtimeMs} ms`);
      console.log(`      fork mode: down ${result.downtimeMs} ms`);
    }));

  test('restart-command: another supervisor, the same gates', () =>
    withVps({ mode: 'fork' }, async (vps, origin) => {
      // A supervisor of three lines stands in for systemd: it ends what runs and starts it again.
      const pid = join(vps.root, 'app.pid');
      const script = join(vps.root, 'bin/supervise');
      writeFileSync(
        script,
        `#!/bin/sh\n[ ! -f ${pid} ] || kill -INT $(cat ${pid})\ncd ${vps.appPath}\nPORT=${vps.port} setsid node server.js >/dev/null 2>&1 &\necho $! > ${pid}\n`,
        { mode: 0o755 },
      );
      await vps.run('pm2 delete app && supervise');
      const supervised = app(vps, { restartCommand: 'supervise', healthPort: vps.port });
      const good = deployRequest(vps, origin.commit(appVersion('v2')), { app: supervised });
      const one = await runWorker(vps, good);
      assert.equal(one.result.outcome, 'deployed', JSON.stringify(one.result));
      const sick = deployRequest(vps, origin.commit(appVersion('v3', { healthStatus: 500 })), {
        app: supervised,
        health: { ...good.health, deadline: 2_000 },
      });
      const two = await runWorker(vps, sick);
      assert.equal(two.result.outcome, 'put-back', JSON.stringify(two.result));
      assert.equal((await vps.served())?.version, 'v2');
      const back = await runWorker(vps, rollbackRequest(vps, { app: supervised, undoRun: good.run.id }));
      assert.equal(back.result.outcome, 'rolled-back', JSON.stringify(back.result));
      assert.equal((await vps.served())?.version, 'v1');
    }));
});

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import type { DeployRequest } from '../../src/worker/protocol.js';
import { appVersion } from '../servers/fixture-app.js';
import { kill } from '../servers/pm2.js';
import { until } from '../servers/until.js';
import { commandsOn, type Vps, withVps } from '../servers/vps.js';
import {
  app,
  deployRequest,
  inspectHost,
  rollbackRequest,
  runWorker,
  startWorker,
} from '../servers/worker.js';

const deployed = async (vps: Vps, sha: string, more: Partial<DeployRequest> = {}): Promise<DeployRequest> => {
  const request = deployRequest(vps, sha, more);
  const { result } = await runWorker(vps, request);
  assert.equal(result.outcome, 'deployed', JSON.stringify(result));
  return request;
};

/** Kills a deploy whose build never ends, and leaves the build running; resolves to its folder. */
async function leaveStage(vps: Vps, sha: string, releases: string): Promise<string> {
  const worker = startWorker(vps, deployRequest(vps, sha));
  const stage = await until('the build to run', () => {
    const names = existsSync(releases) ? readdirSync(releases) : [];
    const name = names.find((each) => each.endsWith(sha.slice(0, 12)));
    return builds(vps).length > 0 && name !== undefined && join(releases, name);
  });
  kill(worker.pid!);
  return stage;
}

const builds = (vps: Vps): string[] =>
  commandsOn(vps).filter((command) => command.startsWith('node build.js'));

describe('what other hands do on the server', () => {
  test('a commit that was pulled and built by hand: a rollback tells no lie, and comes to what is whole', () =>
    withVps({}, async (vps, origin) => {
      const second = origin.commit(appVersion('v2'));
      await deployed(vps, second);
      const third = await deployed(vps, origin.commit(appVersion('v3')));
      const fourth = origin.commit(appVersion('v4'));
      await vps.run(
        `git fetch -q && git reset -q --hard ${fourth} && pnpm build && pm2 reload app`,
        vps.appPath,
      );
      assert.equal((await vps.served())?.version, 'v4');
      const undone = await runWorker(vps, rollbackRequest(vps, { undoRun: third.run.id }));
      assert.equal(undone.result.outcome, 'unchanged', 'another commit stands on what that run deployed');
      const { wayBack } = await inspectHost(vps, { undo: { to: 'previous' } });
      assert.ok(wayBack?.kind === 'go' && wayBack.to.sha === second, JSON.stringify(wayBack));
      const { result } = await runWorker(vps, rollbackRequest(vps, { to: 'previous' }));
      assert.equal(result.outcome, 'rolled-back', JSON.stringify(result));
      assert.match(
        result.warnings[0]!.message,
        /was not deployed by this action: somebody put it there by hand/,
      );
      const served = await vps.served();
      assert.deepEqual([served?.version, served?.commit], ['v2', second]);
      const gone = await runWorker(vps, rollbackRequest(vps, { to: third.sha }));
      assert.equal(gone.result.outcome, 'failed', 'the build of v3 was overwritten by hand');
      assert.equal((await vps.served())?.version, 'v2');
      await deployed(vps, third.sha, { explicit: true });
      assert.equal((await vps.served())?.version, 'v3');
    }));

  test('two spellings of app-path share a folder of releases: neither deletes what the other has', () =>
    withVps({ installed: false }, async (vps, origin) => {
      const more = (appPath: string) => ({
        app: app(vps, { appPath, healthPort: vps.port }),
        repositoryUrl: origin.url,
        keepReleases: 2,
      });
      mkdirSync(vps.appPath);
      const current = join(vps.appPath, 'current');
      await deployed(vps, origin.commit(appVersion('v1')), more(current));
      const first = realpathSync(current);
      await deployed(vps, origin.commit(appVersion('v2')), more(current));
      const second = realpathSync(current);
      const load = vps.load(50);
      for (const version of ['v3', 'v4', 'v5']) {
        await deployed(vps, origin.commit(appVersion(version)), more(vps.appPath));
        assert.equal((await vps.served())?.version, version);
      }
      assert.equal(dirname(realpathSync(current)), dirname(first));
      assert.ok(existsSync(first), 'no release of the other spelling was deleted');
      assert.ok(!existsSync(second), 'what this one found live became one of its own');
      const { failed, failures } = await load.stop();
      assert.deepEqual([failed, failures], [0, []]);
    }));

  test('notes that were lost: what is live stays, and goes on', () =>
    withVps({ installed: false }, async (vps, origin) => {
      const more = { app: app(vps, { healthPort: vps.port }), repositoryUrl: origin.url };
      await deployed(vps, origin.commit(appVersion('v1')), more);
      rmSync(join(vps.root, 'var/www/.app.deploy/notes'), { recursive: true });
      const load = vps.load(50);
      await deployed(vps, origin.commit(appVersion('v2')), more);
      assert.equal((await vps.served())?.version, 'v2');
      const { failed, failures } = await load.stop();
      assert.deepEqual([failed, failures], [0, []]);
    }));

  test('a stage that a killed worker left is cleared, but not where somebody else works in it', () =>
    withVps({}, async (vps, origin) => {
      const releases = join(vps.root, 'var/www/.app.deploy/releases');
      const slow = origin.commit(appVersion('v2', { build: 'slow' }));
      const stage = await leaveStage(vps, slow, releases);
      let person: ChildProcess | undefined;
      try {
        person = spawn('sleep', ['600'], { cwd: stage, stdio: 'ignore', env: {} });
        const three = deployRequest(vps, origin.commit(appVersion('v3')));
        const { result } = await runWorker(vps, three);
        assert.equal(result.outcome, 'deployed', JSON.stringify(result));
        assert.match(result.warnings.map(({ message }) => message).join(), /stays: sleep 600 works in it/);
        assert.ok(existsSync(stage));
      } finally {
        person?.kill('SIGKILL');
      }
      const { result } = await runWorker(vps, deployRequest(vps, origin.commit(appVersion('v4'))));
      assert.equal(result.outcome, 'deployed', JSON.stringify(result));
      assert.match(
        result.warnings.map(({ message }) => message).join(),
        /left behind was ended: .*build\.js/,
      );
      assert.ok(!existsSync(stage));
      assert.deepEqual(builds(vps), []);
    }));

  test('the environment file that people wrote is kept when the release that had it goes', () =>
    withVps({ envLocal: 'GREETING=mine\n' }, async (vps, origin) => {
      const more = { envFile: 'GREETING=theirs\n', keepReleases: 2 };
      for (const version of ['v2', 'v3', 'v4']) await deployed(vps, origin.commit(appVersion(version)), more);
      assert.equal((await vps.served())?.greeting, 'theirs');
      const releases = join(vps.root, 'var/www/.app.deploy/releases');
      const left = readdirSync(releases).filter((name) => name.endsWith('.left-behind'));
      assert.equal(left.length, 1, left.join());
      assert.equal(readFileSync(join(releases, left[0]!, '.env.local'), 'utf8'), 'GREETING=mine\n');
    }));

  test('the folder of an old run goes, but not the only copy of changes that were taken away', () =>
    withVps({}, async (vps, origin) => {
      const runs = join(vps.root, 'var/www/.app.deploy/runs');
      await vps.run('echo by hand >> server.js', vps.appPath);
      const stashed = await deployed(vps, origin.commit(appVersion('v2')), { dirtyCheckout: 'stash' });
      const patch = join(runs, `${stashed.run.id}.1.deploy/local-changes.patch`);
      for (let n = 0; n < 25; n++) {
        mkdirSync(join(runs, `old-${n}.1.deploy`));
        await vps.run(`touch -d '2030-01-01' events.jsonl .`, join(runs, `old-${n}.1.deploy`));
      }
      await vps.run(`touch -d '2020-01-01' .`, dirname(patch));
      // Also a deploy that fails makes room: a server where one after the other fails must not fill.
      const { result } = await runWorker(vps, deployRequest(vps, 'a'.repeat(40)));
      assert.equal(result.outcome, 'failed');
      assert.deepEqual(readdirSync(dirname(patch)).sort(), ['local-changes', 'local-changes.patch']);
      assert.match(readFileSync(patch, 'utf8'), /by hand/);
      assert.equal(readdirSync(runs).length, 20 + 1, 'twenty runs, and the patch');
    }));
});

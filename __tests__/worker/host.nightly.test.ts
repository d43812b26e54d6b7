import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmdirSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { appFiles, appVersion } from '../servers/fixture-app.js';
import { startOrigin } from '../servers/origin.js';
import { startVps, withVps } from '../servers/vps.js';
import { app, deployRequest, inspectHost, refusalsOf, runWorker } from '../servers/worker.js';

/** Runs a program as root, by sudo where that asks for no password; false where it failed. */
function asRoot(...words: string[]): boolean {
  const [program, ...args] = process.getuid!() === 0 ? words : ['sudo', '-n', ...words];
  return spawnSync(program!, args).status === 0;
}

function mayMount(): boolean {
  const folder = mkdtempSync(join(tmpdir(), 'muva-mount-'));
  const may = asRoot('mount', '-t', 'tmpfs', 'tmpfs', folder) && asRoot('umount', folder);
  rmdirSync(folder);
  return may;
}

describe('hosts as they are', () => {
  test('build-on: runner: the packed build is unpacked, nothing is installed or built', () =>
    withVps({}, async (vps, origin) => {
      const sha = origin.commit(appVersion('v2', { build: 'fails' }));
      const job = join(vps.root, 'job');
      execFileSync('git', ['clone', '-q', origin.url, job]);
      mkdirSync(join(job, 'dist/static'), { recursive: true });
      writeFileSync(join(job, 'dist/build.json'), JSON.stringify({ version: 'v2', commit: sha }));
      writeFileSync(join(job, 'dist/static/app-v2.js'), '');
      const packedBuild = join(vps.root, 'build.tgz');
      execFileSync('tar', ['-czf', packedBuild, 'dist'], { cwd: job });
      const { result, steps } = await runWorker(vps, deployRequest(vps, sha, { packedBuild }));
      assert.equal(result.outcome, 'deployed', JSON.stringify(result));
      assert.ok(steps.includes('passed unpack') && !steps.some((step) => /install|build/.test(step)));
      assert.equal((await vps.served())?.version, 'v2');
      assert.ok(!existsSync(packedBuild), 'the archive is removed');
      const torn = join(vps.root, 'torn.tgz');
      writeFileSync(torn, 'not an archive');
      const bad = await runWorker(
        vps,
        deployRequest(vps, origin.commit(appVersion('v3')), { packedBuild: torn }),
      );
      assert.equal(bad.result.outcome, 'failed');
      assert.match(bad.result.problems[0]!.message, /tar/);
      assert.equal((await vps.served())?.version, 'v2');
    }));

  test('programs that only nvm provides are found without a profile', () =>
    withVps({}, async (vps, origin) => {
      const nvm = join(vps.home, '.nvm/versions/node/v20.20.2/bin');
      cpSync(join(vps.root, 'bin'), nvm, { recursive: true, verbatimSymlinks: true });
      rmSync(join(vps.root, 'bin'), { recursive: true });
      vps.env.PATH = '/usr/local/bin:/usr/bin:/bin';
      const facts = await inspectHost(vps);
      assert.deepEqual(refusalsOf(facts), []);
      assert.match(facts.pm2!, /^\d/);
      const { result } = await runWorker(vps, deployRequest(vps, origin.commit(appVersion('v2'))));
      assert.equal(result.outcome, 'deployed', JSON.stringify(result));
    }));

  test("row 99: the VPS's PM2 is not running: what to do is told, and no empty one is started", () =>
    withVps({}, async (vps) => {
      await vps.run('pm2 kill');
      const facts = await inspectHost(vps);
      assert.match(
        refusalsOf(facts)[0]!.message,
        /PM2 does not run "app" now, but it is among what PM2 saved last/,
      );
      assert.match(refusalsOf(facts)[0]!.next!, /pm2 resurrect/);
      assert.deepEqual(vps.processes(), []);
    }));

  // Containers and ordinary users may not mount: there the limits are tested by their table alone (on-the-host.test.ts).
  if (mayMount())
    test('row 94: a disk that is too small is refused before anything is written', async () => {
      const origin = startOrigin(appFiles('v1'));
      const vps = await startVps(origin, { installed: false });
      const www = join(vps.root, 'var/www');
      const tiny = ['-t', 'tmpfs', '-o', `size=64m,nr_inodes=5000,uid=${process.getuid!()}`, 'tmpfs', www];
      assert.ok(asRoot('mount', ...tiny));
      try {
        await vps.run(`git clone -q ${origin.url} ${vps.appPath}`);
        const facts = await inspectHost(vps);
        const said = refusalsOf(facts)
          .map(({ message }) => message)
          .join('\n');
        assert.match(said, /Only \d+ MB are free/);
        assert.match(said, /Only \d+ inodes are free/);
        const { result } = await runWorker(vps, deployRequest(vps, origin.head()));
        assert.equal(result.outcome, 'failed');
        assert.deepEqual(readdirSync(join(www, '.app.deploy/releases')), []);
      } finally {
        asRoot('umount', '-l', www);
        await vps.stop();
        origin.stop();
      }
    });

  test('row 106: an environment file that was there at the last deploy and is gone', () =>
    withVps({ envLocal: 'GREETING=one\n' }, async (vps, origin) => {
      const { result } = await runWorker(vps, deployRequest(vps, origin.commit(appVersion('v2'))));
      assert.equal(result.outcome, 'deployed', JSON.stringify(result));
      rmSync(join(vps.appPath, '.env.local'));
      const facts = await inspectHost(vps);
      assert.match(refusalsOf(facts)[0]!.message, /\.env\.local was on the server at the last deploy/);
    }));

  test('hooks of the checkout are not run, and NODE_ENV of the session does not thin out the install', () =>
    withVps({}, async (vps, origin) => {
      const hook = join(vps.appPath, '.git/hooks/post-checkout');
      mkdirSync(dirname(hook), { recursive: true });
      writeFileSync(hook, `#!/bin/sh\ntouch '${vps.root}/hooked'\nexit 1\n`, { mode: 0o755 });
      vps.env.NODE_ENV = 'production';
      const { result } = await runWorker(
        vps,
        deployRequest(vps, origin.commit(appVersion('v2')), {
          installCommand: '[ -z "$NODE_ENV" ]',
          buildCommand: '[ "$NODE_ENV" = production ] && pnpm build',
        }),
      );
      assert.equal(result.outcome, 'deployed', JSON.stringify(result));
      assert.ok(!existsSync(join(vps.root, 'hooked')));
    }));

  test('a repository that was half made by a worker that was killed is made again', () =>
    withVps({ installed: false }, async (vps, origin) => {
      const git = join(vps.root, 'bin/git');
      // The folders of PM2's daemon are looked into first.
      await vps.run('pm2 ping');
      writeFileSync(
        git,
        `#!/bin/sh\ncase "$*" in *init*) kill -9 $PPID; exit 1;; esac\nexec /usr/bin/git "$@"\n`,
        {
          mode: 0o755,
        },
      );
      const more = { app: app(vps, { healthPort: vps.port }), repositoryUrl: origin.url };
      await assert.rejects(runWorker(vps, deployRequest(vps, origin.head(), more)), /ended without a result/);
      rmSync(git);
      const { result } = await runWorker(vps, deployRequest(vps, origin.head(), more));
      assert.equal(result.outcome, 'deployed', JSON.stringify(result));
    }));

  test('packed builds that a killed worker left are deleted after a day, those of runs that wait are not', () =>
    withVps({}, async (vps, origin) => {
      const incoming = join(dirname(vps.appPath), '.app.deploy/incoming');
      mkdirSync(incoming, { recursive: true });
      const old = new Date(Date.now() - 25 * 3_600_000);
      for (const name of ['old.tgz', '.old.part', 'new.tgz']) {
        writeFileSync(join(incoming, name), '');
        if (name !== 'new.tgz') utimesSync(join(incoming, name), old, old);
      }
      const { result } = await runWorker(vps, deployRequest(vps, origin.commit(appVersion('v2'))));
      assert.equal(result.outcome, 'deployed', JSON.stringify(result));
      assert.deepEqual(readdirSync(incoming), ['new.tgz']);
    }));

  test('a commit with submodules is refused, with the way around it', () =>
    withVps({}, async (vps, origin) => {
      const { result } = await runWorker(
        vps,
        deployRequest(
          vps,
          origin.commit({ ...appVersion('v2'), '.gitmodules': '[submodule "a"]\n\tpath = a\n' }),
        ),
      );
      assert.equal(result.outcome, 'failed');
      assert.match(
        `${result.problems[0]!.message} ${result.problems[0]!.next}`,
        /has git submodules.*build-on: runner/,
      );
      assert.equal((await vps.served())?.version, 'v1');
    }));

  test('a folder inside a checkout is no app-path: the checkout is named, and nothing is to be moved away', () =>
    withVps({}, async (vps, origin) => {
      origin.commit({ 'apps/web/package.json': '{}' });
      await vps.run('git pull -q', vps.appPath);
      const inside = app(vps, { appPath: join(vps.appPath, 'apps/web') });
      const [problem] = refusalsOf(await inspectHost(vps, { app: inside }));
      assert.equal(
        problem!.message,
        `app-path ${inside.appPath} is a folder inside the checkout ${vps.appPath}.`,
      );
      assert.match(problem!.next!, new RegExp(`as app-path: ${vps.appPath}\\.`));
      mkdirSync(join(vps.appPath, 'untracked/other'), { recursive: true });
      const other = app(vps, { appPath: join(vps.appPath, 'untracked/other') });
      assert.match(refusalsOf(await inspectHost(vps, { app: other }))[0]!.message, /a folder without git/);
    }));
});

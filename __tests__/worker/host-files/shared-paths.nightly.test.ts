import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import type { DeployRequest } from '../../../src/worker/protocol.js';
import { appFiles, appVersion } from '../../servers/fixture-app.js';
import { installNext, nextFiles, nextVersion } from '../../servers/next-app.js';
import { ask, type Vps, withVps } from '../../servers/vps.js';
import { app, deployRequest, HEALTH, inspectHost, rollbackRequest, runWorker } from '../../servers/worker.js';

/** A build that begins with an empty output folder and counts its runs in a cache inside of it. */
const COUNTING = {
  'count.js': `
const { existsSync, mkdirSync, readFileSync, writeFileSync } = require('node:fs');
for (const folder of ['dist/cache', 'node_modules/.cache']) {
  mkdirSync(folder, { recursive: true });
  const file = folder + '/runs';
  writeFileSync(file, String(Number(existsSync(file) ? readFileSync(file, 'utf8') : 0) + 1));
}
`,
};
const CACHES = {
  sharedPaths: ['dist/cache', 'node_modules/.cache'],
  buildCommand: 'pnpm build && node count.js',
};

const deployed = async (vps: Vps, sha: string, more: Partial<DeployRequest> = {}): Promise<DeployRequest> => {
  const request = deployRequest(vps, sha, more);
  const { result } = await runWorker(vps, request);
  assert.equal(result.outcome, 'deployed', JSON.stringify(result));
  return request;
};
const refusal = async (vps: Vps, sha: string, more: Partial<DeployRequest> = {}): Promise<string> => {
  const { result } = await runWorker(vps, deployRequest(vps, sha, more));
  assert.equal(result.outcome, 'failed', JSON.stringify(result));
  return result.problems.map(({ message, next }) => `${message} ${next}`).join('\n');
};
const stateOf = (vps: Vps): string => join(vps.root, 'var/www/.app.deploy');

describe('shared paths', () => {
  test('in-place: a cache inside of what is built is kept, and the folder around it changes place', () =>
    withVps({}, async (vps, origin) => {
      const runs = (path: string): string => readFileSync(join(vps.appPath, path, 'runs'), 'utf8');
      const load = vps.load(50);
      await deployed(vps, origin.commit({ ...appVersion('v2'), ...COUNTING }), CACHES);
      assert.deepEqual([runs('dist/cache'), runs('node_modules/.cache')], ['1', '1']);
      assert.equal(realpathSync(join(vps.appPath, 'dist/cache')), join(stateOf(vps), 'shared/dist/cache'));
      const three = await deployed(vps, origin.commit(appVersion('v3')), {
        ...CACHES,
        buildCommand: `rm -rf dist && ${CACHES.buildCommand}`,
      });
      // That build had an empty folder; the next one has the cache of the one before again.
      assert.equal(runs('dist/cache'), '1');
      await deployed(vps, origin.commit(appVersion('v4')), CACHES);
      assert.deepEqual([runs('dist/cache'), runs('node_modules/.cache')], ['2', '3']);
      assert.equal((await vps.served())?.version, 'v4');
      const { result } = await runWorker(vps, rollbackRequest(vps, { to: three.sha }));
      assert.equal(result.outcome, 'rolled-back', JSON.stringify(result));
      assert.equal((await vps.served())?.version, 'v3');
      assert.equal(runs('dist/cache'), '2');
      const { failed, failures } = await load.stop();
      assert.deepEqual([failed, failures], [0, []]);
    }));

  test('in-place: a cache that is there already moves, and what is put back still has it', () =>
    withVps({}, async (vps, origin) => {
      mkdirSync(join(vps.appPath, 'dist/cache'));
      writeFileSync(join(vps.appPath, 'dist/cache/runs'), '7');
      const sick = appVersion('v2', { crashAtBoot: true, onlyLive: true });
      const bad = await runWorker(
        vps,
        deployRequest(vps, origin.commit({ ...sick, ...COUNTING }), {
          ...CACHES,
          health: { ...HEALTH, deadline: 2_500 },
        }),
      );
      assert.equal(bad.result.outcome, 'put-back', JSON.stringify(bad.result));
      assert.equal(readFileSync(join(vps.appPath, 'dist/cache/runs'), 'utf8'), '8');
      await deployed(vps, origin.commit(appVersion('v3')), CACHES);
      assert.equal(readFileSync(join(vps.appPath, 'dist/cache/runs'), 'utf8'), '9');
      // Without the input the build has a folder of its own again; the shared one is left alone.
      await deployed(vps, origin.commit(appVersion('v4')), { ...CACHES, sharedPaths: [] });
      assert.equal(readFileSync(join(vps.appPath, 'dist/cache/runs'), 'utf8'), '1');
      assert.equal(readFileSync(join(stateOf(vps), 'shared/dist/cache/runs'), 'utf8'), '9');
    }));

  test('what is built anew cannot be shared, and a path behind a symlink of the commit is refused', () =>
    withVps({}, async (vps, origin) => {
      const sha = origin.commit(appVersion('v2'));
      assert.match(
        await refusal(vps, sha, { sharedPaths: ['node_modules'] }),
        /shared-paths holds node_modules/,
      );
      assert.match(await refusal(vps, sha, { sharedPaths: ['../x'] }), /"\.\.\/x" is not inside/);
      assert.match(
        await refusal(vps, sha, { sharedPaths: ['conf'], envFile: 'A=1', envFilePath: 'conf/.env' }),
        /env-file-path conf\/\.env lies in the shared path conf/,
      );
      const outside = join(vps.root, 'outside');
      mkdirSync(join(outside, 'uploads'), { recursive: true });
      symlinkSync(outside, join(origin.git('rev-parse', '--show-toplevel'), 'config'));
      const linked = origin.commit(appVersion('v3'));
      const behind = / config\/(uploads|\.env) lies behind config, which is a symlink in the commit/;
      assert.match(await refusal(vps, linked, { sharedPaths: ['config/uploads'] }), behind);
      assert.match(await refusal(vps, linked, { envFile: 'A=1', envFilePath: 'config/.env' }), behind);
      assert.deepEqual(readdirSync(outside), ['uploads']);
      const facts = await inspectHost(vps, { sharedPaths: ['node_modules'] });
      assert.match(facts.deployRefusals[0]!.message, /shared-paths holds node_modules/);
    }));

  test('among releases: caches, folders, and a file that the application makes', () =>
    withVps({ installed: false }, async (vps, origin) => {
      const more = {
        ...CACHES,
        app: app(vps, { healthPort: vps.port }),
        repositoryUrl: origin.url,
        sharedPaths: [...CACHES.sharedPaths, './uploads/', 'app.sqlite'],
      };
      const first = deployRequest(vps, origin.commit({ ...appVersion('v1'), ...COUNTING }), more);
      const { result, events } = await runWorker(vps, first);
      assert.equal(result.outcome, 'deployed', JSON.stringify(result));
      assert.match(
        JSON.stringify(events),
        /app\.sqlite is not there yet; the application makes that file itself/,
      );
      const live = (path: string): string => join(vps.appPath, path);
      assert.ok(lstatSync(live('uploads')).isSymbolicLink() && !existsSync(live('app.sqlite')));
      writeFileSync(live('app.sqlite'), 'rows');
      assert.equal(readFileSync(join(stateOf(vps), 'shared/app.sqlite'), 'utf8'), 'rows');
      writeFileSync(live('uploads/photo'), 'mine');
      await deployed(vps, origin.commit(appVersion('v2')), more);
      assert.deepEqual(
        ['app.sqlite', 'uploads/photo', 'dist/cache/runs'].map((path) => readFileSync(live(path), 'utf8')),
        ['rows', 'mine', '2'],
      );
      // Many programs write a new file and rename it, which replaces the symlink: that is the newer one.
      writeFileSync(live('app.sqlite.tmp'), 'newer rows');
      renameSync(live('app.sqlite.tmp'), live('app.sqlite'));
      await deployed(vps, origin.commit(appVersion('v3')), more);
      assert.equal(readFileSync(live('app.sqlite'), 'utf8'), 'newer rows');
      const shared = join(stateOf(vps), 'shared');
      const before = readdirSync(shared).find((name) => name.startsWith('app.sqlite.before-'))!;
      assert.equal(readFileSync(join(shared, before), 'utf8'), 'rows');
      const back = await runWorker(vps, rollbackRequest(vps, { to: 'previous' }));
      assert.equal(back.result.outcome, 'rolled-back', JSON.stringify(back.result));
      assert.equal(readFileSync(live('app.sqlite'), 'utf8'), 'newer rows');
    }));

  test('among releases: what only the live one has is refused, and kept when a release goes', () =>
    withVps({ installed: false }, async (vps, origin) => {
      const more = { app: app(vps, { healthPort: vps.port }), repositoryUrl: origin.url };
      await deployed(vps, origin.commit(appVersion('v1')), more);
      const v1 = realpathSync(vps.appPath);
      mkdirSync(join(v1, 'uploads'));
      writeFileSync(join(v1, 'uploads/photo'), 'mine');
      const sha = origin.commit(appVersion('v2'));
      assert.match(
        await refusal(vps, sha, more),
        /would not have what lies in the live folder only: uploads\..*shared-paths/,
      );
      const facts = await inspectHost(vps, { app: more.app });
      assert.match(facts.deployRefusals[0]!.message, /live folder only: uploads/);
      assert.deepEqual(
        (await inspectHost(vps, { app: more.app, sharedPaths: ['uploads'] })).deployRefusals,
        [],
      );
      rmSync(join(v1, 'uploads'), { recursive: true });
      await deployed(vps, sha, more);
      // It comes back to what is live no more: by hand, or by a program that still ran there.
      writeFileSync(join(v1, 'late.txt'), 'mine');
      for (const version of ['v3', 'v4'])
        await deployed(vps, origin.commit(appVersion(version)), { ...more, keepReleases: 2 });
      assert.ok(!existsSync(v1), 'pruned');
      assert.equal(readFileSync(`${v1}.left-behind/late.txt`, 'utf8'), 'mine');
      const v4 = realpathSync(vps.appPath);
      writeFileSync(join(v4, 'of-v4.txt'), 'mine');
      const back = await runWorker(vps, rollbackRequest(vps, { app: more.app, to: 'previous' }));
      const warned = back.result.warnings.map(({ message }) => message).join('\n');
      assert.match(warned, new RegExp(`Only the version that leaves has of-v4\\.txt: kept in ${v4}`));
      const sick = appVersion('v5', { crashAfter: 400, onlyLive: true });
      const writes = `require('node:fs').writeFileSync('written.txt', 'while live');\n`;
      const { result } = await runWorker(
        vps,
        deployRequest(
          vps,
          origin.commit({
            ...sick,
            'server.js': `if (!process.env.REHEARSAL) ${writes}${appFiles('x')['server.js']}`,
          }),
          {
            ...more,
            health: { ...HEALTH, deadline: 2_500 },
          },
        ),
      );
      assert.equal(result.outcome, 'put-back', JSON.stringify(result));
      const told = result.warnings.map(({ message }) => message).join('\n');
      const place = /is kept in (\S+)\./.exec(told)?.[1];
      assert.equal(readFileSync(join(place!, 'written.txt'), 'utf8'), 'while live');
    }));

  test('adopt: what the releases would not have is refused; what is shared moves, with what SQLite keeps beside it', () =>
    withVps({ envLocal: 'GREETING=hello\n' }, async (vps, origin) => {
      const put = (path: string, text: string): void => {
        mkdirSync(dirname(join(vps.appPath, path)), { recursive: true });
        writeFileSync(join(vps.appPath, path), text);
      };
      put('uploads/photo', 'mine');
      put('app.sqlite', 'rows');
      put('app.sqlite-wal', 'the newest rows');
      put('next-env.d.ts', '');
      const adopting = { app: app(vps, { strategy: 'adopt' }) };
      const sha = origin.commit({
        ...appVersion('v2'),
        '.gitignore': `${appFiles('x')['.gitignore']}*.sqlite*\n`,
      });
      const said = await refusal(vps, sha, adopting);
      assert.match(said, /live folder only: app\.sqlite, app\.sqlite-wal, uploads\./);
      assert.ok(!lstatSync(vps.appPath).isSymbolicLink());
      await deployed(vps, sha, { ...adopting, sharedPaths: ['uploads', 'app.sqlite'] });
      const shared = join(stateOf(vps), 'shared');
      assert.deepEqual(
        ['uploads/photo', 'app.sqlite', 'app.sqlite-wal'].map((path) =>
          readFileSync(join(shared, path), 'utf8'),
        ),
        ['mine', 'rows', 'the newest rows'],
      );
      assert.equal(readFileSync(join(vps.appPath, 'uploads/photo'), 'utf8'), 'mine');
      assert.equal(readlinkSync(join(vps.appPath, 'app.sqlite')), join(shared, 'app.sqlite'));
    }));

  test('app-path that is a symlink to a checkout: refused with the path to give, and that one works', () =>
    withVps({}, async (vps, origin) => {
      const target = join(vps.root, 'data/app');
      mkdirSync(dirname(target));
      renameSync(vps.appPath, target);
      symlinkSync(target, vps.appPath);
      const sha = origin.commit(appVersion('v2'));
      assert.match(
        await refusal(vps, sha),
        new RegExp(`is a symlink to ${target}, which is a git checkout.*Give ${target} as app-path`),
      );
      // The PM2 entry still says the path of the symlink.
      const load = vps.load(50);
      await deployed(vps, sha, { app: app(vps, { appPath: target }) });
      assert.equal((await vps.served())?.version, 'v2');
      assert.ok(lstatSync(vps.appPath).isSymbolicLink());
      const { failed, failures } = await load.stop();
      assert.deepEqual([failed, failures], [0, []]);
      writeFileSync(join(target, 'mine.txt'), 'mine');
      const releases = { app: app(vps, { strategy: 'releases' }) };
      assert.match(
        await refusal(vps, origin.commit(appVersion('v3')), releases),
        /live folder only: mine\.txt/,
      );
    }));

  test('build-on: runner: a database of the job does not take the place of that of the server, nor write through a symlink', () =>
    withVps({}, async (vps, origin) => {
      for (const path of ['public/uploads/photo', 'app.sqlite']) {
        mkdirSync(dirname(join(vps.appPath, path)), { recursive: true });
        writeFileSync(join(vps.appPath, path), 'of the server');
      }
      const sha = origin.commit(appVersion('v2'));
      const job = join(vps.root, 'job');
      execFileSync('git', ['clone', '-q', origin.url, job]);
      for (const path of ['public/uploads/photo', 'app.sqlite', 'dist/static/app-v2.js']) {
        mkdirSync(dirname(join(job, path)), { recursive: true });
        writeFileSync(join(job, path), 'of the job');
      }
      writeFileSync(join(job, 'dist/build.json'), JSON.stringify({ version: 'v2', commit: sha }));
      const send = (): { packedBuild: string } => {
        const packedBuild = join(vps.root, 'build.tgz');
        const words = ['-czf', packedBuild, 'dist', 'app.sqlite', 'public/uploads/photo'];
        execFileSync('tar', words, { cwd: job });
        return { packedBuild };
      };
      assert.match(await refusal(vps, sha, send()), /The build made app\.sqlite, public\/uploads\/photo/);
      await deployed(vps, sha, { ...send(), sharedPaths: ['app.sqlite', 'public/uploads'] });
      assert.equal((await vps.served())?.version, 'v2');
      for (const path of ['public/uploads/photo', 'app.sqlite'])
        assert.equal(readFileSync(join(vps.appPath, path), 'utf8'), 'of the server');
    }));

  test('Next.js: .next/cache is kept from build to build, in a checkout and among releases', () =>
    withVps(
      { installed: false },
      async (vps, origin) => {
        await installNext(vps, origin);
        const more = {
          sharedPaths: ['.next/cache'],
          health: { ...HEALTH, paths: ['/', '/api/health'], timeout: 15_000, deadline: 60_000 },
          timeout: 480_000,
        };
        const home = join(stateOf(vps), 'shared/.next/cache');
        for (const [version, strategy] of [
          ['v2', 'auto'],
          ['v3', 'auto'],
          ['v4', 'adopt'],
          ['v5', 'auto'],
        ] as const) {
          // What a build finds there from the one before.
          if (existsSync(home)) writeFileSync(join(home, `before-${version}`), '');
          const sha = origin.commit(nextVersion(version));
          await deployed(vps, sha, { ...more, app: app(vps, { strategy }) });
          assert.equal((await vps.served())?.version, version);
          assert.equal(realpathSync(join(vps.appPath, '.next/cache')), home);
          assert.ok(readdirSync(home).includes('webpack'), readdirSync(home).join());
          if (version !== 'v2') assert.ok(existsSync(join(vps.appPath, '.next/cache', `before-${version}`)));
          assert.equal((await ask(vps.port, '/counter')).status, 200);
        }
      },
      nextFiles('v1'),
    ));
});

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { copyWithRights, giveRights } from '../../src/worker/host/permissions.js';
import { openToolbox, type Toolbox } from '../../src/worker/host/toolbox.js';
import { appVersion } from '../servers/fixture-app.js';
import { anotherGroup, readableFor, STRANGER_ID } from '../servers/other-user.js';
import { ownNothingBeside, type Vps, withVps } from '../servers/vps.js';
import { app, deployRequest, rollbackRequest, runWorker } from '../servers/worker.js';

/** `640 54300` */
const rights = (path: string): string => {
  const { mode, gid } = statSync(path);
  return `${(mode & 0o7777).toString(8)} ${gid}`;
};

const beside = (vps: Vps): string => join(dirname(vps.appPath), '.app.deploy');

/** Every file of that name below a folder, also where nobody else may look. */
function filesNamed(name: RegExp, folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((item) => {
    const path = join(folder, item.name);
    if (item.isDirectory() && item.name !== 'node_modules' && item.name !== '.git')
      return filesNamed(name, path);
    return item.isFile() && name.test(item.name) ? [path] : [];
  });
}

/** Gives the whole of a sandbox to whoever may pass, so that the application's own folder is what keeps others out. */
function letPass(vps: Vps): void {
  for (const path of [vps.root, join(vps.root, 'var'), join(vps.root, 'var/www'), vps.home])
    chmodSync(path, 0o755);
}

describe('an application that keeps others out', () => {
  const G = anotherGroup();

  test('row 147: keeps them out of each version: stage, what is kept, and what comes back', () =>
    withVps({ envLocal: 'GREETING=one\n' }, async (vps, origin) => {
      letPass(vps);
      const at = (path: string): string => join(vps.appPath, path);
      mkdirSync(at('packages/api'), { recursive: true });
      writeFileSync(at('packages/api/.env'), 'KEY=secret\n');
      writeFileSync(at('.env.production'), 'KEY=secret\n');
      for (const [path, mode] of [
        ['.', 0o750],
        ['packages', 0o700],
        ['.env.local', 0o644],
        ['.env.production', 0o640],
      ] as const) {
        chownSync(at(path), process.getuid!(), G);
        chmodSync(at(path), mode);
      }
      const asDeployed = (folder: string, what: string): void => {
        const of = (path: string): string => rights(join(folder, path));
        assert.equal(of('.'), `750 ${G}`, what);
        assert.equal(of('.env.local'), `644 ${G}`, what);
        assert.equal(of('.env.production'), `640 ${G}`, what);
        assert.equal(of('packages').split(' ')[0], '700', what);
      };
      const { result } = await runWorker(vps, deployRequest(vps, origin.commit(appVersion('v2'))));
      assert.equal(result.outcome, 'deployed', JSON.stringify(result));
      assert.deepEqual(result.warnings, []);
      const releases = join(beside(vps), 'releases');
      asDeployed(vps.appPath, 'live');
      assert.equal(readdirSync(releases).length, 2, 'the new one, and what was live before');
      for (const name of readdirSync(releases)) asDeployed(join(releases, name), name);
      const secret = (): string[] => filesNamed(/^\.env|^server\.js$/, join(vps.root, 'var'));
      assert.ok(secret().length >= 9, secret().join());
      assert.deepEqual(readableFor(STRANGER_ID, STRANGER_ID, secret()), []);
      assert.ok(readableFor(STRANGER_ID, G, secret()).includes(at('.env.production')));

      const back = await runWorker(vps, rollbackRequest(vps, { to: 'previous' }));
      assert.equal(back.result.outcome, 'rolled-back', JSON.stringify(back.result));
      assert.equal((await vps.served())?.version, 'v1');
      asDeployed(vps.appPath, 'back');
      for (const name of readdirSync(releases)) assert.equal(rights(join(releases, name)), `750 ${G}`);
      assert.deepEqual(readableFor(STRANGER_ID, STRANGER_ID, secret()), []);
    }));

  test('row 147: what env-file brings is 0600, or as the file that it replaces', () =>
    withVps({}, async (vps, origin) => {
      letPass(vps);
      const live = join(vps.appPath, '.env.local');
      const deploy = async (version: string, envFile: string): Promise<void> => {
        const { result } = await runWorker(
          vps,
          deployRequest(vps, origin.commit(appVersion(version)), { envFile }),
        );
        assert.equal(result.outcome, 'deployed', JSON.stringify(result));
        assert.equal(readFileSync(live, 'utf8'), envFile);
      };
      await deploy('v2', 'GREETING=two\n');
      assert.equal(rights(live).split(' ')[0], '600');
      chownSync(live, process.getuid!(), G);
      chmodSync(live, 0o640);
      await deploy('v3', 'GREETING=three\n');
      assert.equal(rights(live), `640 ${G}`);
      assert.equal((await vps.served())?.greeting, 'three');
      const all = filesNamed(/^\.env\.local$/, join(vps.root, 'var'));
      assert.deepEqual(readableFor(STRANGER_ID, STRANGER_ID, all), []);
    }));

  test('row 147: an adopted one with an access list lets in whom it named, to its uploads too, and nobody else', () =>
    withVps({ envLocal: 'GREETING=one\n' }, async (vps, origin) => {
      letPass(vps);
      mkdirSync(join(vps.appPath, 'public/uploads'), { recursive: true });
      writeFileSync(join(vps.appPath, 'public/uploads/photo'), 'photo');
      chmodSync(vps.appPath, 0o750);
      execFileSync('setfacl', ['-m', `u:${STRANGER_ID}:rx`, vps.appPath]);
      const more = { app: app(vps, { strategy: 'adopt' }), sharedPaths: ['public/uploads'] };
      const { result } = await runWorker(vps, deployRequest(vps, origin.commit(appVersion('v2')), more));
      assert.equal(result.outcome, 'deployed', JSON.stringify(result));
      const files = [...filesNamed(/^(\.env\.local|server\.js|photo)$/, beside(vps))];
      assert.equal(files.length, 5, files.join());
      assert.deepEqual(readableFor(STRANGER_ID, STRANGER_ID, files), files, 'the one whom the list names');
      assert.deepEqual(readableFor(STRANGER_ID + 1, STRANGER_ID + 1, files), [], 'anybody else');
    }));

  test('row 147: where a group cannot be kept fewer can read the copy, and it is told', () =>
    withVps({ envLocal: 'GREETING=one\n' }, async (vps, origin) => {
      letPass(vps);
      await ownNothingBeside(vps, origin);
      const live = join(vps.appPath, '.env.local');
      const uid = vps.login.uid ?? process.getuid!();
      // Nobody but root may give a file to a group of which he is no member.
      execFileSync(process.getuid!() === 0 ? 'chown' : 'sudo', [
        ...(process.getuid!() === 0 ? [] : ['-n', 'chown']),
        `${uid}:${STRANGER_ID}`,
        live,
      ]);
      chmodSync(live, 0o640);
      const { result } = await runWorker(vps, deployRequest(vps, origin.commit(appVersion('v2'))));
      assert.equal(result.outcome, 'deployed', JSON.stringify(result));
      assert.match(
        result.warnings.map(({ message }) => message).join('\n'),
        /\.env\.local is readable by fewer users/,
      );
      const copies = filesNamed(/^\.env\.local$/, vps.home);
      assert.equal(copies.length, 2, copies.join());
      for (const copy of copies) assert.equal(rights(copy).split(' ')[0], '600', copy);
      assert.equal((await vps.served())?.greeting, 'one');
    }));
});

describe('a copy with rights', () => {
  const G = anotherGroup();
  let root: string;
  let tools: Toolbox;
  before(() => {
    tools = openToolbox(process.env);
  });
  beforeEach(() => {
    root = realpathSync(mkdtempSync(join(tmpdir(), 'muva-rights-')));
    chmodSync(root, 0o755);
    writeFileSync(at('from'), 'text');
  });
  const made: string[] = [];
  beforeEach(() => made.push(root));
  after(() => {
    for (const folder of made) rmSync(folder, { recursive: true });
  });
  const at = (...names: string[]): string => join(root, ...names);
  const acl = (path: string): string => execFileSync('getfacl', ['-cpn', path], { encoding: 'utf8' });

  /** A server that has only these programs. */
  function only(...names: string[]): Toolbox {
    mkdirSync(at('bin'));
    for (const name of names) symlinkSync(tools.find(name)!, at('bin', name));
    const find = (name: string): string | undefined =>
      existsSync(at('bin', name)) ? at('bin', name) : undefined;
    return { home: root, env: { PATH: at('bin') }, find, withFolders: () => only() };
  }

  test('row 147: keeps an access list, also where the mode alone would be more open than it', async () => {
    chmodSync(at('from'), 0o600);
    execFileSync('setfacl', ['-m', `g::-,u:${STRANGER_ID}:r`, at('from')]);
    assert.equal(rights(at('from')).split(' ')[0], '640', 'the bits of the group are those of the list');
    for (const [name, has] of [
      ['with setfacl', tools],
      ['with cp alone', only('ls', 'cp')],
    ] as const) {
      assert.deepEqual(await copyWithRights(has, at('from'), at('to')), [], name);
      assert.equal(acl(at('to')), acl(at('from')), name);
    }
  });

  test('row 147: lets nobody in but the owner where no program knows the list', async () => {
    execFileSync('setfacl', ['-m', `g::-,u:${STRANGER_ID}:r`, at('from')]);
    const bare = only('ls');
    assert.match((await copyWithRights(bare, at('from'), at('to'))).join(), /access list/);
    assert.equal(rights(at('to')).split(' ')[0], '600');
    // As the ls of BusyBox, which does not say whether there is a list.
    rmSync(at('bin/ls'));
    writeFileSync(at('bin/ls'), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
    assert.match((await copyWithRights(bare, at('from'), at('to'))).join(), /install the package acl/);
    assert.equal(rights(at('to')).split(' ')[0], '600');
  });

  test('row 147: takes nothing from the folder that it is made in', async () => {
    mkdirSync(at('open'));
    execFileSync('setfacl', ['-d', '-m', `u:${STRANGER_ID}:rwx`, at('open')]);
    chmodSync(at('from'), 0o640);
    for (const has of [tools, only('ls', 'cp')]) {
      await copyWithRights(has, at('from'), at('open/to'));
      assert.equal(acl(at('open/to')), acl(at('from')));
    }
    mkdirSync(at('folder'), { mode: 0o750 });
    mkdirSync(at('open/folder'), { mode: 0o700 });
    await giveRights(tools, at('folder'), at('open/folder'));
    assert.equal(acl(at('open/folder')), acl(at('folder')), 'no default list either');
  });

  test('row 147: keeps owner, group and mode, and a folder its setgid bit', async () => {
    if (process.getuid!() === 0) chownSync(at('from'), STRANGER_ID, G);
    else chownSync(at('from'), process.getuid!(), G);
    chmodSync(at('from'), 0o440);
    assert.deepEqual(await copyWithRights(tools, at('from'), at('to')), []);
    assert.equal(rights(at('to')), `440 ${G}`);
    assert.equal(statSync(at('to')).uid, statSync(at('from')).uid);
    mkdirSync(at('like'));
    mkdirSync(at('folder'), { mode: 0o700 });
    chownSync(at('like'), process.getuid!(), G);
    chmodSync(at('like'), 0o2757);
    await giveRights(tools, at('like'), at('folder'));
    assert.equal(rights(at('folder')), `2755 ${G}`, 'and nobody else may write among the releases');
  });
});

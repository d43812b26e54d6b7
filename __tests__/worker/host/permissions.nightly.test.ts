import assert from 'node:assert/strict';
import { chmodSync, chownSync, existsSync, lstatSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import type { HostFacts } from '../../../src/worker/protocol.js';
import { appVersion } from '../../servers/fixture-app.js';
import { ownNothingBeside, type Vps, withVps } from '../../servers/vps.js';
import { app, ask, deployRequest, inspectHost, refusalsOf, runWorker } from '../../servers/worker.js';

const isRoot = process.getuid!() === 0;

const refused = (facts: HostFacts): string =>
  refusalsOf(facts)
    .map(({ message, next }) => `${message} ${next}`)
    .join('\n');

/** Takes a folder away from the one who deploys: root gives it to root, everyone else can only shut it. */
function takeAway(path: string, mode = 0o555): void {
  if (isRoot) chownSync(path, 0, 0);
  chmodSync(path, mode);
}

/** The words of the command that lets the one who deploys change what was taken away. */
const MINE = isRoot ? 'sudo chown -R --from=root \\S+:' : 'chmod -R u\\+rwX';

const beside = (vps: Vps): string => join(dirname(vps.appPath), '.app.deploy');

describe('a user who owns the application and nothing beside it', () => {
  test('the state folder goes into the home, and a run is found again there', () =>
    withVps({}, async (vps, origin) => {
      await ownNothingBeside(vps, origin);
      const facts = await inspectHost(vps);
      assert.deepEqual(refusalsOf(facts), []);
      assert.match(facts.stateFolder!, new RegExp(`^${vps.home}/.muva-deploy/app-`));
      const { result } = await runWorker(vps, deployRequest(vps, origin.commit(appVersion('v2'))));
      assert.equal(result.outcome, 'deployed', JSON.stringify(result));
      assert.equal((await vps.served())?.version, 'v2');
    }));

  test('a state folder of another user is refused by every command, and never handed over', () =>
    withVps({}, async (vps, origin) => {
      mkdirSync(beside(vps));
      await ownNothingBeside(vps, origin);
      takeAway(beside(vps));
      const wanted = isRoot
        ? /\.app\.deploy belongs to root.*Connect as root\. .*sudo mv \S+\/\.app\.deploy \S+\.old$/
        : /\.app\.deploy cannot be written.*chmod u\+rwx/;
      const request = deployRequest(vps, origin.commit(appVersion('v2')));
      const { run } = request;
      const known = { app: request.app, run };
      for (const asked of [
        request,
        { ...known, command: 'follow', task: 'deploy', offset: 0 } as const,
        { ...known, command: 'go' } as const,
      ]) {
        const [line] = await ask(vps, asked);
        assert.equal(line?.kind, 'refused', JSON.stringify(line));
        if (line?.kind === 'refused')
          assert.match(`${line.problems[0]!.message} ${line.problems[0]!.next}`, wanted);
      }
      assert.equal((await vps.served())?.version, 'v1');
    }));

  test('adopt and a first deploy are refused before anything is touched, and nothing is left to repair', () =>
    withVps({}, async (vps, origin) => {
      await ownNothingBeside(vps, origin);
      const adopting = { app: app(vps, { strategy: 'adopt' }) };
      const wanted = isRoot
        ? /belongs to root, so the symlink .*\/app cannot be made or turned there.*sudo chown \S+: .*in-place does without/
        : /cannot be made or turned there.*sudo chown/;
      assert.match(refused(await inspectHost(vps, adopting)), wanted);
      const { result } = await runWorker(vps, deployRequest(vps, origin.commit(appVersion('v2')), adopting));
      assert.equal(result.outcome, 'failed', JSON.stringify(result));
      assert.ok(lstatSync(vps.appPath).isDirectory());
      const next = await runWorker(vps, deployRequest(vps, origin.commit(appVersion('v3'))));
      assert.equal(next.result.outcome, 'deployed', JSON.stringify(next.result));
      const nowhere = app(vps, { appPath: join(vps.root, 'var/www/new'), appName: 'new', healthPort: 1 });
      assert.match(refused(await inspectHost(vps, { app: nowhere })), /\/new cannot be made or turned there/);
      const missing = { ...nowhere, appPath: join(vps.root, 'var/www/gone/new') };
      assert.match(refused(await inspectHost(vps, { app: missing })), /gone does not exist.*sudo install -d/);
    }));

  test('row 106: a folder that may not be looked into is passed over, an environment file that may not be read is named', () =>
    withVps({ envLocal: 'GREETING=one\n2CAPTCHA_KEY=\n' }, async (vps, origin) => {
      await vps.run('mkdir pgdata && echo HALF >.env.bak && echo A=1 >.env.extra', vps.appPath);
      await ownNothingBeside(vps, origin);
      for (const name of ['pgdata', '.env.bak', '.env.extra']) takeAway(join(vps.appPath, name), 0);
      const facts = await inspectHost(vps);
      assert.match(
        refused(facts),
        new RegExp(`^\\.env\\.extra on the server cannot be read by.*${MINE} \\S+\\.env\\.extra$`),
      );
      rmSync(join(vps.appPath, '.env.extra'));
      const { result } = await runWorker(vps, deployRequest(vps, origin.commit(appVersion('v2'))));
      assert.equal(result.outcome, 'deployed', JSON.stringify(result));
      assert.equal((await vps.served())?.greeting, 'one');
    }));

  test('a folder of tracked files that another user owns hinders only the commits that change it', () =>
    withVps({}, async (vps, origin) => {
      origin.commit({ 'uploads/.gitkeep': '', 'src/a': '' });
      await vps.run('git pull -q', vps.appPath);
      await ownNothingBeside(vps, origin);
      for (const name of ['uploads', 'src']) takeAway(join(vps.appPath, name));
      const bad = await runWorker(vps, deployRequest(vps, origin.commit({ 'src/b': '' })));
      assert.equal(bad.result.outcome, 'failed');
      assert.match(
        `${bad.result.problems[0]!.message} ${bad.result.problems[0]!.next}`,
        new RegExp(`cannot change src in \\S+, which .*${MINE} \\S+/src$`),
      );
      const good = await runWorker(
        vps,
        deployRequest(vps, origin.commit({ 'src/b': null, ...appVersion('v2') })),
      );
      assert.equal(good.result.outcome, 'deployed', JSON.stringify(good.result));
    }));

  test('folders of the checkout that root owns are named, with the command that hands over what root wrote', () =>
    withVps({}, async (vps, origin) => {
      mkdirSync(join(vps.appPath, 'pgdata'));
      await ownNothingBeside(vps, origin);
      for (const name of ['dist', 'pgdata']) takeAway(join(vps.appPath, name));
      assert.match(
        refused(await inspectHost(vps)),
        new RegExp(`^The user who deploys cannot change dist in .*/app, which .*${MINE} \\S+/app/dist$`),
      );
      const { result } = await runWorker(vps, deployRequest(vps, origin.commit(appVersion('v2'))));
      assert.equal(result.outcome, 'failed', JSON.stringify(result));
      takeAway(join(vps.appPath, '.git/objects'));
      assert.match(refused(await inspectHost(vps)), /cannot change \.git, dist in/);
      if (!isRoot) return;
      chownSync(vps.appPath, 0, 0);
      rmSync(join(vps.home, '.gitconfig'));
      assert.match(refused(await inspectHost(vps)), /git refuses to work in .*another user owns it/);
    }));
});

/** What keeps a web server of another user from a file: each folder on the way that shuts it out, or the file. */
function shutOut(file: string, from: string): string[] {
  const shut: string[] = [];
  if ((statSync(file).mode & 0o004) === 0) shut.push(file);
  for (let at = dirname(file); at.startsWith(from); at = dirname(at))
    if ((statSync(at).mode & 0o001) === 0) shut.push(at);
  return shut;
}

describe('a web server of another user', () => {
  test('reaches the files of a release and of an adopted checkout, and nothing else of the deploy', () =>
    withVps({ installed: false }, async (vps, origin) => {
      const more = { app: app(vps, { healthPort: vps.port }), repositoryUrl: origin.url };
      const first = deployRequest(vps, origin.head(), { ...more, envFile: 'GREETING=hello\n' });
      const { result } = await runWorker(vps, first);
      assert.equal(result.outcome, 'deployed', JSON.stringify(result));
      const www = dirname(vps.appPath);
      const release = join(beside(vps), 'releases', result.release!);
      assert.deepEqual(shutOut(join(release, 'dist/static/app-v1.js'), www), []);
      assert.deepEqual(shutOut(join(release, '.env.local'), www), [join(release, '.env.local')]);
      const modes = ['', 'releases', 'shared', 'runs', 'notes', 'repository.git'].map((name) =>
        (statSync(join(beside(vps), name)).mode & 0o777).toString(8),
      );
      assert.deepEqual(modes, ['711', '755', '755', '700', '700', '700']);
      for (const name of ['lock', 'journal.jsonl', 'start.config.json'])
        assert.equal(statSync(join(beside(vps), name)).mode & 0o777, 0o600, name);
    }));

  test('still reaches what it reached, where the login has the umask 077', () =>
    withVps({}, async (vps, origin) => {
      vps.login.umask = '077';
      const www = dirname(vps.appPath);
      assert.deepEqual(shutOut(join(vps.appPath, 'dist/static/app-v1.js'), www), []);
      for (const [version, strategy] of [
        ['v2', 'auto'],
        ['v3', 'adopt'],
        ['v4', 'auto'],
      ] as const) {
        const { result } = await runWorker(
          vps,
          deployRequest(vps, origin.commit(appVersion(version)), { app: app(vps, { strategy }) }),
        );
        assert.equal(result.outcome, 'deployed', JSON.stringify(result));
        for (const file of ['server.js', `dist/static/app-${version}.js`])
          assert.deepEqual(shutOut(join(vps.appPath, file), www), [], version);
      }
      assert.ok(existsSync(beside(vps)));
    }));

  test('is kept out of an application that kept it out', () =>
    withVps({}, async (vps, origin) => {
      vps.login.umask = '077';
      chmodSync(vps.appPath, 0o700);
      const adopting = { app: app(vps, { strategy: 'adopt' }) };
      const { result } = await runWorker(vps, deployRequest(vps, origin.commit(appVersion('v2')), adopting));
      assert.equal(result.outcome, 'deployed', JSON.stringify(result));
      const release = join(beside(vps), 'releases', result.release!);
      assert.deepEqual(shutOut(join(release, 'dist/build.json'), beside(vps)).includes(release), true);
    }));
});

import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { appVersion } from '../servers/fixture-app.js';
import { asStranger, STRANGER } from '../servers/other-user.js';
import { ownNothingBeside, type Vps, withVps } from '../servers/vps.js';
import {
  app,
  ask,
  deployRequest,
  inspectHost,
  refusalsOf,
  rollbackRequest,
  runWorker,
} from '../servers/worker.js';

const www = (vps: Vps): string => dirname(vps.appPath);
const beside = (vps: Vps): string => join(www(vps), '.app.deploy');

/** A plan that, taken for true, moves a file of the one who deploys to where the stranger reads it. */
const PLAN = (vps: Vps): string =>
  JSON.stringify({
    format: 1,
    task: 'rollback',
    run: { id: '1', attempt: 1 },
    to: { release: '20260102030405-0123456789ab', sha: '0'.repeat(40) },
    swaps: [
      {
        live: join(vps.root, 'open/loot'),
        incoming: join(vps.home, 'secret'),
        kept: join(vps.root, 'open/nothing'),
        had: false,
      },
    ],
  });

/** What the worker says to a command that it refuses as a whole. */
async function refusal(vps: Vps, request: Parameters<typeof ask>[1]): Promise<string> {
  const [line] = await ask(vps, request);
  assert.equal(line?.kind, 'refused', JSON.stringify(line));
  return line?.kind === 'refused' ? `${line.problems[0]!.message} ${line.problems[0]!.next}` : '';
}

/** Each command is refused with the same words, and none has touched the application or what was planted. */
async function refusedByAll(vps: Vps, sha: string, wanted: RegExp): Promise<void> {
  const request = deployRequest(vps, sha);
  const known = { app: request.app, run: request.run };
  for (const asked of [
    request,
    rollbackRequest(vps, { to: 'previous' }),
    { ...known, command: 'follow', task: 'deploy', offset: 0 } as const,
    { ...known, command: 'cancel' } as const,
    {
      ...known,
      command: 'inspect',
      explicit: false,
      rehearse: true,
      dirtyCheckout: 'refuse',
    } as const,
  ])
    assert.match(await refusal(vps, asked), wanted, asked.command);
  assert.equal((await vps.served())?.version, 'v1');
}

describe('another user of the server', () => {
  test('row 146: what a stranger plants where the state folder will be is refused, and nothing of it is done', () =>
    withVps({}, async (vps, origin) => {
      await ownNothingBeside(vps, origin);
      // As /tmp is, or a shared /srv: everybody may make something there.
      chmodSync(www(vps), 0o1777);
      mkdirSync(join(vps.root, 'open'));
      chmodSync(join(vps.root, 'open'), 0o1777);
      writeFileSync(join(vps.home, 'secret'), 'secret');
      const sha = origin.commit(appVersion('v2'));
      const place = beside(vps);
      const clear = (): void => rmSync(place, { recursive: true, force: true });
      const gone = `sudo rm -r -- ${place}`;

      asStranger(vps.root, `mkdir '${place}' && umask 022 && cat >'${place}/plan.json'`, PLAN(vps));
      await refusedByAll(vps, sha, new RegExp(`belongs to .*${STRANGER}.*${gone}`));
      clear();

      // Written by a stranger into a folder that everybody may write, by whoever made that.
      mkdirSync(place);
      chmodSync(place, 0o777);
      if (vps.login.uid !== undefined) chownSync(place, vps.login.uid, vps.login.uid);
      asStranger(vps.root, `cat >'${place}/plan.json'`, PLAN(vps));
      await refusedByAll(vps, sha, /can be written by every user.*chmod o-w/);
      chmodSync(place, 0o755);
      await refusedByAll(
        vps,
        sha,
        new RegExp(`plan\\.json .*belongs to .*${STRANGER}.*sudo rm -r -- ${place}/plan\\.json`),
      );
      clear();

      asStranger(
        vps.root,
        `mkdir -p open/theirs && cat >open/theirs/plan.json && ln -s '${vps.root}/open/theirs' '${place}'`,
        PLAN(vps),
      );
      await refusedByAll(vps, sha, /is a symlink.*sudo rm/);
      // The worker of `follow` and the upload come by the same way: nothing was written behind the link.
      assert.deepEqual(readdirSync(join(vps.root, 'open/theirs')), ['plan.json']);
      clear();

      assert.ok(existsSync(join(vps.home, 'secret')), 'no plan was followed');
      assert.ok(!existsSync(join(vps.root, 'open/loot')));
      const { result } = await runWorker(vps, deployRequest(vps, sha));
      assert.equal(result.outcome, 'deployed', JSON.stringify(result));
      assert.equal(lstatSync(place).isDirectory(), true, 'a sticky folder is a place like any other');
    }));

  test('row 146: links, pipes and hard links inside the state folder are refused, each by its name', () =>
    withVps({}, async (vps, origin) => {
      const first = await runWorker(vps, deployRequest(vps, origin.commit(appVersion('v2'))));
      assert.equal(first.result.outcome, 'deployed', JSON.stringify(first.result));
      const sha = origin.commit(appVersion('v3'));
      chmodSync(vps.root, 0o755);
      const [place, elsewhere] = [beside(vps), join(vps.root, 'elsewhere')];
      mkdirSync(elsewhere);
      chmodSync(elsewhere, 0o1777);
      writeFileSync(join(elsewhere, 'ours'), '{}');
      chmodSync(join(elsewhere, 'ours'), 0o666);
      asStranger(vps.root, `echo '{}' >elsewhere/theirs`);
      const [run] = readdirSync(join(place, 'runs'));
      const [note] = readdirSync(join(place, 'notes'));
      const [release] = readdirSync(join(place, 'releases'));
      const plants: [what: string, path: string, command: string, wanted: RegExp][] = [
        ['a link to a plan', 'plan.json', `ln -s '${elsewhere}/ours' plan.json`, /plan\.json is a symlink/],
        [
          'a hard link to a file of a stranger',
          'plan.json',
          `ln '${elsewhere}/theirs' plan.json`,
          /plan\.json.*belongs to/,
        ],
        [
          'a hard link to a file that everybody writes',
          'plan.json',
          `ln '${elsewhere}/ours' plan.json`,
          /plan\.json can be written by every user/,
        ],
        ['a pipe in place of the lock', 'lock', 'rm lock && mkfifo lock', /lock is a pipe/],
        [
          'a link in place of the runs',
          'runs',
          'mv runs runs.old && ln -s runs.old runs',
          /runs is a symlink/,
        ],
        [
          'a link in place of a run',
          `runs/${run}`,
          `mv runs/${run} r && ln -s ../r runs/${run}`,
          /runs\/\S+ is a symlink/,
        ],
        ['a link in a run', `runs/${run}/go`, `ln -s /etc/passwd runs/${run}/go`, /go is a symlink/],
        [
          'a link in place of a note',
          `notes/${note}`,
          `mv notes/${note} n && ln -s ../n notes/${note}`,
          /notes\/\S+ is a symlink/,
        ],
        [
          'a link in place of a release',
          `releases/${release}`,
          `mv releases/${release} r && ln -s ../r releases/${release}`,
          /releases\/\S+ is a symlink/,
        ],
        ['a link for packed builds', 'incoming', `ln -s '${elsewhere}' incoming`, /incoming is a symlink/],
        ['a link for dumps', 'backups', `ln -s '${elsewhere}' backups`, /backups is a symlink/],
        [
          'a link in place of the shared files',
          'shared',
          'rm -r shared && ln -s /etc shared',
          /shared is a symlink/,
        ],
      ];
      const whole = `${place}.whole`;
      for (const [what, path, command, wanted] of plants) {
        await vps.run(`cp -a '${place}' '${whole}'`);
        const planted = await vps.run(command, place);
        assert.equal(planted.code, 0, planted.stderr);
        const said = await refusal(vps, deployRequest(vps, sha));
        assert.match(said, wanted, what);
        assert.ok(said.includes(join(place, path)), said);
        rmSync(place, { recursive: true });
        renameSync(whole, place);
      }
      assert.equal((await vps.served())?.version, 'v2');
      const { result } = await runWorker(vps, deployRequest(vps, sha));
      assert.equal(result.outcome, 'deployed', JSON.stringify(result));
    }));

  test('row 146: an app-path that a stranger made a link is refused; one of our own or of root works', () =>
    withVps({}, async (vps, origin) => {
      const disk = join(vps.root, 'disk');
      renameSync(www(vps), disk);
      symlinkSync(disk, www(vps));
      // The application lies on another disk, behind a link of root.
      const { result } = await runWorker(vps, deployRequest(vps, origin.commit(appVersion('v2'))));
      assert.equal(result.outcome, 'deployed', JSON.stringify(result));
      assert.ok(existsSync(join(disk, '.app.deploy/journal.jsonl')));
      chmodSync(vps.root, 0o755);
      chmodSync(disk, 0o1777);
      asStranger(vps.root, `ln -s '${disk}/app' disk/theirs`);
      const theirs = { app: app(vps, { appPath: join(www(vps), 'theirs') }) };
      const said = refusalsOf(await inspectHost(vps, theirs)).map(
        ({ message, next }) => `${message} ${next}`,
      );
      assert.match(said.join('\n'), new RegExp(`theirs is a symlink that .*${STRANGER}.* made`));
      // Without the sticky bit anybody could put another folder in the place of ours.
      chmodSync(disk, 0o777);
      const open = await refusal(vps, deployRequest(vps, origin.commit(appVersion('v3'))));
      assert.match(open, new RegExp(`${basename(disk)} can be written by every user.*chmod o-w`));
    }));

  test('row 146: where everybody may write beside the application, the state folder goes into the home', () =>
    withVps({}, async (vps, origin) => {
      chmodSync(www(vps), 0o777);
      const { result } = await runWorker(vps, deployRequest(vps, origin.commit(appVersion('v2'))));
      assert.equal(result.outcome, 'deployed', JSON.stringify(result));
      assert.ok(!existsSync(beside(vps)));
      assert.equal(readdirSync(join(vps.home, '.muva-deploy')).length, 1);
    }));
});

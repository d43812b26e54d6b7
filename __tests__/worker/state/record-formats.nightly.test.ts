import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { appVersion } from '../../servers/fixture-app.js';
import { type Vps, withVps } from '../../servers/vps.js';
import { ask, deployRequest, rollbackRequest, runWorker } from '../../servers/worker.js';

const BUILD = fileURLToPath(new URL('../../..', import.meta.url));

/** The same worker as a later version would be: one that writes the next format, and reads `oldest` and newer ones. */
function laterWorker(vps: Vps, oldest: number): string {
  const build = join(vps.root, `later-${oldest}`);
  mkdirSync(build);
  cpSync(join(BUILD, 'src'), join(build, 'src'), { recursive: true });
  cpSync(join(BUILD, 'package.json'), join(build, 'package.json'));
  const file = join(build, 'src/lib/record-format.js');
  const text = readFileSync(file, 'utf8');
  const later = text.replace(
    /SERVER_FORMATS = \{ oldest: 1, newest: 1 \}/,
    `SERVER_FORMATS = { oldest: ${oldest}, newest: 2 }`,
  );
  assert.notEqual(later, text, 'the place is there');
  writeFileSync(file, later);
  return build;
}

/** Names, times and sizes of all that lies in a folder: the same as long as nobody writes there. */
function contents(folder: string): string {
  return readdirSync(folder, { recursive: true })
    .map(String)
    .filter((path) => !path.includes('node_modules'))
    .sort()
    .map((path) => {
      const { mtimeMs, size } = statSync(join(folder, path));
      return `${path} ${size} ${mtimeMs}`;
    })
    .join('\n');
}

describe('two versions of the action at one application', () => {
  test('row 140: the newer one reads what the older one wrote; the older one refuses before it writes', () =>
    withVps({}, async (vps, origin) => {
      const state = join(dirname(vps.appPath), '.app.deploy');
      const first = await runWorker(vps, deployRequest(vps, origin.commit(appVersion('v2'))));
      assert.equal(first.result.outcome, 'deployed', JSON.stringify(first.result));

      vps.login.build = laterWorker(vps, 1);
      const second = await runWorker(vps, deployRequest(vps, origin.commit(appVersion('v3'))));
      assert.equal(second.result.outcome, 'deployed', JSON.stringify(second.result));
      const back = await runWorker(vps, rollbackRequest(vps, { to: 'previous' }));
      assert.equal(back.result.outcome, 'rolled-back', JSON.stringify(back.result));
      assert.equal((await vps.served())?.version, 'v2', 'by the note that the older one wrote');
      const lines = readFileSync(join(state, 'journal.jsonl'), 'utf8').trim().split('\n');
      assert.deepEqual([...new Set(lines.map((line) => JSON.parse(line).format))], [1, 2]);

      delete vps.login.build;
      const before = contents(state);
      const request = deployRequest(vps, origin.commit(appVersion('v4')));
      const { app, run } = request;
      for (const asked of [
        request,
        rollbackRequest(vps, { to: 'previous' }),
        { command: 'inspect', app, run, explicit: false, rehearse: true, dirtyCheckout: 'refuse' } as const,
      ]) {
        const [line] = await ask(vps, asked);
        assert.equal(line?.kind, 'refused', JSON.stringify(line));
        if (line?.kind === 'refused') {
          const said = line.problems.map(({ message, next }) => `${message} ${next}`).join('\n');
          assert.match(said, /Line \d+ of \S+journal\.jsonl was written by a newer version.*"uses:"/);
          assert.match(said, /notes\/\S+\.json was written by a newer version/);
        }
      }
      assert.equal(contents(state), before);
      assert.ok(!existsSync(join(state, 'plan.json')));
      assert.equal((await vps.served())?.version, 'v2');
    }));

  test('row 140: a version that has given up the older format says so, and changes nothing', () =>
    withVps({}, async (vps, origin) => {
      const first = await runWorker(vps, deployRequest(vps, origin.commit(appVersion('v2'))));
      assert.equal(first.result.outcome, 'deployed', JSON.stringify(first.result));
      vps.login.build = laterWorker(vps, 2);
      const before = contents(join(dirname(vps.appPath), '.app.deploy'));
      const [line] = await ask(vps, deployRequest(vps, origin.commit(appVersion('v3'))));
      assert.equal(line?.kind, 'refused', JSON.stringify(line));
      if (line?.kind === 'refused')
        assert.match(line.problems[0]!.message, /by a version of this action that is too old: in format 1/);
      assert.equal(contents(join(dirname(vps.appPath), '.app.deploy')), before);
      assert.equal((await vps.served())?.version, 'v2');
    }));
});

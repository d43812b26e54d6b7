import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { appFiles, appVersion } from '../servers/fixture-app.js';
import { type Origin, startOrigin } from '../servers/origin.js';
import { startVps, type Vps } from '../servers/vps.js';
import { app, deployRequest, inspectHost, refusalsOf, runWorker } from '../servers/worker.js';

/** A server whose checkout knows its newest commit alone; `older` is on the remote only. */
async function withShallowClone(
  work: (vps: Vps, origin: Origin, older: string) => Promise<void>,
): Promise<void> {
  const origin = startOrigin(appFiles('v1'));
  const older = origin.head();
  origin.commit(appVersion('v2'));
  try {
    const vps = await startVps(origin);
    try {
      const { stdout } = await vps.run(
        `git fetch -q --depth=1 'file://${origin.url}' main && git reflog expire --expire=now --all && git gc -q --prune=now && git rev-parse --is-shallow-repository`,
        vps.appPath,
      );
      assert.equal(stdout, 'true\n');
      assert.notEqual((await vps.run(`git cat-file -e ${older}`, vps.appPath)).code, 0);
      await work(vps, origin, older);
    } finally {
      await vps.stop();
    }
  } finally {
    origin.stop();
  }
}

const isShallow = async (vps: Vps): Promise<string> =>
  (await vps.run('git rev-parse --is-shallow-repository', vps.appPath)).stdout.trim();

describe('a shallow clone on the server', () => {
  test('row 117, row 118: an older commit is known for one, by the look and by the deploy', () =>
    withShallowClone(async (vps, origin, older) => {
      assert.equal((await inspectHost(vps, { sha: older })).newerIsLive, true);
      const { result } = await runWorker(vps, deployRequest(vps, older));
      assert.equal(result.outcome, 'newer-is-live', JSON.stringify(result));
      assert.equal((await vps.served())?.version, 'v2');
      const again = await runWorker(vps, deployRequest(vps, older, { run: { id: 'old', attempt: 2 } }));
      assert.match(again.result.problems[0]!.message, /downgrade/);
      for (const strategy of ['auto', 'adopt'] as const) {
        const sha = origin.commit(appVersion(`v3-${strategy}`));
        assert.deepEqual(refusalsOf(await inspectHost(vps, { sha })), []);
        const next = await runWorker(vps, deployRequest(vps, sha, { app: app(vps, { strategy }) }));
        assert.equal(next.result.outcome, 'deployed', JSON.stringify(next.result));
        assert.equal(await isShallow(vps), 'true', 'the clone is left as it is');
        const late = await runWorker(vps, deployRequest(vps, older));
        assert.equal(late.result.outcome, 'newer-is-live', JSON.stringify(late.result));
      }
      const named = await runWorker(vps, deployRequest(vps, older, { explicit: true }));
      assert.equal(named.result.outcome, 'deployed', JSON.stringify(named.result));
    }));

  test('row 118: where nobody can tell which is older, nothing goes live', () =>
    withShallowClone(async (vps, origin, older) => {
      // A commit that only the server has: its remote cannot say what came before it.
      await vps.run('git -c user.name=x -c user.email=x@x commit -q --allow-empty -m local', vps.appPath);
      for (const sha of [older, origin.commit(appVersion('v3'))]) {
        const facts = await inspectHost(vps, { sha });
        assert.match(refusalsOf(facts)[0]!.message, /cannot be told: the server does not have their history/);
        const { result } = await runWorker(vps, deployRequest(vps, sha));
        assert.match(result.problems[0]!.next!, /git fetch --unshallow.*name it with ref/);
      }
      assert.equal((await vps.served())?.version, 'v2');
    }));
});

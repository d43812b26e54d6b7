import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { appVersion } from '../servers/fixture-app.js';
import { NPM_ENTRY, restartsOf } from '../servers/npm-entry.js';
import { withVps } from '../servers/vps.js';
import { deployRequest, inspectHost, refusalsOf, runWorker } from '../servers/worker.js';

/** A start script whose first run on the live port ends with 1, as where the old program still has the port. */
function endsOnce(root: string): Record<string, string> {
  const mark = join(root, 'ended-once');
  const start = `[ -n "$REHEARSAL" ] || [ -e ${mark} ] || { touch ${mark}; exit 1; }; exec node server.js`;
  const scripts = { build: 'node build.js', start };
  return { 'package.json': `${JSON.stringify({ name: 'app', version: '1.0.0', private: true, scripts })}\n` };
}

describe('npm start as the PM2 entry, in cluster mode', { concurrency: 2 }, () => {
  test('row 165: it is restarted once at a deploy, and by a put-back', () =>
    withVps({ mode: 'cluster', entry: NPM_ENTRY }, async (vps, origin) => {
      assert.deepEqual(refusalsOf(await inspectHost(vps)), []);
      const second = origin.commit(appVersion('v2'));
      const { result, steps } = await runWorker(vps, deployRequest(vps, second));
      assert.equal(result.outcome, 'deployed', JSON.stringify({ result, steps }, null, 1));
      assert.equal(result.rehearsed, true);
      assert.equal((await vps.served())?.commit, second);
      assert.deepEqual(await restartsOf(vps), [1, 'online']);

      const sick = origin.commit(appVersion('v3', { healthStatus: 503, onlyLive: true }));
      const back = await runWorker(vps, deployRequest(vps, sick));
      assert.equal(back.result.outcome, 'put-back', JSON.stringify(back, null, 1));
      assert.equal((await vps.served())?.commit, second);
      assert.deepEqual(await restartsOf(vps), [3, 'online']);
    }));

  test('row 165: a start that PM2 repeats after its restart_delay is waited for', () =>
    withVps({ mode: 'cluster', entry: { ...NPM_ENTRY, restart_delay: 1_000 } }, async (vps, origin) => {
      const sha = origin.commit({ ...endsOnce(vps.root), ...appVersion('v2') });
      const { result, steps } = await runWorker(vps, deployRequest(vps, sha));
      assert.equal(result.outcome, 'deployed', JSON.stringify({ result, steps }, null, 1));
      assert.deepEqual(await restartsOf(vps), [2, 'online']);
    }));
});

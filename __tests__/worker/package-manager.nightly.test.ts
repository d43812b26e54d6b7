import assert from 'node:assert/strict';
import { test } from 'node:test';
import { appVersion } from '../servers/fixture-app.js';
import { NPM_ENTRY, restartsOf } from '../servers/npm-entry.js';
import { withVps } from '../servers/vps.js';
import { deployRequest, runWorker } from '../servers/worker.js';

test('row 165: npm start in fork mode; a version that waits for its restart_delay again and again is put back', () =>
  withVps({ mode: 'fork', entry: NPM_ENTRY }, async (vps, origin) => {
    const first = await runWorker(vps, deployRequest(vps, origin.commit(appVersion('v2'))));
    assert.equal(first.result.outcome, 'deployed', JSON.stringify(first, null, 1));
    assert.deepEqual(await restartsOf(vps), [1, 'online']);

    const bad = origin.commit(appVersion('v3', { crashAtBoot: true, onlyLive: true }));
    const back = await runWorker(vps, deployRequest(vps, bad));
    assert.equal(back.result.outcome, 'put-back', JSON.stringify(back, null, 1));
    assert.equal((await vps.served())?.version, 'v2');
    const [restarts, status] = await restartsOf(vps);
    assert.equal(status, 'online');

    const last = await runWorker(vps, deployRequest(vps, origin.commit(appVersion('v4'))));
    assert.equal(last.result.outcome, 'deployed', JSON.stringify(last, null, 1));
    assert.deepEqual(await restartsOf(vps), [restarts + 1, 'online']);
  }));

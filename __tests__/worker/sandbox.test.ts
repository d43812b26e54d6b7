import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { appFiles, appVersion } from '../servers/fixture-app.js';
import { startOrigin } from '../servers/origin.js';
import { startVps } from '../servers/vps.js';

test('the sandbox runs a real application under PM2 and leaves nothing behind', async () => {
  const origin = startOrigin(appFiles('v1'));
  const vps = await startVps(origin, { envLocal: 'GREETING=hello\n' });
  try {
    assert.equal((await vps.served())?.version, 'v1');
    assert.equal((await vps.served())?.greeting, 'hello');
    const load = vps.load(100);
    assert.match(origin.commit(appVersion('v2'), 'Second'), /^[0-9a-f]{40}$/);
    assert.equal((await vps.run(`pm2 reload app`)).code, 0);
    const { requests, failed, failures } = await load.stop();
    assert.ok(requests > 20, String(requests));
    assert.deepEqual([failed, failures], [0, []]);
  } finally {
    await vps.stop();
    origin.stop();
  }
  assert.deepEqual(vps.processes(), []);
  assert.ok(!existsSync(vps.root) && !existsSync(origin.url));
});

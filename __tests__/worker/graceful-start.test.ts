import assert from 'node:assert/strict';
import { test } from 'node:test';
import { appFiles, appVersion } from '../servers/fixture-app.js';
import { withVps } from '../servers/vps.js';
import { deployRequest, runWorker } from '../servers/worker.js';

const files = appFiles('v1');
const SAYS_READY = `${files['server.js']}\nserver.on('listening', () => process.send('ready'));\n`;

test('row 168: a program that tells PM2 that it is ready is rehearsed, and its min_uptime is waited for', () =>
  withVps(
    { entry: { wait_ready: true, listen_timeout: 10_000, min_uptime: '5s' } },
    async (vps, origin) => {
      const load = vps.load(20);
      const { result, events, steps } = await runWorker(
        vps,
        deployRequest(vps, origin.commit(appVersion('v2'))),
      );
      const { failed, failures } = await load.stop();
      assert.equal(result.outcome, 'deployed', JSON.stringify({ result, steps }, null, 1));
      assert.equal(result.rehearsed, true);
      assert.match(JSON.stringify(events), /calls a start stable \(min_uptime\)/);
      assert.deepEqual([failed, failures], [0, []]);
    },
    { ...files, 'server.js': SAYS_READY },
  ));

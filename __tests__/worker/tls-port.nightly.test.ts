import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeCertificate } from '../servers/certificate.js';
import { appFiles, appVersion } from '../servers/fixture-app.js';
import { withVps } from '../servers/vps.js';
import { deployRequest, HEALTH, runWorker } from '../servers/worker.js';

test('row 164: a version that speaks TLS on its own port does not pass its rehearsal, and is told why', () =>
  withVps({}, async (vps, origin) => {
    const plain = appFiles('v2')['server.js']!;
    const certificate = JSON.stringify(makeCertificate());
    const tls = plain
      .replace('createServer(', `createServer(${certificate}, `)
      .replace('node:http', 'node:https');
    assert.match(tls, /node:https/);
    const sha = origin.commit({ ...appVersion('v2'), 'server.js': tls });
    const load = vps.load(20);
    const health = { ...HEALTH, deadline: 2_500 };
    const { result } = await runWorker(vps, deployRequest(vps, sha, { health }));
    const { failed, failures } = await load.stop();
    assert.equal(result.outcome, 'failed', JSON.stringify(result));
    assert.match(result.problems[0]!.next!, /It speaks TLS on its own port.*leave TLS to the web server/);
    assert.deepEqual([failed, failures, (await vps.served())?.version], [0, [], 'v1']);
  }));

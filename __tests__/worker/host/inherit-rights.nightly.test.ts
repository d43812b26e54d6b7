import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { appVersion } from '../../servers/fixture-app.js';
import { withVps } from '../../servers/vps.js';
import { deployRequest, rollbackRequest, runWorker } from '../../servers/worker.js';

test('row 169: whom a default access list lets read the live build, he reads the next one, and the one that comes back', () =>
  withVps({}, async (vps, origin) => {
    const dist = join(vps.appPath, 'dist');
    const named = async (path: string): Promise<string[]> => {
      const { stdout } = await vps.run(`getfacl -cpn '${path}'`);
      return stdout.split('\n').filter((line) => line.includes(':65534:'));
    };
    const given = await vps.run(
      `setfacl -R -m u:65534:rX '${dist}' && find '${dist}' -type d -exec setfacl -m d:u:65534:rX {} +`,
    );
    assert.equal(given.code, 0, given.stderr);
    const load = vps.load(20);
    const request = deployRequest(vps, origin.commit(appVersion('v2')));
    const { result } = await runWorker(vps, request);
    assert.equal(result.outcome, 'deployed', JSON.stringify(result.problems));
    assert.deepEqual(await named(join(dist, 'static/app-v2.js')), ['user:65534:r--']);
    assert.deepEqual(await named(join(dist, 'static')), ['user:65534:r-x', 'default:user:65534:r-x']);
    const back = await runWorker(vps, rollbackRequest(vps, { undoRun: request.run.id }));
    assert.equal(back.result.outcome, 'rolled-back', JSON.stringify(back.result.problems));
    assert.deepEqual(await named(join(dist, 'static/app-v1.js')), ['user:65534:r--']);
    const { failed, failures } = await load.stop();
    assert.deepEqual([failed, failures], [0, []]);
  }));

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { appVersion } from '../../servers/fixture-app.js';
import { withVps } from '../../servers/vps.js';
import { deployRequest, type Followed, runWorker } from '../../servers/worker.js';

/** A build that keeps a cache as bundlers do, and says whether it found one. */
const SCRIPTS = {
  build:
    'mkdir -p node_modules/.cache && cat node_modules/.cache/seen; echo "$DEPLOY_SHA" > node_modules/.cache/seen; node build.js',
  start: 'node server.js',
};
const PACKAGE = {
  'package.json': `${JSON.stringify({ name: 'app', version: '1.0.0', scripts: SCRIPTS })}\n`,
};

const outputOf = ({ events }: Followed): string =>
  events.flatMap((event) => (event.kind === 'output' ? [event.text] : [])).join('');
const told = ({ events }: Followed): string =>
  events.flatMap((event) => (event.kind === 'progress' ? [event.text] : [])).join('\n');

describe('warm builds on a server', () => {
  test('row 173: the second build is warm, a failed one between changes nothing, the next is cold and no release keeps a cache', () =>
    withVps({}, async (vps, origin) => {
      const first = origin.commit({ ...PACKAGE, ...appVersion('v2') });
      const cold = await runWorker(vps, deployRequest(vps, first));
      assert.equal(cold.result.outcome, 'deployed', JSON.stringify(cold.result));
      assert.equal(existsSync(join(vps.appPath, 'node_modules/.cache')), false);

      const second = origin.commit(appVersion('v3'));
      const warm = await runWorker(vps, deployRequest(vps, second));
      assert.equal(warm.result.outcome, 'deployed', JSON.stringify(warm.result));
      assert.match(told(warm), /^warm: node_modules\/\.cache \d+ bytes$/m);
      assert.match(outputOf(warm), new RegExp(first));

      const failed = await runWorker(
        vps,
        deployRequest(vps, origin.commit(appVersion('v4', { build: 'fails' }))),
      );
      assert.equal(failed.result.outcome, 'failed');
      assert.equal((await vps.served())?.commit, second);

      const cured = origin.commit(appVersion('v5'));
      const after = await runWorker(vps, deployRequest(vps, cured));
      assert.equal(after.result.outcome, 'deployed', JSON.stringify(after.result));
      assert.match(told(after), /^cold: the last warm build failed$/m);
      assert.doesNotMatch(outputOf(after), new RegExp(second));
      assert.equal((await vps.served())?.commit, cured);
    }));
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { appFiles, appVersion } from '../servers/fixture-app.js';
import { withVps } from '../servers/vps.js';
import { deployRequest, HEALTH, inspectHost, runWorker } from '../servers/worker.js';

test('row 164: a deploy repairs what is down, and one that nothing could prove is refused', () =>
  withVps(
    {},
    async (vps, origin) => {
      const unrehearsed = { rehearse: false, health: HEALTH };
      const facts = await inspectHost(vps, unrehearsed);
      assert.match(facts.notRehearsedWhy ?? '', /live is down: .*503/);
      assert.deepEqual(facts.deployRefusals, []);

      const crashes = origin.commit(appVersion('v2', { crashAtBoot: true }));
      const back = await runWorker(vps, deployRequest(vps, crashes, unrehearsed));
      assert.equal(back.result.outcome, 'put-back', JSON.stringify(back, null, 1));
      assert.equal((await vps.served())?.version, 'v1');

      const good = origin.commit(appVersion('v3'));
      const cured = await runWorker(vps, deployRequest(vps, good, unrehearsed));
      assert.equal(cured.result.outcome, 'deployed', JSON.stringify(cured, null, 1));
      const before = await vps.served();

      const deaf = { rehearse: false, health: { ...HEALTH, paths: ['/', '/api/nothing'] } };
      const [planned] = (await inspectHost(vps, deaf)).deployRefusals;
      assert.match(planned?.message ?? '', /Nothing could prove the new version.*\/api\/nothing answers 404/);
      const next = origin.commit(appVersion('v4'));
      const refused = await runWorker(vps, deployRequest(vps, next, deaf));
      assert.equal(refused.result.outcome, 'failed', JSON.stringify(refused, null, 1));
      assert.match(refused.result.problems[0]!.message, /Nothing could prove the new version/);
      assert.deepEqual(await vps.served(), before);
    },
    appFiles('v1', { healthStatus: 503 }),
  ));

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { entriesOn } from '../servers/ecosystem.js';
import { appFiles, appVersion } from '../servers/fixture-app.js';
import { withVps } from '../servers/vps.js';
import {
  app,
  ask,
  deployRequest,
  HEALTH,
  inspectHost,
  refusalsOf,
  rollbackRequest,
  runWorker,
} from '../servers/worker.js';

/** A queue worker: it listens on nothing. */
const WORKER = `if (require('node:fs').existsSync(__dirname + '/worker-ends')) process.exit(1);
setInterval(() => {}, 1000);
`;

test('row 168: a program without a port beside the web application, and alone', () =>
  withVps(
    {},
    async (vps, origin) => {
      await vps.run('pm2 start worker.js --name jobs && pm2 save', vps.appPath);
      const jobs = async (): Promise<{ pid: number; status: string }> => {
        const found = (await entriesOn(vps)).find(({ name }) => name === 'jobs');
        return { pid: Number(found?.pid), status: String(found?.pm2_env.status) };
      };
      const [warned] = (await inspectHost(vps)).warnings.filter(({ message }) => /jobs/.test(message));
      assert.match(warned?.message ?? '', /PM2 runs jobs in .* too, and app-name does not name it/);
      const both = app(vps, { others: ['jobs'] });
      const planned = await inspectHost(vps, { app: both });
      assert.deepEqual([refusalsOf(planned), JSON.stringify(planned.warnings).includes('jobs')], [[], false]);

      const first = await jobs();
      const load = vps.load(20);
      const deployed = await runWorker(
        vps,
        deployRequest(vps, origin.commit(appVersion('v2')), { app: both }),
      );
      assert.equal(deployed.result.outcome, 'deployed', JSON.stringify(deployed, null, 1));
      assert.ok(deployed.steps.includes('passed jobs'), deployed.steps.join());
      const second = await jobs();
      assert.notEqual(second.pid, first.pid);
      const { failed, failures } = await load.stop();
      assert.deepEqual([failed, failures], [0, []]);

      const bad = origin.commit({ ...appVersion('v3'), 'worker-ends': '' });
      const back = await runWorker(vps, deployRequest(vps, bad, { app: both }));
      assert.equal(back.result.outcome, 'put-back', JSON.stringify(back, null, 1));
      assert.match(back.result.problems[0]!.message, /does not stay up/);
      assert.deepEqual([(await vps.served())?.version, (await jobs()).status], ['v2', 'online']);

      const alone = app(vps, { appName: 'jobs', portless: 'named' });
      const looked = await inspectHost(vps, { app: alone, health: HEALTH });
      assert.deepEqual([refusalsOf(looked), looked.portless, looked.port], [[], true, undefined]);
      assert.match(looked.notRehearsedWhy ?? '', /it has no port/);
      const next = origin.commit({ ...appVersion('v4'), 'worker-ends': null });
      const last = await runWorker(vps, deployRequest(vps, next, { app: alone }));
      assert.equal(last.result.outcome, 'deployed', JSON.stringify(last, null, 1));
      assert.equal(last.result.rehearsed, false);
      const [probed] = await ask(vps, { command: 'probe', app: alone, health: HEALTH, counted: false });
      assert.deepEqual(probed?.kind === 'probed' && [probed.healthy, probed.health[0]?.name], [true, 'pm2']);
      const rolled = await runWorker(vps, rollbackRequest(vps, { app: alone, to: 'previous' }));
      assert.equal(rolled.result.outcome, 'rolled-back', JSON.stringify(rolled, null, 1));
      assert.equal((await jobs()).status, 'online');

      const web = await inspectHost(vps, { app: app(vps, { portless: 'health-from' }) });
      assert.match(web.refusals[0]?.message ?? '', /"app" listens on port \d+, and health-from: none/);
    },
    { ...appFiles('v1'), 'worker.js': WORKER },
  ));

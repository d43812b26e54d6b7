import assert from 'node:assert/strict';
import { chmodSync, existsSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { processEnvironment } from '../../src/worker/host/processes.js';
import { ecosystem, entryOn } from '../servers/ecosystem.js';
import { appVersion } from '../servers/fixture-app.js';
import { withVps } from '../servers/vps.js';
import {
  app,
  deployRequest,
  inspectHost,
  refusalsOf,
  rollbackRequest,
  runWorker,
  startWorker,
} from '../servers/worker.js';

/** Where the worker is killed: before PM2 does this, or after it. */
const POINTS = ['before delete', 'before start', 'after start'] as const;

/** A program `pm2` that ends who calls it at a point, once. */
function killsAt(point: (typeof POINTS)[number], real: string, mark: string): string {
  const [when, verb] = point.split(' ');
  const once = `if [ "$1" = ${verb} ] && [ ! -e '${mark}' ]; then touch '${mark}'; kill -9 $PPID; fi`;
  return when === 'before'
    ? `#!/bin/sh\n${once.replace('kill -9 $PPID;', 'kill -9 $PPID; exit 1;')}\nexec node '${real}' "$@"\n`
    : `#!/bin/sh\nnode '${real}' "$@" || exit $?\n${once}\n`;
}

describe('an entry that changes, and a worker that is killed meanwhile', () => {
  for (const point of POINTS)
    test(`row 166: killed ${point}: the next run brings the whole old entry back`, () =>
      withVps({ mode: 'fork' }, async (vps, origin) => {
        const file = ecosystem(vps);
        await vps.run(
          `pm2 delete app; DATABASE_URL=from-a-shell pm2 start ${vps.home}/ecosystem.config.json`,
        );
        await vps.run('pm2 save');
        const sha = origin.commit({
          ...appVersion('v2'),
          'ecosystem.config.js': file({ exec_mode: 'cluster' }),
        });
        const program = join(vps.root, 'bin/pm2');
        const real = realpathSync(program);
        const mark = join(vps.root, 'killed');
        rmSync(program);
        writeFileSync(program, killsAt(point, real, mark));
        chmodSync(program, 0o755);
        const request = deployRequest(vps, sha, { app: app(vps, { ecosystem: 'follow' }) });
        const worker = startWorker(vps, request);
        await new Promise((done) => worker.once('exit', done));
        assert.ok(existsSync(mark), 'it was killed there');

        const next = await runWorker(vps, rollbackRequest(vps, { undoRun: 'nobody' }));
        assert.equal(next.result.outcome, 'unchanged', JSON.stringify(next, null, 1));
        assert.ok(next.steps.includes('passed repair'), next.steps.join());
        const entry = await entryOn(vps);
        assert.deepEqual([entry.exec_mode, entry.status], ['fork_mode', 'online']);
        const served = (await vps.served())!;
        assert.equal(served.version, 'v1');
        assert.equal(processEnvironment(served.pid)?.DATABASE_URL, 'from-a-shell');

        const again = await runWorker(
          vps,
          deployRequest(vps, sha, { app: app(vps, { ecosystem: 'follow' }) }),
        );
        assert.equal(again.result.outcome, 'deployed', JSON.stringify(again, null, 1));
        assert.equal((await entryOn(vps)).exec_mode, 'cluster_mode');
      }));

  test('row 166: among releases the entry follows too; what was changed by hand is told by the plan', () =>
    withVps({ mode: 'fork' }, async (vps, origin) => {
      const file = ecosystem(vps);
      const brought = origin.commit({ ...appVersion('v2'), 'ecosystem.config.cjs': file({}) });
      const adopted = await runWorker(
        vps,
        deployRequest(vps, brought, { app: app(vps, { strategy: 'adopt' }) }),
      );
      assert.equal(adopted.result.outcome, 'deployed', JSON.stringify(adopted, null, 1));
      const cluster = origin.commit({
        ...appVersion('v3'),
        'ecosystem.config.cjs': file({ exec_mode: 'cluster', max_memory_restart: '300M' }),
      });
      const followed = await runWorker(vps, deployRequest(vps, cluster));
      assert.equal(followed.result.outcome, 'deployed', JSON.stringify(followed, null, 1));
      assert.equal((await entryOn(vps)).exec_mode, 'cluster_mode');
      assert.deepEqual(JSON.stringify((await inspectHost(vps)).warnings).includes('ecosystem'), false);

      const load = vps.load(30);
      const limits = file({ exec_mode: 'cluster', max_memory_restart: '400M' });
      const more = await runWorker(
        vps,
        deployRequest(vps, origin.commit({ ...appVersion('v4'), 'ecosystem.config.cjs': limits })),
      );
      assert.equal(more.result.outcome, 'deployed', JSON.stringify(more, null, 1));
      assert.equal((await entryOn(vps)).max_memory_restart, 419_430_400);
      const undone = await runWorker(vps, rollbackRequest(vps, { to: 'previous' }));
      assert.equal(undone.result.outcome, 'rolled-back', JSON.stringify(undone, null, 1));
      const { failed, failures } = await load.stop();
      assert.deepEqual([failed, failures, (await vps.served())?.version], [0, [], 'v3']);

      const back = await runWorker(vps, rollbackRequest(vps, { to: 'previous' }));
      assert.equal(back.result.outcome, 'rolled-back', JSON.stringify(back, null, 1));
      assert.deepEqual([(await vps.served())?.version, (await entryOn(vps)).exec_mode], ['v2', 'fork_mode']);

      await vps.run(
        'pm2 delete app; pm2 start server.js --name app --min-uptime 2000 --kill-timeout 9000',
        vps.appPath,
      );
      const byHand = await inspectHost(vps, { app: app(vps, { healthPort: vps.port }) });
      assert.deepEqual(refusalsOf(byHand), []);
      assert.match(
        JSON.stringify(byHand.warnings),
        /not what ecosystem\.config\.cjs of the live commit says \(.*kill_timeout/,
      );
    }));
});

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { entryOn } from '../servers/ecosystem.js';
import { appFiles, appVersion } from '../servers/fixture-app.js';
import { type Origin, startOrigin } from '../servers/origin.js';
import { startVps, type Vps } from '../servers/vps.js';
import { deployRequest, HEALTH, rollbackRequest, runWorker } from '../servers/worker.js';

/** Milliseconds before the application listens: longer than PM2 waits for it at a reload (3 s). */
const BOOT = 5_000;

describe('an application that boots slowly, in cluster mode', () => {
  let origin: Origin;
  let vps: Vps;
  const health = { ...HEALTH, deadline: 60_000 };
  before(async () => {
    origin = startOrigin(appFiles('v1'));
    vps = await startVps(origin);
  });
  after(async () => {
    await vps?.stop();
    origin?.stop();
  });

  /** What PM2 has stored of the entry, without what changes by itself at each start. */
  const stored = async (): Promise<Record<string, unknown>> => {
    const { listen_timeout, kill_timeout, args, pm_cwd, pm_exec_path, exec_mode, env } = await entryOn(vps);
    const { unique_id: _, ...rest } = env as Record<string, unknown>;
    return { listen_timeout, kill_timeout, args, pm_cwd, pm_exec_path, exec_mode, env: rest };
  };

  test('PM2 is told to wait for it, so that the old instance serves until the new one listens', async () => {
    const before = await stored();
    assert.equal(before.listen_timeout, undefined);
    const load = vps.load(50);
    const { result, events } = await runWorker(
      vps,
      deployRequest(vps, origin.commit(appVersion('v2', { bootDelay: BOOT })), { health }),
    );
    const seen = await load.stop();
    assert.equal(result.outcome, 'deployed', JSON.stringify(result));
    assert.deepEqual(seen.failures, []);
    assert.deepEqual(seen.versions, ['v1', 'v2']);
    assert.equal(result.downtimeMs, 0);
    const told = events.flatMap((event) => (event.kind === 'progress' ? [event.text] : []));
    assert.match(told.join('\n'), /took 5\.\d s until it listened: PM2 waits up to 2\d s for it/);
    const { listen_timeout: timeout, ...now } = await stored();
    const { listen_timeout: _, ...was } = before;
    assert.ok(Number(timeout) >= 4 * BOOT && Number(timeout) <= 60_000, String(timeout));
    assert.deepEqual(now, was, 'nothing else that PM2 has stored was changed');
  });

  test('a rollback, and the way forward again without a rehearsal, have no gap either', async () => {
    const load = vps.load(50);
    const back = await runWorker(vps, rollbackRequest(vps, { to: 'previous', health }));
    assert.equal(back.result.outcome, 'rolled-back', JSON.stringify(back.result));
    const forth = await runWorker(vps, rollbackRequest(vps, { to: origin.head(), health }));
    assert.equal(forth.result.outcome, 'rolled-back', JSON.stringify(forth.result));
    const seen = await load.stop();
    assert.deepEqual(seen.failures, []);
    assert.equal((await vps.served())?.version, 'v2');
  });
});

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import type { DeployRequest } from '../../src/worker/protocol.js';
import { appFiles, appVersion } from '../servers/fixture-app.js';
import { type Origin, startOrigin } from '../servers/origin.js';
import { startVps, type Vps } from '../servers/vps.js';
import { deployRequest, followRun, runWorker, startWorker } from '../servers/worker.js';

/** Milliseconds: the lease of a real deploy, and by when a worker has ended that waited for it. */
const LEASE = 240_000;
const LATEST = LEASE + 60_000;

/** The time that a server really waits for its action: four minutes. */
describe('a worker whose action is gone', { timeout: 2 * LATEST }, () => {
  let origin: Origin;
  let vps: Vps;
  before(async () => {
    origin = startOrigin(appFiles('v1'));
    vps = await startVps(origin);
  });
  after(async () => {
    await vps?.stop();
    origin?.stop();
  });

  /** Milliseconds that a run took by itself. */
  async function alone(request: DeployRequest): Promise<number> {
    const started = performance.now();
    const worker = startWorker(vps, request);
    await once(worker, 'exit');
    return performance.now() - started;
  }

  test('row 143: built, it drops its stage after the lease, and the lock is free', async () => {
    const sha = origin.commit(appVersion('v2'));
    const request = deployRequest(vps, sha, { cutover: 'step-by-step', goLease: LEASE });
    const took = await alone(request);
    assert.ok(took > LEASE && took < LATEST, `${took} ms`);
    const { result } = await followRun(vps, request);
    assert.equal(result.outcome, 'failed');
    assert.match(
      result.problems[0]!.message,
      /Everything is built, but the action has not been heard of for 4 min/,
    );
    assert.equal((await vps.served())?.version, 'v1');
    const next = await runWorker(
      vps,
      deployRequest(vps, origin.commit(appVersion('v3')), { lockWait: 1_000 }),
    );
    assert.equal(next.result.outcome, 'deployed');
  });

  test('row 143: rehearsed and alone, it goes forward after the lease', async () => {
    const sha = origin.commit(appVersion('v4'));
    const request = deployRequest(vps, sha, { cutover: 'on-go', goLease: LEASE, goesAlone: true });
    const took = await alone(request);
    assert.ok(took > LEASE && took < LATEST, `${took} ms`);
    assert.equal((await followRun(vps, request)).result.outcome, 'deployed');
    assert.equal((await vps.served())?.version, 'v4');
  });
});

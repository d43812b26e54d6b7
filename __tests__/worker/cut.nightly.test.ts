import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, watch } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { DeployRequest, RollbackRequest } from '../../src/worker/protocol.js';
import { appFiles, appVersion } from '../servers/fixture-app.js';
import { type Origin, startOrigin } from '../servers/origin.js';
import { kill } from '../servers/pm2.js';
import { until } from '../servers/until.js';
import { startVps, type Vps } from '../servers/vps.js';
import { deployRequest, type Followed, rollbackRequest, runWorker, startWorker } from '../servers/worker.js';

/** So many files change place that a kill after the first is a kill before the last. */
const MANY = 1_500;
/** They were made by hand first, so it has to be said that a build makes them. */
const NAMED = { buildOutput: ['dist', ...Array.from({ length: MANY }, (_, n) => `made-${n}.txt`)] };

describe('a run that is cut anywhere is repaired by the next one', () => {
  let origin: Origin;
  let vps: Vps;
  let state: string;
  before(async () => {
    origin = startOrigin({ ...appFiles('v1', { outputs: MANY }) });
    vps = await startVps(origin);
    state = join(vps.root, 'var/www/.app.deploy');
  });
  after(async () => {
    await vps?.stop();
    origin?.stop();
  });

  const madeBy = (): string[] => [
    ...new Set(
      readdirSync(vps.appPath)
        .filter((name) => name.startsWith('made-'))
        .map((name) => readFileSync(join(vps.appPath, name), 'utf8')),
    ),
  ];

  /** Starts a run and kills the worker as soon as the first file of the checkout changes place. */
  async function killInSwap(request: DeployRequest | RollbackRequest): Promise<void> {
    const worker = startWorker(vps, request);
    const watcher = watch(vps.appPath, (_, name) => {
      if (name?.startsWith('made-')) kill(worker.pid!);
    });
    await new Promise((done) => worker.once('exit', done));
    watcher.close();
    assert.ok(existsSync(join(state, 'plan.json')), 'the plan is left');
    const count = readdirSync(vps.appPath).filter((name) => name.startsWith('made-')).length;
    assert.ok(count < MANY || madeBy().length > 1, `killed between two renames: ${count} files, ${madeBy()}`);
  }

  const said = ({ events }: Followed): string => JSON.stringify(events);

  test('row 103: a worker killed -9 between the renames of a deploy', async () => {
    const load = vps.load(50);
    await killInSwap(deployRequest(vps, origin.commit(appVersion('v2', { outputs: MANY })), NAMED));
    assert.equal((await vps.served())?.version, 'v1');
    const v3 = origin.commit(appVersion('v3', { outputs: MANY }));
    const next = await runWorker(vps, deployRequest(vps, v3, NAMED));
    assert.equal(next.result.outcome, 'deployed', JSON.stringify(next.result));
    assert.deepEqual(next.steps.slice(0, 1), ['passed repair']);
    assert.match(said(next), /was cut in the middle of its cutover; it was undone/);
    assert.deepEqual(madeBy(), ['v3']);
    assert.equal((await vps.served())?.version, 'v3');
    const { failed, failures } = await load.stop();
    assert.deepEqual([failed, failures], [0, []]);
  });

  test('row 103: a worker killed -9 between the renames of a rollback', async () => {
    await killInSwap(rollbackRequest(vps, { to: 'previous' }));
    const next = await runWorker(vps, rollbackRequest(vps, { undoRun: 'nobody' }));
    assert.equal(next.result.outcome, 'unchanged', JSON.stringify(next.result));
    assert.match(said(next), /was cut in the middle of its rollback; it was finished/);
    assert.equal((await vps.served())?.version, 'v1');
    assert.deepEqual(madeBy(), ['v1']);
    assert.equal((await vps.run('git status --porcelain', vps.appPath)).stdout, '');
  });

  for (const mark of ['"name":"fetch"', 'building v', '"name":"build"', '"cutting-over"', '"verifying"'])
    test(`row 103: a worker killed -9 after ${mark}`, async () => {
      const load = vps.load(50);
      const before = (await vps.served())!.version;
      const version = `v${Date.now()}`;
      const request = deployRequest(vps, origin.commit(appVersion(version)));
      const events = join(state, 'runs', `${request.run.id}.1.deploy/events.jsonl`);
      const worker = startWorker(vps, request);
      await until(mark, () => existsSync(events) && readFileSync(events, 'utf8').includes(mark));
      kill(worker.pid!);
      const now = await until('an answer', () => vps.served());
      assert.ok([before, version].includes(now.version), now.version);
      const last = `${version}-next`;
      const next = await runWorker(vps, deployRequest(vps, origin.commit(appVersion(last))));
      assert.equal(next.result.outcome, 'deployed', JSON.stringify(next.result));
      assert.equal((await vps.served())?.version, last);
      const { failed, failures } = await load.stop();
      assert.deepEqual([failed, failures], [0, []]);
      assert.ok(!existsSync(join(state, 'plan.json')));
    });

  test("row 103: the VPS's PM2 daemon killed while a deploy is prepared: what PM2 saved is brought back", async () => {
    const request = deployRequest(vps, origin.commit(appVersion('after-pm2')), { cutover: 'on-go' });
    startWorker(vps, request);
    const run = join(state, 'runs', `${request.run.id}.1.deploy`);
    await until(
      'rehearsed',
      () =>
        existsSync(join(run, 'events.jsonl')) &&
        readFileSync(join(run, 'events.jsonl'), 'utf8').includes('"rehearsed"'),
    );
    kill(Number(readFileSync(join(vps.home, '.pm2/pm2.pid'), 'utf8')));
    await vps.run(`touch '${run}/go'`);
    const { result } = await runWorker(vps, request);
    assert.equal(result.outcome, 'deployed', JSON.stringify(result));
    assert.equal((await vps.served())?.version, 'after-pm2');
  });
});

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import {
  buildId,
  chunksOf,
  installNext,
  nextFiles,
  nextVersion,
  silentlyBroken,
  visitors,
} from '../servers/next-app.js';
import { type Origin, startOrigin } from '../servers/origin.js';
import { ask, startVps, type Vps } from '../servers/vps.js';
import {
  deployRequest,
  HEALTH,
  inspectHost,
  refusalsOf,
  rollbackRequest,
  runWorker,
} from '../servers/worker.js';

/** About 8 requests each: a page, its chunks and the health route. */
const VISITORS_A_SECOND = 7;
const PAGES = ['/', '/counter'];
/** A build shares the machine with the visitors and with other tests. */
const PATIENT = {
  health: { ...HEALTH, paths: ['/', '/counter', '/api/health'], timeout: 15_000, deadline: 60_000 },
  timeout: 480_000,
};

/** One application that changes from test to test: each goes on where the one before ended. */
describe('Next.js in a checkout that PM2 runs in cluster mode, with visitors', () => {
  let origin: Origin;
  let vps: Vps;
  let load: ReturnType<typeof visitors> | undefined;
  let first: string;
  let second: string;
  let deployed: string;
  let buildOfFirst: string;
  let buildOfSecond: string;
  let chunksOfFirst: string[];
  let chunksOfSecond: string[];

  before(async () => {
    origin = startOrigin(nextFiles('v1'));
    vps = await startVps(origin, { installed: false });
    first = await installNext(vps, origin);
  });
  after(async () => {
    await load?.stop();
    await vps?.stop();
    origin?.stop();
  });

  const chunks = async (): Promise<string[]> => {
    const pages = await Promise.all(PAGES.map((page) => chunksOf(vps, page)));
    return [...new Set(pages.flat())];
  };

  /** Everybody who came during `work` got everything; resolves to how many requests that were. */
  async function withoutAFailure(versions: string[], work: () => Promise<string>): Promise<void> {
    load = visitors(vps, VISITORS_A_SECOND);
    const started = performance.now();
    const said = await work();
    const seconds = (performance.now() - started) / 1_000;
    const { requests, failed, failures, versions: seen } = await load.stop();
    load = undefined;
    assert.deepEqual([failed, failures], [0, []], `of ${requests}`);
    assert.deepEqual(seen, versions);
    assert.ok(requests > 0);
    console.log(`      ${said}; ${requests} requests in ${seconds.toFixed(1)} s, ${failed} failed`);
  }

  test('is looked at without being changed', async () => {
    const facts = await inspectHost(vps, { sha: first });
    assert.deepEqual([refusalsOf(facts), facts.warnings], [[], []]);
    assert.deepEqual([facts.liveSha, facts.strategy, facts.port], [first, 'in-place', vps.port]);
  });

  test('is deployed: rehearsed, a new build, the chunks of the old pages still there', async () => {
    buildOfFirst = buildId(vps);
    chunksOfFirst = await chunks();
    second = origin.commit(nextVersion('v2'));
    await withoutAFailure(['v1', 'v2'], async () => {
      const request = deployRequest(vps, second, PATIENT);
      deployed = request.run.id;
      const { result, steps } = await runWorker(vps, request);
      assert.equal(result.outcome, 'deployed', JSON.stringify({ result, steps }, null, 1));
      assert.deepEqual([result.previousSha, result.deployedSha, result.rehearsed], [first, second, true]);
      assert.ok(
        result.health?.some(({ name, ok }) => name === 'assets' && ok),
        JSON.stringify(result.health),
      );
      return `deploy: down ${result.downtimeMs} ms`;
    });
    const served = await vps.served();
    assert.deepEqual([served?.version, served?.commit], ['v2', second]);
    buildOfSecond = buildId(vps);
    assert.notEqual(buildOfSecond, buildOfFirst);
    chunksOfSecond = await chunks();
    const gone = chunksOfFirst.filter((path) => !chunksOfSecond.includes(path));
    assert.ok(gone.length > 0, 'the new version has chunks of its own');
    for (const path of [...gone, ...chunksOfSecond])
      assert.equal((await ask(vps.port, path)).status, 200, path);
  });

  test('keeps serving the old version when a build ends with 0 and made nothing to start', async () => {
    const third = origin.commit(silentlyBroken('v3'));
    await withoutAFailure(['v2'], async () => {
      const { result, steps } = await runWorker(vps, deployRequest(vps, third, PATIENT));
      assert.equal(result.outcome, 'failed', JSON.stringify({ result, steps }, null, 1));
      assert.equal(result.problems[0]?.message, 'The build ended with 0, but .next/BUILD_ID was not made.');
      assert.deepEqual(steps.slice(-1), ['failed build']);
      return 'broken build: refused';
    });
    assert.equal((await vps.served())?.commit, second);
    assert.equal(buildId(vps), buildOfSecond);
  });

  test('is rolled back without a build', async () => {
    await withoutAFailure(['v2', 'v1'], async () => {
      const { result, steps } = await runWorker(vps, rollbackRequest(vps, { ...PATIENT, undoRun: deployed }));
      assert.equal(result.outcome, 'rolled-back', JSON.stringify({ result, steps }, null, 1));
      assert.deepEqual(steps, ['passed put back', 'passed verification']);
      return `rollback: ${result.rollbackMs} ms, down ${result.downtimeMs} ms`;
    });
    assert.equal((await vps.served())?.version, 'v1');
    assert.equal(buildId(vps), buildOfFirst);
    assert.equal(readFileSync(join(vps.appPath, 'REVISION'), 'utf8').trim(), first);
    assert.deepEqual(await chunks(), chunksOfFirst);
    for (const path of [...chunksOfFirst, ...chunksOfSecond])
      assert.equal((await ask(vps.port, path)).status, 200, path);
  });
});

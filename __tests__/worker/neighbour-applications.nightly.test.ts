import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { appVersion } from '../servers/fixture-app.js';
import { freePort } from '../servers/free-port.js';
import { until } from '../servers/until.js';
import { ask as get, type Vps, withVps } from '../servers/vps.js';
import { app, deployRequest, inspectHost, rollbackRequest, runWorker } from '../servers/worker.js';

/** A second application of PM2 in the same checkout; resolves to what it answers with. */
async function startApi(vps: Vps): Promise<() => Promise<string | undefined>> {
  const port = await freePort();
  const version = async (): Promise<string | undefined> => {
    const answer = await get(port, '/api/health').catch(() => undefined);
    return answer && (JSON.parse(answer.body) as { version: string }).version;
  };
  await vps.run(`PORT=${port} pm2 start server.js --name api -i 1 --kill-timeout 10000`, vps.appPath);
  await until('the second application', version);
  return version;
}

describe('a commit that is live already', () => {
  test('is deployed for the second application of a checkout too, forth and back', () =>
    withVps({}, async (vps, origin) => {
      const apiVersion = await startApi(vps);
      const api = app(vps, { appName: 'api' });
      assert.match(
        (await inspectHost(vps)).warnings.map(({ message }) => message).join(),
        /PM2 runs api in .*\/app too\. Only app is restarted/,
      );
      const serve = async (): Promise<unknown> => [(await vps.served())?.version, await apiVersion()];
      const deployed = async (sha: string, more: { app?: typeof api } = {}): Promise<string> =>
        (await runWorker(vps, deployRequest(vps, sha, more))).result.outcome;
      const sha = origin.commit(appVersion('v2'));
      assert.equal(await deployed(sha), 'deployed');
      assert.deepEqual(await serve(), ['v2', 'v1']);
      assert.equal(await deployed(sha, { app: api }), 'deployed');
      assert.deepEqual(await serve(), ['v2', 'v2']);
      assert.equal(await deployed(sha), 'unchanged');
      assert.equal(await deployed(sha, { app: api }), 'unchanged');
      for (const [which, served] of [
        [{}, ['v1', 'v2']],
        [{ app: api }, ['v1', 'v1']],
      ] as const) {
        const { result } = await runWorker(
          vps,
          rollbackRequest(vps, { to: origin.git('rev-parse', 'HEAD~1'), ...which }),
        );
        assert.equal(result.outcome, 'rolled-back', JSON.stringify(result));
        assert.deepEqual(await serve(), served);
      }
    }));

  test('is built again where the environment files of the host have changed, or where a person names it', () =>
    withVps({ envLocal: 'GREETING=one\n' }, async (vps, origin) => {
      const sha = origin.commit(appVersion('v2'));
      const outcome = async (more: Parameters<typeof deployRequest>[2] = {}): Promise<string> =>
        (await runWorker(vps, deployRequest(vps, sha, more))).result.outcome;
      const greeting = async (): Promise<string | undefined> => (await vps.served())?.greeting;
      assert.deepEqual(
        [await outcome(), await outcome(), await greeting()],
        ['deployed', 'unchanged', 'one'],
      );
      writeFileSync(join(vps.appPath, '.env.local'), 'GREETING=two\n');
      assert.deepEqual(
        [await outcome(), await outcome(), await greeting()],
        ['deployed', 'unchanged', 'two'],
      );
      const more = { app: app(vps, { strategy: 'adopt' }) } as const;
      const next = deployRequest(vps, origin.commit(appVersion('v3')), more);
      assert.equal((await runWorker(vps, next)).result.outcome, 'deployed');
      writeFileSync(join(vps.appPath, '.env.local'), 'GREETING=three\n');
      const again = deployRequest(vps, next.sha, { explicit: true });
      const results = [];
      for (const request of [
        deployRequest(vps, next.sha),
        deployRequest(vps, next.sha),
        again,
        { ...again, run: { ...again.run, attempt: 2 } },
      ])
        results.push((await runWorker(vps, request)).result.outcome);
      assert.deepEqual(results, ['deployed', 'unchanged', 'deployed', 'unchanged']);
      assert.equal(await greeting(), 'three');
    }));
});

import assert from 'node:assert/strict';
import { unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { makeReachable, type Reachable } from '../servers/deployment.js';
import { runBundle } from '../servers/entry-points.js';
import { appFiles, appVersion } from '../servers/fixture-app.js';
import { type Origin, startOrigin } from '../servers/origin.js';
import { type PostgresServer, query, startPostgres } from '../servers/postgres.js';
import type { RunResult } from '../servers/runner.js';
import { withCheckout } from '../servers/stage.js';
import { addApplication, startVps, type Vps } from '../servers/vps.js';

const APPLICATIONS = 5;
/** Milliseconds for which an old instance goes on with what it has begun; PM2 reloads one application at a time. */
const DRAIN = 9_500;
const MIGRATION = 'supabase/migrations/20250101000000_rooms.sql';

/**
 * A matrix of jobs, as GitHub starts it: one run of the bundle for each application, all at the same time, on one
 * server with one PM2 daemon and on one database.
 */
describe(`${APPLICATIONS} applications on one server`, { timeout: 10 * 60_000 }, () => {
  let origin: Origin;
  let postgres: PostgresServer;
  let databaseUrl: string;
  let server: Reachable;
  let apps: Vps[] = [];
  let first: string;
  let second: string;
  before(async () => {
    origin = startOrigin({ ...appFiles('v0'), 'server.js': DRAINS_SLOWLY, 'build.js': FAILS_WHERE_TOLD });
    postgres = await startPostgres();
    databaseUrl = await postgres.createDatabase();
    const vps = await startVps(origin);
    server = await makeReachable(vps);
    apps = [vps];
    while (apps.length < APPLICATIONS) apps.push(await addApplication(vps, origin, `app-${apps.length + 1}`));
  });
  after(async () => {
    await server?.stop();
    await postgres?.stop();
    origin?.stop();
  });

  const act = (vps: Vps, mode: string, sha: string, runId: number): Promise<RunResult> =>
    withCheckout(origin, sha, (workspace) =>
      runBundle({
        workspace,
        env: { GITHUB_RUN_ID: String(runId), GITHUB_SHA: sha },
        inputs: {
          mode,
          environment: 'staging',
          'database-url': databaseUrl,
          'ssh-host': `${server.wire.host}:${server.wire.port}`,
          'ssh-user': server.sshd.user,
          'ssh-private-key': server.sshd.privateKey,
          'ssh-fingerprint': server.sshd.fingerprint,
          'app-path': vps.appPath,
          'app-name': vps.appName,
          'health-from': 'vps',
        },
      }),
    );

  const versions = async (): Promise<(string | undefined)[]> =>
    Promise.all(apps.map(async (vps) => (await vps.served())?.version));

  /** Runs all at once, under load; no request may be lost, whatever becomes of the runs. */
  async function underLoad(work: () => Promise<RunResult[]>): Promise<RunResult[]> {
    const load = apps.map((vps) => vps.load(5));
    const results = await work();
    const seen = await Promise.all(load.map((one) => one.stop()));
    assert.deepEqual(
      seen.flatMap((one) => one.failures),
      [],
    );
    return results;
  }

  test('are deployed at the same time, and the migration that all of them bring is applied once', async (context) => {
    first = origin.commit({
      ...appVersion('v1'),
      [MIGRATION]: 'create table rooms (id bigint primary key);\n',
    });
    const started = performance.now();
    const results = await underLoad(() =>
      Promise.all(apps.map((vps, index) => act(vps, 'deploy', first, 9_001 + index))),
    );
    context.diagnostic(
      `${APPLICATIONS} deploys in ${((performance.now() - started) / 1_000).toFixed(1)} s, an old instance drains for ${DRAIN / 1_000} s`,
    );
    for (const result of results) {
      assert.equal(result.exitCode, 0, result.log);
      assert.doesNotMatch(result.log, /waiting for run \d+ .*to finish/, 'the lock is the application’s own');
    }
    assert.deepEqual(await versions(), Array(APPLICATIONS).fill('v1'));
    assert.deepEqual(
      results.flatMap((result) => JSON.parse(result.outputs.applied!) as string[]),
      ['20250101000000'],
    );
    assert.equal((await query(databaseUrl, 'select from rooms')).length, 0);
  });

  test('a failed build of one and a rollback of another do not disturb the others', async () => {
    second = origin.commit(appVersion('v2'));
    const odd = join(apps[0]!.appPath, '.env.local');
    writeFileSync(odd, 'FAIL=build\n');
    const results = await underLoad(() =>
      Promise.all(
        apps.map((vps, index) =>
          index === 1 ? act(vps, 'rollback', first, 9_002) : act(vps, 'deploy', second, 9_101 + index),
        ),
      ),
    );
    unlinkSync(odd);
    assert.deepEqual(
      results.map((result) => result.exitCode),
      [1, 0, 0, 0, 0],
      results.map((result) => result.log).join('\n\n'),
    );
    assert.equal(results[0]!.outputs['failed-step'], 'build');
    assert.equal(results[1]!.outputs['rolled-back'], 'true');
    assert.deepEqual(await versions(), ['v1', 'v0', 'v2', 'v2', 'v2']);
  });
});

const DRAINS_SLOWLY = appFiles('any')['server.js']!.replace(
  "process.on('SIGINT', () => {",
  `process.on('SIGINT', () => setTimeout(drained, ${DRAIN}));
const drained = (() => {`,
);

const FAILS_WHERE_TOLD = `
const told = require('node:fs').existsSync('.env.local') ? require('node:fs').readFileSync('.env.local', 'utf8') : '';
if (told.includes('FAIL=build')) { console.error('no room for this one'); process.exit(1); }
${appFiles('any')['build.js']}`;

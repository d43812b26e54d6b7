import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { runBundle, runTerminal, temporaryFolder } from '../servers/entry-points.js';
import { changesOfState, type Fault, type GitHubApi, startGitHubApi } from '../servers/github-api.js';
import { type PostgresServer, query, startPostgres } from '../servers/postgres.js';
import type { RunOptions, RunResult } from '../servers/runner.js';
import { until } from '../servers/until.js';

const TOKEN = 'ghs_0123456789abcdefghijklmnopqrstuvwxyz';
const folder = temporaryFolder();
const migrations = join(folder.path, 'supabase/migrations');
let postgres: PostgresServer;
let api: GitHubApi;
let databaseUrl = '';
before(async () => {
  [postgres, api] = await Promise.all([startPostgres(), startGitHubApi(TOKEN)]);
});
after(async () => {
  folder.remove();
  await Promise.all([postgres.stop(), api.close()]);
});
beforeEach(async () => {
  databaseUrl = await postgres.createDatabase();
  api.fail(undefined);
  api.deployments.length = 0;
  rmSync(migrations, { recursive: true, force: true });
  mkdirSync(migrations, { recursive: true });
});

function file(name: string, sql: string): void {
  writeFileSync(join(migrations, name), sql);
}

function run(inputs: Record<string, string>, more: Partial<RunOptions> = {}): Promise<RunResult> {
  return runBundle({
    workspace: folder.path,
    token: TOKEN,
    secrets: [],
    inputs: { 'database-url': databaseUrl, skip: 'vps, health', rls: 'off', ...inputs },
    ...more,
    env: { GITHUB_API_URL: api.url, GITHUB_SHA: 'c'.repeat(40), ...more.env },
  });
}

const tables = (): Promise<{ name: string }[]> =>
  query(
    databaseUrl,
    `select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' order by 1`,
  );

describe('GitHub Deployments, through the bundle', () => {
  const deploy = { mode: 'deploy', environment: 'staging', 'github-deployment': 'on' };

  test('a good deploy ends as success, and the output names the deployment', async () => {
    file('20250101000000_rooms.sql', 'create table rooms (id int primary key);');
    const result = await run(deploy);
    assert.equal(result.exitCode, 0, result.log);
    assert.equal(result.outputs['deployment-id'], String(api.deployments[0]?.id));
    assert.deepEqual(api.deployments.map(changesOfState), [['in_progress', 'success']]);
    assert.equal(result.outputs.applied, '["20250101000000"]');
    assert.equal(result.outputs.verified, 'true');
  });

  test('a deploy that fails ends as failure, with the SQL error on its line', async () => {
    file(
      '20250101000000_rooms.sql',
      'create table rooms (id int primary key);\nalter table hotel add column rooms int;\n',
    );
    const result = await run(deploy);
    assert.equal(result.exitCode, 1);
    assert.deepEqual(api.deployments.map(changesOfState), [['in_progress', 'failure']]);
    const placed = result.annotations.find((each) => each.file !== undefined);
    assert.deepEqual(
      [placed?.file, placed?.line],
      ['supabase/migrations/20250101000000_rooms.sql', 2],
      result.log,
    );
    assert.deepEqual(await tables(), []);
  });

  const faults: Fault[] = ['forbidden', 'secondary-rate-limit', 'outage'];
  for (const fault of faults)
    test(`rows 122 and 123: ${fault} of the API never fails a good deploy`, async () => {
      file('20250101000000_rooms.sql', 'create table rooms (id int primary key);');
      api.fail(fault);
      const result = await run(deploy);
      assert.equal(result.exitCode, 0, result.log);
      assert.equal(result.outputs.outcome, 'success');
      assert.equal(result.outputs['deployment-id'], '');
      assert.ok(
        result.annotations.some(
          ({ level, message }) => level === 'warning' && /GitHub Deployment not created/.test(message),
        ),
      );
      assert.match(result.summary, /GitHub Deployment not created/);
    });
});

test('row 105: a rollback that fails has the last word, and the summary tells what is still applied', async () => {
  const site = createServer(async (_, response) => {
    const migrated = (await tables()).length > 0;
    response.writeHead(migrated ? 500 : 200, { 'content-type': 'application/json' }).end('{}');
  });
  await new Promise<void>((done) => site.listen(0, '127.0.0.1', done));
  try {
    file('20250101000000_rooms.sql', 'create table rooms (id int primary key);');
    file('20250101000000_rooms.down.sql', 'drop table nothere;');
    const result = await run({
      mode: 'deploy',
      skip: 'vps',
      'health-url': `http://127.0.0.1:${(site.address() as AddressInfo).port}`,
      'health-paths': '/api/health',
      'health-deadline': '2s',
    });
    assert.deepEqual([result.exitCode, result.outputs.outcome], [1, 'rollback-failed'], result.log);
    assert.deepEqual(await tables(), [{ name: 'rooms' }]);
    const byHand = /muva-deploy rollback --run-id 1001\. By hand, .*: delete from .*'20250101000000'/;
    const lastNext = result.log.split('\n').findLast((line) => line.startsWith('next: '));
    assert.match(lastNext ?? '', byHand, result.log);
    const next = /^\*\*Next:\*\* (.*)$/m.exec(result.summary)?.[1];
    assert.match(next ?? '', /muva-deploy rollback --run-id 1001/, result.summary);
    assert.match(result.annotations[0]?.message ?? '', byHand);
    assert.doesNotMatch(result.summary, /Nothing had to be put back/);
    assert.match(result.summary, /The rollback failed.*\n- Still applied: <code>20250101000000<\/code>/);
  } finally {
    await new Promise((done) => site.close(done));
  }
});

describe('cancel', () => {
  const sleeper = (): void => {
    file('20250101000000_rooms.sql', 'create table rooms (id int primary key);');
    file('20250102000000_slow.sql', 'select pg_sleep(60);');
  };
  const asleep = `wait_event = 'PgSleep' and pid <> pg_backend_pid()`;
  const running = (): Promise<unknown[]> =>
    query(databaseUrl, `select 1 from pg_stat_activity where datname = current_database() and ${asleep}`);
  /** Cancels once the server runs the slow statement. */
  async function cancelled(
    inputs: Record<string, string>,
    more: Partial<RunOptions> = {},
  ): Promise<RunResult & { took: number }> {
    const controller = new AbortController();
    let at = 0;
    const result = run(inputs, { cancelAfter: controller.signal, ...more });
    await until('the slow statement to run', async () => (await running()).length > 0);
    at = performance.now();
    controller.abort();
    const ended = await result;
    return { ...ended, took: performance.now() - at - (ended.post?.milliseconds ?? 0) };
  }

  test('row 114: during migrate the query is cancelled, nothing is left, and the truth is told within 6 s', async () => {
    sleeper();
    const result = await cancelled({ mode: 'migrate' });
    assert.ok(result.took < 6_000, `${result.took} ms`);
    assert.deepEqual([result.exitCode, result.conclusion], [1, 'cancelled'], result.log);
    assert.equal(result.outputs.outcome, 'cancelled', result.log);
    assert.equal(result.outputs.applied, '[]');
    assert.match(result.log, /^migrate was cancelled\. The batch was rolled back: 0 applied\.$/m);
    assert.doesNotMatch(result.log + result.summary, /failed|went wrong/);
    assert.deepEqual(await running(), []);
    assert.deepEqual(await tables(), []);
  });

  test('row 114: a cancelled deploy marks its deployment as an error', async () => {
    sleeper();
    const result = await cancelled({ mode: 'deploy', 'github-deployment': 'on', environment: 'staging' });
    assert.equal(result.outputs.outcome, 'cancelled', result.log);
    assert.deepEqual(
      api.deployments.slice(0, 1).flatMap(changesOfState),
      ['in_progress', 'error'],
      result.log,
    );
    assert.deepEqual(await tables(), []);
  });

  describe('after the migrations were committed', () => {
    /** Answers while the health baseline is taken, and never once the migrations are in. */
    const site = createServer(async (_, response) => {
      const migrated = (await tables()).length > 0;
      if (!migrated) response.writeHead(500).end();
    });
    let url = '';
    before(async () => {
      await new Promise<void>((done) => site.listen(0, '127.0.0.1', done));
      url = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
    });
    after(async () => {
      site.closeAllConnections();
      await new Promise((done) => site.close(done));
    });
    const deploy = async (more: Partial<RunOptions>): Promise<RunResult> => {
      file('20250101000000_rooms.sql', 'create table rooms (id int primary key);');
      file('20250101000000_rooms.down.sql', 'drop table rooms;');
      const inputs = {
        mode: 'deploy',
        skip: 'vps',
        environment: 'staging',
        'github-deployment': 'on',
        'health-url': url,
        'health-paths': '/api/health',
        'health-timeout': '50s',
        'health-deadline': '60s',
      };
      return run(inputs, { cancelAfter: (log) => /^health /m.test(log), ...more });
    };

    test('row 114: cancelled during health, the post step takes the migrations back and ends the deployment', async () => {
      const result = await deploy({});
      assert.equal(result.conclusion, 'cancelled');
      assert.equal(result.outputs.outcome, 'cancelled', result.log);
      assert.equal(result.outputs.applied, '["20250101000000"]');
      assert.equal(result.state.final, undefined, 'the main step leaves the end to post');
      const left = '1 applied; the post step of this job settles it.';
      assert.ok(result.log.includes(`next: ${left}`), result.log);
      assert.ok(result.summary.includes(`**Next:** ${left}`), result.summary);
      assert.match(result.post!.log, /^The main step was cancelled: looking at what it left behind\.$/m);
      assert.match(
        result.post!.annotations[0]?.message ?? '',
        /was rolled back: the main step was cancelled$/,
      );
      assert.match(result.post!.summary, /20250101000000/, result.post!.log);
      assert.deepEqual(await tables(), [], result.post!.log);
      const states = api.deployments.slice(0, 1).flatMap(changesOfState);
      assert.deepEqual([states[0], states.length], ['in_progress', 2], JSON.stringify(states));
      assert.notEqual(states[1], 'success');
    });

    test('row 115: killed during health without a post step, a rollback of that run takes the migrations back', async () => {
      const killed = await deploy({ force: true });
      assert.deepEqual([killed.signal, killed.outputs], ['SIGKILL', {}]);
      assert.deepEqual(await tables(), [{ name: 'rooms' }]);
      const again = await run(
        { mode: 'rollback', skip: 'vps, health' },
        { env: { GITHUB_RUN_ATTEMPT: '2' } },
      );
      assert.equal(again.exitCode, 0, again.log);
      assert.equal(again.outputs.reverted, '["20250101000000"]');
      assert.deepEqual(await tables(), []);
    });
  });

  test('rows 115 and 116: after a forced cancel the next attempt waits for the lost connection and finishes', async () => {
    sleeper();
    const killed = await cancelled({ mode: 'migrate' }, { force: true });
    assert.deepEqual([killed.signal, killed.outputs], ['SIGKILL', {}]);
    file('20250102000000_slow.sql', 'select pg_sleep(0);');
    // What a server does by itself once it notices that the client is gone.
    await query(postgres.adminUrl, `select pg_terminate_backend(pid) from pg_stat_activity where ${asleep}`);
    const again = await run({ mode: 'migrate' }, { env: { GITHUB_RUN_ATTEMPT: '2' } });
    assert.equal(again.exitCode, 0, again.log);
    assert.equal(again.outputs.applied, '["20250101000000","20250102000000"]');
    const third = await run({ mode: 'migrate' }, { env: { GITHUB_RUN_ATTEMPT: '3' } });
    assert.equal(third.exitCode, 0, third.log);
    assert.equal(third.outputs.pending, '[]');
  });
});

test('a deploy that was stopped at a terminal says what stands, and both ways on work', async () => {
  let stopped = true;
  const site = createServer(async (_, response) => {
    if (stopped && (await tables()).length > 0) return;
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  });
  await new Promise<void>((done) => site.listen(0, '127.0.0.1', done));
  try {
    file('20250101000000_rooms.sql', 'create table rooms (id int primary key);');
    file('20250101000000_rooms.down.sql', 'drop table rooms;');
    const env = {
      DATABASE_URL: databaseUrl,
      HEALTH_URL: `http://127.0.0.1:${(site.address() as AddressInfo).port}`,
    };
    const words = (mode: string): string[] => [
      mode,
      ...['--skip=vps', '--rls=off', '--health-paths=/api/health', '--health-timeout=50s'],
      '--health-deadline=60s',
    ];
    let pressed = false;
    const cancelled = await runTerminal(words('deploy'), {
      cwd: folder.path,
      env,
      interruptAfter: (said) => {
        const press = !pressed && /^verify passed[\s\S]*^health /m.test(said);
        pressed ||= press;
        return press;
      },
    });
    assert.equal(cancelled.exitCode, 1, cancelled.text);
    const way = /^next: 1 applied\. The same command again goes on .*--mode=rollback --run-id=(local-\S+) /m;
    const runId = way.exec(cancelled.text)?.[1];
    assert.ok(runId, cancelled.text);
    stopped = false;
    const again = await runTerminal(words('deploy'), { cwd: folder.path, env });
    assert.equal(again.exitCode, 0, again.text);
    const back = await runTerminal([...words('rollback'), `--run-id=${runId}`], { cwd: folder.path, env });
    assert.equal(back.exitCode, 0, back.text);
    assert.deepEqual(await tables(), []);
  } finally {
    site.closeAllConnections();
    site.close();
  }
});

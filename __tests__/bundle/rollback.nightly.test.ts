/** The ways back, as a team lives them: code and database together, through the bundle and from a terminal. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { runBundle, runTerminal } from '../servers/entry-points.js';
import { type AppFaults, appFiles, appVersion } from '../servers/fixture-app.js';
import { type Origin, startOrigin } from '../servers/origin.js';
import { type PostgresServer, query, startPostgres } from '../servers/postgres.js';
import type { RunOptions, RunResult } from '../servers/runner.js';
import { type Sshd, startSshd } from '../servers/sshd.js';
import { withCheckout } from '../servers/stage.js';
import { startVps, type Vps } from '../servers/vps.js';

const folder = mkdtempSync(join(tmpdir(), 'muva-rollback-'));
const sha: Record<string, string> = {};
let origin: Origin;
let vps: Vps;
let sshd: Sshd;
let postgres: PostgresServer;
let url: string;
before(async () => {
  origin = startOrigin(appFiles('v1'));
  sha.v1 = origin.head();
  vps = await startVps(origin);
  sshd = await startSshd({ home: vps.home, environment: vps.env });
  postgres = await startPostgres();
  url = await postgres.createDatabase();
});
after(async () => {
  rmSync(folder, { recursive: true, force: true });
  await postgres?.stop();
  await sshd?.stop();
  await vps?.stop();
  origin?.stop();
});

/** Commits version `v<n>` with migration n, which makes table t<n>; `down` is its down file. */
function push(n: number, down: string | null = `drop table public.t${n};`, faults: AppFaults = {}): string {
  const name = `supabase/migrations/${n}_t.`;
  sha[`v${n}`] = origin.commit(
    {
      ...appVersion(`v${n}`, faults),
      [`${name}sql`]: `create table public.t${n} (id int);`,
      [`${name}down.sql`]: down,
    },
    `v${n}`,
  );
  return sha[`v${n}`]!;
}

/** Takes a migration that was undone out of the repository, so that the next version does not bring it again. */
function withdraw(n: number): void {
  origin.commit({ [`supabase/migrations/${n}_t.sql`]: null, [`supabase/migrations/${n}_t.down.sql`]: null });
}

function inputs(): Record<string, string> {
  return {
    environment: 'staging',
    'database-url': url,
    rls: 'off',
    'ssh-host': sshd.host,
    'ssh-port': String(sshd.port),
    'ssh-user': sshd.user,
    'ssh-private-key': sshd.privateKey,
    'ssh-fingerprint': sshd.fingerprint,
    'app-path': vps.appPath,
    'app-name': vps.appName,
    'health-deadline': '3s',
    'missing-migrations': 'warn',
  };
}

function run(
  id: number,
  commit: string,
  more: Record<string, string>,
  options: Partial<RunOptions> = {},
): Promise<RunResult> {
  return withCheckout(origin, commit, (workspace) =>
    runBundle({
      workspace,
      env: { GITHUB_RUN_ID: String(id), GITHUB_SHA: commit, GITHUB_REPOSITORY: 'octocat/guesthouse' },
      inputs: { ...inputs(), ...more },
      ...options,
    }),
  );
}

async function deploys(id: number, commit: string, more: Record<string, string> = {}): Promise<void> {
  const result = await run(id, commit, { mode: 'deploy', ...more });
  assert.equal(result.outputs.outcome, 'success', result.log);
}

/** A rollback in a job of its own, whose run changed nothing. */
function back(more: Record<string, string>, commit = origin.head()): Promise<RunResult> {
  return run(99, commit, { mode: 'rollback', ...more });
}

const served = async (): Promise<string | undefined> => (await vps.served())?.version;
const list = (output: string | undefined): string[] => JSON.parse(output!) as string[];
const tables = async (): Promise<string> =>
  (
    await query<{ names: string | null }>(
      url,
      "select string_agg(relname, ' ' order by relname) as names from pg_class where relname ~ '^t[0-9]+$'",
    )
  )[0]!.names ?? '';

describe('ways back', { timeout: 600_000 }, () => {
  test('a rollback whose down file fails is finished by the command that it prints, and goes no further', async () => {
    await deploys(2, push(2));
    await deploys(3, push(3, 'drop table public.nowhere;'));
    const first = await back({ 'rollback-to': 'previous' });
    assert.deepEqual([first.exitCode, first.outputs.outcome], [1, 'rollback-failed'], first.log);
    assert.deepEqual([await served(), await tables()], ['v2', 't2 t3']);
    assert.deepEqual(list(first.outputs['schema-ahead']), ['3']);
    assert.equal(first.outputs['deployed-sha'], sha.v2);
    const [, named] = /muva-deploy rollback --rollback-to ([0-9a-f]{40})/.exec(first.log) ?? [];
    assert.equal(named, sha.v2, first.log);

    const corrected = origin.commit({ 'supabase/migrations/3_t.down.sql': 'drop table public.t3;' });
    const second = await back({ 'rollback-to': named! }, corrected);
    assert.equal(second.outputs.outcome, 'success', second.log);
    assert.deepEqual(list(second.outputs.reverted), ['3']);
    assert.deepEqual([await served(), await tables()], ['v2', 't2']);
    assert.equal(second.outputs['deployed-sha'], sha.v2);
    withdraw(3);
  });

  test('a run that another came after is not undone under it', async () => {
    await deploys(4, push(4));
    const refused = await back({ 'run-id': '2' });
    assert.deepEqual([refused.exitCode, refused.outputs.outcome], [1, 'failure'], refused.log);
    assert.match(refused.log, /run 2 was overtaken/);
    assert.deepEqual([await served(), await tables()], ['v4', 't2 t4']);
  });

  test('row 8: a database of another environment is refused', async () => {
    const refused = await back({ 'run-id': '4', environment: 'production', 'ssh-host': '', skip: 'vps' });
    assert.deepEqual([refused.exitCode, refused.outputs.outcome], [1, 'failure'], refused.log);
    assert.match(refused.log, /belongs to the environment "staging"/);
    assert.equal(await tables(), 't2 t4');
  });

  test('row 140: where a newer version made the tables nothing goes back, the code neither', async () => {
    const setFormat = (format: number): Promise<unknown> =>
      query(url, `alter table supabase_migrations.deploy_runs alter column format set default ${format}`);
    await setFormat(2);
    const refused = await back({ 'rollback-to': 'previous' });
    await setFormat(1);
    assert.deepEqual([refused.exitCode, refused.outputs.outcome], [1, 'failure'], refused.log);
    assert.match(refused.log, /deploy_runs was written by a newer version of this action/);
    assert.deepEqual([await served(), await tables()], ['v4', 't2 t4']);
  });

  test('a deploy from a terminal, of another commit than the job knows, is undone as a whole', async () => {
    const commit = push(5);
    await withCheckout(origin, commit, async (cwd) => {
      const secret = { DATABASE_URL: url, VPS_SSH_KEY: sshd.privateKey };
      const flags = Object.entries(inputs())
        .filter(([name]) => !['database-url', 'ssh-private-key'].includes(name))
        .map(([name, value]) => `--${name}=${value}`);
      const terminal = async (...words: string[]): Promise<string> => {
        const { exitCode, text } = await runTerminal([...words, ...flags], { cwd, env: secret });
        assert.equal(exitCode, 0, text);
        return text;
      };
      await terminal('deploy', `--ref=${commit}`);
      assert.deepEqual([await served(), await tables()], ['v5', 't2 t4 t5']);
      await terminal('rollback', '--rollback-to=previous');
    });
    assert.deepEqual([await served(), await tables()], ['v4', 't2 t4']);
    withdraw(5);
  });

  test('what came after the live commit is no way back', async () => {
    const refused = await back({ 'rollback-to': sha.v5! });
    assert.deepEqual([refused.exitCode, refused.outputs.outcome], [1, 'failure'], refused.log);
    assert.match(refused.log, /came after what is live/);
    assert.deepEqual([await served(), await tables()], ['v4', 't2 t4']);
  });

  test('the server puts the code back, and a migration without a down file stays: rolled-back, and schema-ahead', async () => {
    const result = await run(6, push(6, null, { healthStatus: 500, onlyLive: true }), { mode: 'deploy' });
    assert.deepEqual([result.exitCode, result.outputs.outcome], [1, 'rolled-back'], result.log);
    assert.equal(result.outputs['rolled-back'], 'true');
    assert.deepEqual(list(result.outputs['schema-ahead']), ['6']);
    assert.deepEqual([await served(), await tables()], ['v4', 't2 t4 t6']);
    assert.doesNotMatch(`${result.log}${result.summary}`, /nothing was changed|Nothing had to be put back/i);
  });

  test('row 115: what an attempt left that was killed after its migrations is undone by the next attempt', async () => {
    const commit = push(7, 'drop table public.t7;', { build: 'fails' });
    const killed = await run(
      7,
      commit,
      // Only so are the migrations committed before the build that fails.
      { mode: 'deploy', 'migrate-before': 'build' },
      {
        cancelAfter: (log) => /^migrate [\s\S]*^prepare /m.test(log),
        force: true,
      },
    );
    assert.equal(killed.signal, 'SIGKILL');
    assert.match(await tables(), /t7/);
    const again = await run(7, commit, { mode: 'deploy' });
    assert.deepEqual([again.exitCode, again.outputs.outcome], [1, 'rolled-back'], again.log);
    assert.deepEqual(list(again.outputs.reverted), ['7']);
    assert.deepEqual([await served(), await tables()], ['v4', 't2 t4 t6']);
    withdraw(7);
  });

  test('row 114: a rollback that is cancelled half-way is taken up again by the post step', async () => {
    const commit = push(8, 'select pg_sleep(2); drop table public.t8;', {
      healthStatus: 500,
      onlyLive: true,
    });
    const result = await run(
      8,
      commit,
      { mode: 'deploy' },
      {
        cancelAfter: (log) => log.includes('database: read the down files'),
      },
    );
    const told = `${result.log}\n=== post\n${result.post?.log}`;
    assert.equal(result.conclusion, 'cancelled', told);
    assert.deepEqual([await served(), await tables()], ['v4', 't2 t4 t6'], told);
  });

  test('back to what was there before the first deploy: what stands below a migration that stays is kept, and told', async () => {
    const result = await back({ 'rollback-to': sha.v1! });
    assert.deepEqual([result.exitCode, result.outputs.outcome], [0, 'success'], result.log);
    assert.deepEqual(list(result.outputs['schema-ahead']), ['6', '4', '2']);
    assert.match(result.log, /6 has no down file, and 2 older ones stay below it/);
    assert.deepEqual([await served(), await tables()], ['v1', 't2 t4 t6']);
    const again = await back({ 'rollback-to': sha.v1! });
    assert.equal(again.outputs.outcome, 'success', again.log);
    assert.match(
      again.log,
      /Nothing could be taken back\. The schema is ahead of the code: 6, 4, 2 stay applied/,
    );
  });
});

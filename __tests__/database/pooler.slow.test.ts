import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import pg from 'pg';
import { startFaultProxy } from '../servers/fault-proxy.js';
import { startMigrateRun } from '../servers/migrate-run.js';
import { type PgBouncer, startPgBouncer } from '../servers/pgbouncer.js';
import { type PostgresServer, query, startPostgres } from '../servers/postgres.js';
import {
  createProject,
  history,
  objects,
  type Project,
  runMigrate,
  runPlanPhase,
} from '../servers/project.js';
import { until } from '../servers/until.js';

let server: PostgresServer;
let pooler: PgBouncer;
before(async () => {
  server = await startPostgres({ version: 15 });
  pooler = await startPgBouncer(server, { poolSize: 1 });
});
after(async () => {
  await pooler.stop();
  await server.stop();
});

test('row 63, row 35: the same results through a transaction pooler, and nothing leaks to its other clients', async () => {
  const url = await server.createDatabase();
  const project = createProject({
    '1_a.sql':
      "set search_path = ''; set role anon; reset role; set statement_timeout = '11s'; create table public.a (id int);",
    '2_b.sql':
      'listen x; prepare q as select 1; create temp table t (id int); select pg_advisory_lock(7); create table b (id int);',
    '3_c.sql': 'create index concurrently b_i on public.b (id);',
    '4_d.sql': 'savepoint s; create table public.d (id int); rollback to s; create table public.e (id int);',
  });
  const { report } = await runMigrate(project, pooler.through(url));
  assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
  assert.deepEqual(await history(url), ['1', '2', '3', '4']);
  assert.deepEqual(await objects(url), ['a', 'b', 'b_i', 'e']);
  // With one server connection, the next client gets the very session that the files ran in.
  const [victim] = await query(
    pooler.through(url),
    `select current_setting('search_path') as path, current_user as role, current_setting('statement_timeout') as timeout,
       current_setting('lock_timeout') as lock, (select count(*)::int from pg_listening_channels()) as listens,
       (select count(*)::int from pg_prepared_statements) as prepared, to_regclass('pg_temp.t') as temp,
       (select count(*)::int from pg_locks where locktype = 'advisory') as locks`,
  );
  assert.deepEqual(victim, {
    path: '"$user", public',
    role: 'postgres',
    timeout: '0',
    lock: '0',
    listens: 0,
    prepared: 0,
    temp: null,
    locks: 0,
  });
  project.delete();
});

test('row 33: through a transaction pooler a file goes on behind what stands', async () => {
  const url = await server.createDatabase();
  const name = '1_a.sql';
  const head = 'create table public.a (id int);\ncreate index concurrently a_i on public.a (id);\n';
  const project = createProject({ [name]: `${head}select 1/0;` });
  const first = await runMigrate(project, pooler.through(url));
  assert.match(first.report.summary ?? '', /applied in part.*2 statements before line 3/);
  project.write({ [name]: `${head}insert into public.a values (1);` });
  const second = await runMigrate(project, pooler.through(url), { runId: '1002' });
  assert.equal(second.report.outcome, 'passed', JSON.stringify(second.report.problems));
  assert.deepEqual(await history(url), ['1']);
  assert.deepEqual(await query(url, 'select count(*)::int as rows from public.a'), [{ rows: 1 }]);
  project.delete();
});

test('row 35: a report of a transaction pooler: what files set reaches no other client', async () => {
  const url = await server.createDatabase();
  const folder = join('__tests__', 'database', 'reports', 'pooler-transaction', 'supabase', 'migrations');
  const names = readdirSync(folder);
  const project = createProject(
    Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name))])),
  );
  const through = pooler.through(url);
  const planned = await runPlanPhase(project, through);
  assert.equal(planned.report.outcome, 'passed', JSON.stringify(planned.report.problems));
  for (const runId of ['1001', '1002']) {
    const { report } = await runMigrate(project, through, { runId });
    assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
  }
  assert.deepEqual(await query(through, 'show statement_timeout'), [{ statement_timeout: '0' }]);
  project.delete();
});

const BUILD = 'create index concurrently a_i on public.a (id);';

/** A table with a writer that every concurrent build waits for, and a pooler with room for who waits. */
async function withWriter(
  work: (url: string, wide: PgBouncer, end: () => Promise<void>, project: Project) => Promise<void>,
): Promise<void> {
  const url = await server.createDatabase();
  const wide = await startPgBouncer(server);
  const project = createProject({ '1_a.sql': 'create table public.a (id int);' });
  const writer = new pg.Client({ connectionString: url });
  try {
    await runMigrate(project, url);
    project.write({ '2_b.sql': BUILD });
    await writer.connect();
    await writer.query('begin; insert into public.a values (1)');
    await work(url, wide, async () => void (await writer.query('commit')), project);
    assert.deepEqual(
      await query(url, "select indisvalid from pg_index where indexrelid = 'public.a_i'::regclass"),
      [{ indisvalid: true }],
    );
    assert.deepEqual(await history(url), ['1', '2']);
  } finally {
    await writer.end();
    project.delete();
    await wide.stop();
  }
}

async function building(url: string): Promise<void> {
  await until(
    'the build',
    async () => (await query(url, 'select 1 from pg_stat_progress_create_index')).length > 0,
  );
}

test('row 136: through a transaction pooler the line is cut while an index is built: its session is waited for, and it is not built again', () =>
  withWriter(async (url, wide, end, project) => {
    const proxy = await startFaultProxy({ target: wide.port });
    let waited = '';
    const cut = async (): Promise<void> => {
      await building(url);
      proxy.breakNow('reset');
    };
    const [{ report }] = await Promise.all([
      runMigrate(project, proxy.through(url), {
        runId: '1002',
        onLog: (entry) => {
          if (entry.kind !== 'progress' || !entry.text.startsWith('waiting for')) return;
          waited = entry.text;
          void end();
        },
      }),
      cut(),
    ]);
    await proxy.stop();
    assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
    assert.match(waited, /pid \d+.*at work on CREATE INDEX CONCURRENTLY in line 1 for \d+ s/);
  }));

test('row 136: through a transaction pooler a run is killed while an index is built: the next one waits for its session', () =>
  withWriter(async (url, wide, end, project) => {
    const child = startMigrateRun(project.folder, wide.through(url), '1002');
    await building(url);
    child.kill('SIGKILL');
    await once(child, 'exit');
    // Nobody can see that the run is dead, so a person frees its lease as it is told.
    const held = await runMigrate(project, wide.through(url), {
      runId: '1003',
      inputs: { 'lock-wait': '1s' },
    });
    const free = /Where it is dead: (delete from .*;)$/.exec(held.report.problems[0]?.next ?? '')?.[1];
    await query(url, free ?? 'select 1/0');
    const late = await runMigrate(project, wide.through(url), {
      runId: '1004',
      inputs: { 'lock-wait': '1s' },
    });
    assert.match(
      late.report.problems[0]?.message ?? '',
      /pid \d+\) has been at work on CREATE INDEX CONCURRENTLY in line 1 for \d+ s, and is not done/,
    );
    const { report } = await runMigrate(project, wide.through(url), {
      runId: '1005',
      onLog: (entry) => {
        if (entry.kind === 'progress' && entry.text.startsWith('waiting for')) void end();
      },
    });
    assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
  }));

test('what a file sets for its session before a lone statement is refused with its line, before anything runs', async () => {
  const url = await server.createDatabase();
  const project = createProject({
    '1_a.sql':
      'create table public.a (id int);\nset lock_timeout = 0;\ncreate table public.b (id int);\ncreate index concurrently a_i on public.a (id);',
  });
  const { report } = await runMigrate(project, pooler.through(url));
  assert.match(
    report.problems[0]?.message ?? '',
    /CREATE INDEX CONCURRENTLY.*what line 2 sets does not hold/,
  );
  assert.equal(report.problems[0]?.at?.line, 4);
  assert.deepEqual(await objects(url), []);
  project.delete();
});

test('row 159: options that the pooler does not take are told by name', async () => {
  const url = await server.createDatabase();
  const project = createProject({ '1_a.sql': 'create table public.a (id int);' });
  const { report } = await runMigrate(project, `${pooler.through(url)}?options=-c%20search_path%3Dpublic`);
  assert.equal(report.outcome, 'failed');
  assert.match(report.problems[0]?.message ?? '', /unsupported startup parameter: options/);
  assert.match(report.problems[0]?.next ?? '', /alter role/);
  project.delete();
});

test('a backup, which a transaction pooler cannot carry, is refused by the plan already', async () => {
  const url = await server.createDatabase();
  const project = createProject({ '1_a.sql': 'create table public.a (id int);' });
  const inputs = { backup: 'schema', 'backup-to': 'runner' };
  const { report } = await runPlanPhase(project, pooler.through(url), { inputs });
  assert.match(report.problems[0]?.message ?? '', /backup cannot be made through a transaction pooler/);
  project.delete();
});

test('a database that is read-only by default: the lease is freed, and what to do is told', async () => {
  const url = await server.createDatabase();
  const name = new URL(url).pathname.slice(1);
  await query(server.adminUrl, `alter database ${name} set default_transaction_read_only = on`);
  const project = createProject({
    '1_a.sql': 'create table public.a (id int);\ncreate index concurrently a_i on public.a (id);',
  });
  const { report } = await runMigrate(project, pooler.through(url));
  assert.equal(report.problems[0]?.code, '25006');
  assert.match(report.problems[0]?.next ?? '', /port 5432/);
  assert.deepEqual(await query(url, 'select 1 from supabase_migrations.deploy_lease'), []);
  project.delete();
});

test('row 64: a pooler that is up while the database is down ends with a clear text', async () => {
  const url = await server.createDatabase();
  const project = createProject({ '1_a.sql': 'create table public.a (id int);' });
  const client = new pg.Client({ connectionString: pooler.through(url) });
  client.on('error', () => undefined);
  await client.connect();
  await client.end();
  await server.halt('fast');
  try {
    const { report } = await runMigrate(project, pooler.through(url));
    assert.equal(report.outcome, 'failed');
    assert.match(JSON.stringify(report.problems), /database/);
  } finally {
    await server.start();
  }
  project.delete();
});

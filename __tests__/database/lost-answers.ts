/** What becomes of statements outside a transaction whose answer or recording was lost; on one version of PostgreSQL. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { openDatabase } from '../../src/database/connection/open.js';
import { type FaultProxy, startFaultProxy } from '../servers/fault-proxy.js';
import { startMigrateRun } from '../servers/migrate-run.js';
import { type PostgresServer, type PostgresVersion, query, startPostgres } from '../servers/postgres.js';
import {
  createProject,
  history,
  type Project,
  type Ran,
  runMigrate,
  settingsFor,
} from '../servers/project.js';
import { until as untilWithin } from '../servers/until.js';

/** Two cores that are shared need their time to start a process. */
const until = (what: string, condition: Parameters<typeof untilWithin>[1]): Promise<unknown> =>
  untilWithin<unknown>(what, condition, 60_000);

/** Five rows and a function that takes its time with each, so that a build of an index lasts half a second. */
const SLOW = `create function public.slow(int) returns int language plpgsql immutable as $$
    begin perform pg_sleep(0.1); return $1; end $$;
  create table public.a (id int); insert into public.a select generate_series(1, 5);`;
const BUILD = 'create index concurrently a_i on public.a (public.slow(id));';
const BUILT = [{ name: 'a_i', valid: true }];

/** Every database of a server may have a subscription of the same name. */
const HERE = 'subdbid = (select oid from pg_database where datname = current_database())';

/** A statement of each kind whose answer is lost: what is there before it, and what it is once it was done. */
interface Lost {
  name: string;
  before?: string;
  /** Run in another database of the same server. */
  elsewhere?: string;
  sql: string;
  /** The command tag of the answer. */
  tag: string;
  /** A query that gives true where it was done. */
  done: string;
  /** Done twice does no harm, so it may be sent twice. */
  repeated?: true;
  superuser?: true;
}

const LOST: Lost[] = [
  {
    name: 'DROP INDEX CONCURRENTLY',
    before: 'create index a_x on public.a (id);',
    sql: 'drop index concurrently public.a_x;',
    tag: 'DROP INDEX',
    done: "select to_regclass('public.a_x') is null as done",
  },
  {
    name: 'CREATE INDEX CONCURRENTLY without a name, beside one that is the same',
    before: 'create index a_x on public.a (id);',
    sql: 'create index concurrently on public.a (id);',
    tag: 'CREATE INDEX',
    done: "select count(*) = 2 as done from pg_indexes where tablename = 'a' and schemaname = 'public'",
  },
  {
    name: 'DETACH PARTITION CONCURRENTLY',
    before:
      'create table public.p (k int) partition by range (k); create table public.p1 partition of public.p for values from (0) to (9);',
    sql: 'alter table public.p detach partition public.p1 concurrently;',
    tag: 'ALTER TABLE',
    done: 'select not exists (select from pg_inherits where inhparent = $$public.p$$::regclass) as done',
  },
  {
    name: 'CREATE DATABASE',
    sql: 'create database made;',
    tag: 'CREATE DATABASE',
    done: "select exists (select from pg_database where datname = 'made') as done",
  },
  {
    name: 'DROP DATABASE',
    sql: 'drop database made;',
    tag: 'DROP DATABASE',
    done: "select not exists (select from pg_database where datname = 'made') as done",
  },
  {
    name: 'CREATE TABLESPACE',
    superuser: true,
    sql: "create tablespace made location '';",
    tag: 'CREATE TABLESPACE',
    done: "select exists (select from pg_tablespace where spcname = 'made') as done",
  },
  {
    name: 'DROP TABLESPACE',
    superuser: true,
    sql: 'drop tablespace made;',
    tag: 'DROP TABLESPACE',
    done: "select not exists (select from pg_tablespace where spcname = 'made') as done",
  },
  {
    name: 'CREATE SUBSCRIPTION',
    superuser: true,
    elsewhere:
      "create subscription s connection 'dbname=x' publication r with (connect = false, slot_name = none);",
    sql: "create subscription s connection 'dbname=x' publication p, q with (connect = false, slot_name = none);",
    tag: 'CREATE SUBSCRIPTION',
    done: `select exists (select from pg_subscription where subname = 's' and ${HERE}) as done`,
  },
  {
    name: 'DROP SUBSCRIPTION',
    superuser: true,
    before:
      "create subscription t connection 'dbname=x' publication p with (connect = false, slot_name = none);",
    sql: 'drop subscription t;',
    tag: 'DROP SUBSCRIPTION',
    done: "select not exists (select from pg_subscription where subname = 't') as done",
  },
  {
    name: 'VACUUM',
    sql: 'vacuum analyze public.a;',
    tag: 'VACUUM',
    done: "select reltuples = 5 as done from pg_class where oid = 'public.a'::regclass",
    repeated: true,
  },
  {
    name: 'REINDEX CONCURRENTLY',
    before: 'create index a_x on public.a (id);',
    sql: 'reindex table concurrently public.a;',
    tag: 'REINDEX',
    done: "select count(*) = 1 as done from pg_index where indrelid = 'public.a'::regclass",
    repeated: true,
  },
  {
    name: 'ALTER SYSTEM',
    superuser: true,
    sql: "alter system set application_name = 'altered';",
    tag: 'ALTER SYSTEM',
    done: "select setting = 'altered' as done from pg_file_settings where name = 'application_name' and sourcefile like '%auto%'",
    repeated: true,
  },
];

async function indexes(url: string): Promise<{ name: string; valid: boolean }[]> {
  return query(
    url,
    `select c.relname as name, i.indisvalid as valid from pg_index i join pg_class c on c.oid = i.indexrelid
     where i.indrelid = 'public.a'::regclass order by 1`,
  );
}

/** Processes of runs, which no test leaves behind. */
const started = new Set<ChildProcess>();

function startRun(...args: Parameters<typeof startMigrateRun>): ChildProcess {
  const child = startMigrateRun(...args);
  started.add(child);
  return child;
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

function assertPassed({ report }: Ran): void {
  assert.equal(report.outcome, 'passed', JSON.stringify([report.problems, report.summary]));
}

interface Scene {
  server(): PostgresServer;
  proxy(): FaultProxy;
  withProject(work: (url: string, project: Project) => Promise<void>, superuser?: boolean): Promise<void>;
  timesSent(sql: string, from: number): number;
  writer(url: string): Promise<() => Promise<void>>;
  building(url: string): Promise<void>;
  gone(url: string): Promise<void>;
  killedWith(url: string, project: Project, sql: string, request?: string, came?: string): Promise<void>;
}

/** A server of that version, a proxy before it, and what the tests do with both. */
function openScene(version: PostgresVersion): Scene {
  let server: PostgresServer;
  let proxy: FaultProxy;
  before(async () => {
    const settings = { log_statement: 'all', allow_in_place_tablespaces: 'on' };
    server = await startPostgres({ version, settings });
    proxy = await startFaultProxy({ target: server.port });
  });
  after(async () => {
    await proxy.stop();
    await server.stop();
  });

  async function withProject(
    work: (url: string, project: Project) => Promise<void>,
    superuser = false,
  ): Promise<void> {
    const project = createProject({ '1_a.sql': SLOW });
    try {
      const created = await server.createDatabase();
      const url = superuser ? created.replace('//postgres:', '//supabase_admin:') : created;
      assertPassed(await runMigrate(project, url));
      await work(url, project);
    } finally {
      await Promise.all([...started].map(killed));
      started.clear();
      project.delete();
    }
  }

  /** How often the server was sent a statement outside a transaction since `from`, an index in its log. */
  function timesSent(sql: string, from: number): number {
    return (
      server
        .log()
        .slice(from)
        .split(`*/ ${sql.replace(/;$/, '')}`).length - 1
    );
  }

  /** A build that waits for a writer; what ends that writer. */
  async function writer(url: string): Promise<() => Promise<void>> {
    const { Client } = (await import('pg')).default;
    const client = new Client({ connectionString: url, application_name: 'shop' });
    client.on('error', () => undefined);
    await client.connect();
    await client.query('begin; insert into public.a values (0)');
    return () => client.end();
  }

  /** No statement outside a transaction is under way any more. */
  async function gone(url: string): Promise<void> {
    await until('the old session to be gone', async () => {
      const rows = await query(
        url,
        "select 1 from pg_stat_activity where state = 'active' and datname = current_database() and query like '%/*sent %*/%' and pid <> pg_backend_pid()",
      );
      return rows.length === 0;
    });
  }

  async function building(url: string): Promise<void> {
    await until('the build', async () => {
      const rows = await query(url, 'select 1 from pg_stat_progress_create_index');
      return rows.length > 0;
    });
  }

  /** A run that was killed when its statement was recorded and, where `request` says so, sent and not answered. */
  async function killedWith(
    url: string,
    project: Project,
    sql: string,
    request = 'sent = excluded.sent',
    came = 'select 1 from supabase_migrations.deploy_partial where sent is not null',
  ): Promise<void> {
    project.write({ '2_b.sql': sql });
    proxy.breakAfterRequest(request, 'silence');
    const child = startRun(project.folder, proxy.through(url), '1002');
    await until(came, async () => (await query(url, came)).length > 0);
    await killed(child);
  }
  return {
    server: () => server,
    proxy: () => proxy,
    withProject,
    timesSent,
    writer,
    building,
    gone,
    killedWith,
  };
}

/** What is found out and told, with one cut or one kill each. */
export function lostAnswers(version: PostgresVersion): void {
  const { server, proxy, withProject, timesSent, building, killedWith } = openScene(version);

  for (const how of ['reset', 'end'] as const)
    test(`row 136: the answer to CREATE INDEX CONCURRENTLY is cut (${how}): found built, and not built again`, () =>
      withProject(async (url, project) => {
        project.write({ '2_b.sql': BUILD });
        const from = server().log().length;
        proxy().breakOnAnswer('CREATE INDEX', how);
        assertPassed(await runMigrate(project, proxy().through(url), { runId: '1002' }));
        assert.equal(timesSent(BUILD, from), 1);
        assert.deepEqual(await indexes(url), BUILT);
        assert.deepEqual(await history(url), ['1', '2']);
      }));

  test('row 136: what others made of that name since is neither taken for ours nor dropped', () =>
    withProject(async (url, project) => {
      await killedWith(url, project, BUILD);
      await query(url, 'create index a_i on public.a (id desc)');
      const from = server().log().length;
      const { report } = await runMigrate(project, url, { runId: '1003' });
      assert.equal(report.outcome, 'failed');
      assert.match(
        report.problems[0]?.message ?? '',
        /CREATE INDEX CONCURRENTLY in line 1 was sent, and it cannot be told whether it was done: there is an index public\.a_i now, which is not as the file writes it/,
      );
      assert.deepEqual(
        [report.problems[0]?.at?.file, report.problems[0]?.at?.line],
        ['supabase/migrations/2_b.sql', 1],
      );
      assert.equal(timesSent(BUILD, from), 0);
      assert.match(report.summary ?? '', /applied in part.*is not known/);
      assert.deepEqual(await indexes(url), BUILT);
    }));

  test('row 136: an index that was dropped, and made anew by others, is not dropped again', () =>
    withProject(async (url, project) => {
      await query(url, 'create index a_x on public.a (id)');
      const dropped = "select 1 where to_regclass('public.a_x') is null";
      await killedWith(url, project, 'drop index concurrently public.a_x;', '*/ drop index', dropped);
      await query(url, 'create index a_x on public.a (id desc)');
      assertPassed(await runMigrate(project, url, { runId: '1003' }));
      assert.deepEqual(await indexes(url), [{ name: 'a_x', valid: true }]);
    }));

  for (const ran of [true, false])
    test(`row 136: an index without a name and its twin are told with two lines, and the one for ${ran ? 'done' : 'not done'} goes on`, () =>
      withProject(async (url, project) => {
        await killedWith(
          url,
          project,
          'create index concurrently on public.a (id);\ncreate table public.behind (id int);',
        );
        await query(url, 'create index one on public.a (id); create index two on public.a (id);');
        for (const runId of ['1003', '1004']) {
          const { report } = await runMigrate(project, url, { runId });
          assert.match(report.problems[0]?.message ?? '', /public\.one and public\.two are both new/);
          const lines = /Where it was done: (update .*?;) Where it was not: (update .*?;)/.exec(
            report.problems[0]?.next ?? '',
          );
          assert.equal((await indexes(url)).length, 2);
          if (runId === '1004') await query(url, lines?.[ran ? 1 : 2] ?? 'select 1/0');
        }
        assertPassed(await runMigrate(project, url, { runId: '1005' }));
        assert.equal((await indexes(url)).length, ran ? 2 : 3);
        assert.deepEqual(await history(url), ['1', '2']);
      }));

  test('row 136: a statement that was done and has been edited since is told; not done, the new text runs', () =>
    withProject(async (url, project) => {
      await killedWith(url, project, BUILD);
      const edited = 'create index concurrently a_j on public.a (id);';
      const built = "select 1 from pg_index where indexrelid = to_regclass('public.a_j') and indisvalid";
      await killedWith(url, project, edited, '*/ create index', built);
      project.write({ '2_b.sql': 'create index concurrently a_k on public.a (id);' });
      const { report } = await runMigrate(project, url, { runId: '1003' });
      assert.match(report.problems[0]?.message ?? '', /was done, and has been edited since/);
      project.write({ '2_b.sql': `${edited}\ncreate index concurrently a_k on public.a (id);` });
      assertPassed(await runMigrate(project, url, { runId: '1004' }));
      assert.deepEqual(
        (await indexes(url)).map(({ name }) => name),
        ['a_j', 'a_k'],
      );
    }));

  test('row 136, row 33: what follows the part that stands may be edited so that no statement is alone', () =>
    withProject(async (url, project) => {
      const head = 'create table public.b (id int);\nvacuum public.b;\n';
      project.write({ '2_b.sql': `${head}vacuum public.nowhere;\nselect 1;` });
      const { report } = await runMigrate(project, url, { runId: '1002' });
      assert.equal(report.problems[0]?.code, '42P01');
      project.write({ '2_b.sql': `${head}insert into public.b values (1);` });
      assertPassed(await runMigrate(project, url, { runId: '1003' }));
      assert.deepEqual(await query(url, 'select id from public.b'), [{ id: 1 }]);
      project.write({ '3_c.sql': 'create table public.c (id int); vacuum public.c; select 1/0;' });
      await runMigrate(project, url, { runId: '1004' });
      project.write({ '3_c.sql': 'create table public.c (id int); vacuum public.c;' });
      assertPassed(await runMigrate(project, url, { runId: '1005' }));
      assert.deepEqual(await history(url), ['1', '2', '3']);
    }));

  test('row 136, row 44: the answer is lost and the database cannot be asked since: unknown, and the next run finds out', () =>
    withProject(async (url, project) => {
      project.write({ '2_b.sql': BUILD });
      const through = proxy().through(url);
      const database = openDatabase(settingsFor(project, through).database!.connection, { connectFor: 300 });
      proxy().breakOnAnswer('CREATE INDEX', 'reset');
      const [{ report }] = await Promise.all([
        runMigrate(project, through, { runId: '1002', database }),
        building(url).then(() => proxy().refuse(true)),
      ]);
      proxy().refuse(false);
      assert.equal(report.outcome, 'unknown', JSON.stringify(report));
      assert.match(
        report.problems[0]?.message ?? '',
        /the answer to CREATE INDEX CONCURRENTLY in line 1 was lost, and the database could not be asked since/,
      );
      assertPassed(await runMigrate(project, url, { runId: '1003' }));
      assert.deepEqual(await indexes(url), BUILT);
    }));
}

/** Every kind of statement, and kills at every point of a build. */
export function everyLoss(version: PostgresVersion): void {
  const { server, proxy, withProject, timesSent, writer, building, gone } = openScene(version);

  for (const lost of LOST)
    test(`row 136: the answer is cut and the process killed: ${lost.name}`, () =>
      withProject(async (url, project) => {
        if (lost.before) await query(url, lost.before);
        if (lost.elsewhere) await query(server().adminUrl, lost.elsewhere);
        const next = 'create table public.behind (id int);';
        project.write({ '2_b.sql': `${lost.sql}\n${next}` });
        const from = server().log().length;
        proxy().breakOnAnswer(lost.tag, 'silence');
        const child = startRun(project.folder, proxy().through(url), '1002');
        await until('the statement', async () => {
          const [row] = await query(url, lost.done);
          return row?.done === true && timesSent(lost.sql, from) === 1;
        });
        await killed(child);
        assert.deepEqual(await history(url), ['1']);
        assertPassed(await runMigrate(project, url, { runId: '1003' }));
        assert.equal(timesSent(lost.sql, from), lost.repeated ? 2 : 1);
        assert.deepEqual(await query(url, lost.done), [{ done: true }]);
        assert.deepEqual(await history(url), ['1', '2']);
        assert.deepEqual(await query(url, 'select 1 from supabase_migrations.deploy_partial'), []);
      }, lost.superuser));

  /** Where a run stands still until it is killed: a request whose answer is swallowed, and what tells that it came. */
  const STOPS: [name: string, request: string, came: string][] = [
    [
      'the lease is taken',
      'insert into supabase_migrations.deploy_lease',
      'select 1 from supabase_migrations.deploy_lease',
    ],
    [
      'it is recorded what will be sent',
      'sent = excluded.sent',
      "select 1 from supabase_migrations.deploy_partial where sent ->> 'kind' = 'create-index'",
    ],
    ['the build has begun', '*/ create index concurrently', 'select 1 from pg_stat_progress_create_index'],
    [
      'the index stands',
      '*/ create index concurrently',
      "select 1 from pg_index where indexrelid = to_regclass('public.a_i') and indisvalid",
    ],
    [
      'the index is dropped again',
      'drop index concurrently',
      "select 1 where to_regclass('public.a_i') is null",
    ],
  ];
  for (const [name, request, came] of STOPS)
    test(`row 136, row 41: killed when ${name}: the next run completes`, () =>
      withProject(async (url, project) => {
        project.write({ '2_b.sql': BUILD });
        if (request.includes('drop')) {
          // What is to be dropped: a build that was cut by its own time.
          const end = await writer(url);
          await runMigrate(project, url, { runId: '1001', inputs: { 'statement-timeout': '1s' } });
          await end();
          assert.deepEqual(await indexes(url), [{ name: 'a_i', valid: false }]);
        }
        proxy().breakAfterRequest(request, 'silence');
        const child = startRun(project.folder, proxy().through(url), '1002');
        await until(name, async () => (await query(url, came)).length > 0);
        await killed(child);
        assertPassed(await runMigrate(project, url, { runId: '1003' }));
        assert.deepEqual(await indexes(url), BUILT);
        assert.deepEqual(await history(url), ['1', '2']);
      }));

  test('row 136, row 59: killed 8 times while CREATE INDEX CONCURRENTLY runs, and the next runs complete', () =>
    withProject(async (url, project) => {
      project.write({ '2_b.sql': BUILD });
      for (let kill = 0; kill < 8; kill++) {
        const end = kill % 2 === 0 ? await writer(url) : undefined;
        const from = server().log().length;
        const child = startRun(project.folder, url, `kill-${kill}`);
        // A run first drops what the one before it left, for which a writer is waited for too.
        const isAtIt = (): boolean =>
          timesSent(BUILD, from) + timesSent('drop index concurrently', from) > 0 || child.exitCode !== null;
        await until('the build, or its end', isAtIt);
        await new Promise((resolve) => setTimeout(resolve, kill * 100));
        await killed(child);
        await end?.();
      }
      assertPassed(await runMigrate(project, url, { runId: 'last' }));
      assert.deepEqual(await indexes(url), BUILT);
      assert.deepEqual(await history(url), ['1', '2']);
    }));

  test('row 136, row 114: cancelled while an index is built: nothing is left of it, or that is told, and the next run completes', () =>
    withProject(async (url, project) => {
      project.write({ '2_b.sql': BUILD });
      for (const blocked of [false, true]) {
        const stop = new AbortController();
        const end = blocked ? await writer(url) : undefined;
        const [{ report }] = await Promise.all([
          runMigrate(project, url, { runId: '1002', signal: stop.signal }),
          building(url).then(() => stop.abort()),
        ]);
        assert.equal(report.cancelled, true);
        await end?.();
        const found = await indexes(url);
        if (blocked)
          assert.match(report.summary ?? '', /It left public\.a_i invalid; the next run drops that/);
        else assert.deepEqual(found, []);
      }
      assertPassed(await runMigrate(project, url, { runId: '1003' }));
      assert.deepEqual(await indexes(url), BUILT.concat());
    }));

  test('row 136: DETACH PARTITION CONCURRENTLY that was cut half-way is ended by the next run', () =>
    withProject(async (url, project) => {
      await query(
        url,
        'create table public.p (k int) partition by range (k); create table public.p1 partition of public.p for values from (0) to (9);',
      );
      project.write({ '2_b.sql': 'alter table public.p detach partition public.p1 concurrently;' });
      const { Client } = (await import('pg')).default;
      const reader = new Client({ connectionString: url });
      await reader.connect();
      await reader.query('begin; select * from public.p');
      const child = startRun(project.folder, url, '1002');
      await until('the pending partition', async () => {
        const rows = await query(url, 'select 1 from pg_inherits where inhdetachpending');
        return rows.length > 0;
      });
      await killed(child);
      await gone(url);
      await reader.end();
      const from = server().log().length;
      assertPassed(await runMigrate(project, url, { runId: '1003' }));
      assert.ok(server().log().slice(from).includes('detach partition public.p1 finalize'));
      assert.deepEqual(await query(url, 'select 1 from pg_inherits'), []);
      assert.deepEqual(await history(url), ['1', '2']);
    }));

  test('row 136: REINDEX CONCURRENTLY that was cut: what it left is dropped, and what others left is not', () =>
    withProject(async (url, project) => {
      await query(url, 'create index a_x on public.a (public.slow(id));');
      await query(url, 'create table public.other (id int); insert into public.other values (1), (1);');
      await assert.rejects(query(url, 'create unique index concurrently o_ccnew on public.other (id)'));
      project.write({ '2_b.sql': 'reindex index concurrently public.a_x;' });
      const end = await writer(url);
      const child = startRun(project.folder, url, '1002');
      await building(url);
      await killed(child);
      await gone(url);
      await end();
      assert.deepEqual(
        (await indexes(url)).map(({ name }) => name),
        ['a_x', 'a_x_ccnew'],
      );
      assertPassed(await runMigrate(project, url, { runId: '1003' }));
      assert.deepEqual(await indexes(url), [{ name: 'a_x', valid: true }]);
      assert.deepEqual(await query(url, "select 1 as kept where to_regclass('public.o_ccnew') is not null"), [
        { kept: 1 },
      ]);
    }));

  test('row 136: a subscription with its slot at a publisher: made, changed and dropped once each', async () => {
    const publisher = await startPostgres({ version, settings: { wal_level: 'logical' } });
    try {
      await query(publisher.adminUrl, 'create publication p; create publication q;');
      const { hostname, port, username } = new URL(publisher.adminUrl);
      const connection = `host=${hostname} port=${port} user=${username} password=${publisher.password} dbname=postgres`;
      const steps: [sql: string, tag: string][] = [
        [`create subscription s connection '${connection}' publication p;`, 'CREATE SUBSCRIPTION'],
        ['alter subscription s add publication q;', 'ALTER SUBSCRIPTION'],
        ['alter subscription s drop publication p;', 'ALTER SUBSCRIPTION'],
        ['alter subscription s refresh publication;', 'ALTER SUBSCRIPTION'],
        ['drop subscription s;', 'DROP SUBSCRIPTION'],
      ];
      await withProject(async (url, project) => {
        const from = server().log().length;
        for (const [index, [sql, tag]] of steps.entries()) {
          project.write({ [`${index + 2}_s.sql`]: sql });
          proxy().breakOnAnswer(tag, 'reset');
          const ran = await runMigrate(project, proxy().through(url), { runId: `${1002 + index}` });
          assertPassed(ran);
          assert.ok(!JSON.stringify(ran).includes(publisher.password), 'the password is told');
          assert.equal(timesSent(sql, from), sql.includes('refresh') ? 2 : 1, sql);
        }
        assert.deepEqual(await query(url, `select 1 from pg_subscription where ${HERE}`), []);
        assert.deepEqual(await query(publisher.adminUrl, 'select 1 from pg_replication_slots'), []);
        // As a try leaves it that is cut between the slot and the subscription.
        await query(publisher.adminUrl, "select pg_create_logical_replication_slot('t', 'pgoutput')");
        project.write({ '9_t.sql': `create subscription t connection '${connection}' publication p;` });
        const { report } = await runMigrate(project, url, { runId: '1099' });
        assert.match(report.problems[0]?.next ?? '', /pg_drop_replication_slot.*on the publisher/);
      }, true);
    } finally {
      await publisher.stop();
    }
  });
}

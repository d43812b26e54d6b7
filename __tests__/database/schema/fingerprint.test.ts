import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Database } from '../../../src/database/connection/connection.js';
import { openDatabase } from '../../../src/database/connection/open.js';
import type { DatabaseRollback } from '../../../src/database/rollback/rollback-database.js';
import { judgeDrift, readDriftNow } from '../../../src/database/schema/drift.js';
import {
  compareObjects,
  describeDifference,
  fingerprintOf,
  fingerprintQuery,
  isSameSchema,
  readFingerprint,
  type SchemaFingerprint,
  type SchemaObject,
} from '../../../src/database/schema/fingerprint.js';
import { withoutPartitioning } from '../../../src/database/schema/partitioning.js';
import { parseDatabaseUrl } from '../../../src/inputs/checks/database-url.js';
import type { LogEntry } from '../../../src/lib/log.js';
import type { PhaseReport } from '../../../src/lib/report.js';
import { runPhase } from '../../../src/report/phase.js';
import { type PostgresServer, query, startPostgres } from '../../servers/postgres.js';
import { createProject, history, runMigrate, settingsFor } from '../../servers/project.js';
import { rollbackAlone } from '../../servers/rollback.js';
import { EVERY_KIND, everyKindFiles } from '../every-kind.js';

let server: PostgresServer;
before(async () => {
  server = await startPostgres({ settings: { wal_level: 'logical' } });
});
after(() => server.stop());

const deadline = 30_000;

async function withDatabase<T>(url: string, work: (database: Database) => Promise<T>): Promise<T> {
  const parsed = parseDatabaseUrl(url);
  assert.ok('address' in parsed);
  const database = openDatabase({ kind: 'url', address: parsed.address });
  try {
    return await work(database);
  } finally {
    await database.close();
  }
}

function look(url: string): Promise<SchemaFingerprint> {
  return withDatabase(url, async (database) =>
    readFingerprint(await database.send(fingerprintQuery(), { deadline })),
  );
}

describe('fingerprint', () => {
  test('row 160: what the server makes up, and what belongs to the platform, is not compared', async () => {
    const url = await server.createDatabase();
    const admin = url.replace('//postgres:', '//supabase_admin:');
    await query(url, 'create table public.t (a int)');
    const before = await look(url);
    await query(
      admin,
      `update pg_attribute set attoptions = '{pg_attver=1}' where attrelid = 'public.t'::regclass and attname = 'a';
       create schema realtime; create table realtime.messages (id int); grant usage, create on schema realtime to postgres;
       alter table realtime.messages owner to postgres; create schema etl; create table etl.x (a int);`,
    );
    await query(url, 'create publication made_by_the_platform for table realtime.messages');
    assert.deepEqual((await look(url)).fingerprint, before.fingerprint);
    // A server that does not know the option sets no other beside it.
    await query(
      admin,
      `update pg_attribute set attoptions = '{n_distinct=5}' where attrelid = 'public.t'::regclass and attname = 'a'`,
    );
    assert.notEqual((await look(url)).fingerprint, before.fingerprint);
  });
  test('up, down and up again on thirty migrations with every kind of object gives the same schema', async () => {
    assert.equal(EVERY_KIND.length, 30);
    const url = await server.createDatabase();
    const project = createProject(everyKindFiles());
    const empty = await look(url);
    assert.equal(fingerprintOf(empty.objects), empty.fingerprint);
    const first = await runMigrate(project, url, { runId: '1', inputs: { rls: 'off' } });
    assert.deepEqual(first.report.problems, []);
    const up = await look(url);
    assert.notEqual(up.fingerprint, empty.fingerprint);

    const settings = settingsFor(project, url, { mode: 'rollback', 'run-id': '1' });
    let undone: DatabaseRollback | undefined;
    const report = await withDatabase(url, (database): Promise<PhaseReport> => {
      const tools = { log: (_: LogEntry) => undefined, signal: new AbortController().signal, database };
      return runPhase('rollback', tools.log, undefined, async (record) => {
        undone = await rollbackAlone(tools, settings, record);
      });
    });
    assert.deepEqual(report.problems, []);
    assert.equal(undone?.reverted.length, 30);
    assert.equal(report.steps.at(-1)?.detail, 'the fingerprint equals the one recorded before');
    const down = await look(url);
    assert.equal(describeDifference(compareObjects(empty.objects, down.objects)), '');
    assert.equal(down.fingerprint, empty.fingerprint);

    const again = await runMigrate(project, url, { runId: '1', inputs: { rls: 'off' } });
    assert.deepEqual(again.report.problems, []);
    const third = await look(url);
    assert.equal(describeDifference(compareObjects(up.objects, third.objects)), '');
    assert.equal(third.fingerprint, up.fingerprint);
    assert.equal((await history(url)).length, 30);
    project.delete();
  });

  test('every single migration of the thirty changes it, so none of its kinds is overlooked', async () => {
    const url = await server.createDatabase();
    let before = await look(url);
    for (const [name, up] of EVERY_KIND) {
      await query(url, up);
      const after = await look(url);
      assert.ok(!isSameSchema(compareObjects(before.objects, after.objects)), name);
      assert.notEqual(after.fingerprint, before.fingerprint, name);
      before = after;
    }
  });

  test('it does not depend on the settings of the role or session', async () => {
    const url = await server.createDatabase();
    await query(
      url,
      `create table public.t(id int default 1, at timestamptz default '2025-06-01 12:00+00', f float8 default 0.1,
        i interval default '1 day 2 hours'); create view public.v as select * from public.t;`,
    );
    const plain = await look(url);
    const name = new URL(url).pathname.slice(1);
    await query(
      url,
      `alter database ${name} set search_path = pg_catalog, public; alter database ${name} set timezone = 'Asia/Tokyo';
       alter database ${name} set datestyle = 'German'; alter database ${name} set intervalstyle = 'iso_8601';
       alter database ${name} set quote_all_identifiers = on`,
    );
    const other = await look(url);
    assert.equal(describeDifference(compareObjects(plain.objects, other.objects)), '');
  });
});

describe('drift', () => {
  test('names what other hands added, removed and altered since the last deploy', async () => {
    const url = await server.createDatabase();
    const project = createProject(everyKindFiles());
    const drift = (): ReturnType<typeof readDriftNow> =>
      withDatabase(url, (database) =>
        readDriftNow({ log: () => undefined, signal: new AbortController().signal, database }),
      );
    assert.equal(judgeDrift(await drift(), 'fail').detail, 'no deploy has recorded the schema yet');
    await runMigrate(project, url, { runId: '5', inputs: { rls: 'off' } });
    assert.equal(judgeDrift(await drift(), 'fail').detail, 'unchanged since run 5 (aaaaaaa)');
    await query(
      url,
      `create function public.sneaky() returns int language sql as 'select 1'; alter table public.rooms disable row level security;
       revoke update (name) on public.hotels from authenticated; drop view public.better; create table public.mine(id int primary key)`,
    );
    const verdict = judgeDrift(await drift(), 'fail');
    assert.equal(verdict.refusals.length, 1);
    assert.equal(
      verdict.refusals[0]!.message,
      'the schema changed since run 5 (aaaaaaa) by other hands: added function public.sneaky(), added table public.mine, ' +
        'removed view public.better, altered column public.hotels.name, altered table public.rooms',
    );
    assert.equal(judgeDrift(await drift(), 'warn').warnings.length, 1);
    assert.deepEqual(judgeDrift(await drift(), 'off').refusals, []);
    project.write({ '20250201000000_next.sql': 'select 1' });
    await runMigrate(project, url, { runId: '6', inputs: { rls: 'off' } });
    assert.match(judgeDrift(await drift(), 'fail').detail, /unchanged since run 6/);
    project.delete();
  });
});

describe('partitions', () => {
  const SETUP = `create table public.events (id bigint primary key, at date) partition by range (id);
    create table public.seen (event bigint references public.events);
    create publication news for table public.events;
    create index on public.events (at);
    create table public.kept partition of public.events for values from (0) to (10);
    create table public.gone partition of public.events for values from (10) to (20);
    create table public.loose partition of public.events for values from (20) to (30);
    create table public.next (id bigint not null, at date);`;
  const BY_JOBS = `alter table public.events detach partition public.gone; drop table public.gone;
    alter table public.events detach partition public.loose;
    alter table public.events attach partition public.next for values from (20) to (40);
    create table public.fresh partition of public.events for values from (40) to (50);
    grant select on public.fresh to anon;`;

  test('row 160: those that others make, attach, detach and drop are no drift; in a proof they count', async () => {
    const url = await server.createDatabase();
    await query(url, SETUP);
    const before = (await look(url)).objects;
    await query(url, BY_JOBS);
    const difference = compareObjects(before, (await look(url)).objects);
    assert.match(describeDifference(difference), /partition public\.loose/);
    assert.equal(describeDifference(withoutPartitioning(difference)), '');
  });

  test('row 160: row level security, policies and grants of a partition do count, also of one that was moved', async () => {
    const url = await server.createDatabase();
    await query(url, SETUP);
    const before = (await look(url)).objects;
    await query(
      url,
      `${BY_JOBS} alter table public.kept enable row level security; create policy p on public.kept using (true);
       grant select on public.loose to pg_monitor; create index mine on public.kept (id);`,
    );
    const told = describeDifference(withoutPartitioning(compareObjects(before, (await look(url)).objects)));
    assert.equal(
      told,
      'added index public.mine on kept, added policy public.p on kept, altered grants on table public.loose, altered table public.kept',
    );
  });
});

describe('a difference in words', () => {
  const object = (kind: string, name: string, hash = 'x'): SchemaObject => ({
    kind,
    schema: 'public',
    name,
    hash,
  });
  test('leaves out what follows from a table that came, and counts what is too much', () => {
    const before = [object('table', 'old'), object('column', 'old.a', '1')];
    const after = [
      ...before.slice(0, 1),
      object('column', 'old.a', '2'),
      object('table', 'new'),
      object('column', 'new.id'),
      object('constraint', 'new_pkey on new'),
      object('grants on table', 'new'),
      object('policy', 'read on new'),
      object('policy', 'read on old'),
    ];
    const difference = compareObjects(before, after);
    assert.equal(
      describeDifference(difference),
      'added policy public.read on old, added table public.new, altered column public.old.a',
    );
    assert.equal(describeDifference(difference, 1), 'added policy public.read on old and 2 more');
  });
});

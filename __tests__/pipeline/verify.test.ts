import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import pg from 'pg';
import { openDatabase } from '../../src/database/connection/open.js';
import { judgeHistory } from '../../src/database/schema/compare-history.js';
import { parseDatabaseUrl } from '../../src/inputs/checks/database-url.js';
import { parseFunctionName } from '../../src/inputs/checks/function-names.js';
import { parseQualifiedName } from '../../src/inputs/checks/names.js';
import type { DatabaseSettings, Settings } from '../../src/inputs/settings.js';
import type { LogEntry } from '../../src/lib/log.js';
import type { PhaseReport } from '../../src/lib/report.js';
import type { FunctionName, QualifiedName } from '../../src/lib/sql-names.js';
import { verify } from '../../src/pipeline/verify.js';
import { type PostgresServer, query, startPostgres } from '../servers/postgres.js';
import { databaseWork } from '../servers/work.js';

let server: PostgresServer;
before(async () => {
  server = await startPostgres();
});
after(() => server.stop());

interface Verified {
  report: PhaseReport;
  warnings: string[];
}

function names(list: string[]): QualifiedName[] {
  return list.map((text) => {
    const parsed = parseQualifiedName(text);
    assert.ok('name' in parsed);
    return parsed;
  });
}

function functions(list: string[]): FunctionName[] {
  return list.map((text) => {
    const parsed = parseFunctionName(text);
    assert.ok('name' in parsed, text);
    return parsed;
  });
}

/** Does the work while somebody holds a table exclusively. */
async function holding<T>(url: string, table: string, work: () => Promise<T>): Promise<T> {
  const holder = new pg.Client({ connectionString: url });
  await holder.connect();
  await holder.query(`begin; lock table ${table} in access exclusive mode`);
  try {
    return await work();
  } finally {
    await holder.end();
  }
}

async function look(
  url: string,
  tables: string[],
  more: Partial<DatabaseSettings> = {},
  mode: 'verify' | 'deploy' = 'verify',
): Promise<Verified> {
  const parsed = parseDatabaseUrl(url);
  assert.ok('address' in parsed);
  const connection = { kind: 'url', address: parsed.address } as const;
  const database = openDatabase(connection);
  const warnings: string[] = [];
  const log = (entry: LogEntry): void => {
    if (entry.kind === 'warning') warnings.push(entry.problem.message);
  };
  const settings = {
    mode,
    workingDirectory: '/',
    database: {
      connection,
      requiredTables: names(tables),
      requiredFunctions: [],
      rls: 'required',
      rlsExcept: [],
      verifySql: [],
      rowCounts: 'estimate',
      missingMigrations: 'warn',
      migrationsDir: 'nowhere',
      ...more,
    },
  } as unknown as Settings;
  try {
    const report = await verify(databaseWork(settings, { log, database }));
    return { report, warnings };
  } finally {
    await database.close();
  }
}

const problems = ({ report }: Verified): string[] => report.problems.map(({ message }) => message);
const detail = ({ report }: Verified, step: string): string | undefined =>
  report.steps.find(({ name }) => name === step)?.detail;

async function withTables(sql: string): Promise<string> {
  const url = await server.createDatabase();
  await query(url, sql);
  return url;
}

const SAFE = `create table public.hotels(id int primary key, owner text);
  alter table public.hotels enable row level security;
  create policy own on public.hotels for select to authenticated using (owner = current_user);
  insert into public.hotels select n, 'x' from generate_series(1, 3) n;`;

describe('verify', () => {
  test('a good schema passes with one step per fact, and its tables are facts', async () => {
    const url = await withTables(`${SAFE} analyze; alter table public.hotels force row level security;
      create function public.near() returns int language sql as 'select 1';
      create function public.near(int) returns int language sql as 'select 1';`);
    const verified = await look(url, ['hotels'], { requiredFunctions: names(['near']) });
    assert.deepEqual(problems(verified), []);
    assert.equal(verified.report.facts.verified, true);
    assert.deepEqual(verified.report.facts.tables, [
      {
        schema: 'public',
        name: 'hotels',
        rows: 3,
        exact: false,
        bytes: 32_768,
        rls: true,
        forced: true,
        policies: 1,
      },
    ]);
    assert.equal(detail(verified, 'table public.hotels'), 'about 3 rows, 32 kB');
    assert.equal(detail(verified, 'function public.near'), '2 with this name');
    assert.equal(detail(verified, 'row level security of public.hotels'), 'on, forced, 1 policy');
    assert.equal(detail(verified, 'row level security binds role anon'), '1 of 1 tables give it nothing');
  });

  test('a function with types is that overload, and another one is told', async () => {
    const url = await withTables(`create schema app; create type app.mood as enum ('ok');
      create function public.price(int) returns int language sql as 'select 1';
      create function public.price(app.mood[], timestamptz) returns int language sql as 'select 1';
      create function public.touch() returns int language sql as 'select 1';`);
    const good = ['price(integer)', 'price(app.mood[], timestamp with time zone)', 'touch()', 'price'];
    const verified = await look(url, [], { requiredFunctions: functions(good) });
    assert.deepEqual(problems(verified), []);
    assert.equal(detail(verified, 'function public.price'), '2 with this name');
    assert.ok(verified.report.steps.some(({ name }) => name === 'function public.price(integer)'));
    const bad = ['price(text)', 'price()', 'price(integer, integer)', 'price(select)', 'gone(int)'];
    const missing = problems(await look(url, [], { requiredFunctions: functions(bad) }));
    assert.deepEqual(missing, [
      'function public.price(text) does not exist; there is price(integer), price(app.mood[],timestamp with time zone)',
      'function public.price() does not exist; there is price(integer), price(app.mood[],timestamp with time zone)',
      'function public.price(integer, integer) does not exist; there is price(integer), price(app.mood[],timestamp with time zone)',
      'function public.price("select") does not exist; there is price(integer), price(app.mood[],timestamp with time zone)',
      'function public.gone(integer) does not exist',
    ]);
  });

  test('a table of the platform may be required, and is not judged by the rules for rows', async () => {
    const url = await withTables(`create schema auth; create table auth.users (id int);
      create table auth.sessions (id int); alter table auth.sessions enable row level security;
      create policy p on auth.sessions using (id in (select id from auth.sessions));`);
    for (const rls of ['required', 'all'] as const) {
      const verified = await look(url, ['auth.users', 'auth.sessions'], { rls });
      assert.deepEqual(problems(verified), []);
      assert.ok(verified.report.steps.some(({ name }) => name === 'table auth.users'));
    }
  });

  test('a table that anon can never ask fails, and one that is only locked is told', async () => {
    const url = await withTables(`${SAFE} grant select on public.hotels to anon;
      create table public.teams(id int); alter table public.teams enable row level security;
      create policy round on public.teams using (id in (select id from public.teams));
      grant select on public.teams to anon;`);
    const verified = await look(url, ['hotels', 'teams']);
    assert.deepEqual(problems(verified), [
      'role anon cannot ask public.teams: every query of it fails with 42P17, because its policies ask the table itself (infinite recursion)',
    ]);
    assert.equal(verified.report.facts.verified, false);
    const held = await holding(url, 'public.hotels', () => look(url, ['hotels']));
    assert.deepEqual(problems(held), []);
    assert.ok(
      held.warnings.includes('role anon could not be asked for public.hotels (55P03)'),
      String(held.warnings),
    );
  });

  test('row 12: quoted names are found as they are written', async () => {
    const url = await withTables(
      `create schema "We ird"; create table "We ird"."x.""y" (id int); create table public."Añb"(id int)`,
    );
    const verified = await look(url, ['"We ird"."x.""y"', '"Añb"'], { rls: 'off' });
    assert.deepEqual(problems(verified), []);
    assert.ok(verified.report.steps.some(({ name }) => name === 'table "We ird"."x.""y"'));
  });

  test('everything that is wrong is told at once', async () => {
    const url = await withTables(`create table public.open(id int);
      create table public.mute(id int); alter table public.mute enable row level security;
      create view public.v as select 1; create table public.idle(id int);
      create policy p on public.idle using (true);`);
    const verified = await look(url, ['open', 'mute', 'v', 'gone'], { requiredFunctions: names(['f']) });
    assert.deepEqual(problems(verified), [
      'public.v is a view, not a table',
      'table public.gone does not exist',
      'function public.f does not exist',
      'row level security is off on public.open',
      'public.mute has row level security on but no policy: nobody it applies to can read it',
    ]);
    assert.deepEqual(verified.warnings, [
      'the policies of public.idle have no effect: its row level security is off',
    ]);
    assert.equal(verified.report.facts.verified, false);
    assert.equal(verified.report.facts.tables?.length, 2);
    const off = await look(url, ['open'], { rls: 'off' });
    assert.deepEqual(problems(off), []);
  });

  test('rls: all covers every table of public, but not those of extensions', async () => {
    const url = await withTables(`${SAFE} create table public.b(id int); create table public.a(id int);
      create schema app; create table app.other(id int);`);
    const verified = await look(url, [], { rls: 'all' });
    assert.deepEqual(problems(verified), [
      'row level security is off on public.a',
      'row level security is off on public.b',
    ]);
    assert.equal(verified.report.facts.tables?.length, 3);
  });

  test('a role anon that row level security does not bind is found by asking as anon', async () => {
    const url =
      await withTables(`${SAFE} create table public.menu(id int); insert into public.menu values (1);
      alter table public.menu enable row level security; create policy all_read on public.menu for select using (true);`);
    const fine = await look(url, ['hotels', 'menu']);
    assert.deepEqual(problems(fine), []);
    assert.equal(
      detail(fine, 'row level security binds role anon'),
      '1 of 2 tables give it nothing, 1 give rows by a policy',
    );
    await query(server.adminUrl, 'alter role anon bypassrls');
    try {
      const open = await look(url, ['hotels']);
      assert.deepEqual(problems(open), [
        'role anon reads rows of public.hotels although no policy lets it: row level security does not bind it',
      ]);
    } finally {
      await query(server.adminUrl, 'alter role anon nobypassrls');
    }
  });

  test('what a policy does while anon is asked is undone', async () => {
    const url = await withTables(`${SAFE} create table public.seen(n int);
      create function public.note() returns boolean language plpgsql security definer as $$
        begin insert into public.seen values (1); return true; end $$;
      create policy noting on public.hotels for select to anon using (public.note());`);
    const verified = await look(url, ['hotels']);
    assert.deepEqual(problems(verified), []);
    assert.match(detail(verified, 'row level security binds role anon')!, /could not be asked \(25006\)/);
    const rows = await query(url, 'select * from public.seen');
    assert.deepEqual(rows, []);
  });

  test('exact counts are exact, and an estimate never is', async () => {
    const url = await withTables(SAFE);
    const exact = await look(url, ['hotels'], { rowCounts: 'exact' });
    assert.deepEqual(
      exact.report.facts.tables?.map(({ rows, exact }) => [rows, exact]),
      [[3, true]],
    );
    const off = await look(url, ['hotels'], { rowCounts: 'off' });
    assert.equal(off.report.facts.tables?.[0]?.rows, null);
  });

  test('a table that somebody holds is told by its estimated size, not waited for', async () => {
    const url = await withTables(SAFE);
    const parsed = parseDatabaseUrl(url);
    assert.ok('address' in parsed);
    const holder = openDatabase({ kind: 'url', address: parsed.address });
    await holder.send('begin; lock table public.hotels in access exclusive mode', { deadline: 5_000 });
    const verified = await look(url, ['hotels'], { rowCounts: 'exact' });
    await holder.send('rollback', { deadline: 5_000 });
    await holder.close();
    assert.deepEqual(problems(verified), []);
    assert.equal(verified.report.facts.tables?.[0]?.exact, false);
    assert.match(verified.warnings.join('\n'), /1 of 1 tables could not be counted/);
  });

  test('an invalid index fails verify, and is only told in a deploy, which did not make it', async () => {
    const url = await withTables(`${SAFE} insert into public.hotels values (9, 'x');`);
    await assert.rejects(query(url, 'create unique index concurrently twice on public.hotels(owner)'));
    const verified = await look(url, ['hotels']);
    assert.deepEqual(problems(verified), ['index public.twice is invalid: no query uses it']);
    const deployed = await look(url, ['hotels'], {}, 'deploy');
    assert.equal(deployed.report.outcome, 'passed');
    assert.deepEqual(deployed.warnings, ['index public.twice is invalid: no query uses it']);
  });

  test('constraints that are NOT VALID and sequences near their end are told', async () => {
    const url =
      await withTables(`${SAFE} alter table public.hotels add constraint nice check (id > 0) not valid;
      create table public.log(id serial); select setval('public.log_id_seq', 2000000000);
      create sequence public.big; select setval('public.big', 2000000000);`);
    const verified = await look(url, ['hotels']);
    assert.equal(verified.report.outcome, 'passed');
    assert.deepEqual(verified.warnings, [
      'constraint nice on public.hotels is NOT VALID: existing rows were never checked',
      'sequence public.log_id_seq has used 93 % of its numbers',
    ]);
  });
});

describe('the history and the files', () => {
  const files = ['1', '2', '3'].map((version) => ({
    version,
    name: 'x',
    file: `m/${version}_x.sql`,
    source: '',
    checksum: '',
    afterHealth: version === '3',
  }));
  const recorded = (version: string) => ({ version, name: 'x', textHash: null, checksum: null });
  const judged = (history: string[], missingMigrations: 'refuse' | 'warn', baseline?: string) => {
    const { passed, detail, problems, warnings } = judgeHistory(files, history.map(recorded), {
      missingMigrations,
      ...(baseline === undefined ? {} : { baseline }),
    });
    return [passed, detail, problems.length, warnings.map(({ message }) => message)];
  };
  test('are equal, or it is said in which way they are not', () => {
    assert.deepEqual(judged(['1', '2', '3'], 'refuse'), [true, '3 applied', 0, []]);
    assert.deepEqual(judged(['1', '2'], 'refuse'), [true, '2 applied, 1 not applied yet', 0, []]);
    assert.deepEqual(judged(['1'], 'refuse'), [
      true,
      '1 applied, 2 not applied yet',
      0,
      ['not applied yet: m/2_x.sql'],
    ]);
    assert.deepEqual(judged(['3'], 'refuse', '2'), [true, '1 applied', 0, []]);
  });
  test('row 22: a recorded version without a file follows missing-migrations', () => {
    const all = ['0', '1', '2', '3'];
    assert.deepEqual(judged(all, 'refuse'), [false, '4 applied, 1 without a file', 1, []]);
    assert.deepEqual(judged(all, 'warn'), [
      true,
      '4 applied, 1 without a file',
      0,
      ['recorded as applied, but without a file: 0'],
    ]);
  });
});

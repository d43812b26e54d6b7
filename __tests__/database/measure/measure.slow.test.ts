/** What a scratch database of another server is measured to do, and what becomes of it. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { runReader } from '../../../src/database/lint/run-statements.js';
import { whyNotRun } from '../../../src/database/measure/not-run.js';
import { loadParser } from '../../../src/database/sql/parser.js';
import { loadBodyParser } from '../../../src/database/sql/plpgsql.js';
import { type PostgresServer, query, startPostgres } from '../../servers/postgres.js';
import {
  createProject,
  type Files,
  type Inputs,
  objects,
  type Ran,
  runMigrate,
  runPlanPhase,
} from '../../servers/project.js';

let target: PostgresServer;
let scratch: PostgresServer;
before(async () => {
  [target, scratch] = await Promise.all([startPostgres({ version: 15 }), startPostgres()]);
});
after(() => Promise.all([target.stop(), scratch.stop()]));

interface Planned {
  ran: Ran;
  /** Warnings as `line: message -> next`. */
  told: string[];
  lines: string;
  shadow: string;
}

/** Applies some files, then plans others with a scratch database. */
async function planned(applied: Files, pending: Files, inputs: Inputs = {}, prepare = ''): Promise<Planned> {
  const [url, shadow] = [
    await target.createDatabase(),
    inputs['shadow-database-url'] ?? (await scratch.createDatabase()),
  ];
  if (prepare !== '') await query(shadow, prepare);
  const project = createProject(applied);
  try {
    const { report } = await runMigrate(project, url, { inputs: { rls: 'off' } });
    assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
    project.write(pending);
    const ran = await runPlanPhase(project, url, { inputs: { 'shadow-database-url': shadow, ...inputs } });
    const told = ran.log.flatMap((entry) =>
      entry.kind === 'warning'
        ? [`${entry.problem.at?.line}: ${entry.problem.message} -> ${entry.problem.next}`]
        : [],
    );
    const lines = ran.log.flatMap((entry) => (entry.kind === 'line' ? [entry.text.trim()] : [])).join('\n');
    return { ran, told, lines, shadow };
  } finally {
    project.delete();
  }
}

function detail({ ran }: Planned): string | undefined {
  return ran.report.steps.find(({ name }) => name === 'statements on the scratch database')?.detail;
}

const TABLES = {
  '1_a.sql': `create table public.u (id int primary key);
create table public.t (id int primary key, name varchar(10));
create index i on public.t (name);`,
};

describe('a plan with a scratch database of another server', () => {
  test('tells what was measured in place of what the rules guess, and leaves nothing there', async () => {
    const found = await planned(TABLES, {
      '2_b.sql': `alter table public.t add column c uuid default gen_random_uuid();
alter table public.t alter column name type varchar(20);
create domain public.positive as int check (value > 0);
alter table public.t add column p public.positive default 1;
alter table public.t add column u int references public.u (id);
create index on public.t (c);
drop table public.u cascade;`,
    });
    assert.equal(found.ran.report.outcome, 'passed', JSON.stringify(found.ran.report.problems));
    assert.equal(detail(found), '7 measured');
    const [first, ...rest] = found.told;
    assert.match(first ?? '', /^7: drop table public\.u cascade: deletes data/);
    const all = rest.join('\n');
    assert.match(
      all,
      /^1: .*takes ACCESS EXCLUSIVE on public\.t; writes public\.t, .* anew \(adding-field-with-default\) -> It rewrites/m,
    );
    assert.match(all, /^4: .*writes public\.t.*anew \(measured-rewrite\)/m);
    assert.match(all, /^5: .*ACCESS EXCLUSIVE on public\.t; SHARE ROW EXCLUSIVE on public\.u/m);
    assert.match(all, /^6: .*SHARE on public\.t; builds public\.t_c_idx/m);
    // The rules take every change of a type for a rewrite.
    assert.doesNotMatch(all, /^2: /m);
    assert.match(
      found.lines,
      /measured {2}2:2 {2}alter table public\.t alter column name type varchar\(20\): ACCESS EXCLUSIVE on public\.t$/m,
    );
    assert.deepEqual(await objects(found.shadow), []);
    const schemas = await query(found.shadow, "select nspname from pg_namespace where nspname ~ '^muva'");
    assert.deepEqual(schemas, []);
  });

  test('what is not run there, and what fails there, stays with the rules and says why', async () => {
    const found = await planned(TABLES, {
      '2_b.sql': `create index concurrently j on public.t (id);`,
      '3_c.sql': `create role muva_never;
create index k on public.t (id);
select 1 / count(*) from public.u;
do $$ begin perform dblink_connect('x'); exception when others then create index l on public.t (id); end $$;`,
    });
    assert.equal(found.ran.report.outcome, 'passed', JSON.stringify(found.ran.report.problems));
    assert.match(found.lines, /2:1 .*not measured: CREATE INDEX CONCURRENTLY runs in no transaction/);
    assert.match(found.lines, /3:1 .*not measured: it concerns roles/);
    assert.match(found.lines, /3:3 .*not measured: division by zero \(22012\)/);
    assert.match(found.lines, /3:4 .*not measured: it asks another server \(dblink\)/);
    assert.match(
      found.told.join('\n'),
      /create index l .*\(require-concurrent-index-creation\); not measured: it asks another server/,
    );
    assert.deepEqual(await query(scratch.adminUrl, "select from pg_roles where rolname = 'muva_never'"), []);
    assert.deepEqual(await objects(found.shadow), []);
  });

  test('an applied file that does not run there is named; nothing is refused', async () => {
    const applied = { '1_a.sql': 'create table public.t (id int);' };
    const found = await planned(
      applied,
      { '2_b.sql': 'create index on public.t (id);' },
      {},
      'drop schema public',
    );
    assert.equal(found.ran.report.outcome, 'passed');
    assert.match(
      detail(found) ?? '',
      /^not measured: the applied file 1_a does not run .*3F000.*shadow-base: database/,
    );
    assert.match(found.told[0] ?? '', /require-concurrent-index-creation\); not measured: the applied file/);
  });

  test('a scratch database on the same server, or with objects of its own, is not used', async () => {
    const pending = { '2_b.sql': 'create index on public.t (id);' };
    const same = await planned(TABLES, pending, { 'shadow-database-url': await target.createDatabase() });
    assert.equal(detail(same), 'not measured: shadow-database-url is on the server of the database itself');
    const full = await planned(TABLES, pending, {}, 'create table public.keep (id int)');
    assert.equal(detail(full), 'not measured: the scratch database is not empty: it has keep');
    assert.deepEqual(await objects(full.shadow), ['keep']);
  });

  test('what a run that was killed left there is dropped by the next one', async () => {
    const left = `create schema muva_measure; create table muva_measure.before as select ''::text as kind, ''::text as name;
      insert into muva_measure.before select 'schema', nspname from pg_namespace union all select 'extension', extname from pg_extension;
      create table public.t (id int generated always as identity, n serial); create function public.f() returns int language sql as 'select 1'; create type public.e as enum ('a');`;
    const found = await planned(TABLES, { '2_b.sql': 'create index on public.t (id);' }, {}, left);
    assert.equal(detail(found), '1 measured');
    assert.deepEqual(await objects(found.shadow), []);
  });
});

test('what is not run on a scratch database', async () => {
  const parsers = { parse: await loadParser(), parseBody: await loadBodyParser() };
  const why = (sql: string): (string | undefined)[] => {
    const reader = runReader(parsers);
    return (parsers.parse(sql).statements ?? []).map((statement) => whyNotRun(reader.read(statement, sql)));
  };
  for (const sql of [
    'create role x',
    'alter role x set a = 1',
    'grant x to y',
    'drop owned by x',
    'alter role x rename to y',
    'comment on role x is null',
  ])
    assert.deepEqual(why(sql), ['it concerns roles'], sql);
  for (const sql of [
    'create database x',
    'alter database x set a = 1',
    'alter database x owner to y',
    'grant connect on database x to y',
  ])
    assert.deepEqual(why(sql), ['it concerns whole databases'], sql);
  for (const sql of ["create tablespace x location '/x'", 'alter table all in tablespace a set tablespace b'])
    assert.deepEqual(why(sql), ['it concerns tablespaces'], sql);
  assert.deepEqual(why("alter system set a = 'b'"), ["it concerns the server's settings"]);
  assert.deepEqual(why('grant set on parameter work_mem to x'), ["it concerns the server's settings"]);
  assert.deepEqual(why("create subscription x connection 'c' publication p"), ['it concerns subscriptions']);
  assert.deepEqual(why("select dblink_exec('x', 'y')"), ['it asks another server (dblink)']);
  assert.deepEqual(why("select net.http_post('x')"), ['it asks another server (net)']);
  assert.deepEqual(why("select cron.schedule('x', '* * * * *', 'y')"), ['it gives jobs to cron']);
  assert.deepEqual(why("copy a from program 'x'"), ["it reads or writes files of the server's machine"]);
  assert.deepEqual(why('do $$ begin if true then alter role x set a = 1; end if; end $$'), [
    'it concerns roles',
  ]);
  const called =
    "create function f() returns void language plpgsql as $$ begin perform net.http_get('x'); end $$; select f()";
  assert.deepEqual(why(called), [undefined, 'it asks another server (net)']);
  assert.deepEqual(why('create table a (id int); grant select on a to x; alter table a owner to x'), [
    undefined,
    undefined,
    undefined,
  ]);
});

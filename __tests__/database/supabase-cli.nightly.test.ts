/** Beside the real Supabase CLI: the same rows, the same opinion on what is pending, and never a file twice. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import pg from 'pg';
import { type PostgresServer, query, startPostgres } from '../servers/postgres.js';
import { createProject, type Files, history, type Project, runMigrate, runPlan } from '../servers/project.js';
import { installSupabaseCli, type SupabaseCli } from '../servers/supabase-cli.js';
import { until } from '../servers/until.js';
import { NASTIES } from './nasties.js';

let cli: SupabaseCli;
let server: PostgresServer;
before(async () => {
  cli = await installSupabaseCli();
  server = await startPostgres({ version: 15 });
});
after(() => server?.stop());

async function withProject(files: Files, work: (project: Project) => Promise<void>): Promise<void> {
  const project = createProject(files);
  try {
    await work(project);
  } finally {
    project.delete();
  }
}

async function push(project: Project, url: string): Promise<void> {
  const { code, text } = await cli.run(project, url, 'db', 'push', '--yes');
  assert.equal(code, 0, text);
}

/** What a command of the CLI answers with `--output-format json`. */
async function ask<T>(project: Project, url: string, ...command: string[]): Promise<T> {
  const { code, text } = await cli.run(project, url, ...command, '--output-format', 'json');
  assert.equal(code, 0, text);
  const line = text.split('\n').find((each) => each.startsWith('{'));
  assert.ok(line, text);
  return JSON.parse(line) as T;
}

async function ours(project: Project, url: string): Promise<void> {
  const { report } = await runMigrate(project, url);
  assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
}

const rows = (url: string): Promise<unknown[]> =>
  query(url, 'select version, name, statements from supabase_migrations.schema_migrations order by version');

async function assertNothingPending(project: Project, url: string): Promise<void> {
  const plan = await runPlan(project, url);
  const { pending, deferred, refusals } = plan;
  assert.deepEqual({ pending, deferred, refusals }, { pending: [], deferred: [], refusals: [] });
  // A file that we took for edited would be a warning.
  assert.deepEqual(
    plan.warnings.filter(({ message }) => /edited|changed/.test(message)),
    [],
  );
}

/** What we apply and the CLI does not, or where it applies more than the migrations. */
const NOT_FOR_THE_CLI = [
  'row 34: the \\restrict lines of pg_dump',
  'row 35: SET ROLE in one file',
  'row 19, row 20: names that are no migration, and mixed widths',
  'CREATE RULE with several commands',
  'a down file',
  'row 35: temporary tables of one name',
  'row 35: session locks, prepared statements, LISTEN',
];

const shared = NASTIES.filter((nasty) => nasty.outcome === 'passed' && !NOT_FOR_THE_CLI.includes(nasty.name));

test('the files that are left out here exist', () => {
  const names = NASTIES.map((nasty) => nasty.name);
  assert.deepEqual(
    NOT_FOR_THE_CLI.filter((name) => !names.includes(name)),
    [],
  );
});

for (const { name, files } of shared)
  test(`${name}: the CLI writes the rows that we write, and leaves us nothing to do`, async () => {
    await withProject(files, async (project) => {
      const [theirs, own] = [await server.createDatabase(), await server.createDatabase()];
      await push(project, theirs);
      await ours(project, own);
      assert.deepEqual(await rows(own), await rows(theirs));
      await assertNothingPending(project, theirs);
    });
  });

/** Where a splitter goes wrong; all of it is SQL that PostgreSQL takes as one file or as the CLI's pieces. */
const SHAPES = [
  "select E'it\\'s; \\\\', e'a;' \n '\\';b', 'c:\\'; select 2",
  "select 'a' -- ; '\n ';b'; select 4/2-1, 4 /* /* ; */ ; */ - 1 /* ; */; select 1 -- the end ;",
  'create table public.x$a$(id int); insert into public.x$a$ values (1); select 1 as a$$b; select 2 as c$$d',
  'create function public.g() returns int language sql begin atomic select case when true then 1 else 2 end; select 3; end; select 5 as my_atomic',
  'create function public.h() returns int language sql\nBegin  Atomic\n select 1; -- end;\n /* ; */ select 2;\n /* end */ END; select 6',
  'select (1); select ((2)); select (3) + (4), (select 5); select 1;;; select 2 ; \n;',
  'do $a$ begin perform $$ ; $$; end $a$; do $_1$ begin end $_1$; select $é$;$é$, "a;b" from (select 1 as "a;b") t',
  'prepare p as select $1::int, $2::text; execute p(1, $$;$$); deallocate p',
  '-- first\r\nselect 1;\r\n\r\n/* last ; */\r\n',
  "select U&\"d\\0061t;a\" from (select 1 as \"dat;a\") t; select B'1', X'1F', U&'\\0041;'; select 1 as 名前; select 2",
  '\n\n  \t; ;\n-- only a comment',
  'create procedure public.q() language sql begin atomic insert into public.x$a$ values (2); end; call public.q()',
];
const shapes = Object.fromEntries(SHAPES.map((text, index) => [`${2000 + index}_shape.sql`, text]));

test('our rows of awkward statements are those of the CLI, which finds nothing left to do', async () => {
  await withProject(shapes, async (project) => {
    const [theirs, own] = [await server.createDatabase(), await server.createDatabase()];
    await push(project, theirs);
    await ours(project, own);
    assert.deepEqual(await rows(own), await rows(theirs));
    await assertNothingPending(project, theirs);
    const { migrations } = await ask<{ migrations: { local: string; remote: string }[] }>(
      project,
      own,
      'migration',
      'list',
    );
    assert.deepEqual(
      migrations.map(({ local, remote }) => [local, remote]),
      Object.keys(shapes).map((file) => [file.slice(0, 4), file.slice(0, 4)]),
    );
    const dry = await ask<{ upToDate: boolean; migrations: string[] }>(
      project,
      own,
      'db',
      'push',
      '--dry-run',
    );
    assert.deepEqual([dry.upToDate, dry.migrations], [true, []]);
  });
});

test('files that the CLI fetches from our history are no edits for us', async () => {
  const own = await server.createDatabase();
  await withProject(shapes, (project) => ours(project, own));
  await withProject({}, async (project) => {
    const { code, text } = await cli.run(project, own, 'migration', 'fetch', '--yes');
    assert.equal(code, 0, text);
    assert.deepEqual(readdirSync(join(project.folder, 'supabase', 'migrations')).sort(), Object.keys(shapes));
    await assertNothingPending(project, own);
  });
});

const versions = Array.from({ length: 20 }, (_, index) => String(1000 + index));
const GATE = 77;
const step = (version: string, more = ''): string =>
  `insert into public.log (file) values ('${version}'); ${more}`;
/** Each file leaves a row: applied twice it would leave two. One of them waits at the gate. */
const logged = (gateAt?: string): Files => ({
  '0999_log.sql': 'create table public.log (id serial, file text);',
  ...Object.fromEntries(
    versions.map((version) => [
      `${version}_step.sql`,
      step(
        version,
        version === gateAt ? `select pg_advisory_lock(${GATE}), pg_advisory_unlock(${GATE});` : '',
      ),
    ]),
  ),
});

async function assertExactlyOnce(url: string): Promise<void> {
  assert.deepEqual(await history(url), ['0999', ...versions]);
  const found = await query<{ file: string }>(url, 'select file from public.log order by file');
  assert.deepEqual(
    found.map(({ file }) => file),
    versions,
  );
}

/** Whose sessions wait for a lock in this database. */
async function waiting(url: string): Promise<{ ours: number; theirs: number }> {
  const [found] = await query<{ ours: number; theirs: number }>(
    server.adminUrl,
    `select count(*) filter (where query like '/*muva-deploy%')::int as ours,
       count(*) filter (where query not like '/*muva-deploy%')::int as theirs
     from pg_stat_activity where datname = '${new URL(url).pathname.slice(1)}' and wait_event_type = 'Lock'`,
  );
  return found!;
}

/** The CLI takes seconds to start. */
const seen = (what: string, condition: () => Promise<boolean>): Promise<true> =>
  until(what, condition, 60_000);

async function withGate(url: string, work: (open: () => Promise<void>) => Promise<void>): Promise<void> {
  const gate = new pg.Client({ connectionString: url });
  await gate.connect();
  try {
    await gate.query(`select pg_advisory_lock(${GATE})`);
    await work(async () => void (await gate.query(`select pg_advisory_unlock(${GATE})`)));
  } finally {
    await gate.end();
  }
}

/** Far more than these tests take: nobody gives up waiting. */
const patient = { inputs: { 'lock-timeout': '60s' } };

test('a run of ours that starts while `db push` is at work: every file exactly once', async () => {
  await withProject(logged('1004'), async (project) => {
    const url = await server.createDatabase();
    await withGate(url, async (open) => {
      const theirs = cli.run(project, url, 'db', 'push', '--yes');
      await seen('the CLI at the gate', async () => (await waiting(url)).theirs === 1);
      assert.deepEqual(await history(url), ['0999', ...versions.slice(0, 4)]);
      const own = runMigrate(project, url, patient);
      await seen('both at a lock', async () => {
        const found = await waiting(url);
        return found.ours === 1 && found.theirs === 1;
      });
      await open();
      const [{ report }] = await Promise.all([own, theirs]);
      assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
    });
    await assertExactlyOnce(url);
  });
});

test('a `db push` that starts while a run of ours is at work: every file exactly once', async () => {
  await withProject(logged('1019'), async (project) => {
    const url = await server.createDatabase();
    await withGate(url, async (open) => {
      const own = runMigrate(project, url, patient);
      await seen('our run at the gate', async () => (await waiting(url)).ours === 1);
      const theirs = cli.run(project, url, 'db', 'push', '--yes');
      await seen('the CLI behind us', async () => (await waiting(url)).theirs === 1);
      await open();
      const [{ report }] = await Promise.all([own, theirs]);
      assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
      assert.equal(report.facts.applied?.length, versions.length + 1);
    });
    await assertExactlyOnce(url);
  });
});

test('`db push` and a run of ours at the same moment: every file exactly once', async () => {
  for (const transaction of ['all', 'each'])
    await withProject(logged(), async (project) => {
      const url = await server.createDatabase();
      const theirs = cli.run(project, url, 'db', 'push', '--yes');
      await seen('the CLI at work', async () => (await history(url)).length > 0);
      const { report } = await runMigrate(project, url, { inputs: { transaction } });
      await theirs;
      assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
      await assertExactlyOnce(url);
    });
});

import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ownChecksMessage, readOwnChecks } from '../../../src/database/schema/own-checks.js';
import { verify } from '../../../src/pipeline/verify.js';
import { type PostgresServer, query, startPostgres } from '../../servers/postgres.js';
import {
  createProject,
  history,
  type Project,
  type Ran,
  runMigrate,
  runPlanPhase,
  withProject,
  withTools,
} from '../../servers/project.js';

let server: PostgresServer;
before(async () => {
  server = await startPostgres();
});
after(() => server.stop());

/** Writes files below the project's root. */
function put(project: Project, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(project.folder, name)), { recursive: true });
    writeFileSync(join(project.folder, name), text);
  }
}

const messages = ({ report }: Pick<Ran, 'report'>): string[] => report.problems.map(({ message }) => message);
const warnings = ({ log }: Ran): string[] =>
  log.flatMap((entry) => (entry.kind === 'warning' ? [entry.problem.message] : []));

const FUNCTIONS = `-- Functions of the project without a search_path of their own.
select format('%I.%I', n.nspname, p.proname) as problem
from pg_proc p join pg_namespace n on n.oid = p.pronamespace
where n.nspname = 'public' and p.proconfig is null order by 1; -- none is right`;
const LOOSE = `create function public.loose() returns int language sql as 'select 1';`;
const TIGHT = `create function public.tight() returns int language sql set search_path = '' as 'select 1';`;
const CHECKS = { inputs: { 'verify-sql': 'checks' } };

describe('the files of verify-sql', () => {
  for (const [text, what] of [
    ['', 'holds no statement'],
    ['-- nothing yet', 'holds no statement'],
    ['select 1; select 2', 'holds 2 statements'],
    ['delete from a', 'holds no SELECT'],
    ['explain select 1', 'holds no SELECT'],
    ['select 1 into b', 'makes a table (SELECT INTO)'],
    ['select * from a for update', 'locks rows (FOR UPDATE and its kin)'],
    ['with gone as (delete from a returning *) select * from gone', 'changes rows in its WITH'],
    ['selec 1', 'cannot be parsed: syntax error at or near "selec"'],
    ['select \0', 'is not UTF-8 text'],
  ] as const)
    test(`row 181: ${JSON.stringify(text)} ${what}`, async () => {
      const project = createProject();
      put(project, { 'checks/a.sql': text });
      const { checks, problems } = await readOwnChecks(project.folder, ['checks']);
      assert.deepEqual(checks, []);
      assert.deepEqual(
        problems.map(({ message }) => message),
        [`verify-sql: checks/a.sql ${what}`],
      );
      project.delete();
    });

  test('a folder and single files, each once and in order; what is missing or leads out is named', async () => {
    const project = createProject();
    put(project, {
      'checks/b.sql': 'select 1',
      'checks/a.sql': 'values (1)',
      'checks/c.txt': '',
      'one.sql': 'table a;',
    });
    mkdirSync(join(project.folder, 'empty'));
    symlinkSync('/etc/hostname', join(project.folder, 'out.sql'));
    const entries = ['./checks/', 'checks/a.sql', 'one.sql', 'empty', 'nowhere', 'gone.sql', 'out.sql'];
    const { checks, problems } = await readOwnChecks(project.folder, entries);
    assert.deepEqual(checks, [
      { file: 'checks/a.sql', query: 'values (1)' },
      { file: 'checks/b.sql', query: 'select 1' },
      { file: 'one.sql', query: 'table a' },
    ]);
    assert.deepEqual(
      problems.map(({ message }) => message),
      [
        'verify-sql: empty holds no .sql file',
        'verify-sql: nowhere cannot be read',
        'verify-sql: gone.sql is not there',
        'out.sql is a link that leads out of the project',
      ],
    );
    project.delete();
  });
});

test('what stands behind the queries has its own limit again', () => {
  assert.equal(ownChecksMessage([], 600_000), '');
  const message = ownChecksMessage([{ file: 'a.sql', query: 'select 1' }], 600_000);
  assert.match(message, /'statement_timeout', '10000ms'[\s\S]*'statement_timeout', '600000ms', true\);$/);
});

describe('the queries of verify-sql', () => {
  test('row 182: run with the last batch: what they find is never committed, and named by its column problem', async () => {
    await withProject(server, { '1_a.sql': LOOSE, '2_b.sql': TIGHT }, async (url, project) => {
      put(project, { 'checks/search-path.sql': FUNCTIONS, 'checks/rows.sql': 'select 1 as secret' });
      const ran = await runMigrate(project, url, CHECKS);
      assert.equal(ran.report.outcome, 'failed');
      assert.deepEqual(messages(ran), [
        'verify-sql: checks/rows.sql finds 1 row where there should be none',
        'verify-sql: checks/search-path.sql finds 1 row where there should be none: "public.loose"',
      ]);
      assert.equal(ran.report.facts.verified, false);
      assert.deepEqual(await history(url), []);
      put(project, { 'checks/rows.sql': 'select 1 where false' });
      project.write({ '1_a.sql': TIGHT.replace('tight', 'also') });
      assert.deepEqual(messages(await runMigrate(project, url, CHECKS)), []);
      assert.deepEqual(await history(url), ['1', '2']);
    });
  });

  test('row 183: a query cannot write, whatever it calls, and a wrong one is told with its file', async () => {
    const writes = `create table public.a (id int); create function public.put() returns int language sql
      set search_path = '' as 'insert into public.a values (1) returning id';`;
    await withProject(server, { '1_a.sql': writes }, async (url, project) => {
      put(project, { 'checks/a.sql': 'select public.put()', 'checks/b.sql': 'select * from public.gone' });
      assert.deepEqual(messages(await runMigrate(project, url, CHECKS)), [
        'verify-sql: the query of checks/a.sql failed: cannot execute INSERT in a read-only transaction',
        'verify-sql: the query of checks/b.sql failed: relation "public.gone" does not exist',
      ]);
      // The sub-transaction is undone, and what comes after it can write again: the history has its row.
      put(project, { 'checks/a.sql': 'select 1 where false', 'checks/b.sql': 'table public.a' });
      assert.deepEqual(messages(await runMigrate(project, url, CHECKS)), []);
      assert.deepEqual(await query(url, 'select * from public.a'), []);
      assert.deepEqual(await history(url), ['1']);
    });
  });

  test('run in parts, where a file cannot be in a transaction: with the last of them', async () => {
    const files = {
      '1_a.sql': 'create table public.a (id int)',
      '2_b.sql': 'create index concurrently a_id on public.a (id)',
    };
    await withProject(server, files, async (url, project) => {
      put(project, { 'checks/a.sql': `select 'none' as problem` });
      const ran = await runMigrate(project, url, CHECKS);
      assert.deepEqual(messages(ran), [
        'verify-sql: checks/a.sql finds 1 row where there should be none: "none"',
      ]);
    });
  });

  test('a plan warns of what they find while something is pending, and refuses where nothing is', async () => {
    await withProject(server, { '1_a.sql': LOOSE }, async (url, project) => {
      await runMigrate(project, url);
      project.write({ '2_b.sql': TIGHT });
      put(project, { 'checks/a.sql': FUNCTIONS });
      const told = 'verify-sql: checks/a.sql finds 1 row where there should be none: "public.loose"';
      const pending = await runPlanPhase(project, url, CHECKS);
      assert.equal(pending.report.outcome, 'passed');
      assert.ok(warnings(pending).includes(told), warnings(pending).join('\n'));
      await runMigrate(project, url);
      assert.deepEqual(messages(await runPlanPhase(project, url, CHECKS)), [
        `${told}, and nothing is pending`,
      ]);
      put(project, { 'checks/a.sql': 'delete from x' });
      assert.deepEqual(messages(await runPlanPhase(project, url, CHECKS)), [
        'verify-sql: checks/a.sql holds no SELECT',
      ]);
    });
  });

  test('verify tells each file, of many rows the first ten, and of long values whole words', async () => {
    await withProject(server, {}, async (url, project) => {
      put(project, {
        'checks/good.sql': 'select 1 where false',
        'checks/many.sql': `select 'row ' || n as problem, repeat('x', 1000) as other from generate_series(1, 12) n`,
        'checks/long.sql': `select 'short ' || repeat('y', 300) as problem`,
      });
      const inputs = { mode: 'verify', ...CHECKS.inputs, 'missing-migrations': 'warn' };
      const report = await withTools(project, url, { inputs }, (work) => verify(work));
      const named = report.steps.filter(({ name }) => name.startsWith('verify-sql'));
      assert.deepEqual(
        named.map(({ name, outcome, detail }) => `${outcome} ${name}: ${detail}`),
        [
          'passed verify-sql checks/good.sql: 0 rows',
          'failed verify-sql checks/long.sql: 1 row',
          'failed verify-sql checks/many.sql: 12 rows',
        ],
      );
      const [long, many] = report.problems.map(({ message }) => message);
      assert.equal(long, 'verify-sql: checks/long.sql finds 1 row where there should be none: "short"');
      assert.match(many ?? '', /: "row 1", "row 2", .*, "row 10", and 2 more$/);
    });
  });
});

describe('rls-except', () => {
  const files = {
    '1_a.sql': `create table public.a (id int); create table public."Odd'name" (id int);
      create table public.b (id int); alter table public.b enable row level security; create policy p on public.b using (true);`,
  };

  test('tables that it names are not judged, of those required and of all', async () => {
    await withProject(server, files, async (url, project) => {
      for (const rules of [{ rls: 'all' }, { 'required-tables': 'a, b' }]) {
        const without = await runPlanPhase(project, url, { inputs: rules });
        assert.equal(without.report.outcome, rules.rls === 'all' ? 'passed' : 'failed');
        const inputs = { ...rules, 'rls-except': `a, public."Odd'name"` };
        assert.deepEqual(messages(await runPlanPhase(project, url, { inputs })), []);
        assert.deepEqual(messages(await runMigrate(project, url, { inputs })), []);
      }
      project.write({ '2_c.sql': 'select 1' });
      const { report } = await runMigrate(project, url, { inputs: { rls: 'all', 'rls-except': 'a' } });
      assert.deepEqual(messages({ report }), [`row level security is off on public."Odd'name"`]);
    });
  });
});

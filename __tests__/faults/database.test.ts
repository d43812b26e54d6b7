import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import pg from 'pg';
import { type PostgresServer, query, startPostgres } from '../servers/postgres.js';
import { createProject, history, objects, runMigrate, runPlan, withProject } from '../servers/project.js';

let server: PostgresServer;
before(async () => {
  server = await startPostgres({ version: 15 });
});
after(() => server.stop());

test('row 28: a file is cut at its own COMMITs, each part a transaction as psql has it', async () => {
  await withProject(
    server,
    {
      '1_types.sql': "create type public.mood as enum ('a');\n",
      '2_parts.sql': [
        'begin;',
        "set local search_path = '';",
        "select set_config('x.y', '1', true);",
        "alter type public.mood add value 'b';",
        'commit;',
        'set check_function_bodies = off;',
        "create table only_public (mood public.mood default 'b', y text default nullif(current_setting('x.y', true), ''));",
        'insert into only_public default values;',
        'commit;',
        "create table told as select current_setting('check_function_bodies') as bodies;",
      ].join('\n'),
    },
    async (url, project) => {
      const { report, log } = await runMigrate(project, url);
      assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
      assert.deepEqual(report.facts.applied, ['1', '2']);
      assert.match(
        JSON.stringify(log),
        /COMMITs in lines 5, 9 commit it in 3 parts, as in psql: this deploy is not all or nothing/,
      );
      assert.deepEqual(await query(url, 'select mood, y from only_public'), [{ mood: 'b', y: null }]);
      assert.deepEqual(await query(url, 'select bodies from told'), [{ bodies: 'off' }]);
    },
  );
});

test('row 28: after a failure the next run goes on behind the last COMMIT, and its text must stay', async () => {
  const first = 'begin;\ncreate table public.a (id int);\ncommit;\n';
  await withProject(
    server,
    { '1_bad.sql': `${first}create table public.b (id int);\nselect 1/0;\n` },
    async (url, project) => {
      const bad = await runMigrate(project, url);
      assert.equal(bad.report.outcome, 'failed');
      const [problem] = bad.report.problems;
      assert.deepEqual([problem?.code, problem?.at?.line], ['22012', 5]);
      assert.match(
        problem?.next ?? '',
        /Applied and kept: 1 statement before line 4 .*the next run goes on there/,
      );
      assert.deepEqual([await objects(url), await history(url)], [['a'], []]);

      project.write({
        '1_bad.sql': `${first.replace('id int', 'id bigint')}create table public.b (id int);\n`,
      });
      assert.match(
        (await runPlan(project, url)).refusals[0]?.message ?? '',
        /that part has been edited since/,
      );

      project.write({ '1_bad.sql': `${first}create table public.b (id int);\n` });
      const good = await runMigrate(project, url);
      assert.equal(good.report.outcome, 'passed', JSON.stringify(good.report.problems));
      assert.deepEqual([await objects(url), await history(url)], [['a', 'b'], ['1']]);
    },
  );
});

test('row 28: what only a session has lasts from part to part; isolation levels are kept', async () => {
  await withProject(
    server,
    {
      '1_session.sql':
        'create temp table t (id int);\ncommit;\ninsert into t values (1);\nselect id into public.a from t;\ncommit;\nsavepoint s;\ncreate table public.b as select id from t;\nrelease s;\n',
      '2_after.sql': 'create table public.t (id int);\n',
      '3_level.sql':
        "begin isolation level serializable;\ncreate table public.l as select current_setting('transaction_isolation') as level;\ncommit;\n",
    },
    async (url, project) => {
      const { report } = await runMigrate(project, url);
      assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
      assert.deepEqual(await objects(url), ['a', 'b', 'l', 't']);
      assert.deepEqual(await query(url, 'select level from public.l'), [{ level: 'serializable' }]);
    },
  );
});

test('row 157: CREATE INDEX CONCURRENTLY behind a forgotten transaction: who it is, since when, and what stands', async () => {
  await withProject(
    server,
    {
      '1_a.sql': 'create table public.a (id int);',
      '2_i.sql': '-- wait\ncreate index concurrently a_i on public.a (id);',
    },
    async (url, project) => {
      await query(url, 'create table public.other (id int)');
      const forgotten = new pg.Client({ connectionString: url, application_name: 'forgotten' });
      await forgotten.connect();
      try {
        await forgotten.query('begin isolation level repeatable read; select * from public.other');
        const { report } = await runMigrate(project, url, { inputs: { 'statement-timeout': '4s' } });
        const [problem] = report.problems;
        assert.equal(report.outcome, 'failed');
        assert.match(
          problem?.message ?? '',
          /waited for older transactions: forgotten \(pid \d+, idle in transaction for \d+ s\)/,
        );
        assert.deepEqual([problem?.at?.file, problem?.at?.line], ['supabase/migrations/2_i.sql', 2]);
        assert.match(problem?.next ?? '', /pg_terminate_backend/);
      } finally {
        await forgotten.end();
      }
      const again = await runMigrate(project, url);
      assert.equal(again.report.outcome, 'passed', JSON.stringify(again.report.problems));
      assert.deepEqual(await objects(url), ['a', 'a_i', 'other']);
    },
  );
});

/** Largest file that the server may write, in bytes: above a WAL segment, and not a whole number of pages. */
const LARGEST_FILE = 20 * 1024 * 1024 + 4096;

test('row 53: a disk that is full: nothing is applied, and what to do is told', async () => {
  const url = await server.createDatabase();
  const project = createProject({
    '1_small.sql': 'create table public.small (id int);',
    '2_large.sql':
      'create table public.large (text text);\ninsert into public.large select repeat(md5(n::text), 40) from generate_series(1, 40000) as n;',
  });
  const [postmaster] = readFileSync(join(server.folder, 'postmaster.pid'), 'utf8').split('\n');
  // The server runs under another uid where the tests are root; only the soft limit is set, so that it can be raised again.
  const owner = statSync(server.folder);
  const limit = (bytes: string): void =>
    void execFileSync('prlimit', [`--pid=${postmaster}`, `--fsize=${bytes}:`], {
      uid: owner.uid,
      gid: owner.gid,
    });
  try {
    // A page of which only a part can be written is how PostgreSQL meets a full disk; new sessions inherit the limit.
    limit(String(LARGEST_FILE));
    const { report } = await runMigrate(project, url);
    assert.equal(report.outcome, 'failed');
    assert.equal(report.problems[0]?.code, '53100', JSON.stringify(report.problems));
    assert.equal(report.problems[0]?.at?.line, 2);
    assert.equal(report.problems[0]?.next, 'The disk of the database is full: make room, then run again.');
    assert.deepEqual([await objects(url), await history(url)], [[], []]);

    limit('unlimited');
    const again = await runMigrate(project, url);
    assert.equal(again.report.outcome, 'passed', JSON.stringify(again.report.problems));
    assert.deepEqual(await query(url, 'select count(*)::int as rows from public.large'), [{ rows: 40_000 }]);
  } finally {
    limit('unlimited');
    project.delete();
  }
});

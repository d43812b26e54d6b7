/** Awkward migrations of real projects, one feature each, and what must come of them. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type PostgresServer, type PostgresVersion, query, startPostgres } from '../servers/postgres.js';
import { createProject, type Files, history, objects, runMigrate } from '../servers/project.js';

export interface Nasty {
  name: string;
  files: Files;
  /** `passed`: all applied. `refused`: nothing was written. `failed`: see `applied`. */
  outcome: 'passed' | 'refused' | 'failed';
  /** Versions in the history afterwards. */
  applied: string[];
  /** What the first problem says, and where. */
  says?: RegExp | undefined;
  at?: string | undefined;
  /** What a warning or notice says. */
  told?: RegExp;
  /** Relations and functions in schema public afterwards. */
  objects: string[];
  /** What differs on PostgreSQL 17. */
  on17?: Partial<Nasty>;
}

const [A, B, C] = ['20240101000001', '20240101000002', '20240101000003'];
const a = (text: string | Buffer): Files => ({ [`${A}_a.sql`]: text });
const ab = (first: string, second: string): Files => ({ [`${A}_a.sql`]: first, [`${B}_b.sql`]: second });

export const NASTIES: readonly Nasty[] = [
  {
    name: 'row 16: CRLF line ends',
    files: ab(
      "create table public.a(id int,\r\n t text default 'x;y');\r\ncreate function public.f() returns int language plpgsql as $$\r\nbegin\r\n return 1; -- c;\r\nend\r\n$$;\r\n",
      'insert into public.a values (1);\r\n',
    ),
    outcome: 'passed',
    applied: [A, B],
    objects: ['a', 'f()'],
  },
  {
    name: 'row 15: a byte order mark',
    files: a('\ufeffcreate table public.a(id int);\n'),
    outcome: 'passed',
    applied: [A],
    told: /byte order mark/,
    objects: ['a'],
  },
  {
    name: 'row 34: COPY FROM STDIN',
    files: a(
      "create table public.a(id int, t text);\ncopy public.a(id,t) from stdin;\n1\tx;y\n2\t\\N\n\\.\ninsert into public.a values (3,'z');\n",
    ),
    outcome: 'refused',
    applied: [],
    says: /COPY FROM STDIN/,
    at: '2:1',
    objects: [],
  },
  {
    name: 'row 34: the \\restrict lines of pg_dump',
    files: ab(
      "--\n-- PostgreSQL database dump\n--\n\n\\restrict abcDEF123\n\nset statement_timeout = 0;\nselect pg_catalog.set_config('search_path', '', false);\ncreate table public.a(id int);\n\\unrestrict abcDEF123\n",
      'create table b(id int);\n',
    ),
    outcome: 'passed',
    applied: [A, B],
    objects: ['a', 'b'],
  },
  {
    name: 'row 34: other psql commands',
    files: a('\\set ON_ERROR_STOP on\n\\echo hi\ncreate table public.a(id int);\n'),
    outcome: 'refused',
    applied: [],
    says: /\\set is a command of psql/,
    at: '1:1',
    objects: [],
  },
  {
    name: 'row 35: search_path emptied by one file',
    files: ab(
      "select pg_catalog.set_config('search_path', '', false);\nset check_function_bodies = false;\nset row_security = off;\nset standard_conforming_strings = on;\ncreate table public.a(id int);\n",
      'create table b(id int);\ninsert into a values (1);\n',
    ),
    outcome: 'passed',
    applied: [A, B],
    objects: ['a', 'b'],
  },
  {
    name: 'row 35: SET ROLE in one file',
    files: ab('set role anon;\n', 'create table public.b(id int);\n'),
    outcome: 'passed',
    applied: [A, B],
    objects: ['b'],
  },
  {
    name: 'row 27: BEGIN and COMMIT around a file, and row 28: statements behind them',
    files: ab(
      'begin;\ncreate table public.a(id int);\ncommit;\n',
      'begin;\ncreate table public.b(id int);\ncommit;\nselect 1/0;\n',
    ),
    outcome: 'failed',
    applied: [A],
    says: /division by zero/,
    at: '4:1',
    told: /its own COMMIT in line 3 commits it in 2 parts[\s\S]*own BEGIN and COMMIT are left out/,
    objects: ['a', 'b'],
  },
  {
    name: 'row 29: a lone COMMIT',
    files: a('create table public.a(id int);\ncommit;\ncreate table public.b(id int);\nselect 1/0;\n'),
    outcome: 'failed',
    applied: [],
    says: /division by zero/,
    at: '4:1',
    told: /COMMIT without BEGIN commits what stands before it/,
    objects: ['a'],
  },
  {
    name: 'row 29: BEGIN inside a transaction, and a COMMIT with nothing before it',
    files: a('commit;\nbegin;\ncreate table public.a(id int);\nbegin;\nselect 1/0;\ncommit;\n'),
    outcome: 'failed',
    applied: [],
    says: /division by zero/,
    at: '5:1',
    told: /BEGIN inside a transaction does nothing/,
    objects: [],
  },
  {
    name: 'row 29: COMMIT AND CHAIN',
    files: a('begin;\ncreate table public.a(id int);\ncommit and chain;\nselect 1;\ncommit;\n'),
    outcome: 'refused',
    applied: [],
    says: /COMMIT AND CHAIN would end the transaction/,
    at: '3:1',
    objects: [],
  },
  {
    name: 'row 29: BEGIN without COMMIT',
    files: ab('begin;\ncreate table public.a(id int);\n', 'create table public.b(id int);\n'),
    outcome: 'refused',
    applied: [],
    says: /BEGIN without COMMIT/,
    at: '1:1',
    objects: [],
  },
  {
    name: 'row 29: ROLLBACK',
    files: ab('create table public.a(id int);\nrollback;\n', 'create table public.b(id int);\n'),
    outcome: 'refused',
    applied: [],
    says: /ROLLBACK would end the transaction/,
    at: '2:1',
    objects: [],
  },
  {
    name: 'row 32: CREATE INDEX CONCURRENTLY alone',
    files: ab('create table public.a(id int);\n', 'create index concurrently a_i on public.a(id);\n'),
    outcome: 'passed',
    applied: [A, B],
    objects: ['a', 'a_i'],
  },
  {
    name: 'row 33: CREATE INDEX CONCURRENTLY among other statements',
    files: a(
      'create table public.a(id int);\ncreate index concurrently a_i on public.a(id);\ninsert into public.a values(1);\n',
    ),
    outcome: 'passed',
    applied: [A],
    told: /cannot run in a transaction/,
    objects: ['a', 'a_i'],
  },
  {
    name: 'row 59: a concurrent unique index over duplicates',
    files: ab(
      'create table public.a(id int);\ninsert into public.a values (1),(1);\n',
      'create unique index concurrently a_u on public.a(id);\n',
    ),
    outcome: 'failed',
    applied: [A],
    says: /could not create unique index "a_u"/,
    at: '1:1',
    objects: ['a'],
  },
  {
    name: 'row 39: a new enum value used in the same file',
    files: ab(
      "create type public.e as enum ('a');\ncreate table public.t(e public.e);\n",
      "alter type public.e add value 'b';\ninsert into public.t values ('b');\n",
    ),
    outcome: 'failed',
    applied: [],
    says: /unsafe use of new value "b"/,
    at: '2:30',
    objects: [],
    // Since 17 a value may be used at once where its type was made in the same transaction, here by the file before.
    on17: { outcome: 'passed', applied: [A, B], objects: ['t'], says: undefined, at: undefined },
  },
  {
    name: 'row 18: two files of one version',
    files: {
      [`${A}_a.sql`]: 'create table public.a(id int);\n',
      [`${A}_b.sql`]: 'create table public.b(id int);\n',
    },
    outcome: 'refused',
    applied: [],
    says: /20240101000001_a\.sql and 20240101000001_b\.sql have the same version/,
    at: '1:1',
    objects: [],
  },
  {
    name: 'row 19, row 20: names that are no migration, and mixed widths',
    files: {
      '001_a.sql': 'create table public.a(id int);\n',
      '20240101_b.sql': 'create table public.b(id int);\n',
      '20240101000000_c.sql': 'create table public.c(id int);\n',
      'no_version.sql': 'create table public.d(id int);\n',
      '20240102000000.sql': 'create table public.e(id int);\n',
      '20240103000000_x.down.sql': 'drop table public.a;\n',
      'README.md': 'x',
      '20240104000000_UP.SQL': 'create table public.f(id int);\n',
      '20240105000000-dash.sql': 'create table public.g(id int);\n',
      'nested/20240106000000_h.sql': 'create table public.h(id int);\n',
      '9_nine.sql': 'create table public.i(id int);\n',
      '10_ten.sql': 'create table public.j(id int);\n',
    },
    outcome: 'passed',
    applied: ['001', '10', '20240101', '20240101000000', '9'],
    told: /20240102000000\.sql, 20240104000000_UP\.SQL, 20240105000000-dash\.sql, no_version\.sql/,
    objects: ['a', 'b', 'c', 'i', 'j'],
  },
  {
    name: 'row 38: empty and comment-only files',
    files: {
      [`${A}_empty.sql`]: '',
      [`${B}_comment.sql`]: '-- nothing\n/* at ; all */\n',
      [`${C}_semis.sql`]: ';;\n;\n',
    },
    outcome: 'passed',
    applied: [A, B, C],
    told: /3 files hold no statement/,
    objects: [],
  },
  {
    name: 'nested comments',
    files: a(
      "/* outer /* inner ; */ still ' comment */ create table public.a(id int); -- ' ; $$\ncreate table public.b(id int) /* ; */;\n",
    ),
    outcome: 'passed',
    applied: [A],
    objects: ['a', 'b'],
  },
  {
    name: 'quotes of every kind',
    files: a(
      "create table public.\"a;b\"(id int, \"x\"\"y;\" text);\ninsert into public.\"a;b\" values (1, E'it\\'s; \\\\'), (2,'it''s;'), (3, U&'\\0041;'), (4, $q$ $$ ; ' $q$), (5, $é$;$é$);\n",
    ),
    outcome: 'passed',
    applied: [A],
    objects: ['a;b'],
  },
  {
    name: 'BEGIN ATOMIC',
    files: a(
      'create function public.f(a int) returns int language sql begin atomic; select case when a>0 then 1 else 2 end; select 2; end;\ncreate table public.a(id int);\n',
    ),
    outcome: 'passed',
    applied: [A],
    objects: ['a', 'f()'],
  },
  {
    name: 'CREATE RULE with several commands',
    files: a(
      'create table public.a(id int); create table public.l(id int);\ncreate rule r as on insert to public.a do also (insert into public.l values (new.id); insert into public.l values (new.id+1));\ninsert into public.a values (1);\n',
    ),
    outcome: 'passed',
    applied: [A],
    objects: ['a', 'l'],
  },
  {
    name: 'row 37: no final semicolon, and a trailing comment',
    files: ab(
      'create table public.a(id int);\ncreate table public.b(id int) -- end',
      'create table public.c(id int)',
    ),
    outcome: 'passed',
    applied: [A, B],
    objects: ['a', 'b', 'c'],
  },
  {
    name: 'a line of 3 MB',
    files: a(`create table public.a(t text);\ninsert into public.a values ('${'x'.repeat(3_000_000)}');\n`),
    outcome: 'passed',
    applied: [A],
    objects: ['a'],
  },
  {
    name: 'VACUUM',
    files: ab('create table public.a(id int);\n', 'vacuum public.a;\n'),
    outcome: 'passed',
    applied: [A, B],
    objects: ['a'],
  },
  {
    name: 'row 35: a statement_timeout left behind',
    files: ab(
      "set statement_timeout = '100ms';\ncreate table public.a(id int);\n",
      'select pg_sleep(0.4);\ncreate table public.b(id int);\n',
    ),
    outcome: 'passed',
    applied: [A, B],
    objects: ['a', 'b'],
  },
  {
    name: 'row 17: Latin-1',
    files: a(
      Buffer.from("create table public.a(t text);\ninsert into public.a values ('caf\xe9');\n", 'latin1'),
    ),
    outcome: 'refused',
    applied: [],
    says: /not valid UTF-8 at byte 64/,
    at: '2:34',
    objects: [],
  },
  {
    name: 'row 17: a NUL byte',
    files: a('create table public.a(t text);\0\n'),
    outcome: 'refused',
    applied: [],
    says: /NUL byte at byte 30/,
    at: '1:31',
    objects: [],
  },
  {
    name: 'row 58: a deferred constraint',
    files: ab(
      'create table public.p(id int primary key); create table public.c(id int references public.p deferrable initially deferred);\n',
      'insert into public.c values (99);\n',
    ),
    outcome: 'failed',
    applied: [],
    says: /violates foreign key constraint/,
    objects: [],
  },
  {
    name: 'a failure in the middle of the second file',
    files: {
      ...ab(
        'create table public.a(id int);\n',
        'create table public.b(id int);\ninsert into public.a values (1);\nalter table public.zzz add x int;\ncreate table public.c(id int);\n',
      ),
      [`${C}_c.sql`]: 'create table public.d(id int);\n',
    },
    outcome: 'failed',
    applied: [],
    says: /relation "public\.zzz" does not exist/,
    at: '3:1',
    objects: [],
  },
  {
    name: 'row 36: a file that drops the history',
    files: ab(
      'create table public.a(id int);\n',
      'drop schema if exists supabase_migrations cascade;\ncreate table public.b(id int);\n',
    ),
    outcome: 'failed',
    applied: [],
    says: /changed the migration history/,
    objects: [],
  },
  {
    name: 'row 36: a later file that puts one version in the place of another',
    files: {
      ...ab('create table public.a(id int);\n', 'create table public.b(id int);\n'),
      [`${C}_c.sql`]: `update supabase_migrations.schema_migrations set version = '20240101000000' where version = '${A}';\n`,
    },
    outcome: 'failed',
    applied: [],
    says: /changed the migration history/,
    objects: [],
  },
  {
    name: 'row 36: files that play with settings of ours change nothing for the next one',
    files: {
      ...ab(
        "create table public.a(id int);\nselect set_config('muva.count', '7', true), set_config('muva.sum', 'x', false);\n",
        'create table public.b(id int);\ndiscard plans;\nreset all;\n',
      ),
      [`${C}_c.sql`]: 'create table public.c(id int);\n',
    },
    outcome: 'passed',
    applied: [A, B, C],
    objects: ['a', 'b', 'c'],
  },
  {
    name: 'dollar signs inside identifiers',
    files: a(
      "create table public.a$b$c(id int);\ninsert into public.a$b$c values (1);\ncreate function public.f(text) returns text language sql as 'select $1';\nprepare p(int) as select $1;\n",
    ),
    outcome: 'passed',
    applied: [A],
    objects: ['a$b$c', 'f()'],
  },
  {
    name: 'row 13: letters of other languages',
    files: {
      [`${A}_añadir_niño.sql`]:
        'create table public."niño"(id int);\ncomment on table public."niño" is \'🏨 hôtel\';\n',
    },
    outcome: 'passed',
    applied: [A],
    objects: ['niño'],
  },
  {
    name: 'row 33: a failure behind CREATE INDEX CONCURRENTLY',
    files: a(
      'create table public.a(id int);\ncreate index concurrently a_i on public.a(id);\ncreate table public.b(id int);\nselect 1/0;\n',
    ),
    outcome: 'failed',
    applied: [],
    says: /division by zero/,
    at: '4:1',
    objects: ['a', 'a_i'],
  },
  {
    name: 'a down file',
    files: { ...a('create table public.a(id int);\n'), [`${A}_a.down.sql`]: 'drop table public.a;\n' },
    outcome: 'passed',
    applied: [A],
    objects: ['a'],
  },
  {
    name: 'row 35: temporary tables of one name',
    files: ab(
      'create temp table tmp_x as select 1 as id;\n',
      'create temp table tmp_x as select 2 as id;\ncreate table public.b as select * from tmp_x;\n',
    ),
    outcome: 'passed',
    applied: [A, B],
    objects: ['b'],
  },
  {
    name: 'row 35: session locks, prepared statements, LISTEN',
    files: ab(
      'select pg_advisory_lock(42);\nprepare q as select 1;\ncreate table public.a(id int);\n',
      'prepare q as select 1;\nlisten x;\ncreate table public.b(id int);\n',
    ),
    outcome: 'passed',
    applied: [A, B],
    objects: ['a', 'b'],
  },
  {
    name: 'row 31: a DO block that commits',
    files: a(
      'create table public.a(id int);\ndo $$ begin insert into public.a values (1); commit; insert into public.a values (2); end $$;\n',
    ),
    outcome: 'failed',
    applied: [],
    says: /invalid transaction termination/,
    at: '2:1',
    objects: [],
  },
  {
    name: 'row 31: a procedure that commits',
    files: ab(
      'create table public.a(id int);\ncreate procedure public.p() language plpgsql as $$ begin for i in 1..3 loop insert into public.a values (i); commit; end loop; end $$;\n',
      'call public.p();\n',
    ),
    outcome: 'failed',
    applied: [],
    says: /invalid transaction termination/,
    at: '1:1',
    objects: [],
  },
];

/** One test for each awkward project, on one version of PostgreSQL. */
export function testNasties(version: PostgresVersion): void {
  let server: PostgresServer;
  before(async () => {
    server = await startPostgres({ version });
  });
  after(() => server.stop());

  for (const each of NASTIES) {
    const nasty = version === 17 ? { ...each, ...each.on17 } : each;
    test(`PostgreSQL ${version}: ${nasty.name}`, async () => {
      const url = await server.createDatabase();
      const project = createProject(nasty.files);
      try {
        const { report, log } = await runMigrate(project, url);
        const [problem] = report.problems;
        assert.equal(report.outcome, nasty.outcome === 'passed' ? 'passed' : 'failed', problem?.message);
        if (nasty.says) assert.match(problem?.message ?? '', nasty.says);
        if (nasty.at) assert.equal(`${problem?.at?.line}:${problem?.at?.column}`, nasty.at);
        if (nasty.told) {
          const told = log.flatMap((entry) => ('problem' in entry ? [entry.problem.message] : []));
          assert.match(told.join('\n'), nasty.told);
        }
        const applied = await history(url);
        assert.deepEqual(applied, nasty.applied);
        assert.deepEqual(
          [...(report.facts.applied ?? [])].sort(),
          nasty.outcome === 'refused' ? [] : nasty.applied,
        );
        assert.deepEqual(await objects(url), nasty.objects);
        if (nasty.outcome === 'refused') {
          const [row] = await query<{ made: string | null }>(
            url,
            "select to_regnamespace('supabase_migrations')::text as made",
          );
          assert.equal(row?.made, null);
        }
      } finally {
        project.delete();
      }
    });
  }
}

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { CatalogFacts } from '../../../src/database/lint/catalog-facts.js';
import { isDestructive, type LintFinding, lintFiles } from '../../../src/database/lint/lint.js';
import type { PlannedFile } from '../../../src/database/migrations/batches.js';
import { classify } from '../../../src/database/migrations/classify.js';
import { loadParser } from '../../../src/database/sql/parser.js';
import { loadBodyParser } from '../../../src/database/sql/plpgsql.js';

const parsers = { parse: await loadParser(), parseBody: await loadBodyParser() };

function planned(source: string, version = '1'): PlannedFile {
  const file = `supabase/migrations/${version}_a.sql`;
  const shape = classify(file, source, parsers.parse);
  assert.equal(shape.doubt, undefined, shape.doubt?.message);
  return { version, name: 'a', file, source, checksum: '', afterHealth: false, shape };
}

function found(sources: readonly string[], facts?: CatalogFacts): LintFinding[] {
  const files = sources.map((source, index) => planned(source, String(index + 1)));
  return lintFiles(files, parsers, facts).findings;
}

function line({ rule, effect, at, version }: LintFinding): string {
  const word = isDestructive({ effect }) ? 'DESTRUCTIVE ' : effect === 'unknown' ? 'UNKNOWN ' : '';
  return `${version === '1' ? '' : `${version}: `}${at.line}:${at.column} ${word}${rule}`;
}

function rules(...sources: string[]): string[] {
  return found(sources).map(line);
}

/** What a database says that has these relations, and was asked for all names that the tests use. */
function catalog(relations: Partial<Record<string, string>>, more: Partial<CatalogFacts> = {}): CatalogFacts {
  const named = Object.entries(relations).map(([name, kind = 'r']) => ({ schema: 'public', name, kind }));
  return {
    asked: { relations: ['a', 'b', 'i', 'p', 'gone', 'a_id_idx'], functions: [] },
    serverVersion: 150_000,
    relations: named,
    notNullChecks: [],
    functions: [],
    ...more,
  };
}

const CASES: [name: string, source: string, found: string[]][] = [
  ['row 40: DROP TABLE', '-- old\ndrop table public.a;', ['2:1 DESTRUCTIVE ban-drop-table']],
  ['row 40: DROP COLUMN', 'alter table a add b int, drop column c;', ['1:1 DESTRUCTIVE ban-drop-column']],
  ['row 40: DROP SCHEMA', 'drop schema s cascade;', ['1:1 DESTRUCTIVE drop-schema']],
  [
    'row 40: TRUNCATE',
    'truncate a; truncate a cascade;',
    ['1:1 DESTRUCTIVE truncate', '1:13 DESTRUCTIVE ban-truncate-cascade'],
  ],
  [
    'row 40: DELETE without WHERE',
    'delete from a; delete from a where id = 1;',
    ['1:1 DESTRUCTIVE delete-without-where'],
  ],
  [
    'row 40: UPDATE without WHERE',
    'update a set b = 1; update a set b = 1 where b = 2',
    ['1:1 DESTRUCTIVE update-without-where'],
  ],
  [
    'row 40: the word in a text or comment is none',
    "select 'drop table a'; -- drop table a\n/* truncate a */",
    [],
  ],
  [
    'a table of the same files',
    'create table a (id int); create index i on a (id); delete from public.a; drop table a;',
    [],
  ],
  [
    'row 40: a table that may have been there before',
    'create table if not exists a (id int); create index i on a (id); delete from a; drop table a;',
    ['1:66 DESTRUCTIVE delete-without-where', '1:81 DESTRUCTIVE ban-drop-table'],
  ],
  [
    'row 40: a temporary table hides another of its name only where no schema is given, and only until it is dropped',
    'create temp table a (id int); drop table public.a; drop table a; drop table a;',
    ['1:31 DESTRUCTIVE ban-drop-table', '1:66 DESTRUCTIVE ban-drop-table'],
  ],
  [
    'row 40: the search path says which table is meant',
    'set search_path = app; create table a (id int); drop table app.a; create table a (id int); drop table public.a; reset search_path; drop table a;',
    ['1:92 DESTRUCTIVE ban-drop-table', '1:132 DESTRUCTIVE ban-drop-table'],
  ],
  [
    'row 40: a new table under the name of an old one',
    'create table n (id int); alter table a rename to old; alter table n rename to a; drop table a; drop table old;',
    ['1:96 DESTRUCTIVE ban-drop-table', '1:26 renaming-table'],
  ],
  [
    'row 40: deletes inside other statements',
    'with x as (delete from a returning *) select * from x; explain analyze delete from a; create table b as with y as (update a set c = 1 returning *) select * from y;',
    [
      '1:1 DESTRUCTIVE delete-without-where',
      '1:56 DESTRUCTIVE delete-without-where',
      '1:87 DESTRUCTIVE update-without-where',
    ],
  ],
  [
    'row 40: a WHERE that keeps nothing out',
    'delete from a where true; update a set b = 1 where 1 = 1; delete from a where id = 1;',
    ['1:1 DESTRUCTIVE delete-without-where', '1:27 DESTRUCTIVE update-without-where'],
  ],
  [
    'row 40: DROP OWNED and MERGE',
    'drop owned by x; merge into a using b on a.id = b.id when matched then delete; merge into a using b on a.id = b.id when not matched then do nothing;',
    ['1:1 DESTRUCTIVE drop-owned', '1:18 DESTRUCTIVE merge-delete'],
  ],
  ['a view, a function', 'drop view v; drop function f();', []],
  [
    'index',
    'create index i on a (id); create index concurrently j on a (id);',
    ['1:1 require-concurrent-index-creation'],
  ],
  ['drop index', 'drop index i; drop index concurrently j;', ['1:1 require-concurrent-index-deletion']],
  [
    'constraints',
    'alter table a add constraint c check (x > 0); alter table a add constraint d check (x > 0) not valid;',
    ['1:1 constraint-missing-not-valid'],
  ],
  [
    'foreign key',
    'alter table a add foreign key (b) references b; alter table a add foreign key (b) references b not valid;',
    ['1:1 adding-foreign-key-constraint'],
  ],
  [
    'unique',
    'alter table a add unique (b); alter table a add constraint u unique using index i;',
    ['1:1 disallowed-unique-constraint'],
  ],
  [
    'new columns',
    'alter table a add b int not null; alter table a add c int not null default 1; alter table a add d uuid default gen_random_uuid(); alter table a add e timestamptz default now();',
    ['1:79 adding-field-with-default', '1:1 adding-required-field'],
  ],
  [
    'column type and null',
    'alter table a alter b type bigint, alter c set not null;',
    ['1:1 changing-column-type', '1:1 adding-not-nullable-field'],
  ],
  [
    'renames',
    'alter table a rename to b; alter table a rename b to c; alter index i rename to j;',
    ['1:1 renaming-table', '1:28 renaming-column'],
  ],
];

for (const [name, source, lines] of CASES) test(name, () => assert.deepEqual(rules(source), lines));

describe('rewrites and locks', () => {
  const added = (column: string): string[] => rules(`alter table a add column c ${column};`);
  const cases: [column: string, found: string[]][] = [
    ["timestamptz default (now() + interval '1 day')", []],
    ["text default lower('X')", []],
    ['uuid default auth.uid()', []],
    ["jsonb default '{}'::jsonb", []],
    ['timestamptz default current_timestamp', []],
    ['int default (random() * 10)::int', ['1:1 adding-field-with-default']],
    ['text default (gen_random_uuid())::text', ['1:1 adding-field-with-default']],
    ["bigint default nextval('s')", ['1:1 adding-field-with-default']],
    ['bigserial', ['1:1 adding-field-with-default']],
    ['serial not null', ['1:1 adding-field-with-default']],
    ['bigint generated always as identity', ['1:1 adding-field-with-default']],
    ['int generated always as (id * 2) stored', ['1:1 adding-field-with-default']],
    ['int references b(id)', ['1:1 adding-foreign-key-constraint']],
    ['int check (c > 0)', ['1:1 constraint-missing-not-valid']],
  ];
  for (const [column, expected] of cases)
    test(`a new column: ${column}`, () => assert.deepEqual(added(column), expected));

  test('a function of the files or of the database is as volatile as it says', () => {
    const add = 'alter table a add column c int default public.f();';
    assert.deepEqual(
      rules(`create function public.f() returns int language sql immutable as 'select 1'; ${add}`),
      [],
    );
    assert.deepEqual(rules(`create function public.f() returns int language sql as 'select 1'; ${add}`), [
      '1:68 adding-field-with-default',
    ]);
    const of = (volatile: boolean): CatalogFacts =>
      catalog(
        { a: 'r' },
        { functions: [{ schema: 'public', name: 'f', volatile, language: 'sql', body: 'select 1' }] },
      );
    assert.deepEqual(found([add], of(true)).map(line), ['1:1 adding-field-with-default']);
    assert.deepEqual(found([add], of(false)).map(line), []);
  });

  test('SET NOT NULL after a CHECK that has looked at all rows is none, by the database or by the files', () => {
    const set = 'alter table public.a alter column id set not null;';
    const check = (valid: boolean): CatalogFacts =>
      catalog(
        { a: 'r' },
        { notNullChecks: [{ schema: 'public', table: 'a', column: 'id', name: 'c', valid }] },
      );
    assert.deepEqual(found([set], check(true)).map(line), []);
    assert.deepEqual(found([set], check(false)).map(line), ['1:1 adding-not-nullable-field']);
    const add = 'alter table public.a add constraint c check (id is not null) not valid;';
    const validate = 'alter table public.a validate constraint c;';
    assert.deepEqual(rules(add, validate, set), []);
    assert.deepEqual(rules(add, set), ['2: 1:1 adding-not-nullable-field']);
    assert.deepEqual(found(['alter table a drop constraint c;', set], check(true)).map(line), [
      '2: 1:1 adding-not-nullable-field',
    ]);
  });

  test('VALIDATE in the file that adds NOT VALID holds the first lock; in a later file it does not', () => {
    const add = 'alter table a add constraint c check (x > 0) not valid;';
    const validate = 'alter table a validate constraint c;';
    assert.deepEqual(rules(`${add}\n${validate}`), ['2:1 validating-at-once']);
    assert.deepEqual(rules(add, validate), []);
  });

  test('what is advised for a partitioned table is what PostgreSQL takes there', () => {
    const facts = catalog({ p: 'p' });
    const advice = (sql: string): string => found([sql], facts)[0]?.instead ?? '';
    assert.match(advice('create index on p (a);'), /ON ONLY .* ATTACH PARTITION/);
    assert.match(advice('alter table p add foreign key (a) references b;'), /to each partition/);
    assert.match(advice('alter table p add unique (a);'), /CREATE UNIQUE INDEX \.\.\. ON ONLY/);
    assert.deepEqual(found(['create index on only p (a);'], facts), []);
  });
});

describe('what the same files made, or what is not there', () => {
  test('an index that an earlier file made, or that went with a constraint', () => {
    assert.deepEqual(rules('create index i on a (id);', 'drop index i;'), [
      '1:1 require-concurrent-index-creation',
    ]);
    assert.deepEqual(rules('create index on a (id);', 'drop index if exists public.a_id_idx;'), [
      '1:1 require-concurrent-index-creation',
    ]);
    assert.deepEqual(rules('alter table a drop constraint i; drop index if exists i;'), []);
    assert.deepEqual(found(['drop index if exists i;'], catalog({ a: 'r' })), []);
    assert.deepEqual(found(['drop index i;'], catalog({ i: 'i' })).map(line), [
      '1:1 require-concurrent-index-deletion',
    ]);
  });

  test('IF NOT EXISTS on a database without that table is new; on one with it, it is not', () => {
    const sql = 'create table if not exists a (id int); delete from a; drop table a;';
    assert.deepEqual(found([sql], catalog({})), []);
    assert.deepEqual(found([sql], catalog({ a: 'r' })).map(line), [
      '1:40 DESTRUCTIVE delete-without-where',
      '1:55 DESTRUCTIVE ban-drop-table',
    ]);
    assert.deepEqual(found(['drop table if exists gone;'], catalog({ a: 'r' })), []);
    assert.deepEqual(found(['alter table a rename to b; drop table b;'], catalog({ a: 'r' })).map(line), [
      '1:28 DESTRUCTIVE ban-drop-table',
      '1:1 renaming-table',
    ]);
  });

  test('schemas, materialized views and policies of the same files', () => {
    assert.deepEqual(rules('create schema s; drop schema s cascade;'), []);
    assert.deepEqual(rules('create materialized view m as select 1; refresh materialized view m;'), []);
    assert.deepEqual(rules('drop policy if exists p on a; create policy p on a using (true);'), []);
    assert.deepEqual(rules('drop policy p on public.a;'), ['1:1 drop-policy']);
  });
});

describe('row 162: what is inside', () => {
  const block = (body: string): string => `do $$\nbegin\n  ${body}\nend\n$$;`;
  test('a DO block, also where an IF stands around it, and constant EXECUTE', () => {
    assert.deepEqual(
      rules(
        block(
          "if exists (select 1) then\n    alter table a drop column b;\n  end if;\n  execute 'drop table c';",
        ),
      ),
      ['4:5 DESTRUCTIVE ban-drop-column', '6:11 DESTRUCTIVE ban-drop-table'],
    );
    assert.deepEqual(rules(block("execute 'drop ' || 'table c';")), ['3:11 DESTRUCTIVE ban-drop-table']);
    assert.deepEqual(rules(block("execute format('drop table %I.%s', 'public', 'c');")), [
      '3:11 DESTRUCTIVE ban-drop-table',
    ]);
    assert.deepEqual(
      rules(
        block("for r in execute 'delete from c returning 1' loop null; end loop;").replace(
          'begin',
          'declare r record; begin',
        ),
      ),
      ['3:20 DESTRUCTIVE delete-without-where'],
    );
  });

  test('EXECUTE of a text that is not constant is unknown', () => {
    const loop =
      "declare r record; begin for r in select 1 as t loop execute format('drop table %I', r.t); end loop; end";
    assert.deepEqual(rules(`do $$ ${loop} $$;`), ['1:67 UNKNOWN unread-execute']);
    assert.deepEqual(rules(`create function f() returns void language plpgsql as $$ ${loop} $$;`), []);
    assert.deepEqual(
      rules(`create function f() returns void language plpgsql as $$ ${loop} $$; select f();`),
      ['1:165 UNKNOWN unread-execute'],
    );
  });

  test('functions that the file calls, of the files and of the database; those of others are not unknown', () => {
    const made =
      'create function wipe() returns void language plpgsql as $$ begin delete from a; perform more(); end $$;';
    const more = "create function more() returns void language sql as 'truncate b';";
    assert.deepEqual(rules(made, more), []);
    assert.deepEqual(rules(made, more, 'select public.wipe();'), [
      '3: 1:1 DESTRUCTIVE delete-without-where',
      '3: 1:1 DESTRUCTIVE truncate',
    ]);
    assert.deepEqual(
      rules('call wipe();', "select cron.schedule('x', '* * * * *', 'drop table a'); select auth.uid();"),
      [],
    );
    const facts = catalog(
      { a: 'r' },
      {
        functions: [
          {
            schema: 'app',
            name: 'wipe',
            volatile: true,
            language: 'plpgsql',
            body: "begin delete from a; raise 'sk-live'; end",
          },
        ],
      },
    );
    const [finding] = found(['select app.wipe();'], facts);
    assert.equal(finding?.rule, 'delete-without-where');
    assert.equal(finding?.statement, 'DELETE, run by app.wipe()');
  });

  test('procedures that are called, and bodies of BEGIN ATOMIC, of the files and of the database', () => {
    const procedure = 'create procedure wipe() language sql as $$ delete from a $$;';
    assert.deepEqual(rules(procedure, 'call wipe();'), ['2: 1:1 DESTRUCTIVE delete-without-where']);
    const atomic =
      'create function app.tidy() returns int language sql begin atomic; delete from a; select 1; end;';
    assert.deepEqual(rules(atomic, 'select app.tidy();'), ['2: 1:1 DESTRUCTIVE delete-without-where']);
    assert.deepEqual(rules(atomic, 'create function one() returns int return app.tidy(); select one();'), [
      '2: 1:54 DESTRUCTIVE delete-without-where',
    ]);
    const known = { schema: 'app', name: 'tidy', volatile: true, language: 'sql', body: atomic };
    const [finding] = found(['select app.tidy();'], catalog({ a: 'r' }, { functions: [known] }));
    assert.equal(finding?.statement, 'a statement, run by app.tidy()');
  });

  test('a function that calls itself ends', () => {
    const again =
      'create function f() returns void language plpgsql as $$ begin perform f(); truncate a; end $$;';
    assert.deepEqual(rules(again, 'select f();'), ['2: 1:1 DESTRUCTIVE truncate']);
  });

  test('EXPLAIN runs nothing without ANALYZE', () => {
    assert.deepEqual(rules('explain delete from a; explain (analyze false) delete from a;'), []);
    assert.deepEqual(rules('explain (analyze) delete from a;'), ['1:1 DESTRUCTIVE delete-without-where']);
  });
});

test('what stands in a schema that the files rename was there before', () => {
  const facts = catalog({ a: 'r' });
  assert.deepEqual(found(['alter schema public rename to old; drop table old.a;'], facts).map(line), [
    '1:36 DESTRUCTIVE ban-drop-table',
  ]);
});

test('-- squawk-ignore is honoured for its statement and its rules, and -- squawk-ignore-file for all', () => {
  const drop = 'drop table a;';
  assert.deepEqual(rules(`-- squawk-ignore ban-drop-table\n${drop}\n${drop}`), [
    '3:1 DESTRUCTIVE ban-drop-table',
  ]);
  assert.deepEqual(rules(`-- squawk-ignore\n${drop}`), []);
  const { ignored } = lintFiles([planned(`-- squawk-ignore\n${drop}`)], parsers);
  assert.deepEqual(ignored.map(line), ['2:1 DESTRUCTIVE ban-drop-table']);
  assert.deepEqual(rules(`-- squawk-ignore ban-drop-column, ban-drop-table\n${drop}`), []);
  assert.deepEqual(rules(`-- squawk-ignore ban-drop-column\n${drop}`), ['2:1 DESTRUCTIVE ban-drop-table']);
  assert.deepEqual(rules(`select '-- squawk-ignore';\n${drop}`), ['2:1 DESTRUCTIVE ban-drop-table']);
  assert.deepEqual(rules(`-- squawk-ignore-file ban-drop-table\nselect 1;\n${drop}\ntruncate a;`), [
    '4:1 DESTRUCTIVE truncate',
  ]);
});

test('what deletes data comes first, then what cannot be read, then rewrites and locks', () => {
  const effects = found([
    "create index i on a (id); alter table a alter c type text; do $$ begin execute current_setting('x'); end $$; update a set b = 1; drop table a;",
  ]).map(({ effect }) => effect);
  assert.deepEqual(effects, ['deletes', 'changes', 'unknown', 'rewrites', 'locks']);
});

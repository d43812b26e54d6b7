import assert from 'node:assert/strict';
import { test } from 'node:test';
import { classify } from '../../../src/database/migrations/classify.js';
import { lintFiles } from '../../../src/database/migrations/lint.js';
import { loadParser } from '../../../src/database/sql/parser.js';

const parse = await loadParser();

function rules(source: string): string[] {
  const file = 'supabase/migrations/1_a.sql';
  const shape = classify(file, source, parse);
  assert.equal(shape.doubt, undefined, shape.doubt?.message);
  const planned = { version: '1', name: 'a', file, source, checksum: '', afterHealth: false, shape };
  return lintFiles([planned]).map(
    ({ rule, destructive, at }) => `${at.line}:${at.column} ${destructive ? 'DESTRUCTIVE ' : ''}${rule}`,
  );
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
    ['1:26 renaming-table', '1:96 DESTRUCTIVE ban-drop-table'],
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
  ['a view, a function', 'drop view v; drop function f(); drop policy p on a;', []],
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
    ['1:1 adding-required-field', '1:79 adding-field-with-default'],
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

for (const [name, source, found] of CASES) test(name, () => assert.deepEqual(rules(source), found));

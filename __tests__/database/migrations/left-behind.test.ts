import assert from 'node:assert/strict';
import { test } from 'node:test';
import { leftBehind } from '../../../src/database/migrations/left-behind.js';
import { judgeThere } from '../../../src/database/schema/already-there.js';
import { loadParser } from '../../../src/database/sql/parser.js';

/** What stands behind the files: `kind name`, on what, and the type of a column. */
const CASES: [title: string, files: string[], left: string[]][] = [
  [
    'a table with its columns, constraints, policies and triggers',
    [
      `create table rooms (id bigserial, name varchar(80), price numeric(10, 2)[], constraint ok check (id > 0));
       create policy p on rooms using (true); alter table rooms enable row level security; create trigger t after insert on public.rooms execute function f();`,
    ],
    [
      'relation "public"."rooms" rp',
      'column id on "public"."rooms" int8',
      'column name on "public"."rooms" "pg_catalog"."varchar"(80)',
      'column price on "public"."rooms" "pg_catalog"."numeric"[](10,2)',
      'constraint ok on "public"."rooms"',
      'policy p on "public"."rooms"',
      'row security  on "public"."rooms"',
      'trigger t on "public"."rooms"',
    ],
  ],
  [
    'what is changed, renamed and dropped later',
    [
      'create table a (x int); create index a_x on a (x); create table b (y int);',
      'alter table a add column z text, drop column x; alter table a rename to c; alter table c rename column z to w; drop table b;',
    ],
    [
      'relation "public"."a_x" on "public"."a" iI',
      'relation "public"."c" rp',
      'column w on "public"."c" "text"',
    ],
  ],
  [
    'an index goes with its table',
    ['create table a (x int); create index a_x on a (x);', 'drop table a;'],
    [],
  ],
  [
    'types, functions, views and schemas',
    [
      `create type mood as enum ('sad'); alter type mood add value 'glad'; create domain email as text; create schema app;
       create function app.price(a int, out b text, c public.mood[]) language sql as 'select 1';
       create view v as select 1; create materialized view m as select 1; create sequence s;`,
      'drop view v; drop function app.price(int, public.mood[]);',
    ],
    [
      'type "public"."mood" e',
      'enum value sad on "public"."mood"',
      'enum value glad on "public"."mood"',
      'type "public"."email" d',
      'schema app',
      'relation "public"."m" m',
      'relation "public"."s" S',
    ],
  ],
  [
    "names without a schema follow the search path; temporary ones are nobody's",
    ['set search_path = app; create table t (); create temp table u ();', 'create table t ();'],
    ['relation "app"."t" rp', 'relation "public"."t" rp'],
  ],
  ['what may be there already tells nothing of a schema', ['create schema if not exists app;'], []],
];

for (const [title, files, wanted] of CASES)
  test(`what files leave behind: ${title}`, async () => {
    const parse = await loadParser();
    const { steps } = leftBehind(files.map((source) => parse(source).statements));
    const standing = new Map<string, string>();
    for (const { key, thing } of steps) {
      standing.delete(key);
      if (!thing) continue;
      const { kind, name, on, type, modifiers, letters } = thing;
      const words = [
        `${kind} ${name}`,
        on && `on ${on}`,
        type && `${type}${modifiers ? `(${modifiers})` : ''}`,
        letters,
      ];
      standing.set(key, words.filter(Boolean).join(' '));
    }
    assert.deepEqual([...standing.values()].sort(), [...wanted].sort());
  });

test('what no catalog can tell is named by its kind', async () => {
  const parse = await loadParser();
  const sources = [
    'insert into a values (1); grant all on a to b;',
    'create function f() returns int language sql as $$select 1$$',
    'do $$begin end$$',
    'select f()',
    'create table t ()',
  ];
  const { unjudged } = leftBehind(sources.map((source) => parse(source).statements));
  assert.deepEqual(
    [...unjudged].map(([file, why]) => [file, [...why].join()]),
    [
      [0, 'data,grants'],
      [1, "functions' text"],
      [2, 'DO blocks'],
      [3, 'calls'],
    ],
  );
});

/** Files, what of their tables is there, and the verdict. */
const VERDICTS: [title: string, files: string[], there: string[], verdict: object][] = [
  [
    'all of it',
    ['create table a ()', 'create table b ()'],
    ['a', 'b'],
    { upTo: 1, applied: [0, 1], partly: [], absent: [] },
  ],
  [
    'the first files',
    ['create table a ()', 'create table b ()'],
    ['a'],
    { upTo: 0, applied: [0], partly: [], absent: [1] },
  ],
  [
    'a later file alone',
    ['create table a ()', 'create table b ()'],
    ['b'],
    { applied: [1], partly: [], absent: [0] },
  ],
  [
    'half of a file',
    ['create table a (); create table b ()'],
    ['a'],
    { applied: [], partly: [0], absent: [] },
  ],
  [
    'one that a later file drops',
    ['create table a ()', 'drop table a; create table b ()'],
    ['b'],
    { upTo: 1, applied: [1], partly: [], absent: [] },
  ],
  [
    'data behind it',
    ['create table a ()', 'insert into a default values'],
    ['a'],
    { upTo: 0, applied: [0], partly: [], absent: [] },
  ],
];

for (const [title, files, there, verdict] of VERDICTS)
  test(`what looks applied: ${title}`, async () => {
    const parse = await loadParser();
    const left = leftBehind(files.map((source) => parse(source).statements));
    const names = there.map((name) => `"public"."${name}"`);
    assert.deepEqual(
      judgeThere(left, ({ name }) => names.includes(name), files.length),
      verdict,
    );
  });

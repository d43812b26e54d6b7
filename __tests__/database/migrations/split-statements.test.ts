import assert from 'node:assert/strict';
import { test } from 'node:test';
import { splitAsCli } from '../../../src/database/migrations/split-statements.js';

const CASES: [name: string, source: string, statements: string[]][] = [
  [
    'semicolons are dropped, white space around is trimmed',
    ' select 1 ;\n\nselect 2;;\n; ',
    ['select 1', 'select 2'],
  ],
  [
    'a trailing comment belongs to the next statement',
    'select 1; -- one\nselect 2',
    ['select 1', '-- one\nselect 2'],
  ],
  ['a comment at the end is a statement', 'select 1;\n-- end\n', ['select 1', '-- end']],
  ['quotes', 'select \'a;b\'\'c;\', "x;""y"; select 2', ['select \'a;b\'\'c;\', "x;""y"', 'select 2']],
  ['dollar quotes', 'do $$ a; $x$ ; $$; do $x$ ; $$ ; $x$;', ['do $$ a; $x$ ; $$', 'do $x$ ; $$ ; $x$']],
  [
    'nested block comments',
    '/* a /* ; */ ; */ select 1; select 2',
    ['/* a /* ; */ ; */ select 1', 'select 2'],
  ],
  [
    'parentheses',
    'create rule r as on insert to a do (select 1; select 2); select 3',
    ['create rule r as on insert to a do (select 1; select 2)', 'select 3'],
  ],
  [
    'nested parentheses end together, as in the CLI',
    'create rule r as on insert to a do (insert into b values (1); select 2); select 3',
    ['create rule r as on insert to a do (insert into b values (1)', 'select 2)', 'select 3'],
  ],
  [
    'BEGIN ATOMIC up to an END that begins a statement',
    'create function f() returns int begin atomic select case when true then 1 end; select 2; /* ; */ end; select 3',
    [
      'create function f() returns int begin atomic select case when true then 1 end; select 2; /* ; */ end',
      'select 3',
    ],
  ],
  [
    'names that only begin like END, or end like ATOMIC',
    'create function f() begin atomic select 1; endless; end; select my_atomic; select 2',
    ['create function f() begin atomic select 1; endless; end', 'select my_atomic', 'select 2'],
  ],
  [
    'dollar signs in names open no quote',
    'create table a$b$c(i int); select a$b$c; select 2',
    ['create table a$b$c(i int)', 'select a$b$c', 'select 2'],
  ],
  [
    'a backslash in an E string',
    "select E'it\\'s;', 'c:\\'; select e'a' -- ;\n '\\';'; select 2",
    ["select E'it\\'s;', 'c:\\'", "select e'a' -- ;\n '\\';'", 'select 2'],
  ],
  ['a division and a minus are no comments', 'select 4/2-1; select 2', ['select 4/2-1', 'select 2']],
  ['carriage returns', 'select 1;\r\nselect 2;\r\n', ['select 1', 'select 2']],
  ['letters of other languages in a tag', 'select $é$;$é$; select 2', ['select $é$;$é$', 'select 2']],
  ['nothing', ' ;; \n', []],
];

for (const [name, source, statements] of CASES)
  test(name, () => assert.deepEqual(splitAsCli(source), statements));

test('nothing but semicolons and white space is lost, whatever the text', () => {
  for (const [, source] of CASES) {
    const bare = (text: string): string => text.replaceAll(/[\s;]/g, '');
    assert.equal(bare(splitAsCli(source).join('')), bare(source));
  }
});

test('10 MB are split at once', () => {
  const source = `insert into a values ('${'x'.repeat(5_000_000)}'), ($$${'y'.repeat(5_000_000)}$$);select 2`;
  const started = performance.now();
  assert.equal(splitAsCli(source).length, 2);
  assert.ok(performance.now() - started < 2_000);
});

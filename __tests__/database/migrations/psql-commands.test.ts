import assert from 'node:assert/strict';
import { test } from 'node:test';
import { psqlCommands } from '../../../src/database/migrations/psql-commands.js';

const CASES: [name: string, source: string, commands: string[]][] = [
  ['a command on a line of its own', 'select 1;\n\\set x 1\nselect 2;', ['\\set']],
  ['inside quotes of every kind', 'select \'\\a\', "\\b", $$\\c$$, $x$\\d$x$; -- \\e\n/* \\f */', []],
  ['behind a backslash that ends a plain string', "select 'c:\\'; \\q", ['\\q']],
  ['a quote hidden in an E string', "select E'it\\'s; \\x'; \\q", ['\\q']],
  ['an E string that goes on in the next line', "select E'a;' -- it's\n  '\\';b', 'c:\\'; \\q", ['\\q']],
  ['a plain string that goes on in the next line', "select 'a'\n'b\\', 'c'; \\q", ['\\q']],
  ['an E string and another string in one line', "select E'a' 'b\\'; \\q", ['\\q']],
];

for (const [name, source, commands] of CASES)
  test(name, () =>
    assert.deepEqual(
      psqlCommands(source).map((command) => command.name),
      commands,
    ),
  );

test('many dashes behind an E string take no time', () => {
  const started = performance.now();
  psqlCommands(`\\restrict x\nselect E'a' ${'-'.repeat(100_000)}`);
  psqlCommands(`\\restrict x\nselect E'a'\n${'-- '.repeat(50_000)}`);
  assert.ok(performance.now() - started < 1_000);
});

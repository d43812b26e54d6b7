import assert from 'node:assert/strict';
import { test } from 'node:test';
import { timedGroups } from '../../../src/database/migrations/own-timeouts.js';
import { loadParser } from '../../../src/database/sql/parser.js';

const parse = await loadParser();
const groups = (source: string): string[][] | undefined =>
  timedGroups(parse(source).statements ?? [])?.map((group) =>
    group.map(({ from, to }) => source.slice(from, to)),
  );

const CASES: [name: string, source: string, groups: string[][] | undefined][] = [
  ['none', 'select 1; select 2;', undefined],
  ['of a lock only', "set lock_timeout = '1s'; select 2;", undefined],
  ['with nothing behind it', 'select 1; set statement_timeout = 5;', undefined],
  [
    'from there on one by one',
    "select 1; set statement_timeout = '5s'; select 2; select 3;",
    [['select 1', "set statement_timeout = '5s'"], ['select 2'], ['select 3']],
  ],
  [
    'turned off: together again',
    'set local statement_timeout = 5; select 1; set statement_timeout to 0; select 2; select 3;',
    [
      ['set local statement_timeout = 5'],
      ['select 1'],
      ['set statement_timeout to 0'],
      ['select 2', 'select 3'],
    ],
  ],
  [
    'by set_config, and as the role has it',
    "select set_config('statement_timeout', '0', false); select 1; select 2; reset statement_timeout; select 3; select 4;",
    [
      ["select set_config('statement_timeout', '0', false)"],
      ['select 1', 'select 2', 'reset statement_timeout'],
      ['select 3'],
      ['select 4'],
    ],
  ],
];
for (const [name, source, expected] of CASES)
  test(`a time-out that a file sets itself: ${name}`, () => assert.deepEqual(groups(source), expected));

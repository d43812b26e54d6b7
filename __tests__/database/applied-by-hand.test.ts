import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lastThere } from '../../src/database/applied-by-hand.js';
import type { SchemaObject } from '../../src/database/schema/fingerprint.js';

/** `kind name hash`, apart by commas. */
const objects = (text: string): SchemaObject[] =>
  text === ''
    ? []
    : text.split(', ').map((each) => {
        const [kind = '', name = '', hash = ''] = each.split(' ');
        return { kind, schema: 'public', name, hash };
      });

/** The states before the first file and behind each, what is there, and the last file up to which it is all there. */
const CASES: [title: string, states: string[], there: string, upTo: number | undefined][] = [
  ['all', ['', 'table a 1', 'table a 1, table b 1'], 'table b 1, table a 1, table c 1', 1],
  ['the first', ['', 'table a 1', 'table a 1, table b 1'], 'table a 1', 0],
  ['what a later file changes must be changed', ['', 'table a 1', 'table a 2'], 'table a 1', 0],
  ['behind a later file an earlier state is none', ['', 'table a 1', 'table a 2'], 'table a 2', 1],
  ['a file that changes nothing says nothing', ['', 'table a 1', 'table a 1'], 'table a 1', 0],
  [
    'what was there before the files says nothing',
    ['table p 1', 'table p 1, table a 1'],
    'table p 1',
    undefined,
  ],
  ['nothing', ['', 'table a 1'], '', undefined],
  ['rights are of who made it', ['', 'table a 1, comment a 1'], 'table a 1, comment a 2', 0],
];

for (const [title, states, there, upTo] of CASES)
  test(`row 154: run on the scratch database, and compared: ${title}`, () => {
    assert.equal(lastThere(states.map(objects), objects(there)), upTo);
  });

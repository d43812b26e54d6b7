import assert from 'node:assert/strict';
import { test } from 'node:test';
import { beginningOf, endOf } from '../../src/base/cut-text.js';

test('row 150: no part of a word is left where a text is cut, so no half of a secret', () => {
  const text = 'one canary-5uX8 two canary-9Yk2 three';
  for (let most = 0; most <= text.length; most++)
    for (const part of [beginningOf(text, most), endOf(text, most)]) {
      assert.ok(part.length <= most);
      assert.deepEqual(
        part.split(' ').filter((word) => word !== '' && !text.split(' ').includes(word)),
        [],
        part,
      );
    }
  assert.equal(beginningOf(text, 15), 'one canary-5uX8');
  assert.equal(beginningOf(text, 14), 'one');
  assert.equal(endOf(text, 5), 'three');
  assert.equal(endOf(text, 7), 'three');
  assert.equal(endOf('x'.repeat(10), 5), '');
  assert.equal(beginningOf(text, 99), text);
});

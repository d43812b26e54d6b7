import assert from 'node:assert/strict';
import { test } from 'node:test';
import { textEnd, textStart } from '../../src/lib/cut-text.js';

test('row 150: no part of a word is left where a text is cut, so no half of a secret', () => {
  const text = 'one canary-5uX8 two canary-9Yk2 three';
  for (let most = 0; most <= text.length; most++)
    for (const part of [textStart(text, most), textEnd(text, most)]) {
      assert.ok(part.length <= most);
      assert.deepEqual(
        part.split(' ').filter((word) => word !== '' && !text.split(' ').includes(word)),
        [],
        part,
      );
    }
  assert.equal(textStart(text, 15), 'one canary-5uX8');
  assert.equal(textStart(text, 14), 'one');
  assert.equal(textEnd(text, 5), 'three');
  assert.equal(textEnd(text, 7), 'three');
  assert.equal(textEnd('x'.repeat(10), 5), '');
  assert.equal(textStart(text, 99), text);
});

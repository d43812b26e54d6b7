import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { inspect } from 'node:util';
import { Secret } from '../../src/lib/secret.js';

const PASSWORD = 'p@ss/w0rd #1 ñ';

describe('Secret', () => {
  test('prints as *** in every way a value gets into a log', () => {
    const secret = new Secret(PASSWORD);
    for (const text of [`${secret}`, JSON.stringify({ secret }), inspect({ secret }), String([secret])]) {
      assert.ok(text.includes('***') && !text.includes(PASSWORD), text);
    }
    assert.equal(secret.reveal(), PASSWORD);
  });
});

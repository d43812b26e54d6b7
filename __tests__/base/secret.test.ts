import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { inspect } from 'node:util';
import { Secret, sanitiser } from '../../src/base/secret.js';

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

describe('sanitiser', () => {
  const clean = sanitiser([PASSWORD]);
  const bytes = Buffer.from(PASSWORD);

  test('replaces the raw, URL-encoded, JSON and hex forms', () => {
    for (const form of [
      PASSWORD,
      encodeURIComponent(PASSWORD),
      bytes.toString('hex'),
      JSON.stringify(PASSWORD),
    ]) {
      assert.doesNotMatch(clean(`x ${form} y`), /w0rd|7730726/, form);
    }
  });

  test('finds base64 whatever stands before and after it', () => {
    for (const before of ['', 'a', 'ab', 'abc', 'abcd']) {
      for (const after of ['', 'z', 'zz']) {
        const encoded = Buffer.concat([Buffer.from(before), bytes, Buffer.from(after)]).toString('base64');
        assert.ok(clean(encoded).includes('***'), `${before}|${after}`);
      }
    }
  });

  test('leaves short and common words alone', () => {
    assert.equal(sanitiser(['abc', 'test', 'postgres'])('abc test postgres'), 'abc test postgres');
  });

  test('masks each line of a multi-line secret, and not the PEM header', () => {
    const key = '-----BEGIN PRIVATE KEY-----\nMIIEvAIBADANBg\nkqhkiG9w0BAQEF\n-----END PRIVATE KEY-----';
    assert.equal(
      sanitiser([key])('-----BEGIN PRIVATE KEY----- kqhkiG9w0BAQEF'),
      '-----BEGIN PRIVATE KEY----- ***',
    );
  });

  test('leaves the end of the line to a secret that has one', () => {
    assert.equal(sanitiser(['TOKEN=5uX8\n'])('TOKEN=5uX8\nhost: up\n'), '***\nhost: up\n');
    assert.equal(sanitiser(['A=first\nB=second\n'])('A=first\nB=second\nhost: up\n'), '***\nhost: up\n');
  });
});

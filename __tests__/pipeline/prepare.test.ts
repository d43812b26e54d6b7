import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { cutoverOf } from '../../src/pipeline/prepare.js';

describe('where prepared hosts wait', () => {
  test('row 141: before the rehearsal where migrations are committed, however many hosts there are', () => {
    assert.equal(cutoverOf('commits', 1), 'step-by-step');
    assert.equal(cutoverOf('commits', 20), 'step-by-step');
  });

  test('row 141: between install and build where the build is to read what is committed', () => {
    assert.equal(cutoverOf('commits-before-build', 1), 'builds-later');
    assert.equal(cutoverOf('commits-before-build', 20), 'builds-later');
  });

  test('before the cutover where nothing is pending; one host without a database goes through alone', () => {
    assert.equal(cutoverOf('records', 1), 'on-go');
    assert.equal(cutoverOf('records', 2), 'on-go');
    assert.equal(cutoverOf('nothing', 1), 'at-once');
    assert.equal(cutoverOf('nothing', 2), 'on-go');
  });
});

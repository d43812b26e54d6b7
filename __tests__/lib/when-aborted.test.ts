import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { test } from 'node:test';
import { whenAborted } from '../../src/lib/when-aborted.js';

test('row 135: a signal that has fired already is heard at once', () => {
  let heard = 0;
  whenAborted(AbortSignal.abort(), () => heard++);
  assert.equal(heard, 1);
});

test('a signal is heard once, and not after the listener was taken away', () => {
  const stop = new AbortController();
  let kept = 0;
  let taken = 0;
  whenAborted(stop.signal, () => kept++);
  whenAborted(stop.signal, () => taken++)();
  stop.abort();
  stop.abort();
  assert.deepEqual([kept, taken], [1, 0]);
  assert.equal(getEventListeners(stop.signal, 'abort').length, 0);
});

test('without a signal nothing is ever heard', () => {
  whenAborted(undefined, () => assert.fail())();
});

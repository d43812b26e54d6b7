import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stopClock } from '../../src/lib/stop-clock.js';

test('a clock that is paused does not run out, and goes on with what was left', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const base = performance.now();
  let now = 0;
  t.mock.method(performance, 'now', () => base + now);
  const pass = (milliseconds: number): void => {
    now += milliseconds;
    t.mock.timers.tick(milliseconds);
  };
  let over = 0;
  const clock = stopClock(1_000, () => over++);
  pass(5_000);
  assert.equal(over, 0, 'it begins paused');
  clock.resume();
  pass(600);
  clock.pause();
  clock.pause();
  pass(10_000);
  clock.resume();
  clock.resume();
  pass(399);
  assert.equal(over, 0);
  pass(1);
  assert.equal(over, 1);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isTooLate } from '../../../src/worker/host/lock.js';

test('lock-wait is spent while the other run is at work, and not while it waits for its action', () => {
  const hour = 3_600_000;
  const cases: [working: number, waiting: number, late: boolean][] = [
    [0, 1, false],
    [599_999, 0, false],
    [600_000, 0, true],
    [1, hour, false],
    [0, 2 * hour, false],
    [0, 2 * hour + 1, true],
  ];
  for (const [working, waiting, late] of cases)
    assert.equal(isTooLate({ working, waiting }, 600_000), late, `${working} and ${waiting}`);
});

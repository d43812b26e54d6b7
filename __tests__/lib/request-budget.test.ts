import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  allowanceOf,
  budgetOf,
  memoryLedger,
  openRequests,
  requestsLeft,
  waitWhileBad,
} from '../../src/lib/request-budget.js';

const MINUTE = 60_000;

describe('row 167: the request budget', () => {
  test('row 167: 60 requests in a deploy and 90 in a quarter of an hour, the server and the runner together', () => {
    for (const alone of [true, false]) {
      const places = [budgetOf('server', alone, 'r'), ...(alone ? [] : [budgetOf('runner', alone, 'r')])];
      assert.ok(places.reduce((sum, { limit }) => sum + limit, 0) <= 60);
      assert.ok(places.reduce((sum, { window }) => sum + window, 0) <= 90);
    }
  });

  test('row 167: what is left is the less of the two', () => {
    const budget = { run: 'b', limit: 60, window: 90 };
    const sent = (count: number, run: string, at: number) =>
      Array.from({ length: count }, () => ({ run, at }));
    const now = 100 * MINUTE;
    assert.equal(requestsLeft([], budget, now), 60);
    assert.equal(requestsLeft(sent(20, 'b', now), budget, now), 40);
    assert.equal(requestsLeft(sent(50, 'a', now - MINUTE), budget, now), 40);
    assert.equal(requestsLeft(sent(50, 'a', now - 16 * MINUTE), budget, now), 60);
    assert.equal(requestsLeft(sent(20, 'b', now - 30 * MINUTE), budget, now), 40);
    assert.equal(requestsLeft(sent(95, 'a', now + 5 * MINUTE), budget, now), 0);
  });

  test('row 167: no round takes what the way back needs', () => {
    let left = 45;
    // The look before, the rehearsal, the verification that fails, the put-back: each takes all that it may.
    for (const needed of [4, 4, 4]) left -= allowanceOf(left, needed);
    assert.ok(left >= 4, `${left}`);
  });

  test('row 167: a round that fails to the deadline sends no more than its trials, and first of all at once', () => {
    for (const span of [10_000, MINUTE, 10 * MINUTE])
      for (const trials of [3, 6, 10, 20, 40]) {
        let elapsed = 0;
        let sent = 0;
        const waits: number[] = [];
        for (;;) {
          const wait = waitWhileBad(elapsed, trials, span);
          elapsed += wait;
          if (elapsed > span) break;
          waits.push(wait);
          sent += 1;
        }
        assert.ok(sent <= trials + 1, `${sent} of ${trials} in ${span} ms`);
        assert.ok(sent >= trials / 3, `${sent} of ${trials} in ${span} ms`);
        assert.equal(waits[0], 100);
        for (const [index, wait] of waits.entries()) assert.ok(wait >= (waits[index - 1] ?? 0));
      }
  });

  test('row 167: what is under way counts, and a request that nobody got to see does not', () => {
    const ledger = memoryLedger();
    const requests = openRequests(ledger, { run: 'a', limit: 3, window: 90 }, 3);
    assert.deepEqual(
      [requests.begin(false), requests.begin(false), requests.begin(false)],
      [true, true, true],
    );
    assert.equal(requests.begin(false), false);
    requests.end(false);
    assert.equal(ledger.sent().length, 0);
    assert.equal(requests.begin(false), true);
    for (let under = 0; under < 3; under++) requests.end(true);
    assert.equal(requests.begin(false), false);
    assert.equal(requests.begin(true), true);
    requests.end(true);
    assert.equal(ledger.sent().length, 4);
  });
});

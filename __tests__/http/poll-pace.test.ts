import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TryResult } from '../../src/http/check.js';
import { type CheckState, newCheckState } from '../../src/http/check-state.js';
import { type PollStanding, waitAfter } from '../../src/http/poll-pace.js';

const STANDING: PollStanding = { checks: 2, successes: 2, remaining: 60_000, answering: 0 };
const GOOD: TryResult = { ok: true, status: 200 };
const BAD: TryResult = { ok: false, status: 500 };

const after = (
  look: TryResult,
  {
    state = {},
    standing = {},
    reached = true,
  }: Partial<{
    state: Partial<CheckState>;
    standing: Partial<PollStanding>;
    reached: boolean;
  }> = {},
) => waitAfter({ ...newCheckState('/'), ...state }, { look, reached }, { ...STANDING, ...standing });

test('a good answer is soon asked for again until there are enough, and slowly then', () => {
  assert.deepEqual(after(GOOD, { state: { streak: 1 } }), { kind: 'pause', milliseconds: 50 });
  assert.deepEqual(after(GOOD, { state: { streak: 2 } }), { kind: 'sleep', milliseconds: 1_000 });
});

test('a failing check takes turns; one that waits for another sleeps until it is woken', () => {
  assert.deepEqual(after(BAD), { kind: 'turn' });
  assert.deepEqual(after({ ...BAD, awaitsOther: true }), { kind: 'sleep', milliseconds: 60_000 });
});

test('a closed port is asked again at once, whatever the others do', () => {
  const wait = after(BAD, { reached: false, state: { attempts: 1 } });
  assert.ok(wait.kind === 'pause' && wait.milliseconds <= 100, JSON.stringify(wait));
});

test('an answer of 429 is waited for as long as it says, and not beyond the deadline', () => {
  const limited = (milliseconds: number): TryResult => ({
    ...BAD,
    status: 429,
    limited: { after: milliseconds },
  });
  assert.deepEqual(after(limited(5_000)), { kind: 'pause', milliseconds: 5_000 });
  assert.deepEqual(after(limited(60_000)), { kind: 'none' });
});

test('no wait is longer than the time that is left', () => {
  const standing = { remaining: -5 };
  assert.deepEqual(after(GOOD, { standing, state: { streak: 1 } }), { kind: 'pause', milliseconds: 0 });
  assert.deepEqual(after(GOOD, { standing, state: { streak: 2 } }), { kind: 'sleep', milliseconds: 0 });
});

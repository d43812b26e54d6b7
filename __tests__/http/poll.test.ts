import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Check, CheckResult, TryResult } from '../../src/http/check.js';
import { poll } from '../../src/http/poll.js';

const GOOD: TryResult = { ok: true, status: 200 };
const BAD: TryResult = { ok: false, status: 502, detail: 'answers 502', fault: 'status' };

/** A check that gives these looks one after the other, and the last one for ever. */
function script(name: string, ...looks: TryResult[]): Check & { asked: number } {
  const check = {
    name,
    asked: 0,
    ask: async () => looks[Math.min(check.asked++, looks.length - 1)]!,
  };
  return check;
}

async function timed(
  checks: Check[],
  successes = 2,
  deadline = 600,
): Promise<{ findings: CheckResult[]; milliseconds: number }> {
  const started = performance.now();
  const findings = await poll(checks, { timeout: 200, deadline, successes });
  return { findings, milliseconds: performance.now() - started };
}

describe('poll', () => {
  test('as many good answers in a row as asked for, and no more', async () => {
    for (const successes of [1, 2, 5]) {
      const check = script('a', GOOD);
      const { findings } = await timed([check], successes, 5_000);
      assert.deepEqual([findings[0]!.ok, check.asked], [true, successes]);
    }
  });

  test('a bad answer between starts the count again', async () => {
    const check = script('a', GOOD, BAD, GOOD, GOOD);
    const { findings } = await timed([check], 2, 5_000);
    assert.deepEqual([findings[0]!.ok, findings[0]!.attempts, findings[0]!.good], [true, 4, 3]);
  });

  test('the one that is late decides, and the early one is asked on slowly', async () => {
    const early = script('early', GOOD);
    const late = script('late', ...Array.from({ length: 6 }, () => BAD), GOOD);
    const { findings, milliseconds } = await timed([early, late], 2, 10_000);
    assert.ok(findings.every(({ ok }) => ok));
    assert.ok(early.asked <= 4, `${early.asked}`);
    assert.ok(milliseconds < 2_500);
  });

  test('a fault that is certain is believed at once, a likely one after three tries, without waiting on', async () => {
    const certain = script('password', { ...BAD, lasting: 'certain' });
    const likely = script('certificate', { ...BAD, lasting: 'likely' });
    const { milliseconds } = await timed([certain, likely, script('fine', GOOD)], 2, 30_000);
    assert.deepEqual([certain.asked, likely.asked], [1, 3]);
    assert.ok(milliseconds < 3_000);
  });

  test('a likely one that goes away is forgotten', async () => {
    const { findings } = await timed([script('a', { ...BAD, lasting: 'likely' }, BAD, GOOD)], 2, 5_000);
    assert.equal(findings[0]!.ok, true);
  });

  test('the deadline is kept by a check that never ends in time, and its last reason is not lost', async () => {
    let asked = 0;
    const check: Check = {
      name: 'slow',
      async ask({ timeout }) {
        asked += 1;
        if (asked === 1) return BAD;
        await new Promise((resolve) => setTimeout(resolve, timeout()));
        return { ok: false, status: null, fault: 'timeout', detail: 'no answer' };
      },
    };
    const { findings, milliseconds } = await timed([check], 2, 250);
    assert.ok(milliseconds < 2_000, `${milliseconds} ms`);
    assert.equal(findings[0]!.look.detail, 'answers 502');
  });

  test('a good check whose last try the deadline cuts short is still good', async () => {
    let asked = 0;
    const check: Check = {
      name: 'good',
      async ask({ timeout }) {
        if (++asked <= 2) return GOOD;
        await new Promise((resolve) => setTimeout(resolve, timeout()));
        return { ok: false, status: null, fault: 'timeout', detail: 'no answer' };
      },
    };
    const options = { timeout: 20_000, deadline: 2_000, successes: 2 };
    const [finding] = await poll([check, script('bad', BAD)], options);
    assert.equal(asked, 3);
    assert.deepEqual([finding!.ok, finding!.look.status], [true, 200]);
  });

  test('an error of a check is not swallowed, and ends the others', async () => {
    const broken: Check = { name: 'broken', ask: () => Promise.reject(new Error('a bug')) };
    const started = performance.now();
    await assert.rejects(timed([broken, script('bad', BAD)], 2, 30_000), /a bug/);
    assert.ok(performance.now() - started < 2_000);
  });

  test('nothing to ask is no finding', async () => {
    assert.deepEqual((await timed([])).findings, []);
  });
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Problem } from '../../src/base/report.js';
import { type Asked, measureDowntime, probeDowntime } from '../../src/worker/host/downtime.js';
import { freePort } from '../servers/free-port.js';
import { withHttpServer } from '../servers/http.js';

const good = (asked: number, ended = asked + 3): Asked => ({ asked, ended, good: true });
const bad = (asked: number, ended = asked + 1): Asked => ({ asked, ended, good: false });

describe('downtime from single requests', () => {
  const cases: [string, Asked[], { ms: number; lost: number }][] = [
    ['none asked', [], { ms: 0, lost: 0 }],
    ['all answered, slowly too', [good(0), good(20, 900), good(140)], { ms: 0, lost: 0 }],
    ['refused for a while', [good(0), bad(20), bad(41), good(62)], { ms: 45, lost: 0 }],
    ['two gaps', [bad(0), good(20), bad(40), bad(61), good(82)], { ms: 23 + 45, lost: 0 }],
    ['refused until the end', [good(0), bad(20), bad(40, 41)], { ms: 21, lost: 0 }],
    ['one lost among answers', [good(0), bad(20, 5_020), good(140), good(163)], { ms: 123, lost: 1 }],
    ['two lost at once', [bad(0, 5_000), bad(120, 5_120), good(240)], { ms: 243, lost: 2 }],
    [
      'held, and answered only after it was given up',
      [bad(0, 5_000), good(120, 5_900)],
      { ms: 5_900, lost: 0 },
    ],
    ['an answer to an earlier one ends no gap', [good(0, 400), bad(20), good(420)], { ms: 403, lost: 0 }],
  ];
  for (const [name, requests, { ms, lost }] of cases)
    test(name, () => assert.deepEqual(measureDowntime(requests), { ms, lost, requests: requests.length }));
});

describe('the probe at a real server', () => {
  async function measured(
    port: number,
    work: () => Promise<void>,
  ): Promise<{ ms: number; warnings: Problem[] }> {
    const warnings: Problem[] = [];
    const probe = probeDowntime(port, (problem) => warnings.push(problem));
    let ms: number;
    try {
      await work();
    } finally {
      ms = await probe.stop();
    }
    return { ms, warnings };
  }

  test('one connection that nobody answers is no five seconds of downtime, and it is told', async () => {
    let asked = 0;
    const { ms, warnings } = await withHttpServer(
      (_, response) => {
        if (++asked !== 3) response.end('here');
      },
      ({ port }) => measured(port, () => sleep(500)),
    );
    assert.ok(ms >= 100 && ms < 2_500, `${ms} ms`);
    assert.equal(warnings.length, 1);
    assert.match(
      warnings[0]!.message,
      /^1 of \d+ requests on loopback during the cutover got no answer within 5 s/,
    );
  });

  test('a port that refuses for a while is down for that long, and nothing is lost', async () => {
    const port = await freePort();
    const upFor = (milliseconds: number): Promise<void> =>
      withHttpServer(
        (_, response) => response.end('here'),
        () => sleep(milliseconds),
        { port },
      );
    const { ms, warnings } = await measured(port, async () => {
      await upFor(150);
      await sleep(600);
      await upFor(150);
    });
    // It is seen with the next request only, and that one may be late on a busy machine.
    assert.ok(ms >= 300 && ms < 3_000, `${ms} ms`);
    assert.deepEqual(warnings, []);
  });
});

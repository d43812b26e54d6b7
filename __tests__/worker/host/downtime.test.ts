import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Problem } from '../../../src/lib/report.js';
import { measureDowntime, type Probed, probeDowntime } from '../../../src/worker/host/downtime.js';
import { freePort } from '../../servers/free-port.js';
import { withHttpServer } from '../../servers/http.js';
import { until } from '../../servers/until.js';

const good = (asked: number, ended = asked + 3): Probed => ({ asked, ended, good: true });
const bad = (asked: number, ended = asked + 1): Probed => ({ asked, ended, good: false });

describe('downtime from single requests', () => {
  const cases: [string, Probed[], { ms: number; lost: number }][] = [
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
  const span = { from: 0, to: 6_000 };
  for (const [name, requests, { ms, lost }] of cases)
    test(name, () => {
      const downtime = measureDowntime([], requests, span);
      assert.deepEqual([downtime.ms, downtime.lost, downtime.requests], [ms, lost, requests.length]);
      assert.equal(measureDowntime(requests, [], span).ms, ms);
    });

  test('a port that is closed, and an open one that does not answer, are counted once where they overlap', () => {
    const looks = [good(0), bad(100), bad(120), good(140), good(160)];
    const requests = [good(0), bad(130), good(180)];
    assert.equal(measureDowntime(looks, requests, span).ms, 183 - 100);
  });

  test('row 167: what few requests leave unmeasured is told', () => {
    const { resolution } = measureDowntime([], [good(0), good(100), good(900)], { from: 0, to: 3_000 });
    assert.equal(resolution, 2_100);
  });
});

describe('the probe at a real server', () => {
  async function measured(
    port: number,
    work: () => Promise<unknown>,
  ): Promise<{ ms: number; warnings: Problem[]; told: string[] }> {
    const warnings: Problem[] = [];
    const told: string[] = [];
    const probe = probeDowntime(port, undefined, {
      warn: (problem) => warnings.push(problem),
      progress: (text) => told.push(text),
    });
    let ms: number;
    try {
      await work();
    } finally {
      ms = await probe.stop();
    }
    return { ms, warnings, told };
  }

  test('one connection that nobody answers is no five seconds of downtime, and it is told', async () => {
    let asked = 0;
    const { ms, warnings } = await withHttpServer(
      (_, response) => {
        if (++asked !== 2) response.end('here');
      },
      ({ port }) => measured(port, () => until('four requests', () => (asked > 3 ? true : undefined))),
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
    // It is seen with the next look only, and that one may be late on a busy machine.
    assert.ok(ms >= 300 && ms < 3_000, `${ms} ms`);
    assert.deepEqual(warnings, []);
  });

  test('row 167: an application is asked six times at most, and its port all the time', async () => {
    for (const status of [200, 503]) {
      const { requests, told } = await withHttpServer(
        (_, response) => response.writeHead(status).end(),
        async ({ port, requests }) => ({ requests, ...(await measured(port, () => sleep(2_500))) }),
      );
      assert.ok(requests.length >= 3 && requests.length <= 6, `${requests.length} with ${status}`);
      assert.match(
        told[0]!,
        /without an answer: the port was looked at every 20 ms; \d answers? (was|were) asked for, so a fault behind an open port/,
      );
    }
  });

  test('row 167: an open port that answers 503 for a while is down, and asked closely then', async () => {
    let asked = 0;
    const { ms, warnings } = await withHttpServer(
      (_, response) => {
        asked += 1;
        response.statusCode = asked === 2 ? 503 : 200;
        response.end();
      },
      ({ port }) => measured(port, () => until('answers again', () => (asked > 3 ? true : undefined))),
    );
    assert.ok(ms >= 100 && ms < 3_000, `${ms} ms`);
    assert.deepEqual(warnings, []);
  });
});

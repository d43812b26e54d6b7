import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { HealthFact } from '../../src/lib/report.js';
import {
  judgeWatch,
  mayAsk,
  nextLookAfter,
  WATCH_PACE,
  type WatchLook,
} from '../../src/pipeline/watch-decision.js';

const RUN = '7';
const PASSED = new Set(['server /api/health', '/api/health on the server']);

function answer(ok: boolean): HealthFact {
  return {
    name: '/api/health',
    from: 'runner',
    ok,
    status: ok ? 200 : 500,
    'latency-ms': 3,
    attempts: 1,
  };
}

type Host = WatchLook['hosts'][number];
function host(restarts: number, more: Partial<Host> = {}): Host {
  return {
    host: 1,
    prefix: '',
    programs: [{ id: 0, restarts, status: 'online' }],
    health: [],
    liveRun: RUN,
    ...more,
  };
}
const look = (ok: boolean | undefined, ...hosts: Host[]): WatchLook => ({
  facts: ok === undefined ? [] : [answer(ok)],
  hosts,
});

describe('what the looks of a watch mean', () => {
  const cases: [string, WatchLook[], string][] = [
    ['nothing was looked at yet', [], 'good'],
    ['all good', [look(true, host(3)), look(true, host(3))], 'good'],
    ['row 174: one bad answer is a doubt', [look(true), look(false)], 'doubtful'],
    ['two in a row still are', [look(true), look(false), look(false)], 'doubtful'],
    ['row 174: three in a row fell', [look(true), look(false), look(false), look(false)], 'fallen'],
    [
      'a good one between begins anew',
      [look(true), look(false), look(false), look(true), look(false)],
      'doubtful',
    ],
    [
      'an answer that is no verdict neither counts nor begins anew',
      [look(true), look(false), look(undefined), look(false), look(undefined), look(false)],
      'fallen',
    ],
    [
      'a check that was never good is not blamed on the version',
      [look(false), look(false), look(false)],
      'good',
    ],
    ['one restart stays', [look(true, host(3)), look(true, host(4))], 'good'],
    [
      'row 174: a second restart fell, whatever the answers say',
      [look(true, host(3)), look(true, host(4)), look(true, host(5))],
      'fallen',
    ],
    ['restarts from before the watch do not count', [look(true, host(90))], 'good'],
    [
      'a host that could not be looked at in between',
      [look(true, host(1)), look(true), look(true, host(3))],
      'fallen',
    ],
    [
      'one restart of each of two instances',
      [1, 2].map((restarts) =>
        look(true, host(0, { programs: [0, 1].map((id) => ({ id, restarts, status: 'online' })) })),
      ),
      'good',
    ],
    [
      'PM2 gave up',
      [look(true, host(1)), look(true, host(1, { programs: [{ id: 0, restarts: 1, status: 'errored' }] }))],
      'fallen',
    ],
    [
      'row 174: another run holds the lock',
      [look(true, host(1)), look(true, host(1, { heldBy: '8' }))],
      'overtaken',
    ],
    ['our own run holds it', [look(true, host(1, { heldBy: RUN }))], 'good'],
    [
      'row 174: another run has deployed, also where that one is bad',
      [look(true, host(1)), look(false, host(9, { liveRun: '8' }))],
      'overtaken',
    ],
    [
      'who brought it is not known',
      [look(true, { ...host(1), liveRun: undefined } as unknown as Host)],
      'good',
    ],
  ];
  for (const [name, looks, kind] of cases)
    test(name, () => assert.equal(judgeWatch(looks, new Set(), RUN).kind, kind));

  test('what health has found good counts from the first look on', () => {
    const bad = [look(false), look(false), look(false)];
    assert.equal(judgeWatch(bad, new Set(['/api/health']), RUN).kind, 'fallen');
    assert.equal(judgeWatch(bad, PASSED, RUN).kind, 'good');
  });

  test('a fall says what fell', () => {
    const fell = judgeWatch(
      [look(true, host(3)), look(true, host(5, { prefix: 'host 2: ' }))],
      new Set(),
      RUN,
    );
    assert.equal(fell.kind === 'fallen' && fell.why, 'host 2: PM2 has restarted instance 0 2 times since');
  });
});

describe('when it is looked at next', () => {
  const cases: [string, Parameters<typeof nextLookAfter>[0], number][] = [
    ['every 30 seconds', { bad: 0, left: 40, remaining: 120_000 }, 30_000],
    ['at once after the first bad answer', { bad: 1, left: 40, remaining: 120_000 }, 1_000],
    ['after the second as before', { bad: 2, left: 40, remaining: 120_000 }, 30_000],
    ['at once where its time is over and it has just failed', { bad: 2, left: 40, remaining: 0 }, 1_000],
    ['never beyond the end', { bad: 0, left: 40, remaining: 9_000 }, 9_000],
    ['row 174: slower where the requests would not last', { bad: 0, left: 42, remaining: 1_800_000 }, 60_000],
    ['where none is left the programs are followed on', { bad: 0, left: 12, remaining: 1_800_000 }, 30_000],
    ['where nothing counts', { bad: 0, left: undefined, remaining: 1_800_000 }, 30_000],
  ];
  for (const [name, standing, expected] of cases)
    test(name, () => assert.equal(nextLookAfter(standing, WATCH_PACE), expected));

  test('requests are kept for the proof of a put-back', () => {
    assert.deepEqual([undefined, 60, 13, 12, 0].map(mayAsk), [true, true, true, false, false]);
  });
});

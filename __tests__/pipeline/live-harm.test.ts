import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { HealthFact } from '../../src/lib/report.js';
import { findHarm, whyForward } from '../../src/pipeline/live-harm.js';
import type { LiveLook } from '../../src/server/fleet/run-worker.js';
import { nextLook, whyNotAsked } from '../../src/worker/run/live-looks.js';

type Answer = 'good' | 'error' | 'word' | 'page' | 'limited' | 'slow' | 'closed' | 'lost';

const ANSWERS: Readonly<Record<Answer, Partial<HealthFact>>> = {
  good: { ok: true, status: 200 },
  error: { status: 500, fault: 'status', detail: 'answers 500' },
  word: { status: 200, fault: 'body', detail: 'answers 200 with status "error"' },
  page: {
    status: 200,
    fault: 'body',
    detail: 'answers 200 with an HTML page, where a health answer is expected',
  },
  limited: { status: 429, fault: 'status', detail: 'answers 429 (too many requests)' },
  slow: { status: null, fault: 'timeout' },
  closed: { status: null, fault: 'connect' },
  lost: { status: 404, fault: 'status' },
};

function fact(name: string, answer: Answer): HealthFact {
  return { name, from: 'vps', ok: false, status: null, 'latency-ms': 1, attempts: 1, ...ANSWERS[answer] };
}

const answers = (...told: [after: number, answer: Answer][]): LiveLook[] =>
  told.map(([after, answer]) => ({ after, health: [fact('/api/health', answer)] }));

describe('whether the live version is broken by the migrations', () => {
  const good = [fact('/api/health', 'good')];
  const cases: [what: string, before: HealthFact[], looks: LiveLook[], harmed: boolean][] = [
    ['5xx three times over 3 s', good, answers([500, 'error'], [2_000, 'error'], [3_500, 'error']), true],
    ['an unhealthy word as often', good, answers([500, 'word'], [2_000, 'word'], [3_500, 'word']), true],
    ['5xx for less than 3 s', good, answers([500, 'error'], [1_000, 'error'], [3_400, 'error']), false],
    ['twice in 3 s', good, answers([500, 'error'], [3_600, 'error']), false],
    ['in the first 500 ms', good, answers([0, 'error'], [2_000, 'error'], [3_400, 'error']), false],
    [
      'a good answer between',
      good,
      answers([500, 'error'], [2_000, 'good'], [3_000, 'error'], [4_000, 'error']),
      false,
    ],
    ['two kinds of failure', good, answers([500, 'error'], [2_000, 'word'], [3_500, 'error']), false],
    [
      'no answer between is none',
      good,
      answers([500, 'error'], [1_000, 'slow'], [2_000, 'error'], [3_500, 'error']),
      true,
    ],
    ['merely slow', good, answers([500, 'slow'], [2_000, 'slow'], [3_500, 'slow']), false],
    ['limited', good, answers([500, 'limited'], [2_000, 'limited'], [3_500, 'limited']), false],
    ['restarted meanwhile', good, answers([500, 'closed'], [2_000, 'closed'], [3_500, 'closed']), false],
    ['not found', good, answers([500, 'lost'], [2_000, 'lost'], [3_500, 'lost']), false],
    ['a page in its place', good, answers([500, 'page'], [2_000, 'page'], [3_500, 'page']), false],
    [
      'broken before',
      [fact('/api/health', 'error')],
      answers([500, 'error'], [2_000, 'error'], [3_500, 'error']),
      false,
    ],
    ['not asked before', [], answers([500, 'error'], [2_000, 'error'], [3_500, 'error']), false],
    [
      'later than at first',
      good,
      answers([500, 'good'], [12_000, 'error'], [13_500, 'error'], [15_000, 'error']),
      true,
    ],
  ];
  for (const [what, before, looks, harmed] of cases)
    test(`row 142: ${what}: ${harmed ? 'broken' : 'no reason'}`, () =>
      assert.equal(findHarm(before, looks) !== undefined, harmed));

  test('another path that is well hides none that is broken', () => {
    const both = [500, 2_000, 3_500].map((after) => ({
      after,
      health: [fact('/', 'good'), fact('/api/health', 'error')],
    }));
    assert.deepEqual(findHarm([fact('/', 'good'), ...good], both), {
      path: '/api/health',
      detail: 'answers 500',
    });
  });
});

describe('the shorter way out for a live version that is broken', () => {
  const back = { onFailure: true, database: 'down', reversible: true } as const;
  test('row 142: the down files only where they may and can be run', () => {
    assert.equal(whyForward(back), undefined);
    assert.match(whyForward({ ...back, onFailure: false })!, /rollback-on-failure/);
    assert.match(whyForward({ ...back, database: 'records' })!, /rollback-database is records/);
    assert.match(whyForward({ ...back, database: 'keep' })!, /rollback-database is keep/);
    assert.match(whyForward({ ...back, reversible: false })!, /down file/);
    assert.equal(whyForward({ ...back, obstacle: 'rows were written' }), 'rows were written');
  });
});

describe('when the live version is asked', () => {
  test('at 0, 0.5, 1 and 2 s, then every 10 s, and more often once it is not well', () => {
    const times = (good: boolean): number[] => {
      const all = [0];
      while (all.length < 7) all.push(nextLook(all.at(-1)!, good));
      return all;
    };
    assert.deepEqual(times(true), [0, 500, 1_000, 2_000, 12_000, 22_000, 32_000]);
    assert.deepEqual(times(false), [0, 500, 1_000, 2_000, 3_500, 5_000, 6_500]);
  });

  test('not without a port, and not at a first deploy', () => {
    assert.equal(whyNotAsked({ liveSha: 'a', port: 3000 }), undefined);
    assert.match(whyNotAsked({ port: 3000 })!, /first deploy/);
    assert.match(whyNotAsked({ liveSha: 'a' })!, /port/);
  });
});

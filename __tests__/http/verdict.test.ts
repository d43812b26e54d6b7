import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type JudgeOptions, judgeHealth } from '../../src/http/verdict.js';
import type { HealthFact, HealthFault, Verdict } from '../../src/lib/report.js';

type From = HealthFact['from'];

function good(name: string, from: From = 'runner', latency = 20): HealthFact {
  return { name, from, ok: true, status: 200, 'latency-ms': latency, attempts: 2 };
}

function bad(name: string, from: From = 'runner', fault: HealthFault = 'status'): HealthFact {
  return {
    name,
    from,
    ok: false,
    status: null,
    'latency-ms': null,
    attempts: 9,
    fault,
    detail: `is ${fault}`,
  };
}

const INSIDE = [good('/', 'vps'), good('/api/health', 'vps')];
const OUTSIDE = [good('/'), good('/api/health')];
const DATABASE = good('database');

describe('judge', () => {
  const cases: [string, HealthFact[], HealthFact[], JudgeOptions, Verdict][] = [
    ['all good', [DATABASE, ...OUTSIDE, ...INSIDE], [], {}, 'ok'],
    ['nothing asked', [], [], {}, 'ok'],
    ['good inside, bad outside', [...INSIDE, bad('/'), good('/api/health')], [], {}, 'edge'],
    [
      'good inside, assets bad outside',
      [...INSIDE, ...OUTSIDE, bad('assets', 'runner', 'assets')],
      [],
      {},
      'edge',
    ],
    ['bad inside and outside', [bad('/', 'vps'), bad('/')], [], {}, 'app'],
    [
      'bad inside, good outside (a cache)',
      [...OUTSIDE, bad('/', 'vps'), good('/api/health', 'vps')],
      [],
      {},
      'app',
    ],
    ['bad outside, the server was not asked', [bad('/'), good('/api/health')], [], {}, 'app'],
    ['refused outside, the server was not asked', [bad('/', 'runner', 'connect')], [], {}, 'app'],
    [
      'an expired certificate, the server was not asked',
      [bad('/', 'runner', 'tls'), bad('certificate', 'runner', 'tls')],
      [],
      {},
      'edge',
    ],
    ['no IPv6 here, the server was not asked', [bad('/', 'runner', 'route')], [], {}, 'edge'],
    ['a name that does not resolve, the server was not asked', [bad('/', 'runner', 'dns')], [], {}, 'edge'],
    ['the same, and the server is bad too', [bad('/', 'runner', 'dns'), bad('/', 'vps')], [], {}, 'app'],
    [
      'the database is down, and the application with it',
      [bad('database', 'runner', 'query'), bad('/api/health'), bad('/', 'vps')],
      [],
      {},
      'database',
    ],
    ['the REST endpoint is down', [...OUTSIDE, bad('supabase-rest')], [], {}, 'database'],
    [
      'the database was down before, the application fails now',
      [bad('database', 'runner', 'query'), bad('/', 'vps'), bad('/')],
      [bad('database', 'runner', 'query'), good('/', 'vps'), good('/')],
      {},
      'app',
    ],
    [
      'the application failed before, the certificate fails now',
      [bad('/api/health'), bad('certificate', 'runner', 'tls')],
      [bad('/api/health'), good('certificate')],
      {},
      'edge',
    ],
    [
      'inside failed before and still does, outside fails now',
      [bad('/', 'vps'), bad('/')],
      [bad('/', 'vps'), good('/')],
      {},
      'app',
    ],
    ['all that fails failed before', [bad('/')], [bad('/')], {}, 'app'],
    ['good but slow', [good('/', 'runner', 900)], [], { maxLatency: 500 }, 'slow'],
    ['at the limit', [good('/', 'runner', 500)], [], { maxLatency: 500 }, 'ok'],
    ['a slow database', [good('database', 'runner', 900)], [], { maxLatency: 500 }, 'slow'],
    ['many assets take their time', [good('assets', 'runner', 900)], [], { maxLatency: 500 }, 'ok'],
    ['bad and slow', [good('/', 'runner', 900), bad('/api/health')], [], { maxLatency: 500 }, 'app'],
  ];
  for (const [title, facts, before, options, verdict] of cases) {
    test(`${title}: ${verdict}`, () => {
      const judgement = judgeHealth(facts, before, options);
      assert.equal(judgement.verdict, verdict);
      assert.equal(judgement.healthy, verdict === 'ok' || verdict === 'slow');
      assert.equal(judgement.problems.length, facts.filter((fact) => !fact.ok).length);
      if (!judgement.healthy) assert.ok(judgement.problems[0]?.next);
    });
  }

  test('the cause comes first, with the next action, and what failed before says so', () => {
    const { problems } = judgeHealth(
      [bad('/api/health'), bad('database', 'runner', 'query'), bad('assets', 'runner', 'assets')],
      [good('/api/health'), good('database'), bad('assets', 'runner', 'assets')],
      {},
    );
    assert.deepEqual(
      problems.map((problem) => problem.message),
      ['database: is query', '/api/health: is status', 'assets: is assets (it failed before this run too)'],
    );
    assert.match(problems[0]!.next!, /database is up/);
    assert.equal(problems[1]!.next, undefined);
  });

  test('what the proxy in front does by itself is named', () => {
    const advice = (...facts: HealthFact[]): string =>
      judgeHealth([...INSIDE, ...facts], [], {}).problems[0]?.next ?? '';
    assert.match(advice({ ...bad('/'), status: 401 }), /health-from: vps/);
    assert.match(advice(good('/'), bad('assets', 'runner', 'assets')), /location \/static/);
    assert.match(advice(bad('/')), /nginx -t/);
  });

  test('slow names the slowest and warns', () => {
    const { warnings } = judgeHealth([good('/', 'vps', 700), good('/', 'runner', 1_900)], [], {
      maxLatency: 500,
    });
    assert.equal(warnings[0]?.message, '/ is healthy but slow: 1.9 s, more than health-max-latency (500 ms)');
  });

  test('a certificate that ends within two weeks is warned of', () => {
    const certificate = (days: number): HealthFact => ({
      ...good('certificate'),
      'days-left': days,
      detail: `valid for ${days} more days`,
    });
    assert.match(judgeHealth([certificate(13)], [], {}).warnings[0]!.message, /valid for 13 more days/);
    assert.deepEqual(judgeHealth([certificate(14)], [], {}).warnings, []);
  });
});

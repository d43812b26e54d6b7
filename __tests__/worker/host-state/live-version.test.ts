import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PAGE_INSTEAD } from '../../../src/http/judge-answer.js';
import type { HealthFact } from '../../../src/lib/report.js';
import {
  askLive,
  heldTo,
  judgeLive,
  provesNothing,
  wasDown,
} from '../../../src/worker/host-state/live-version.js';
import { makeCertificate } from '../../servers/certificate.js';
import { withHttpServer } from '../../servers/http.js';
import { HEALTH } from '../../servers/worker.js';

const fact = (name: string, more: Partial<HealthFact> = {}): HealthFact => ({
  name,
  from: 'vps',
  ok: false,
  status: null,
  'latency-ms': null,
  attempts: 1,
  ...more,
});
const good = (name: string): HealthFact => fact(name, { ok: true, status: 200 });
const status = (name: string, code: number): HealthFact =>
  fact(name, { status: code, fault: 'status', detail: `answers ${code}` });
const page = fact('/api/health', { status: 200, fault: 'body', detail: `answers 200 ${PAGE_INSTEAD}` });
const refused = fact('/', { fault: 'connect', detail: 'connection refused' });

describe('row 164: what the live version says of the checks', () => {
  const table: [string, HealthFact[], ReturnType<typeof judgeLive>['kind']][] = [
    ['all good', [good('/'), good('/api/health'), good('assets')], 'tells'],
    ['nothing was asked', [], 'tells'],
    ['not found', [good('/'), status('/api/health', 404)], 'deaf'],
    ['a login', [status('/', 401)], 'deaf'],
    ['a page where health belongs', [good('/'), page], 'deaf'],
    [
      'elsewhere',
      [fact('/', { status: 302, fault: 'redirect', detail: 'answers 302 and leads away' })],
      'deaf',
    ],
    ['not found, and so no scripts either', [status('/', 404), fact('assets')], 'deaf'],
    ['refused', [refused, refused], 'down'],
    ['no answer in time', [fact('/', { fault: 'timeout' })], 'down'],
    ['sick', [good('/'), status('/api/health', 503)], 'down'],
    [
      'sick by its own words',
      [fact('/api/health', { status: 200, fault: 'body', detail: 'says "down"' })],
      'down',
    ],
    ['sick at one, not found at the other', [status('/', 500), status('/api/health', 404)], 'down'],
    ['its scripts are gone', [good('/'), fact('assets', { status: 404, fault: 'assets' })], 'down'],
  ];
  for (const [title, facts, kind] of table)
    test(`row 164: ${title}: ${kind}`, () => assert.equal(judgeLive(facts).kind, kind));

  test('row 164: what nothing can prove is told with the check and the settings', () => {
    const { message, next } = provesNothing(status('/api/health', 404), 'rehearse is false');
    assert.match(message, /not rehearsed \(rehearse is false\).*\/api\/health answers 404/);
    assert.match(next!, /health-paths.*health-port/);
  });
});

describe('row 164: what closes the connection', () => {
  const askedOn = async (port: number): Promise<HealthFact[]> => {
    const found = { facts: { liveSha: 'a'.repeat(40), port } } as Parameters<typeof askLive>[0];
    return (await askLive(found, { ...HEALTH, deadline: 1_000 }, AbortSignal.timeout(20_000)))!;
  };

  test('row 164: an application that speaks TLS is not down: plain HTTP can never tell how it is', () =>
    withHttpServer(
      (_, response) => response.end(),
      async ({ port }) => {
        const live = judgeLive(await askedOn(port));
        assert.ok(live.kind === 'deaf', JSON.stringify(live));
        const { message, next } = provesNothing(live.check, 'rehearse is false');
        assert.match(message, /of the live one, which is up, \/ speaks TLS on its own port/);
        assert.match(next!, /^Leave TLS to the web server/);
      },
      { tls: makeCertificate() },
    ));

  test('row 164: one that closes each connection is down', () =>
    withHttpServer(
      (request) => request.socket.destroy(),
      async ({ port }) => assert.equal(judgeLive(await askedOn(port)).kind, 'down'),
    ));
});

describe('row 164: what a put-back must prove', () => {
  test('row 164: what passed before, and no more', () => {
    assert.deepEqual(heldTo(HEALTH, [good('/'), status('/api/health', 503)]).except, ['/api/health']);
    assert.equal(heldTo(HEALTH, [good('/'), good('/api/health')]), HEALTH);
    assert.equal(heldTo(HEALTH, undefined), HEALTH);
  });

  test('row 164: nothing, where nothing was good before', () => {
    assert.equal(wasDown([refused, fact('assets', { ok: true })]), true);
    assert.equal(wasDown([good('/'), status('/api/health', 503)]), false);
    assert.equal(wasDown(undefined), false);
  });
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type Expectation, judgeAnswer, judgeJson } from '../../src/http/judge-answer.js';
import type { HttpAnswer } from '../../src/http/request.js';

const HEALTH: Expectation = { path: '/api/health', last: true };
const ROOT: Expectation = { path: '/', last: false };

function answer(type: string, body: string, extra: Partial<HttpAnswer> = {}): HttpAnswer {
  return {
    status: 200,
    headers: { 'content-type': type },
    body: Buffer.from(body),
    whole: true,
    timings: { dns: null, connect: 1, tls: null, 'first-byte': 1, total: 2 },
    ...extra,
  };
}

describe('judgeJson', () => {
  const sick: unknown[] = [
    { status: 'error' },
    { status: 'DOWN' },
    { Status: 'Unhealthy' },
    { status: 'out_of_service' },
    { state: 'not-ready' },
    { health: 'fail' },
    { healthy: false },
    { ok: false },
    { success: false, data: [] },
    { status: 503 },
    { status: 'down', database: { status: 'ok' } },
  ];
  for (const value of sick) {
    test(`row 108: ${JSON.stringify(value)} is unhealthy`, () =>
      assert.equal(typeof judgeJson(value), 'string'));
  }

  const fine: unknown[] = [
    { status: 'ok' },
    { status: 'UP', components: { mail: { status: 'DOWN' } } },
    { uptime: 3, mail: { status: 'down' } },
    { status: 'pass' },
    { status: 'warn' },
    { status: 'degraded' },
    { status: 'maintenance' },
    { status: 200 },
    { status: 1_700_000_000 },
    { healthy: true },
    { error: null },
    { errors: 17, requests: 90_210 },
    { error: 'the last one, an hour ago', ok: true },
    { statusCode: 500 },
    { version: 'fail-2' },
    { message: 'error handling is on' },
    {},
    [],
    [{ status: 'down' }],
    'down',
    null,
    17,
  ];
  for (const value of fine) {
    test(`row 108: ${JSON.stringify(value)} is no complaint`, () =>
      assert.equal(judgeJson(value), undefined));
  }
});

describe('judgeAnswer', () => {
  const cases: [string, HttpAnswer, Expectation, RegExp | 'ok'][] = [
    ['JSON that is declared as text', answer('text/plain', '{"status":"down"}'), HEALTH, /"down"/],
    ['a problem document', answer('application/problem+json', '{"status":503}'), HEALTH, /is 503/],
    ['JSON with a byte order mark', answer('application/json', '\uFEFF{"ok":true}'), HEALTH, 'ok'],
    [
      'JSON longer than is read',
      answer('application/json', '{"a":', { whole: false }),
      HEALTH,
      /longer than 5 bytes/,
    ],
    ['text that begins like JSON and is none', answer('text/plain', '{hello'), HEALTH, 'ok'],
    ['OK', answer('text/plain', 'OK'), HEALTH, 'ok'],
    ['nothing', answer('text/plain', '', { status: 204 }), HEALTH, 'ok'],
    ['row 108: a text, whatever it says', answer('text/plain', 'errors: 0, failed: 0'), HEALTH, 'ok'],
    ['row 108: one word of text', answer('text/plain', 'Unavailable.'), ROOT, 'ok'],
    [
      'row 108: a hotel by the Forbidden Coast',
      answer('text/html', '<title>Forbidden Coast Hotel</title>'),
      ROOT,
      'ok',
    ],
    ['row 108: a page about the 501', answer('text/html', '<title>501</title>'), ROOT, 'ok'],
    ['row 108: a page that is titled Not Found', answer('text/html', '<title>Not Found</title>'), ROOT, 'ok'],
    [
      'row 109: a login form behind any path that is a page',
      answer('text/html', '<INPUT TYPE="Password">'),
      { path: '/orders', last: false },
      'ok',
    ],
    ['a page, where only / is asked', answer('text/html', '<p>'), { path: '/', last: true }, 'ok'],
    ['a page as the last path', answer('text/html', '<p>'), { path: '/about', last: true }, /HTML page/],
    ['a page from /api/', answer('text/html', '<p>'), { path: '/v1/api/x', last: false }, /HTML page/],
    ['a status of 404', answer('text/plain', 'ok', { status: 404 }), ROOT, /^answers 404$/],
    ['a status of 304', answer('text/plain', '', { status: 304 }), ROOT, /^answers 304$/],
    [
      'the version only where it is asked for',
      answer('text/plain', 'ok'),
      { ...ROOT, expectVersion: 'v9' },
      'ok',
    ],
    [
      'the version, missing',
      answer('text/plain', 'v8'),
      { ...HEALTH, expectVersion: 'v9' },
      /expected version/,
    ],
    [
      'another commit in a header',
      answer('text/plain', 'ok', { headers: { 'x-commit-sha': 'bbbbbbbbbb' } }),
      { ...HEALTH, expectSha: 'a'.repeat(40) },
      /as commit bbbbbbb instead of aaaaaaa/,
    ],
    [
      'row 108: no commit for certain: {"revision":"20250118"}',
      answer('application/json', '{"revision":"20250118"}'),
      { ...HEALTH, expectSha: 'a'.repeat(40) },
      'ok',
    ],
    [
      'row 108: no commit for certain: {"commit":"20250118"}',
      answer('application/json', '{"commit":"20250118"}'),
      { ...HEALTH, expectSha: 'a'.repeat(40) },
      'ok',
    ],
    [
      'row 108: no commit for certain: {"revision":"b1b1b1b1"}',
      answer('application/json', '{"revision":"b1b1b1b1"}'),
      { ...HEALTH, expectSha: 'a'.repeat(40) },
      'ok',
    ],
    [
      'row 108: no commit for certain: {"sha":"unknown"}',
      answer('application/json', '{"sha":"unknown"}'),
      { ...HEALTH, expectSha: 'a'.repeat(40) },
      'ok',
    ],
    [
      'row 108: a revision that is a whole commit',
      answer('application/json', `{"revision":"${'b'.repeat(40)}"}`),
      { ...HEALTH, expectSha: 'a'.repeat(40) },
      /as commit bbbbbbb instead of aaaaaaa/,
    ],
    [
      'hex in another field',
      answer('application/json', '{"etag":"bbbbbbbbbb"}'),
      { ...HEALTH, expectSha: 'a'.repeat(40) },
      'ok',
    ],
  ];
  for (const [title, given, expected, words] of cases) {
    test(title, () => {
      const opinion = judgeAnswer(given, expected);
      if (words === 'ok') assert.equal(opinion.ok, true, JSON.stringify(opinion));
      else assert.match(opinion.ok ? 'ok' : opinion.detail, words);
    });
  }
});

test('whatever the answer holds: an opinion, and none of its text in it', () => {
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000_000);
  console.log(`seed ${seed}`);
  const canary = 'canary-0ff1ce';
  const leaf = fc.constantFrom<unknown>(canary, `error: ${canary}`, 'down', false, 503, null, [canary]);
  const key = fc.constantFrom('status', 'ok', 'state', 'healthy', 'commit', 'revision', 'checks', canary);
  const json = fc.dictionary(key, fc.oneof(leaf, fc.dictionary(key, leaf, { maxKeys: 3 })), { maxKeys: 4 });
  const text = fc.oneof(
    json.map((value) => JSON.stringify(value)),
    fc.constantFrom(`error: ${canary}`, `<title>500 ${canary}</title>`, canary, '{', ''),
    fc.string({ unit: 'binary' }),
  );
  const type = fc.constantFrom('application/json', 'text/html', 'text/plain', `text/${canary}`, '');
  const expected = fc.constantFrom<Expectation>(
    HEALTH,
    ROOT,
    { path: '/x', last: false },
    { ...HEALTH, expectVersion: 'v1' },
    { ...HEALTH, expectSha: 'a'.repeat(40) },
  );
  fc.assert(
    fc.property(type, text, expected, fc.constantFrom(200, 404), (contentType, body, wanted, status) => {
      const headers = { 'content-type': contentType, 'x-key': canary };
      const opinion = judgeAnswer(answer(contentType, body, { status, headers }), wanted);
      assert.ok(!JSON.stringify(opinion).includes(canary), JSON.stringify(opinion));
    }),
    { seed, numRuns: 2_000 },
  );
});

import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { get, NoAnswer } from '../../src/http/request.js';
import { certificateWords } from '../../src/http/request-messages.js';
import { Cancelled } from '../../src/lib/report.js';
import { HEALTHY, serve, withHttpServer, withTcpServer } from '../servers/http.js';

/** A failing run is repeated with SEED=<number>. */
const seed = Number(process.env.SEED ?? Date.now() % 1_000_000_000);
console.log(`seed ${seed}`);

const CANARY = 'canary-51c0de';

describe('get', () => {
  test('whatever a server sends, breaks off or leaves open: an answer or a reason, in time', async () => {
    const piece = fc.constantFrom(
      'HTTP/1.1 200 OK\r\n',
      'HTTP/1.1 302 Found\r\n',
      'HTTP/1.1 100 Continue\r\n\r\n',
      'HTTP/9.9 999\r\n',
      'content-length: 5\r\n',
      'content-length: -1\r\n',
      'transfer-encoding: chunked\r\n',
      'content-encoding: gzip\r\n',
      `x-key: ${CANARY}\r\n`,
      `location: https://${CANARY}.example/\r\n`,
      '\r\n',
      '5\r\nhello\r\n',
      '0\r\n\r\n',
      CANARY,
      '\0\xff',
      `x: ${'y'.repeat(40_000)}\r\n`,
    );
    const script = fc.tuple(
      fc.array(piece, { maxLength: 7 }),
      fc.constantFrom<'end' | 'reset' | 'hang'>('end', 'reset', 'hang'),
    );
    const scripts = fc.sample(script, { seed, numRuns: 150 });
    let next = 0;
    const onConnection = (socket: Socket): void => {
      const [pieces, ending] = scripts[next++ % scripts.length]!;
      socket.once('data', () => {
        for (const text of pieces) socket.write(text, 'latin1');
        if (ending === 'end') socket.end();
        if (ending === 'reset') socket.resetAndDestroy();
      });
    };
    await withTcpServer(onConnection, async (url) => {
      const ask = async (): Promise<void> => {
        const started = performance.now();
        try {
          const answer = await get(new URL(url), { timeout: 250, bodyLimit: 1_000 });
          assert.ok(answer.status >= 100 && answer.body.length <= 1_000);
        } catch (error) {
          assert.ok(error instanceof NoAnswer, String(error));
          assert.ok(!error.message.includes(CANARY), error.message);
        }
        assert.ok(performance.now() - started < 1_500);
      };
      for (let from = 0; from < scripts.length; from += 30)
        await Promise.all(scripts.slice(from, from + 30).map(ask));
    });
  });

  test('a signal that has fired already, and one that fires during the body', async () => {
    await withHttpServer(serve(HEALTHY), async ({ url, requests }) => {
      const fired = AbortSignal.abort();
      await assert.rejects(get(new URL(url), { timeout: 500, bodyLimit: 9, signal: fired }), Cancelled);
      assert.deepEqual(requests, []);
    });
    await withTcpServer(
      (socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf'),
      async (url) => {
        const controller = new AbortController();
        setTimeout(() => controller.abort(), 50);
        const asking = get(new URL(url), { timeout: 5_000, bodyLimit: 9, signal: controller.signal });
        await assert.rejects(asking, Cancelled);
      },
    );
  });

  test('the body is read up to its limit, or not at all', async () => {
    await withHttpServer(serve({ '/': { body: 'x'.repeat(100) } }), async ({ url }) => {
      const sizes: [number, number, boolean][] = [];
      for (const bodyLimit of [0, 99, 100]) {
        const { body, whole } = await get(new URL(url), { timeout: 1_000, bodyLimit });
        sizes.push([bodyLimit, body.length, whole]);
      }
      assert.deepEqual(sizes, [
        [0, 0, false],
        [99, 99, false],
        [100, 100, true],
      ]);
    });
  });

  test('the parts of the latency add up to the whole', async () => {
    await withHttpServer(
      (_request, response) => void setTimeout(() => response.end('hi'), 60),
      async ({ port }) => {
        const { timings } = await get(new URL(`http://localhost:${port}/`), { timeout: 1_000, bodyLimit: 9 });
        const parts = timings.dns! + timings.connect! + timings['first-byte']!;
        assert.ok(timings['first-byte']! >= 55, JSON.stringify(timings));
        assert.ok(parts <= timings.total + 1 && parts > timings.total - 30, JSON.stringify(timings));
      },
    );
  });
});

test('certificates in words', () => {
  const cases: [string, number | undefined, string][] = [
    ['CERT_HAS_EXPIRED', -1, 'the TLS certificate expired less than a day ago'],
    ['CERT_HAS_EXPIRED', -2, 'the TLS certificate expired 1 day ago'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', -13, 'the TLS certificate expired 12 days ago'],
    ['CERT_NOT_YET_VALID', 80, 'the TLS certificate is not valid yet'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 80, 'the TLS certificate is for another name'],
    ['SELF_SIGNED_CERT_IN_CHAIN', 80, 'the TLS certificate is not trusted (SELF_SIGNED_CERT_IN_CHAIN)'],
  ];
  for (const [code, days, words] of cases) assert.equal(certificateWords(code, days), words);
});

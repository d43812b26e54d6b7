import assert from 'node:assert/strict';
import dns from 'node:dns';
import type { RequestListener } from 'node:http';
import { describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { answers, checkHealth, type HealthOptions } from '../../src/http/check-health.js';
import { assetsPage } from '../../src/http/checks.js';
import { judgeHealth } from '../../src/http/verdict.js';
import type { HealthFact } from '../../src/lib/report.js';
import { Cancelled } from '../../src/lib/report.js';
import { DAY, makeCertificate } from '../servers/certificate.js';
import { freePort } from '../servers/free-port.js';
import {
  drip,
  flapping,
  HEALTHY,
  HTML,
  type HttpServerOptions,
  JSON_TYPE,
  type Page,
  type Pages,
  redirect,
  serve,
  withHttpServer,
  withTcpServer,
} from '../servers/http.js';

const OPTIONS: HealthOptions = {
  paths: ['/', '/api/health'],
  timeout: 1_500,
  deadline: 2_500,
  successes: 2,
  checkAssets: true,
};

/** For what must turn out healthy: it ends as soon as it does, however busy the machine is. */
const PATIENT = { timeout: 3_000, deadline: 10_000 };

/** For answers that never come or never end. */
const HASTY = { timeout: 300, deadline: 900 };

/** Milliseconds by which a busy machine may be late. */
const LATE = 3_000;
/** The tests of a table mostly wait, so they do it together. */
const TOGETHER = { concurrency: 6 };

interface Seen {
  facts: HealthFact[];
  milliseconds: number;
  fact(name: string): HealthFact;
}

async function look(
  url: string,
  options: Partial<HealthOptions> = {},
  from: 'runner' | 'vps' = 'runner',
): Promise<Seen> {
  const started = performance.now();
  const facts = await checkHealth({ baseUrl: url, from }, { ...OPTIONS, ...options });
  return {
    facts,
    milliseconds: performance.now() - started,
    fact: (name) => facts.find((fact) => fact.name === name)!,
  };
}

/** Looks at a server with these pages instead of the healthy ones. */
function lookAt(
  pages: Pages,
  options: Partial<HealthOptions> = {},
  server: HttpServerOptions = {},
): Promise<Seen & { requests: string[] }> {
  return withHttpServer(
    serve({ ...HEALTHY, ...pages }),
    async ({ url, requests }) => ({ ...(await look(url, options)), requests }),
    server,
  );
}

function health(page: Page): Pages {
  return { '/api/health': { type: JSON_TYPE, ...page } };
}

describe('a healthy application', () => {
  test('passes every check, twice in a row, with the parts of the latency', async () => {
    const { facts, fact } = await lookAt({}, PATIENT);
    assert.deepEqual(
      facts.map(({ name, ok, status, attempts }) => ({ name, ok, status, attempts })),
      [
        { name: '/', ok: true, status: 200, attempts: 2 },
        { name: '/api/health', ok: true, status: 200, attempts: 2 },
        { name: 'assets', ok: true, status: 200, attempts: 2 },
      ],
    );
    const timings = fact('/').timings!;
    assert.equal(timings.tls, null);
    assert.ok(timings['first-byte']! > 0 && timings.total >= timings['first-byte']!, JSON.stringify(timings));
    for (const each of facts)
      for (const part of Object.values(each.timings!))
        assert.equal(part, part === null ? null : Number(part.toFixed(1)), JSON.stringify(each));
    assert.equal(judgeHealth(facts, [], {}).verdict, 'ok');
  });

  test('is asked once where one good answer is enough', async () => {
    const { facts, requests } = await lookAt({}, { ...PATIENT, successes: 1, checkAssets: false });
    assert.ok(facts.every((fact) => fact.ok && fact.attempts >= 1));
    assert.equal(requests.filter((path) => path === '/api/health').length, 1);
  });
});

describe('row 108: 200 with an error body, HTML, or the wrong build', TOGETHER, () => {
  const sick: [string, Pages, Partial<HealthOptions>, RegExp][] = [
    [
      'a status field that says so',
      health({ body: '{"status":"error"}' }),
      {},
      /field "status" says "error"/,
    ],
    ['a field that is false', health({ body: '{"ok":false,"db":"gone"}' }), {}, /field "ok" is false/],
    ['broken JSON', health({ body: '{"status":"ok"' }), {}, /JSON that cannot be read/],
    ['HTML from the last path', health({ type: HTML, body: '<p>hello</p>' }), {}, /HTML page/],
    [
      'HTML that is declared as text',
      health({ type: 'text/plain', body: '<!DOCTYPE html><p>' }),
      {},
      /HTML page/,
    ],
    [
      'a login page with 200',
      health({ type: HTML, body: '<form><input type="password"></form>' }),
      {},
      /HTML page, where a health answer is expected/,
    ],
    [
      'HTML from an /api/ path that is not the last',
      { '/api/x': { type: HTML, body: '<p>' } },
      { paths: ['/', '/api/x', '/api/health'] },
      /HTML page/,
    ],
    ['not the expected version', {}, { expectVersion: 'build-77' }, /not as the expected version/],
    [
      'another commit than the deployed one',
      health({ body: `{"status":"ok","commit":"${'b'.repeat(40)}"}` }),
      { expectSha: 'a'.repeat(40) },
      /as commit bbbbbbb instead of aaaaaaa/,
    ],
    ['a status of 503', health({ status: 503, body: '{}' }), {}, /answers 503/],
  ];
  for (const [title, pages, options, words] of sick) {
    test(`row 108: ${title} is unhealthy, verdict app`, async () => {
      const { facts, milliseconds } = await lookAt(pages, options);
      const bad = facts.filter((fact) => !fact.ok);
      assert.equal(bad.length, 1, JSON.stringify(facts));
      assert.match(bad[0]!.detail!, words);
      assert.equal(judgeHealth(facts, [], {}).verdict, 'app');
      assert.ok(milliseconds < OPTIONS.deadline + LATE, `verdict after ${milliseconds} ms`);
    });
  }

  const fine: [string, Page, Partial<HealthOptions>][] = [
    ['in the body', { body: '{"status":"ok","build":"build-77"}' }, { expectVersion: 'build-77' }],
    ['in a header', { headers: { 'x-build': 'build-77' }, body: '{}' }, { expectVersion: 'build-77' }],
    ['the commit, shortened', { body: '{"commit":"aaaaaaa"}' }, { expectSha: 'a'.repeat(40) }],
    ['no commit at all', { body: '{"status":"ok"}' }, { expectSha: 'a'.repeat(40) }],
    ['a date', { body: '{"status":"ok","revision":"20250118"}' }, { expectSha: 'a'.repeat(40) }],
  ];
  for (const [title, page, options] of fine) {
    test(`row 108: the version ${title} is healthy`, async () => {
      const { facts } = await lookAt(health(page), { ...PATIENT, ...options });
      assert.ok(
        facts.every((fact) => fact.ok),
        JSON.stringify(facts),
      );
    });
  }

  test('row 108: the old process still answers, then the new one does', async () => {
    let asked = 0;
    const { fact } = await lookAt(
      {
        '/api/health': (_request, response) => {
          response.setHeader('content-type', JSON_TYPE);
          response.end(JSON.stringify({ commit: asked++ < 3 ? 'b'.repeat(40) : 'a'.repeat(40) }));
        },
      },
      { ...PATIENT, expectSha: 'a'.repeat(40) },
    );
    assert.equal(fact('/api/health').ok, true);
    assert.ok(fact('/api/health').attempts >= 5);
  });

  test('row 108: a root page whose scripts or styles are gone is unhealthy', async () => {
    const root = {
      type: HTML,
      body: '<script src="/a.js"></script><script src=/gone.js?v=1></script><link rel=stylesheet href="/spa.css"><script src="https://cdn.example/x.js"></script>',
    };
    const { fact, facts } = await lookAt({ '/': root, '/spa.css': { type: HTML, body: '<p>' } });
    assert.equal(fact('/').ok, true);
    assert.deepEqual([fact('assets').ok, fact('assets').status], [false, 404]);
    assert.equal(fact('assets').detail, '2 of 3: /gone.js answers 404');
    assert.equal(judgeHealth(facts, [], {}).verdict, 'app');
  });
});

describe('scripts and styles', TOGETHER, () => {
  test('are taken from the first path that is a page, where the root is not asked', async () => {
    const { '/': root, ...rest } = HEALTHY;
    const { facts } = await lookAt(
      { ...rest, '/en': root! },
      { ...PATIENT, paths: ['/api/ready', '/en', '/api/health'] },
    );
    assert.equal(facts.find(({ name }) => name === 'assets')?.detail, '2 answer 200');
    assert.equal(assetsPage({ paths: ['/api/ready', '/health'] }), undefined);
    assert.equal(assetsPage({ paths: ['/health', '/'] }), '/');
  });

  test('of a page that is longer than what is read are told as such', async () => {
    const body = `<!doctype html><script src="/a.js"></script>${' '.repeat(1_048_576)}<script src="/gone.js"></script>`;
    const { fact } = await lookAt({ '/': { type: HTML, body } }, PATIENT);
    assert.equal(fact('assets').detail, '1 answer 200; the root page was cut at 1.0 MB');
  });
});

describe('what a check advises itself', TOGETHER, () => {
  test('a path that is not found may not be one of the application', async () => {
    const { facts, fact } = await lookAt({ '/api/health': { status: 404 } });
    assert.match(
      fact('/api/health').next!,
      /Does the application have \/api\/health\? If not.*health-paths: \//,
    );
    assert.equal(judgeHealth(facts, [], {}).problems[0]!.next, fact('/api/health').next);
  });

  test('a redirect to https names the input', async () => {
    const [fact] = await withHttpServer(
      (_request, response) => response.writeHead(301, { location: 'https://127.0.0.1/' }).end(),
      ({ url }) =>
        checkHealth({ baseUrl: url, from: 'runner' }, { ...OPTIONS, paths: ['/'], checkAssets: false }),
    );
    const inside: HealthFact = {
      name: '/',
      from: 'vps',
      ok: true,
      status: 200,
      'latency-ms': 1,
      attempts: 2,
    };
    for (const facts of [[fact!], [fact!, inside]])
      assert.match(judgeHealth(facts, [], {}).problems[0]!.next!, /^Set health-url to https:\/\//);
  });

  test('does not hide that only the way there is at fault', async () => {
    const { facts } = await lookAt({ '/api/health': { status: 404 } });
    const inside = ['/', '/api/health'].map(
      (name): HealthFact => ({ name, from: 'vps', ok: true, status: 200, 'latency-ms': 1, attempts: 2 }),
    );
    assert.match(
      judgeHealth([...facts, ...inside], [], {}).problems[0]!.next!,
      /application itself is not at fault/,
    );
  });
});

describe('row 109: redirects', TOGETHER, () => {
  const sick: [string, Pages, RegExp][] = [
    ['a loop', { '/': redirect('/b'), '/b': redirect('/') }, /redirects in a circle/],
    ['a redirect to itself', { '/': redirect('/') }, /redirects in a circle/],
    [
      'more than three',
      {
        '/': redirect('/1'),
        '/1': redirect('/2'),
        '/2': redirect('/3'),
        '/3': redirect('/4'),
        '/4': HEALTHY['/']!,
      },
      /more than 3 times/,
    ],
    [
      'to another origin',
      { '/': redirect('https://secret-host.example/x?token=t0ps3cret') },
      /another origin$/,
    ],
    ['without a place', { '/': { status: 302 } }, /without saying where/],
    [
      'of the health path',
      { '/api/health': redirect('/api/health/') },
      /to \/api\/health\/; ask for that path/,
    ],
  ];
  for (const [title, pages, words] of sick) {
    test(`row 109: ${title} is unhealthy, verdict app`, async () => {
      const { facts, milliseconds } = await lookAt(pages);
      const bad = facts.find((fact) => !fact.ok)!;
      assert.match(bad.detail!, words);
      assert.equal(bad.fault, 'redirect');
      assert.doesNotMatch(JSON.stringify(facts), /secret-host|t0ps3cret/);
      assert.equal(judgeHealth(facts, [], {}).verdict, 'app');
      assert.ok(milliseconds < OPTIONS.deadline + LATE);
    });
  }

  test('row 109: a login page that answers 200 is what stands at the root of many applications', async () => {
    const login = { type: HTML, body: '<title>Sign in</title><form><input type=password></form>' };
    const { facts, fact } = await lookAt(
      { '/': redirect('/en/login?next=%2F', 302), '/en/login': login },
      PATIENT,
    );
    assert.ok(
      facts.every((each) => each.ok),
      JSON.stringify(facts),
    );
    assert.equal(fact('/').status, 200);
    const broken = await lookAt({ '/': redirect('/login'), '/login': { status: 500 } });
    assert.equal(broken.fact('/').detail, 'answers 500');
  });

  test('row 109: on the server the public origin is followed at the address of the application', async () => {
    const french: RequestListener = (request, response) => {
      if (request.url === '/') response.writeHead(307, { location: 'https://shop.example/fr' }).end();
      else if (request.url === '/fr' && request.headers.host !== 'shop.example')
        response.writeHead(404).end();
      else {
        const body = '<script src="https://shop.example/a.js"></script>';
        serve({ ...HEALTHY, '/fr': { type: HTML, body } })(request, response);
      }
    };
    await withHttpServer(french, async ({ url }) => {
      const target = { baseUrl: url, from: 'vps' as const, publicOrigin: 'https://shop.example' };
      const facts = await checkHealth(target, { ...OPTIONS, ...PATIENT });
      assert.ok(
        facts.every((fact) => fact.ok),
        JSON.stringify(facts),
      );
      assert.equal(facts[2]!.detail, '1 answer 200');
    });
  });

  test('row 109: three redirects of the root page to the same origin are followed, and its assets found', async () => {
    const pages: Pages = {
      '/': redirect('/1'),
      '/1': redirect('/2'),
      '/2': redirect('/en/'),
      '/en/': { type: HTML, body: '<script src="../a.js"></script>' },
    };
    const { facts } = await lookAt(pages, PATIENT);
    assert.ok(
      facts.every((fact) => fact.ok),
      JSON.stringify(facts),
    );
  });

  test('row 109: on loopback the application may call itself localhost, or https', async () => {
    await withHttpServer(
      (request, response) => {
        if (request.url === '/') {
          const location = `https://localhost:${request.socket.localPort}/en`;
          response.writeHead(307, { location }).end();
        } else serve({ ...HEALTHY, '/en': HEALTHY['/']! })(request, response);
      },
      async ({ url }) => {
        const { facts } = await look(url, PATIENT, 'vps');
        assert.ok(
          facts.every((fact) => fact.ok),
          JSON.stringify(facts),
        );
      },
    );
  });
});

describe('an application that sends loopback callers to its public address', () => {
  const root = {
    type: HTML,
    body: '<script src="/a.js"></script><link rel=stylesheet href="https://shop.example/a.css">',
  };
  const forced: Pages = { ...HEALTHY, '/en': root };
  const enforcing: RequestListener = (request, response) => {
    const { host, 'x-forwarded-proto': proto } = request.headers;
    if (host !== 'shop.example' || proto !== 'https')
      response.writeHead(308, { location: `https://shop.example${request.url}` }).end();
    else if (request.url === '/') response.writeHead(307, { location: 'https://shop.example/en' }).end();
    else serve(forced)(request, response);
  };

  test('is asked as its proxy asks, on the server only', async () => {
    await withHttpServer(enforcing, async ({ url }) => {
      const inside = await look(url, PATIENT, 'vps');
      assert.ok(
        inside.facts.every((fact) => fact.ok),
        JSON.stringify(inside.facts),
      );
      assert.equal(inside.fact('assets').detail, '2 answer 200');
      const outside = await look(url, {}, 'runner');
      assert.match(outside.fact('/').detail!, /another origin/);
    });
  });
});

test('a compressed answer is read, and a bomb is not unpacked', async () => {
  const packed = (body: string | Buffer): Pages[string] => {
    const bytes = gzipSync(body);
    return (_request, response) => {
      response.writeHead(200, { 'content-type': JSON_TYPE, 'content-encoding': 'gzip' });
      response.end(bytes);
    };
  };
  const good = await lookAt(
    { '/api/health': packed('{"status":"ok","v":"build-77"}') },
    { ...PATIENT, expectVersion: 'build-77' },
  );
  assert.equal(good.fact('/api/health').ok, true);
  const bomb = await lookAt({ '/api/health': packed(Buffer.alloc(20_000_000, 32)) }, { timeout: 3_000 });
  assert.match(bomb.fact('/api/health').detail!, /JSON longer than/);
});

describe('row 110: answers that do not end', TOGETHER, () => {
  test('row 110: a slow drip is cut at the timeout, however many bytes keep coming', async () => {
    // On a busy machine even the first byte may take longer than HASTY waits.
    const timeout = 1_500;
    const { fact, milliseconds } = await lookAt(
      { '/api/health': drip(20) },
      { timeout, deadline: 3 * timeout },
    );
    assert.match(fact('/api/health').detail!, /began, but was not complete within 1.5 s/);
    assert.equal(fact('/api/health').fault, 'timeout');
    assert.ok(milliseconds < 3 * timeout + LATE, `${milliseconds} ms`);
  });

  test('row 110: a server that accepts and says nothing', async () => {
    await withTcpServer(
      () => {},
      async (url) => {
        const { fact, milliseconds } = await look(url, HASTY);
        assert.match(fact('/').detail!, /connected, but no answer within 300 ms/);
        assert.ok(milliseconds < OPTIONS.deadline + LATE);
      },
    );
  });

  test('row 110: an endless body is read only so far', async () => {
    const chunk = Buffer.alloc(65_536, 'x');
    let sent = 0;
    const { fact } = await lookAt(
      {
        '/api/health': (_request, response) => {
          response.writeHead(200, { 'content-type': 'text/plain' });
          const more = (): void => {
            while (!response.destroyed && response.write(chunk)) sent += chunk.length;
            sent += chunk.length;
          };
          response.on('drain', more);
          more();
        },
      },
      { timeout: 2_000, deadline: 5_000, successes: 1 },
    );
    assert.equal(fact('/api/health').ok, true);
    assert.ok(sent < 40_000_000, `${sent} bytes`);
  });

  test('an answer that is cut off, and one that is no HTTP', async () => {
    await withTcpServer(
      (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf'),
      async (url) => assert.match((await look(url)).fact('/').detail!, /the answer was cut off/),
    );
    await withTcpServer(
      (socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n'),
      async (url) => assert.match((await look(url)).fact('/').detail!, /the answer is not HTTP/),
    );
  });
});

describe('row 111: flapping', TOGETHER, () => {
  test('row 111: one good answer in two is never healthy, and the detail says how many were', async () => {
    const good = HEALTHY['/api/health'] as Page;
    const { fact, milliseconds } = await lookAt({ '/api/health': flapping(good, { status: 502 }) });
    const { ok, detail } = fact('/api/health');
    assert.equal(ok, false);
    assert.match(detail!, /\d+ of \d+ answers were good, but not 2 in a row$/);
    assert.ok(milliseconds >= OPTIONS.deadline - 500, `${milliseconds} ms`);
    assert.equal(fact('/').ok, true);
  });

  test('row 111: a check that passed early and fails while others are waited for is unhealthy', async () => {
    let rootAsked = 0;
    const { fact } = await lookAt(
      {
        '/': (_request, response) => {
          rootAsked += 1;
          response.statusCode = rootAsked > 2 ? 502 : 200;
          response.end();
        },
        '/api/health': { status: 503 },
      },
      { deadline: 2_500, checkAssets: false },
    );
    assert.equal(fact('/').ok, false);
    assert.match(fact('/').detail!, /answers 502; \d+ of \d+ answers were good/);
  });
});

describe('row 112: certificates', TOGETHER, () => {
  test('row 112: an expired certificate is unhealthy, says days, verdict edge, without waiting for the deadline', async () => {
    const tls = makeCertificate({
      notBefore: new Date(Date.now() - 100 * DAY),
      notAfter: new Date(Date.now() - 12.5 * DAY),
    });
    const { facts, fact, milliseconds, requests } = await lookAt({}, { deadline: 60_000 }, { tls });
    for (const name of ['/', '/api/health', 'certificate']) {
      assert.equal(fact(name).ok, false);
      assert.match(fact(name).detail!, /the TLS certificate expired 12 days ago/);
    }
    assert.equal(fact('certificate')['days-left'], -13);
    assert.equal(judgeHealth(facts, [], {}).verdict, 'edge');
    assert.ok(milliseconds < 5_000, `${milliseconds} ms`);
    assert.deepEqual(requests, [], 'nothing is sent to a server that cannot prove its name');
  });

  test('row 112: a self-signed one and one for another name are not trusted', async () => {
    for (const names of [['localhost'], ['other.example']]) {
      const { fact } = await lookAt({}, { deadline: 60_000 }, { tls: makeCertificate({ names }) });
      assert.match(fact('/').detail!, /the TLS certificate is (not trusted|for another name)/);
    }
  });

  test('TLS asked of a server that has none', async () => {
    await withHttpServer(serve(HEALTHY), async ({ port }) => {
      const { fact } = await look(`https://127.0.0.1:${port}`);
      assert.match(fact('/').detail!, /the TLS handshake failed/);
    });
  });
});

describe('row 113: a cold start', TOGETHER, () => {
  test('row 113: a start within the deadline is healthy', async () => {
    const port = await freePort();
    const asking = look(`http://127.0.0.1:${port}`, { deadline: 20_000 });
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    await withHttpServer(
      serve(HEALTHY),
      async () => {
        const { facts, fact } = await asking;
        assert.ok(facts.every((entry) => entry.ok));
        assert.ok(fact('/').attempts > 5);
      },
      { port },
    );
  });

  test('row 113: one that never comes is app, by the deadline', async () => {
    const { facts, fact, milliseconds } = await look(`http://127.0.0.1:${await freePort()}`);
    assert.match(fact('/').detail!, /connection refused \(ECONNREFUSED\)/);
    assert.equal(judgeHealth(facts, [], {}).verdict, 'app');
    assert.ok(milliseconds >= OPTIONS.deadline - 50 && milliseconds < OPTIONS.deadline + LATE);
  });
});

describe('names and addresses', () => {
  /** Gives this process names that no name server knows; everything else is looked up as ever. */
  function know(t: { mock: typeof import('node:test').mock }, names: Record<string, string[]>): void {
    const real = dns.lookup;
    const lookup = ((name: string, options: dns.LookupAllOptions, done: (...args: unknown[]) => void) => {
      const known = names[name];
      if (known === undefined) return real(name, options, done as never);
      const all = known.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
      setImmediate(() => (options.all ? done(null, all) : done(null, all[0]!.address, all[0]!.family)));
    }) as typeof dns.lookup;
    t.mock.method(dns, 'lookup', lookup);
  }

  test('a name that has only an IPv6 address', async (t) => {
    know(t, { 'six.test': ['::1'] });
    await withHttpServer(
      serve(HEALTHY),
      async ({ port }) => {
        for (const url of [`http://six.test:${port}`, `http://[::1]:${port}`]) {
          const { facts } = await look(url, PATIENT);
          assert.ok(
            facts.every((fact) => fact.ok),
            JSON.stringify(facts),
          );
        }
      },
      { host: '::1' },
    );
  });

  test('a name with a dead IPv6 and a good IPv4 address', async (t) => {
    know(t, { 'both.test': ['::1', '127.0.0.1'] });
    await withHttpServer(serve(HEALTHY), async ({ port }) => {
      const { facts } = await look(`http://both.test:${port}`, PATIENT);
      assert.ok(facts.every((fact) => fact.ok));
    });
  });

  test('a name that does not exist is given up early, verdict edge', async () => {
    const { facts, fact, milliseconds } = await look('http://nowhere.invalid', { deadline: 30_000 });
    assert.match(fact('/').detail!, /does not resolve|name server did not answer/);
    assert.equal(judgeHealth(facts, [], {}).verdict, 'edge');
    assert.ok(fact('/').detail!.includes('EAI') || milliseconds < 10_000);
  });
});

test('a cancel ends the asking at once', async () => {
  const controller = new AbortController();
  await withTcpServer(
    () => setTimeout(() => controller.abort(), 50),
    async (url) => {
      const started = performance.now();
      await assert.rejects(
        checkHealth(
          { baseUrl: url, from: 'runner' },
          { ...OPTIONS, timeout: 60_000, deadline: 60_000 },
          { signal: controller.signal },
        ),
        Cancelled,
      );
      assert.ok(performance.now() - started < 1_000);
    },
  );
});

test('answers: any status below 500, whatever the body does, and never an error', async () => {
  await withHttpServer(
    serve({ '/': drip(10), '/login': { status: 401 }, '/broken': { status: 502 } }),
    async ({ url }) => {
      assert.equal(await answers(`${url}/`, 500), true);
      assert.equal(await answers(`${url}/login`, 500), true);
      assert.equal(await answers(`${url}/broken`, 500), false);
    },
  );
  assert.equal(await answers(`http://127.0.0.1:${await freePort()}/`, 500), false);
  await withTcpServer(
    () => {},
    async (url) => assert.equal(await answers(url, 50), false),
  );
});

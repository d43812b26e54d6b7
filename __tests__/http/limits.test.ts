import assert from 'node:assert/strict';
import type { RequestListener } from 'node:http';
import { describe, test } from 'node:test';
import { checkHealth, type HealthOptions } from '../../src/http/check-health.js';
import { judgeHealth } from '../../src/http/verdict.js';
import { budgetOf, memoryLedger, type RequestLedger } from '../../src/lib/request-budget.js';
import { HEALTHY, HTML, type Pages, redirect, serve, withHttpServer } from '../servers/http.js';

const OPTIONS: HealthOptions = {
  paths: ['/', '/api/health'],
  timeout: 5_000,
  deadline: 20_000,
  successes: 2,
  checkAssets: true,
};

const TOGETHER = { concurrency: 4 };

/** The middleware that applications have: so many requests in a window of so many milliseconds, then 429. */
function limited(
  listener: RequestListener,
  { most, window, told = true }: { most: number; window: number; told?: boolean },
): RequestListener & { refused: number } {
  let count = 0;
  let resets = 0;
  const limiting = Object.assign(
    (...[request, response]: Parameters<RequestListener>): void => {
      const now = Date.now();
      if (now >= resets) {
        count = 0;
        resets = now + window;
      }
      if (++count <= most) {
        listener(request, response);
        return;
      }
      limiting.refused += 1;
      const wait = told ? { 'retry-after': String(Math.ceil((resets - now) / 1_000)) } : {};
      response.writeHead(429, wait).end('Too many requests, please try again later.');
    },
    { refused: 0 },
  );
  return limiting;
}

function ask(
  url: string,
  options: Partial<HealthOptions> = {},
  ledger: RequestLedger = memoryLedger(),
  version = 'a',
) {
  const counted = { ledger, budget: budgetOf('server', false, 'run.1'), version };
  return checkHealth({ baseUrl: url, from: 'vps' }, { ...OPTIONS, ...options }, { counted });
}

function during(milliseconds: number, first: RequestListener, then: RequestListener): RequestListener {
  const started = Date.now();
  return (request, response) => (Date.now() - started < milliseconds ? first : then)(request, response);
}

const sick: RequestListener = (_request, response) => response.writeHead(500).end();

describe('row 167: an application that limits requests', TOGETHER, () => {
  test('row 167: a good version is waited for as Retry-After says, and healthy', async () => {
    const app = limited(serve(HEALTHY), { most: 3, window: 2_000 });
    await withHttpServer(app, async ({ url }) => {
      const facts = await ask(url);
      assert.ok(
        facts.every(({ ok }) => ok),
        JSON.stringify(facts),
      );
      assert.ok(app.refused > 0 && app.refused <= 6, `${app.refused} of its requests were refused`);
    });
  });

  test('row 167: a date in Retry-After is one by the clock of the server', async () => {
    let asked = 0;
    const times: number[] = [];
    const ahead = 86_400_000;
    const app: RequestListener = (request, response) => {
      if (request.url !== '/api/health' || ++asked > 1) {
        if (request.url === '/api/health') times.push(performance.now());
        return serve(HEALTHY)(request, response);
      }
      times.push(performance.now());
      const date = (after: number): string => new Date(Date.now() + ahead + after).toUTCString();
      response.writeHead(429, { date: date(0), 'retry-after': date(3_000) }).end();
    };
    await withHttpServer(app, async ({ url }) => {
      const facts = await ask(url);
      assert.ok(facts.every(({ ok }) => ok));
      const waited = times[1]! - times[0]!;
      assert.ok(waited >= 2_900 && waited < 15_000, `${waited} ms`);
    });
  });

  test('row 167: what will answer 429 until after the deadline is not waited for, and not judged', async () => {
    const app = limited(serve(HEALTHY), { most: 0, window: 900_000 });
    await withHttpServer(app, async ({ url, requests }) => {
      const started = performance.now();
      const facts = await ask(url, { deadline: 60_000 });
      assert.ok(performance.now() - started < 20_000);
      assert.deepEqual(
        facts.map(({ name, ok, status, detail }) => [name, ok, status, detail]),
        ['/', '/api/health', 'assets'].map((name) => [
          name,
          true,
          429,
          'not judged: answers 429 (too many requests)',
        ]),
      );
      assert.ok(requests.length <= 3, `${requests.length}`);
      const { verdict, warnings } = judgeHealth(facts, [], {});
      assert.deepEqual([verdict, warnings.length], ['ok', 3]);
      assert.match(warnings[0]!.message, /\/ on the server could not be judged: it answers 429/);
    });
  });

  test('row 167: the first real reason is told, not the 429 that came after it', async () => {
    const app = limited(sick, { most: 2, window: 900_000 });
    await withHttpServer(app, async ({ url }) => {
      const told: (string | undefined)[] = [];
      const counted = { ledger: memoryLedger(), budget: budgetOf('server', false, 'run.1'), version: 'a' };
      const facts = await checkHealth(
        { baseUrl: url, from: 'vps' },
        { ...OPTIONS, checkAssets: false },
        { counted, onAttempt: (_name, _attempt, { detail }) => told.push(detail) },
      );
      assert.ok(told.includes('answers 500; now answers 429 (too many requests)'), told.join());
      assert.deepEqual(
        facts.map(({ ok, status, detail }) => [ok, status, detail]),
        [
          [false, 500, 'answers 500'],
          [false, 500, 'answers 500'],
        ],
      );
    });
  });

  test('row 167: bad for a while and then good, behind a limit that a hasty one would use up', async () => {
    const app = limited(during(6_000, sick, serve(HEALTHY)), { most: 40, window: 60_000 });
    await withHttpServer(app, async ({ url }) => {
      const facts = await ask(url, { deadline: 40_000 });
      assert.ok(
        facts.every(({ ok }) => ok),
        JSON.stringify(facts),
      );
      assert.equal(app.refused, 0);
    });
  });

  test('row 167: without Retry-After it is asked ever more slowly', async () => {
    const app = limited(serve(HEALTHY), { most: 0, window: 900_000, told: false });
    await withHttpServer(app, async ({ url, requests }) => {
      await ask(url, { deadline: 9_000, paths: ['/api/health'], checkAssets: false });
      // After 0, 2, and 6 seconds, less the jitter.
      assert.ok(requests.length >= 2 && requests.length <= 4, `${requests.length}`);
    });
  });
});

describe('row 167: what we ask of an application', TOGETHER, () => {
  test('row 167: one that stays bad is asked within its allowance, to the deadline', async () => {
    await withHttpServer(sick, async ({ url, requests }) => {
      const ledger = memoryLedger();
      const started = performance.now();
      const facts = await ask(url, { deadline: 8_000 }, ledger);
      assert.ok(performance.now() - started >= 7_000);
      assert.ok(facts.every(({ ok }) => !ok));
      assert.equal(ledger.sent().length, requests.length);
      assert.ok(requests.length >= 8 && requests.length <= 27, `${requests.length}`);
    });
  });

  test('row 167: its failing paths take turns, and a port that is closed is no request', async () => {
    await withHttpServer(sick, async ({ url, requests }) => {
      const paths = ['/', '/a', '/b', '/c', '/d', '/api/health'];
      const ledger = memoryLedger();
      const facts = await ask(url, { deadline: 8_000, paths, checkAssets: false }, ledger);
      assert.deepEqual([...new Set(requests)].sort(), [...paths].sort());
      assert.ok(requests.length <= 23 + paths.length, `${requests.length}`);
      assert.ok(facts.every(({ detail }) => detail === 'answers 500'));
    });
    const ledger = memoryLedger();
    const facts = await ask('http://127.0.0.1:1', { deadline: 2_000 }, ledger);
    assert.ok(facts.every(({ ok }) => !ok));
    assert.ok(facts[0]!.attempts > 3);
    assert.equal(ledger.sent().length, 0);
  });

  test('row 167: a script that was bad stays bad where no request is left to ask for it again', async () => {
    const pages: Pages = { ...HEALTHY, '/': { type: HTML, body: '<script src="/app.js"></script>' } };
    await withHttpServer(serve(pages), async ({ url, requests }) => {
      // So much is used up that the script can be asked for once or twice, and not for as long as the round lasts.
      const ledger = memoryLedger();
      for (let n = 0; n < 31; n++) ledger.add({ at: Date.now(), run: 'run.1' });
      const facts = await ask(url, { deadline: 3_000 }, ledger);
      const assets = facts.find(({ name }) => name === 'assets')!;
      assert.equal(assets.ok, false);
      assert.match(assets.detail!, /^1 of 1: \/app\.js answers 404/);
      assert.ok(requests.includes('/app.js'));
    });
  });

  test('row 167: a script is asked for once per version, whichever round asks', async () => {
    const scripts = Array.from({ length: 30 }, (_, index) => `/s${index}.js`);
    const pages: Pages = {
      ...HEALTHY,
      '/': { type: HTML, body: scripts.map((src) => `<script src="${src}"></script>`).join('') },
      ...Object.fromEntries(scripts.map((src) => [src, { type: 'text/javascript', body: '1' }])),
    };
    await withHttpServer(serve(pages), async ({ url, requests }) => {
      const ledger = memoryLedger();
      const rounds = [await ask(url, {}, ledger), await ask(url, {}, ledger)];
      for (const facts of rounds) assert.ok(facts.every(({ ok }) => ok));
      const asked = requests.filter((path) => path.endsWith('.js'));
      assert.equal(new Set(asked).size, asked.length);
      assert.equal(rounds[0]![2]!.detail, '8 answer 200; 22 more were not asked');
      // From the first to the last of the page.
      assert.ok(asked.includes('/s0.js') && asked.includes('/s26.js'), asked.join());
      await ask(url, {}, ledger, 'b');
      assert.equal(requests.filter((path) => path === '/s0.js').length, 2);
    });
  });

  test('row 167: redirects count, and one that ended well is not followed again', async () => {
    const pages: Pages = { ...HEALTHY, '/': redirect('/en'), '/en': HEALTHY['/']! };
    await withHttpServer(serve(pages), async ({ url, requests }) => {
      const ledger = memoryLedger();
      const facts = await ask(url, { checkAssets: false }, ledger);
      assert.ok(facts.every(({ ok }) => ok));
      assert.deepEqual([...requests].sort(), ['/', '/api/health', '/api/health', '/en', '/en']);
      assert.equal(ledger.sent().length, 5);
    });
  });

  test('row 167: with the budget used up each path is asked once still, and one good answer is enough', async () => {
    const ledger = memoryLedger();
    for (let sent = 0; sent < 60; sent++) ledger.add({ at: Date.now(), run: 'run.1' });
    await withHttpServer(serve(HEALTHY), async ({ url, requests }) => {
      const facts = await ask(url, {}, ledger);
      assert.ok(
        facts.every(({ ok }) => ok),
        JSON.stringify(facts),
      );
      assert.deepEqual([...requests].sort(), ['/', '/api/health']);
    });
    await withHttpServer(sick, async ({ url, requests }) => {
      const facts = await ask(url, { deadline: 3_000 }, ledger);
      assert.ok(facts.every(({ ok }) => !ok));
      // At the start and before the deadline.
      assert.ok(requests.length <= 4, `${requests.length}`);
    });
  });

  test('row 167: a good one is asked as fast as ever', async () => {
    await withHttpServer(serve(HEALTHY), async ({ url, requests }) => {
      const ledger = memoryLedger();
      await ask(url, {}, ledger);
      assert.deepEqual([...requests].sort(), ['/', '/', '/a.css', '/a.js', '/api/health', '/api/health']);
    });
  });
});

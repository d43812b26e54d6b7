import assert from 'node:assert/strict';
import type { IncomingMessage, RequestListener } from 'node:http';
import { describe, test } from 'node:test';
import { checkHealth, type HealthOptions, type HealthTarget } from '../../src/http/check-health.js';
import type { HealthFact } from '../../src/lib/report.js';
import { budgetOf, memoryLedger } from '../../src/lib/request-budget.js';
import { HEALTHY, HTML, redirect, serve, withHttpServer } from '../servers/http.js';

const OPTIONS: HealthOptions = {
  paths: ['/', '/api/health'],
  timeout: 5_000,
  deadline: 20_000,
  successes: 2,
  checkAssets: true,
};
const PUBLIC = 'https://shop.example';

const isKnown = ({ headers }: IncomingMessage): boolean =>
  headers.host === 'shop.example' && headers['x-forwarded-proto'] === 'https';

/** An application that answers so to whoever does not call it by its public name. */
function knowingItsHost(other: RequestListener, known: RequestListener = serve(HEALTHY)): RequestListener {
  return (request, response) => (isKnown(request) ? known : other)(request, response);
}

async function look(
  app: RequestListener,
  target: Partial<HealthTarget> = { publicOrigin: PUBLIC },
  options: Partial<HealthOptions> = {},
): Promise<{ facts: HealthFact[]; requests: string[] }> {
  return withHttpServer(app, async ({ url, requests }) => {
    const counted = { ledger: memoryLedger(), budget: budgetOf('server', true, 'r'), version: 'a' };
    const whole = { ...OPTIONS, ...options };
    const facts = await checkHealth({ baseUrl: url, from: 'vps', ...target }, whole, { counted });
    return { facts, requests };
  });
}

const healthy = ({ facts }: { facts: HealthFact[] }): void =>
  assert.ok(
    facts.every(({ ok }) => ok),
    JSON.stringify(facts),
  );

describe('row 170: an application that knows its host only', { concurrency: 4 }, () => {
  for (const status of [400, 403, 404, 421])
    test(`row 170: and answers ${status} to any other is asked as its proxy asks`, async () => {
      const seen = await look(knowingItsHost((_, response) => response.writeHead(status).end()));
      healthy(seen);
      assert.equal(seen.facts[2]!.detail, '2 answer 200');
      // Both names of both paths, then the one that is known; and two assets.
      assert.equal(seen.requests.length, 8);
    });

  test('row 170: and sends any other to a stranger', async () => {
    healthy(
      await look(
        knowingItsHost(
          serve({
            '/': redirect('https://hosting.example/'),
            '/api/health': redirect('https://hosting.example/'),
          }),
        ),
      ),
    );
  });

  test('row 170: and has a page for any other, also where a health answer belongs', async () => {
    const page = { type: HTML, body: '<title>No such site</title>' };
    healthy(await look(knowingItsHost(serve({ '/': page, '/api/health': page }))));
  });

  test('row 170: and is reached below a path that its proxy takes away', async () => {
    const app = knowingItsHost((_, response) => response.writeHead(403).end());
    healthy(await look(app, { publicOrigin: PUBLIC, basePath: '/shop' }));
  });

  test('row 170: and is sick is told by what it says under its own name', async () => {
    const sick = serve({ ...HEALTHY, '/api/health': { status: 503 } });
    const { facts } = await look(
      knowingItsHost((_, response) => response.writeHead(403).end(), sick),
      { publicOrigin: PUBLIC },
      { deadline: 3_000 },
    );
    assert.deepEqual([facts[0]!.ok, facts[1]!.ok, facts[1]!.detail], [true, false, 'answers 503']);
  });

  test('row 170: and begins to answer later is found under its name then', async () => {
    const started = Date.now();
    const late: RequestListener = (request, response) => {
      if (Date.now() - started > 2_000 && isKnown(request)) serve(HEALTHY)(request, response);
      else response.writeHead(404).end();
    };
    healthy(await look(late));
  });

  test('row 170: without health-url the plain answer stands, and with it where no name helps', async () => {
    const shut: RequestListener = (_, response) => response.writeHead(403).end();
    for (const target of [{}, { publicOrigin: PUBLIC }]) {
      const { facts } = await look(shut, target, { deadline: 2_000 });
      assert.deepEqual(
        facts.slice(0, 2).map(({ ok, detail }) => [ok, detail]),
        [
          [false, 'answers 403'],
          [false, 'answers 403'],
        ],
      );
    }
  });

  test('row 170: the public address itself is asked by nothing but its name', async () => {
    const { facts } = await look(
      knowingItsHost((_, response) => response.writeHead(403).end()),
      { publicOrigin: PUBLIC, from: 'runner' },
      { deadline: 1_000 },
    );
    assert.equal(facts[0]!.ok, false);
  });
});

describe('row 170: redirects to the public origin, and a login at the root', () => {
  test('row 170: the language of the page, by the public address', async () => {
    const app = serve({ ...HEALTHY, '/': redirect(`${PUBLIC}/en`), '/en': HEALTHY['/']! });
    healthy(await look(app));
  });

  test('row 170: a login page that answers 200, with its own scripts', async () => {
    const login = { type: HTML, body: '<script src="/a.js"></script><form><input type=password></form>' };
    const app = serve({ ...HEALTHY, '/': redirect(`${PUBLIC}/login?next=/`, 302), '/login': login });
    const seen = await look(app);
    healthy(seen);
    assert.equal(seen.facts[2]!.detail, '1 answer 200');
  });

  test('row 170: to another origin than that is nobody we know', async () => {
    const app = serve({ ...HEALTHY, '/': redirect('https://other.example/en') });
    const { facts } = await look(app, { publicOrigin: PUBLIC }, { deadline: 2_000, checkAssets: false });
    assert.match(facts[0]!.detail!, /redirects to another origin/);
  });
});

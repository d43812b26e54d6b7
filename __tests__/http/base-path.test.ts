import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkHealth, type HealthOptions } from '../../src/http/check-health.js';
import type { HealthFact } from '../../src/lib/report.js';
import { HEALTHY, HTML, JSON_TYPE, type Pages, redirect, serve, withHttpServer } from '../servers/http.js';

const OPTIONS: HealthOptions = {
  paths: ['/', '/api/health'],
  timeout: 2_000,
  deadline: 5_000,
  successes: 2,
  checkAssets: true,
};

/** What an application is found to be that is reached at https://example.com/shop. */
async function told(pages: Pages, options: HealthOptions = OPTIONS): Promise<string[]> {
  return withHttpServer(serve(pages), async ({ url }) => {
    const facts = await checkHealth({ baseUrl: url, from: 'vps', basePath: '/shop' }, options);
    const words = ({ name, ok, status, detail }: HealthFact): string =>
      `${name} ${ok ? 'good' : 'bad'} ${status} ${detail ?? ''}`.trim();
    return facts.map(words);
  });
}

/** For what must turn out healthy: it ends as soon as it does, however busy the machine is. */
const PATIENT: HealthOptions = { ...OPTIONS, timeout: 5_000, deadline: 20_000 };

const below = (pages: Pages): Pages =>
  Object.fromEntries(Object.entries(pages).map(([path, page]) => [`/shop${path}`, page]));
/** As a proxy has it that takes the path away: the page links to what the world sees. */
const STRIPPED: Pages = {
  ...HEALTHY,
  '/': { type: HTML, body: '<!doctype html><title>Shop</title><script src="/shop/a.js"></script>' },
};
const GOOD = ['/ good 200', '/api/health good 200', 'assets good 200 2 answer 200'];
const STRIPPED_GOOD = [...GOOD.slice(0, 2), 'assets good 200 1 answer 200'];

describe('an application below a path of the public URL', { concurrency: true }, () => {
  test('that answers there, as Next.js with basePath', async () => {
    const pages = below({ ...HEALTHY, '': HEALTHY['/']!, '/': redirect('/shop', 308) });
    const linked = {
      type: HTML,
      body: '<!doctype html><title>Shop</title><script src="/shop/a.js"></script>',
    };
    assert.deepEqual(await told({ ...pages, '/shop': linked }, PATIENT), STRIPPED_GOOD);
  });

  test('whose proxy takes the path away', async () => {
    assert.deepEqual(await told(STRIPPED, PATIENT), STRIPPED_GOOD);
  });

  test('whose proxy takes the path away, and that answers every path with its page, or sends it to a login', async () => {
    const page = STRIPPED['/']!;
    const everything = { '/shop/': page, '/shop/api/health': page, '/shop/a.js': page };
    assert.deepEqual(await told({ ...STRIPPED, ...everything }, PATIENT), STRIPPED_GOOD);
    const login = redirect('/login', 302);
    const behind = { ...STRIPPED, '/shop/': login, '/shop/api/health': login };
    assert.deepEqual(await told(behind, PATIENT), STRIPPED_GOOD);
  });

  test('that is sick there is not taken for another one that is well without it', async () => {
    const sick = { type: JSON_TYPE, body: '{"status":"error"}' };
    const [, health] = await told({ ...HEALTHY, ...below({ ...HEALTHY, '/api/health': sick }) });
    assert.match(health!, /^\/api\/health bad 200 .*says "error"/);
    const [, failing] = await told({ ...HEALTHY, ...below({ ...HEALTHY, '/api/health': { status: 500 } }) });
    assert.match(failing!, /^\/api\/health bad 500 answers 500/);
  });

  test('that is sick behind a proxy that takes the path away is told by what it says', async () => {
    const [, health] = await told({ ...STRIPPED, '/api/health': { status: 503 } });
    assert.match(health!, /^\/api\/health bad 503 answers 503/);
  });

  test('that has no such path at all', async () => {
    const { '/api/health': _none, ...rest } = HEALTHY;
    assert.match((await told(rest))[1]!, /^\/api\/health bad 404 answers 404$/);
  });
});

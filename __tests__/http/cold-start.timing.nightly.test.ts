import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkHealth, type HealthOptions } from '../../src/http/check-health.js';
import { judgeHealth } from '../../src/http/verdict.js';
import { freePort } from '../servers/free-port.js';
import { HEALTHY, serve, withHttpServer } from '../servers/http.js';

/** The defaults of the action. */
const OPTIONS: HealthOptions = {
  paths: ['/', '/api/health'],
  timeout: 5_000,
  deadline: 60_000,
  successes: 2,
  checkAssets: true,
};

test('row 113: an application that takes 20 s to start is healthy, within 300 ms of answering', async (t) => {
  const port = await freePort();
  const asking = checkHealth({ baseUrl: `http://127.0.0.1:${port}`, from: 'runner' }, OPTIONS);
  await new Promise((resolve) => setTimeout(resolve, 20_000));
  await withHttpServer(
    serve(HEALTHY),
    async () => {
      const listening = performance.now();
      const facts = await asking;
      const delay = performance.now() - listening;
      t.diagnostic(`verdict ok ${Math.round(delay)} ms after the first answer was possible`);
      assert.equal(judgeHealth(facts, [], {}).verdict, 'ok');
      assert.ok(delay < 300, `${delay} ms`);
    },
    { port },
  );
});

/** Milliseconds between two tries that fail, so late: an application that answers is asked ever more slowly. */
const PAUSE = 4_000;

test('row 113: a server that answers 503 while it starts, for 20 s', async () => {
  const started = performance.now();
  await withHttpServer(
    (request, response) => {
      if (performance.now() - started < 20_000) response.writeHead(503).end();
      else serve(HEALTHY)(request, response);
    },
    async ({ url }) => {
      const facts = await checkHealth({ baseUrl: url, from: 'runner' }, OPTIONS);
      assert.equal(judgeHealth(facts, [], {}).verdict, 'ok');
      const took = performance.now() - started;
      assert.ok(took >= 20_000 && took < 20_500 + PAUSE, `${took} ms`);
    },
  );
});

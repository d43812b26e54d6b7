import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkHealth } from '../../src/http/check-health.js';
import { freePort } from '../servers/free-port.js';
import { HEALTHY, serve, withHttpServer } from '../servers/http.js';

test('an application is reported healthy within 300 ms of answering, whenever it begins to', async (t) => {
  const delays: number[] = [];
  for (const start of [400, 733, 1_050]) {
    const port = await freePort();
    const asking = checkHealth(
      { baseUrl: `http://127.0.0.1:${port}`, from: 'runner' },
      {
        paths: ['/', '/api/health'],
        timeout: 5_000,
        deadline: 10_000,
        successes: 2,
        checkAssets: true,
      },
    );
    await new Promise((resolve) => setTimeout(resolve, start));
    await withHttpServer(
      serve(HEALTHY),
      async () => {
        const listening = performance.now();
        const facts = await asking;
        delays.push(Math.round(performance.now() - listening));
        assert.ok(facts.every((fact) => fact.ok));
      },
      { port },
    );
  }
  t.diagnostic(`reported healthy ${delays.join(', ')} ms after the first answer was possible`);
  const median = delays.sort((a, b) => a - b)[1]!;
  assert.ok(median < 300, `${median} ms`);
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { answers, checkHealth } from '../../src/http/check-health.js';
import { freePort } from '../servers/free-port.js';
import { HEALTHY, serve, withHttpServer } from '../servers/http.js';

describe('an application of this machine', () => {
  for (const host of ['127.0.0.1', '::1', '::'])
    test(`that listens on ${host} alone is found under the one name`, () =>
      withHttpServer(
        serve(HEALTHY),
        async ({ port }) => {
          const options = { paths: ['/'], timeout: 1_000, deadline: 3_000, successes: 1, checkAssets: true };
          const facts = await checkHealth({ baseUrl: `http://localhost:${port}`, from: 'vps' }, options);
          assert.deepEqual(
            facts.map(({ ok, timings }) => [ok, timings?.dns]),
            [
              [true, null],
              [true, null],
            ],
          );
          assert.equal(await answers(`http://localhost:${port}/`, 1_000), true);
        },
        { host },
      ));

  test('that does not listen is refused, not waited for', async () => {
    const url = `http://localhost:${await freePort()}`;
    assert.equal(await answers(`${url}/`, 1_000), false);
    const options = { paths: ['/'], timeout: 1_000, deadline: 300, successes: 1, checkAssets: false };
    const [fact] = await checkHealth({ baseUrl: url, from: 'vps' }, options);
    assert.match(fact!.detail!, /connection refused \(ECONNREFUSED\)/);
  });
});

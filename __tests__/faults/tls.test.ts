import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { exchangeHttp, NotSent } from '../../src/database/connection/https-request.js';
import { openDatabase } from '../../src/database/connection/open.js';
import { checkHealth } from '../../src/http/check-health.js';
import { parseDatabaseUrl } from '../../src/inputs/checks/database-url.js';
import { Failure } from '../../src/lib/report.js';
import { Secret } from '../../src/lib/secret.js';
import { makeCertificate } from '../servers/certificate.js';
import { HEALTHY, serve, withHttpServer } from '../servers/http.js';
import { startPostgres } from '../servers/postgres.js';

/** What nobody here trusts, as of a proxy that opens TLS without the job knowing its authority. */
const tls = makeCertificate();
/** An authority that is given and signed nothing here. */
const other = makeCertificate().cert;

before(() => {
  process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
});
after(() => {
  delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
});

for (const caCertificate of [undefined, other])
  test(`row 149: the Management API is verified all the same, ${caCertificate ? 'with' : 'without'} an authority given`, () =>
    withHttpServer(
      serve(HEALTHY),
      async ({ port, requests }) => {
        const asking = exchangeHttp({
          url: `https://localhost:${port}/v1`,
          method: 'GET',
          headers: { authorization: 'Bearer sbp_0123456789' },
          deadline: 10_000,
          ...(caCertificate === undefined ? {} : { caCertificate }),
        });
        await assert.rejects(asking, NotSent);
        assert.deepEqual(requests, []);
      },
      { tls },
    ));

test('row 149: a proxy that opens TLS is told with what to do about it', () =>
  withHttpServer(
    serve(HEALTHY),
    async ({ port }) => {
      const database = openDatabase({
        kind: 'management-api',
        projectRef: 'abcdefghijklmnopqrst',
        accessToken: new Secret('sbp_0123456789'),
        apiUrl: `https://localhost:${port}`,
      });
      await assert.rejects(database.send('select 1', { deadline: 10_000 }), (error) => {
        assert.ok(error instanceof Failure);
        assert.match(error.problems[0]!.message, /cannot be reached: DEPTH_ZERO_SELF_SIGNED_CERT/);
        assert.match(error.problems[0]!.next!, /NODE_EXTRA_CA_CERTS/);
        return true;
      });
    },
    { tls },
  ));

test('row 149: the pages of the application are verified all the same', () =>
  withHttpServer(
    serve(HEALTHY),
    async ({ port, requests }) => {
      const [page] = await checkHealth(
        { baseUrl: `https://localhost:${port}`, from: 'runner' },
        { paths: ['/'], timeout: 2_000, deadline: 4_000, successes: 1, checkAssets: false },
      );
      assert.match(page!.detail!, /not trusted/);
      assert.deepEqual(requests, []);
    },
    { tls },
  ));

test('row 149: the database is verified all the same', async () => {
  const server = await startPostgres({ tls: { certificate: tls.cert, key: tls.key } });
  const parsed = parseDatabaseUrl(server.url.replace('127.0.0.1', 'localhost'));
  assert.ok('address' in parsed);
  const database = openDatabase(
    { kind: 'url', address: parsed.address, caCertificate: other },
    { connectFor: 1_000 },
  );
  try {
    await assert.rejects(database.send('select 1', { deadline: 5_000 }), /not signed by a known authority/);
  } finally {
    await database.close();
    await server.stop();
  }
});

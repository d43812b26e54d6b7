import assert from 'node:assert/strict';
import { buffer } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { choosePgDump, findPgDumps, withDump } from '../../src/database/backup/pg-dump.js';
import { parseDatabaseUrl } from '../../src/inputs/checks/database-url.js';
import { Failure } from '../../src/lib/report.js';
import { makeCertificate } from '../servers/certificate.js';
import { type PostgresServer, startPostgres } from '../servers/postgres.js';

const { key, cert } = makeCertificate({ names: ['localhost'] });
let server: PostgresServer;
before(async () => {
  server = await startPostgres({ version: 15, tls: { certificate: cert, key } });
});
after(() => server.stop());

/** Dumps with Debian's pg_dump; the bytes, or what it says. */
async function dump(host: string, caCertificate: string): Promise<number | string> {
  const parsed = parseDatabaseUrl(server.url.replace('127.0.0.1', host));
  assert.ok('address' in parsed);
  const pgDump = choosePgDump(await findPgDumps(), 15);
  assert.ok('path' in pgDump);
  const order = {
    pgDump,
    address: parsed.address,
    caCertificate,
    what: 'schema' as const,
    platform: 'absent' as const,
    lockTimeout: 5_000,
    signal: new AbortController().signal,
  };
  try {
    return await withDump(order, buffer);
  } catch (error) {
    assert.ok(error instanceof Failure);
    return error.message;
  }
}

test('row 69, row 71: pg_dump verifies the certificate: who signed it, and for which name', async () => {
  const bytes = await dump('localhost', cert);
  assert.ok(typeof bytes === 'number' && bytes > 0, String(bytes));
  assert.match(
    String(await dump('127.0.0.1', cert)),
    /certificate for "localhost".*does not match host name/,
  );
  assert.match(String(await dump('localhost', makeCertificate().cert)), /certificate verify failed/);
});

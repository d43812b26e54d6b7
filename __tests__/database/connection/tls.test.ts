import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { after, before, test } from 'node:test';
import { connectProblem } from '../../../src/database/connection/connect-problem.js';
import { openDatabase } from '../../../src/database/connection/open.js';
import { transportOf } from '../../../src/database/connection/postgres-connection.js';
import { SqlError } from '../../../src/database/connection/sql-error.js';
import { SUPABASE_ROOTS, tlsOptions } from '../../../src/database/connection/tls.js';
import { parseDatabaseUrl } from '../../../src/inputs/checks/database-url.js';
import { makeCertificate } from '../../servers/certificate.js';
import { type PostgresServer, startPostgres } from '../../servers/postgres.js';

const { key, cert } = makeCertificate({ names: ['localhost'] });
let server: PostgresServer;
before(async () => {
  server = await startPostgres({ tls: { certificate: cert, key } });
});
after(() => server.stop());

/** Connects and gives the problem's text, or what the server says about encryption. */
async function attempt(host: string, caCertificate?: string): Promise<string> {
  const parsed = parseDatabaseUrl(server.url.replace('127.0.0.1', host));
  assert.ok('address' in parsed);
  const database = openDatabase(
    { kind: 'url', address: parsed.address, ...(caCertificate === undefined ? {} : { caCertificate }) },
    { connectFor: 1_000 },
  );
  try {
    const [result] = await database.send('select ssl::text from pg_stat_ssl where pid = pg_backend_pid()', {
      deadline: 5_000,
    });
    return `ssl: ${String(result?.rows[0]?.ssl)}`;
  } catch (error) {
    return (error as Error).message;
  } finally {
    await database.close();
  }
}

test('TLS is used and verified where a certificate authority is given', async () => {
  assert.equal(await attempt('localhost', cert), 'ssl: true');
});

test('row 69: an unknown authority is refused', async () => {
  // 0.0.0.0 reaches this machine, but is no loopback name.
  assert.match(await attempt('0.0.0.0'), /not signed by a known authority/);
  assert.match(await attempt('localhost', makeCertificate().cert), /not signed by a known authority/);
});

test('row 71: a certificate for another name is refused', async () => {
  assert.match(await attempt('127.0.0.1', cert), /for another host name/);
  assert.match(await attempt('0.0.0.0', cert), /for another host name/);
});

test('plaintext is for this machine only, whatever the URL says', () => {
  const local = { host: '127.0.0.1', loopback: true, plaintext: true };
  assert.equal(tlsOptions(local, undefined), undefined);
  const remote = tlsOptions({ host: 'db.example.com', loopback: false, plaintext: true }, undefined);
  assert.equal(remote?.rejectUnauthorized, true);
});

test('the two roots of Supabase are the published ones', () => {
  const roots = SUPABASE_ROOTS.map((pem) => new X509Certificate(pem));
  assert.deepEqual(
    roots.map((root) => root.fingerprint256.replaceAll(':', '')),
    [
      '807025AD50D4ED219D2C9C7D299C004F824EB00CF7F65AFEF607D07B72E6CAFA',
      '5F9B77951A7AA1303F9B58EEA9BFA89E358CFDC15F9786FF10D4930A722C9AE2',
    ],
  );
  for (const root of roots) assert.ok(root.verify(root.publicKey));
});

const failure = (code: string): Error => Object.assign(new Error('x'), { code });
const CASES: [name: string, error: unknown, says: RegExp, retry: boolean][] = [
  [
    'row 65: wrong password',
    new SqlError({ code: '28P01', message: 'password authentication failed' }),
    /refused the login/,
    false,
  ],
  [
    'row 66: unknown tenant',
    new SqlError({ code: 'XX000', message: 'Tenant or user not found' }),
    /paused or deleted/,
    false,
  ],
  ['row 67: no route', failure('ENETUNREACH'), /cannot be reached over the network/, false],
  [
    'row 67: no route, several addresses',
    new AggregateError([failure('EHOSTUNREACH')]),
    /cannot be reached over the network/,
    false,
  ],
  ['row 68: no answer of the name server', failure('EAI_AGAIN'), /name server/, true],
  ['row 68: no such name', failure('ENOTFOUND'), /does not exist/, false],
  [
    'row 54: no free connection',
    new SqlError({ code: '53300', message: 'sorry, too many clients already' }),
    /no free connection/,
    true,
  ],
  [
    'row 43: starting up',
    new SqlError({ code: '57P03', message: 'the database system is starting up' }),
    /not ready/,
    true,
  ],
  ['refused', failure('ECONNREFUSED'), /nothing listens/, true],
  [
    'no such database',
    new SqlError({ code: '3D000', message: 'database "x" does not exist' }),
    /does not exist/,
    false,
  ],
];
for (const [name, error, says, retry] of CASES)
  test(name, () => {
    const problem = connectProblem(error);
    assert.match(problem.message, says);
    assert.equal(problem.retry, retry);
    assert.ok(problem.next);
  });

test('row 67: a direct host without IPv6 is told to use the pooler', () => {
  assert.match(connectProblem(failure('ENETUNREACH')).next ?? '', /session pooler URL/);
});

test('what a transport can hold is known from the address', () => {
  assert.equal(transportOf({ host: 'db.abc.supabase.co', port: 5432 }), 'direct');
  assert.equal(transportOf({ host: 'aws-0-eu-central-1.pooler.supabase.com', port: 5432 }), 'session-pooler');
  assert.equal(
    transportOf({ host: 'aws-0-eu-central-1.pooler.supabase.com', port: 6543 }),
    'transaction-pooler',
  );
});

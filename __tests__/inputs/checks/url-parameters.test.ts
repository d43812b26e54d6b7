import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDatabaseUrl } from '../../../src/inputs/checks/database-url.js';

const BASE = 'postgresql://me:s3cr3t@db.example.com:5432/app';

function parsed(query: string) {
  const result = parseDatabaseUrl(`${BASE}?${query}`);
  return 'address' in result ? result.address : `${result.wrong}. ${result.right}`;
}

test('row 159: parameters that are honoured', () => {
  const query =
    'options=-c%20search_path%3Dtenant_a&application_name=deploy&connect_timeout=7&sslmode=require';
  const address = parsed(query);
  assert.ok(typeof address === 'object');
  const { options, applicationName, connectTimeout, plaintext } = address;
  assert.deepEqual(
    { options, applicationName, connectTimeout, plaintext },
    {
      options: '-c search_path=tenant_a',
      applicationName: 'deploy',
      connectTimeout: 7_000,
      plaintext: false,
    },
  );
});

for (const query of [
  'pgbouncer=true&connection_limit=1&pool_timeout=0',
  'schema=public',
  'sslmode=verify-full&sslrootcert=system',
  'sslmode=require&supa=base-pooler.x',
  'channel_binding=prefer&gssencmode=disable&client_encoding=UTF8&target_session_attrs=any',
  'options=&application_name=&connect_timeout=0',
])
  test(`row 159: ${query} asks for what is so anyway`, () => {
    const plain = parsed('');
    assert.deepEqual(parsed(query), plain);
  });

const REFUSED: [query: string, told: RegExp][] = [
  ['schema=tenant_a', /^has the parameter schema with a value .*options=-c%20search_path%3DNAME/],
  ['currentSchema=tenant_a', /^has the parameter currentSchema, which is not supported/],
  ['search_path=tenant_a', /^has the parameter search_path, which is not supported/],
  ['statement_timeout=1', /statement_timeout, which is not supported/],
  ['sslmode=no-verify', /^has the parameter sslmode .*always verified/],
  ['sslrootcert=/etc/ca.pem', /sslrootcert .*database-ca-cert/],
  ['sslcert=client.pem', /sslcert, which is not supported/],
  ['channel_binding=require', /channel_binding .*certificate/],
  ['connect_timeout=10s', /connect_timeout which is no number of seconds/],
  ['host=other.example.com', /host, which is not supported/],
  ['password=0ther-s3cr3t', /password, which is not supported/],
  ['options=a&options=b', /options twice/],
  ['__proto__=1', /__proto__, which is not supported/],
  ['s3cr3t-w0rd!', /^has a parameter, which is not supported/],
];
for (const [query, told] of REFUSED)
  test(`row 159: ${query} is refused by its name, and no value is told`, () => {
    const said = parsed(query);
    assert.ok(typeof said === 'string');
    assert.match(said, told);
    assert.doesNotMatch(said, /s3cr3t|tenant_a|example/);
  });

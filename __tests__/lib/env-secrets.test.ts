import assert from 'node:assert/strict';
import { test } from 'node:test';
import { envSecrets } from '../../src/lib/env-secrets.js';

const CASES: [line: string, secrets: string[]][] = [
  ['API_KEY=abc123def', ['abc123def']],
  ['export STRIPE_SECRET="sk live"  # of the shop', ['sk live']],
  ["MAIL_PASSWORD='it is #1'", ['it is #1']],
  ['JWT_SECRET=plainword # a comment', ['plainword']],
  ['X=4f9a2b7c8d1e0f3a5b6c', ['4f9a2b7c8d1e0f3a5b6c']],
  [
    'CACHE=redis://default:p%23ss1@cache:6379/0',
    ['redis://default:p%23ss1@cache:6379/0', 'p%23ss1', 'p#ss1'],
  ],
  ['DB=postgres://u:100%@h/d', ['postgres://u:100%@h/d', '100%']],
  // Masking these would only make the log unreadable.
  ['NODE_ENV=production', []],
  ['PORT=3000', []],
  ['API_TOKEN=test', []],
  ['SITE=https://guesthouse.example.com/start', []],
  ['HOST=guesthouse.example.com', []],
  ['NEXT_PUBLIC_API_KEY=abc123def456ghi789', []],
  ['# SECRET=abc123def', []],
  ['AUTH_SCHEMA=public', []],
  ['TOKEN_ISSUER=shopfront', []],
  ['KEYCLOAK_REALM="guests"', []],
  ['REFRESH_TOKEN_TTL=2024', []],
  ['DB_PASSWORD=2024', []],
  ['COOKIE_SECRET=staging', []],
  ['ADMIN_TOKEN=success', []],
  // What the name itself says to be the secret stays one, however simple it is.
  ['DB_PASSWORD=sunshine', ['sunshine']],
  ['PIN_TOKEN=481516', ['481516']],
  ['AUTH_SALT_OLD=x9', []],
  ['AUTH_SALT_OLD=x9y8z7', ['x9y8z7']],
];

for (const [line, secrets] of CASES)
  test(`row 127: of "${line}" is secret: ${secrets.join(', ') || 'nothing'}`, () => {
    assert.deepEqual(envSecrets(`A=1\r\n${line}\r\n`), secrets);
  });

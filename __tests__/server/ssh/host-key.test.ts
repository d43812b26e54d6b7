import assert from 'node:assert/strict';
import { createHmac, randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import { namesMatch, parseKnownHosts } from '../../../src/inputs/checks/known-hosts.js';
import { hostKeyTries, judgeHostKey, trustFor } from '../../../src/server/ssh/host-key.js';
import { fingerprintOf, makeKeyPair } from '../../servers/sshd.js';

const KEY = makeKeyPair().public;
const OTHER = makeKeyPair().public;
const RSA = makeKeyPair('rsa').public;
const blobOf = (key: string): Buffer => Buffer.from(key.split(' ')[1]!, 'base64');
const at22 = { host: 'Example.com', port: 22 };
const at2222 = { host: 'example.com', port: 2222 };

function hashed(name: string): string {
  const salt = randomBytes(20);
  return `|1|${salt.toString('base64')}|${createHmac('sha1', salt).update(name).digest('base64')}`;
}

describe('known_hosts', () => {
  const cases: [names: string, address: { host: string; port: number }, trusted: boolean][] = [
    ['example.com', at22, true],
    ['EXAMPLE.com', at22, true],
    ['other.com,example.com,10.0.0.1', at22, true],
    ['other.com', at22, false],
    ['*.com', at22, true],
    ['exampl?.com', at22, true],
    ['exampl?.co', at22, false],
    ['*', at22, true],
    ['!example.com,*', at22, false],
    ['*,!example.com', at22, false],
    ['!other.com,*', at22, true],
    ['!other.com', at22, false],
    [hashed('example.com'), at22, true],
    [hashed('other.com'), at22, false],
    ['|1|broken', at22, false],
    ['[example.com]:2222', at2222, true],
    ['[example.com]:2222', at22, false],
    ['[example.com]:2223', at2222, false],
    ['[*.com]:2222', at2222, true],
    [hashed('[example.com]:2222'), at2222, true],
    ['example.com', at2222, true],
  ];
  for (const [names, address, trusted] of cases) {
    test(`${names.slice(0, 30)} ${trusted ? 'means' : 'does not mean'} ${address.host}:${address.port}`, () => {
      const trust = trustFor(address, { knownHosts: `${names} ${KEY} comment`, fingerprints: [] }, true);
      assert.equal(judgeHostKey(trust, blobOf(KEY)), trusted ? 'trusted' : 'unknown');
      assert.equal(judgeHostKey(trust, blobOf(OTHER)), trusted ? 'changed' : 'unknown');
    });
  }

  test('an entry with the port hides one without it, as in OpenSSH', () => {
    const knownHosts = `example.com ${KEY}\n[example.com]:2222 ${OTHER}`;
    const trust = trustFor(at2222, { knownHosts, fingerprints: [] }, true);
    assert.equal(judgeHostKey(trust, blobOf(OTHER)), 'trusted');
    assert.equal(judgeHostKey(trust, blobOf(KEY)), 'changed');
  });

  test('lines with a marker do not hide a plain line without the port, as in OpenSSH', () => {
    for (const marked of [
      `@cert-authority * ${OTHER}`,
      `@revoked * ${OTHER}`,
      `@revoked [example.com]:2222 ${OTHER}`,
    ]) {
      const trust = trustFor(at2222, { knownHosts: `${marked}\nexample.com ${KEY}`, fingerprints: [] }, true);
      assert.equal(judgeHostKey(trust, blobOf(KEY)), 'trusted', marked);
      assert.equal(trust.authorityOnly, false);
    }
    const revoked = `@revoked example.com ${KEY}\n[example.com]:2222 ${KEY}`;
    const trust = trustFor(at2222, { knownHosts: revoked, fingerprints: [] }, true);
    assert.equal(judgeHostKey(trust, blobOf(KEY)), 'revoked');
  });

  test('comments, blank and broken lines are left out', () => {
    const text = `# example.com:22 SSH-2.0\n\n  \nexample.com\nexample.com ssh-ed25519\nexample.com ssh-ed25519 !!!\nexample.com ssh-rsa ${KEY.split(' ')[1]}\r\nexample.com ${KEY}\r\n`;
    assert.deepEqual(
      parseKnownHosts(text).map((line) => line.blob),
      [KEY.split(' ')[1]],
    );
  });

  test('a revoked key is refused even where another line or a fingerprint trusts it', () => {
    const knownHosts = `@revoked * ${KEY}\nexample.com ${KEY}`;
    const trust = trustFor(at22, { knownHosts, fingerprints: [fingerprintOf(KEY)] }, true);
    assert.equal(judgeHostKey(trust, blobOf(KEY)), 'revoked');
  });

  test('a certificate authority alone pins nothing', () => {
    const trust = trustFor(at22, { knownHosts: `@cert-authority *.com ${KEY}`, fingerprints: [] }, true);
    assert.equal(judgeHostKey(trust, blobOf(KEY)), 'unknown');
    assert.equal(trust.authorityOnly, true);
  });

  test('a pattern of many stars does not take forever', () => {
    const started = performance.now();
    assert.equal(namesMatch(`${'*a'.repeat(60)}b`, 'a'.repeat(200)), false);
    assert.ok(performance.now() - started < 200);
  });
});

describe('fingerprints', () => {
  test('row 80: one of several is enough; padding is no difference', () => {
    const fingerprints = [fingerprintOf(OTHER), `${fingerprintOf(KEY)}=`];
    const trust = trustFor(at22, { fingerprints }, true);
    assert.equal(judgeHostKey(trust, blobOf(KEY)), 'trusted');
    assert.equal(judgeHostKey(trust, blobOf(RSA)), 'changed');
  });

  test('with several servers a fingerprint counts only for the server that it names', () => {
    const fingerprints = [
      `example.com ${fingerprintOf(KEY)}`,
      `other.com:2200 ${fingerprintOf(OTHER)}`,
      `[third.com]:2200 ${fingerprintOf(RSA)}`,
      fingerprintOf(makeKeyPair().public),
    ];
    const prints = (host: string, port: number): string[] =>
      trustFor({ host, port }, { fingerprints }, false).fingerprints;
    assert.deepEqual(prints('EXAMPLE.com', 2222), [fingerprintOf(KEY)]);
    assert.deepEqual(prints('other.com', 2200), [fingerprintOf(OTHER)]);
    assert.deepEqual(prints('other.com', 22), []);
    assert.deepEqual(prints('third.com', 2200), [fingerprintOf(RSA)]);
  });

  test('a server is named as in ssh-host, or in brackets', () => {
    const prints = (label: string, host: string): string[] =>
      trustFor({ host, port: 22 }, { fingerprints: [`${label} ${fingerprintOf(KEY)}`] }, false).fingerprints;
    assert.deepEqual(prints('deploy@example.com', 'example.com'), [fingerprintOf(KEY)]);
    assert.deepEqual(prints('[2001:db8::1]', '2001:db8::1'), [fingerprintOf(KEY)]);
    assert.deepEqual(prints('deploy@example.com', 'other.com'), []);
  });
});

describe('which host key the server is asked for', () => {
  test('only the types that known_hosts has', () => {
    const trust = trustFor(at22, { knownHosts: `example.com ${RSA}`, fingerprints: [] }, true);
    assert.deepEqual(hostKeyTries(trust), [['rsa-sha2-512', 'rsa-sha2-256', 'ssh-rsa']]);
  });

  test('all types one after the other where only a fingerprint is known', () => {
    const trust = trustFor(at22, { fingerprints: [fingerprintOf(KEY)] }, true);
    assert.deepEqual(hostKeyTries(trust).flat(), [
      'ssh-ed25519',
      'ecdsa-sha2-nistp256',
      'ecdsa-sha2-nistp384',
      'ecdsa-sha2-nistp521',
      'rsa-sha2-512',
      'rsa-sha2-256',
      'ssh-rsa',
    ]);
  });
});

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import ssh2 from 'ssh2';
import { problemsOf } from '../../../src/lib/report.js';
import { openFleet } from '../../../src/server/fleet/fleet.js';
import { readPrivateKey } from '../../../src/server/ssh/private-key.js';
import { makeKeyPair, type Sshd, startSshd } from '../../servers/sshd.js';
import { sshSettings } from '../fleet-settings.js';

const RSA = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
const EC = generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey;
const ED = generateKeyPairSync('ed25519').privateKey;
const PKCS8 = { type: 'pkcs8', format: 'pem' } as const;
const PASSPHRASE = 'correct horse';

/** What copying, secret stores and other tools make of a key. */
const DAMAGE: Record<string, (key: string) => string> = {
  'as it is': (key) => key,
  'with CRLF': (key) => key.replaceAll('\n', '\r\n'),
  'with literal \\n': (key) => key.replaceAll('\n', '\\n'),
  'with literal \\r\\n': (key) => key.replaceAll('\n', '\\r\\n'),
  'on one line': (key) => key.replaceAll('\n', ' '),
  'without any break': (key) => key.replaceAll('\n', ''),
  indented: (key) => key.replace(/^/gm, '    '),
  'in base64': (key) => Buffer.from(key).toString('base64'),
  'in base64 with lines': (key) => Buffer.from(key).toString('base64').replace(/.{76}/g, '$&\n'),
  'without a final newline': (key) => key.trimEnd(),
  'in quotes': (key) => `"${key.trimEnd()}"`,
  'with a byte order mark': (key) => `\uFEFF${key}`,
  'between other text': (key) => `my key:\n${key}\nthat was it\n`,
};

describe('row 81: private keys', () => {
  let server: Sshd;
  before(async () => {
    server = await startSshd();
  });
  after(() => server.stop());

  for (const [name, damage] of Object.entries(DAMAGE)) {
    test(`an OpenSSH key ${name} is read, and opens a server`, async () => {
      const fleet = openFleet(
        { ssh: sshSettings([server], { privateKey: damage(server.privateKey) }) },
        { dist: '', log: () => {} },
      );
      try {
        assert.equal((await fleet.hosts[0]!.exec('echo in')).stdout, 'in\n');
      } finally {
        await fleet.close();
      }
    });

    test(`PKCS#1, SEC1 and PKCS#8 keys ${name} are read`, async () => {
      const texts = {
        'ssh-rsa': [RSA.export({ type: 'pkcs1', format: 'pem' }), RSA.export(PKCS8)],
        'ecdsa-sha2-nistp256': [EC.export({ type: 'sec1', format: 'pem' }), EC.export(PKCS8)],
        'ssh-ed25519': [ED.export(PKCS8)],
      };
      for (const [type, forms] of Object.entries(texts)) {
        for (const text of forms) {
          const { pem } = await readPrivateKey(damage(text.toString()));
          const parsed = ssh2.utils.parseKey(pem);
          assert.ok(!(parsed instanceof Error), String(parsed));
          assert.equal(parsed.type, type);
          const signature = parsed.sign('text');
          assert.ok(Buffer.isBuffer(signature) && parsed.verify('text', signature) === true);
        }
      }
    });
  }

  test('the key is found beside what tools and people put next to it', async () => {
    const key = EC.export({ type: 'sec1', format: 'pem' }).toString();
    const beside: Record<string, string> = {
      'the parameters that openssl writes':
        '-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----',
      'a certificate': '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----',
      'a public key in PEM': createPublicKey(EC).export({ type: 'spki', format: 'pem' }).toString(),
      'a .pub line': makeKeyPair().public,
    };
    for (const [what, text] of Object.entries(beside))
      for (const both of [`${text.trim()}\n${key}`, `${key}${text.trim()}\n`]) {
        const { pem } = await readPrivateKey(both);
        const parsed = ssh2.utils.parseKey(pem);
        assert.ok(!(parsed instanceof Error) && parsed.type === 'ecdsa-sha2-nistp256', what);
      }
  });

  test('a cut key beside a whole certificate is called cut, not a certificate', async () => {
    const certificate = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----';
    assert.match(await refusal(`${certificate}\n-----BEGIN PRIVATE KEY-----\nMIIEvAIBADANBg`), /cut off/);
  });

  const refused: Record<string, [string, RegExp]> = {
    'a PuTTY key': ['PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n', /PPK.*\n.*puttygen/],
    'a PuTTY key in base64': [
      Buffer.from('PuTTY-User-Key-File-3: ssh-rsa\n'.repeat(3)).toString('base64'),
      /PPK/,
    ],
    'a cut key': ['-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjE', /cut off/],
    'a certificate': [
      '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----',
      /not a private key but certificate/,
    ],
    'a path': ['~/.ssh/id_ed25519', /path of a file/],
    'a password': ['hunter2hunter2', /no -----BEGIN line/],
    'damaged base64': [
      '-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl*bnNz\n-----END OPENSSH PRIVATE KEY-----',
      /more than base64/,
    ],
    'a damaged body': [
      '-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAA=\n-----END OPENSSH PRIVATE KEY-----',
      /damaged/,
    ],
    'a fingerprint': [`SHA256:${'A'.repeat(43)}`, /ssh-fingerprint/],
  };
  for (const [name, [text, why]] of Object.entries(refused)) {
    test(`${name} is refused by its name`, async () => {
      assert.match(await refusal(text), why);
    });
  }

  test('row 83: a public key has its own message', async () => {
    assert.match(await refusal(makeKeyPair().public), /is a public key/);
    assert.match(await refusal(makeKeyPair('rsa').public), /is a public key/);
    assert.match(
      await refusal('-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----'),
      /is a public key/,
    );
    assert.match(await refusal('---- BEGIN SSH2 PUBLIC KEY ----\nAAAA'), /is a public key/);
  });
});

describe('row 82: encrypted keys', () => {
  const cipher = { cipher: 'aes-256-cbc', passphrase: PASSPHRASE };
  const keys: Record<string, string> = {
    OpenSSH: ssh2.utils.generateKeyPairSync('rsa', {
      bits: 2048,
      cipher: 'aes256-ctr',
      passphrase: PASSPHRASE,
      rounds: 4,
    }).private,
    'PKCS#1': RSA.export({ type: 'pkcs1', format: 'pem', ...cipher }).toString(),
    'PKCS#8': ED.export({ ...PKCS8, ...cipher }).toString(),
  };
  for (const [format, text] of Object.entries(keys)) {
    test(`${format}: opened with its passphrase, also with a newline behind it, in every damaged form`, async () => {
      for (const damage of Object.values(DAMAGE)) {
        for (const passphrase of [PASSPHRASE, `${PASSPHRASE}\n`]) {
          const key = await readPrivateKey(damage(text), passphrase);
          assert.ok(!(ssh2.utils.parseKey(key.pem, key.passphrase) instanceof Error));
        }
      }
    });

    test(`${format}: without and with a wrong passphrase two different messages`, async () => {
      assert.match(await refusal(text), /is encrypted, and ssh-passphrase is empty/);
      assert.match(await refusal(text, 'wrong'), /ssh-passphrase does not open it/);
    });
  }
});

describe('row 82: keys as ssh-keygen encrypts them', () => {
  /** An OpenSSH key encrypted with one cipher. */
  function encrypted(cipher: string, passphrase = PASSPHRASE): string {
    const folder = mkdtempSync(join(tmpdir(), 'muva-cipher-'));
    try {
      const file = join(folder, 'key');
      execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', passphrase, '-Z', cipher, '-f', file]);
      return readFileSync(file, 'utf8');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }

  test('a cipher that the client cannot read is named, with the command that changes it', async () => {
    const text = encrypted('chacha20-poly1305@openssh.com');
    assert.match(
      await refusal(text, PASSPHRASE),
      /is encrypted with chacha20-poly1305@openssh\.com, which cannot be read\nWrite it .*ssh-keygen -p -Z aes256-ctr/,
    );
  });

  test('an authenticated cipher is opened, and a wrong passphrase is called that', async () => {
    const text = encrypted('aes256-gcm@openssh.com');
    await readPrivateKey(text, PASSPHRASE);
    assert.match(await refusal(text, 'wrong'), /ssh-passphrase does not open it/);
  });

  test('a passphrase with blanks around it opens its key', async () => {
    const text = encrypted('aes256-ctr', ' two words ');
    await readPrivateKey(text, ' two words ');
    assert.match(await refusal(text, 'two words'), /does not open it/);
  });
});

async function refusal(text: string, passphrase?: string): Promise<string> {
  try {
    await readPrivateKey(text, passphrase);
  } catch (error) {
    const [problem] = problemsOf(error);
    assert.match(problem!.message, /^ssh-private-key /);
    const secret = text.split('\n').find((line) => line.length > 16 && !line.startsWith('-----'));
    if (secret) assert.ok(!problem!.message.includes(secret), 'the key is in the message');
    return `${problem!.message}\n${problem!.next}`;
  }
  return assert.fail('the key was taken');
}

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHmac, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { labelMeans } from '../../src/inputs/checks/fingerprints.js';
import { fingerprintOf, makeKeyPair } from '../servers/sshd.js';
import { accepted, type Inputs, refused, SSH } from './parsed.js';

const KEY = makeKeyPair().public;
const PRINT = fingerprintOf(KEY);
const OTHER = fingerprintOf(makeKeyPair().public);
const ONE: Inputs = { ...SSH, 'ssh-host': 'deploy@a.example' };
const TWO: Inputs = { ...SSH, 'ssh-host': 'a.example\nb.example:2222' };
const JUMP: Inputs = { ...ONE, 'ssh-jump': 'ops@bastion.example' };
const printsOf = (inputs: Inputs): readonly string[] => accepted(inputs).vps!.ssh.fingerprints;

/** What ssh-keygen -l prints for a key with this comment. */
function printed(comment: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'muva-print-'));
  try {
    const file = join(folder, 'key.pub');
    writeFileSync(file, `${KEY} ${comment}\n`);
    return execFileSync('ssh-keygen', ['-lf', file], { encoding: 'utf8' }).trim();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describe('row 79: ssh-fingerprint is judged before anything is connected to', () => {
  test('what ssh-keygen prints is taken as it is', () => {
    for (const comment of ['', 'root@vps', 'two words'])
      assert.deepEqual(printsOf({ ...ONE, 'ssh-fingerprint': printed(comment) }), [PRINT], comment);
    const several = `${printed('a.example')}\n${printed('[b.example]:2222')}`;
    assert.deepEqual(printsOf({ ...TWO, 'ssh-fingerprint': several }), [
      `a.example ${PRINT}`,
      `[b.example]:2222 ${PRINT}`,
    ]);
    assert.deepEqual(printsOf({ ...ONE, 'ssh-fingerprint': `a.example ${printed('x')}` }), [
      `a.example ${PRINT}`,
    ]);
  });

  test('a label may be written as in ssh-host', () => {
    const address = { host: 'B.example', port: 2222 };
    for (const label of [
      'b.example',
      'deploy@b.example',
      'b.example:2222',
      '[b.example]:2222',
      'x@b.example:2222',
    ])
      assert.equal(labelMeans(label, address), true, label);
    for (const label of ['b.example:22', 'c.example', '[b.example]:22', 'b.example.org', ''])
      assert.equal(labelMeans(label, address), false, label);
    const six = { host: '2001:db8::1', port: 22 };
    for (const label of ['2001:db8::1', '[2001:DB8::1]', '[2001:db8::1]:22', 'deploy@[2001:db8::1]'])
      assert.equal(labelMeans(label, six), true, label);
    assert.deepEqual(printsOf({ ...ONE, 'ssh-fingerprint': `deploy@a.example ${PRINT}` }), [
      `deploy@a.example ${PRINT}`,
    ]);
  });

  const WRONG: [title: string, inputs: Inputs, entries: string, said: RegExp][] = [
    ['no label, two hosts', TWO, PRINT, /entry 1 does not say which server it is for, and there are 2/],
    ['no label, a jump host', JUMP, PRINT, /does not say which server/],
    [
      'a label with a typo',
      ONE,
      `a.exmaple ${PRINT}`,
      /the server has no fingerprint, and the host in entry 1/,
    ],
    [
      'one of two with a typo',
      TWO,
      `a.example ${PRINT}\nb.exmaple ${OTHER}`,
      /host 2 has no fingerprint, and the host in entry 2/,
    ],
    ['one of two without any', TWO, `a.example ${PRINT}`, /has none for host 2/],
    ['a jump host without any', JUMP, `a.example ${PRINT}`, /has none for the jump host/],
    ['two on one line', ONE, `${PRINT} ${OTHER}`, /entry 1 holds two fingerprints/],
    ['a cut one', ONE, PRINT.slice(0, 30), /not a whole fingerprint/],
    ['one that is too long', ONE, `${PRINT}abc`, /not a whole fingerprint/],
    ['a public key', ONE, KEY, /is a public key, not its fingerprint/],
    ['a line of known_hosts', ONE, `a.example ${KEY}`, /belongs into ssh-known-hosts/],
    ['MD5', ONE, 'MD5:16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48', /is an MD5 fingerprint.*-E sha256/],
    ['too many words', ONE, `my server ${PRINT}`, /more than a host in front/],
  ];
  for (const [title, inputs, entries, said] of WRONG)
    test(`${title} is refused, and no host is named`, () => {
      refused({ ...inputs, 'ssh-fingerprint': entries }, 'ssh-fingerprint', said, {}, [
        'exmaple',
        'my server',
      ]);
    });

  test('an entry for a server of another job is no fault where every server here has its own', () => {
    const shared = `a.example ${PRINT}\nother.example ${OTHER}`;
    assert.equal(printsOf({ ...ONE, 'ssh-fingerprint': shared }).length, 2);
    const known = `a.example ${KEY}\n[b.example]:2222 ${KEY}`;
    accepted({ ...TWO, 'ssh-known-hosts': known, 'ssh-fingerprint': PRINT });
  });
});

describe('row 79: ssh-known-hosts is judged before anything is connected to', () => {
  const known = (text: string, inputs: Inputs = ONE): Inputs => ({
    ...inputs,
    'ssh-fingerprint': '',
    'ssh-known-hosts': text,
  });

  test('lines are read with quotes around them and with line breaks written as \\n', () => {
    const lines = `# a comment\\na.example ${KEY}\\n[b.example]:2222 ${KEY}\\n`;
    for (const text of [
      lines,
      `"${lines}"`,
      lines.replaceAll('\\n', '\r\n'),
      lines.replaceAll('\\n', '\\r\\n'),
    ])
      assert.match(accepted(known(text, TWO)).vps!.ssh.knownHosts!, /^a\.example ssh-ed25519 \S+\r?$/m);
  });

  test('hashed names and patterns count', () => {
    const salt = randomBytes(20);
    const hash = createHmac('sha1', salt).update('a.example').digest('base64');
    accepted(known(`|1|${salt.toString('base64')}|${hash} ${KEY}`));
    accepted(known(`*.example ${KEY}`));
  });

  const WRONG: [title: string, text: string, inputs: Inputs, said: RegExp][] = [
    ['a bare .pub line', `${KEY} me@home`, ONE, /is a public key without the name of its host/],
    ['only comments', '# a.example:22 SSH-2.0-OpenSSH', ONE, /no line that can be read/],
    ['a broken key', 'a.example ssh-ed25519 AAAA', ONE, /no line that can be read/],
    ['another host', `b.example ${KEY}`, ONE, /has no line for the server/],
    ['one of two hosts', `a.example ${KEY}`, TWO, /has no line for host 2/],
    ['no jump host', `a.example ${KEY}`, JUMP, /has no line for the jump host/],
    ['an authority', `@cert-authority * ${KEY}`, ONE, /only @cert-authority lines for the server/],
  ];
  for (const [title, text, inputs, said] of WRONG)
    test(`${title}: refused`, () => refused(known(text, inputs), 'ssh-known-hosts', said));

  test('each server may be pinned in its own way', () => {
    accepted({ ...known(`a.example ${KEY}`, JUMP), 'ssh-fingerprint': `bastion.example ${PRINT}` });
  });
});

test('a jump host without a user is told, and which input would give one', () => {
  const given: Inputs = {
    ...ONE,
    'ssh-user': '',
    'ssh-fingerprint': `a.example ${PRINT}\nbastion.example ${OTHER}`,
  };
  refused({ ...given, 'ssh-jump': 'bastion.example' }, 'ssh-user', /ssh-jump names no user/);
  assert.equal(accepted({ ...given, 'ssh-jump': 'ops@bastion.example' }).vps?.ssh.jump?.user, 'ops');
  assert.equal(
    accepted({ ...given, 'ssh-user': 'all', 'ssh-jump': 'bastion.example' }).vps?.ssh.jump?.user,
    'all',
  );
});

test('row 82: a passphrase keeps the blanks around it', () => {
  assert.equal(
    accepted({ ...SSH, 'ssh-passphrase': ' two words ' }).vps?.ssh.passphrase?.reveal(),
    ' two words ',
  );
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { INPUT_NAMES, type InputName, withEnvironment } from '../../src/inputs/input-sources.js';
import { quoteEntryIfSafe, quoteIfSafe } from '../../src/inputs/quote-if-safe.js';
import { secretInputs } from '../../src/inputs/secret-inputs.js';
import { MODES } from '../../src/inputs/settings.js';
import { makeKeyPair } from '../servers/sshd.js';
import { type Inputs, parse, refused, SSH, URL_OK } from './parsed.js';

/** What people paste into the wrong secret, and a piece of each that must not be seen. */
const PASTED: [what: string, value: string, pieces: string[]][] = [
  ['a private key', makeKeyPair().private, []],
  ['a JWT', 'eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoic2VydmljZSJ9.c2lnbmF0dXJlLXBhcnQ', ['eyJhbG', 'c2lnbmF0']],
  ['a URL with a password', 'postgresql://deploy:hunter-two@db.example.com/postgres', ['hunter']],
  ['a token', 'sbp_0123456789abcdef0123456789abcdef01234567', ['sbp_', 'abcdef']],
  ['a made-up password', 'Xk29dkA0sLq2mz8P', ['Xk29']],
  ['a password with special characters', 'tr0ub4dor&3', ['tr0ub']],
  ['a long text', 'lorem '.repeat(60), ['lorem']],
];

describe('row 127: a value of any input in a complaint', () => {
  for (const [what, value, listed] of PASTED)
    test(`${what} pasted anywhere is not repeated`, () => {
      const lines = value.split('\n').filter((line) => line !== '' && !line.startsWith('-----'));
      const pieces = listed.length > 0 ? listed : lines;
      for (const mode of MODES)
        for (const input of INPUT_NAMES) {
          const { problems } = parse({ ...SSH, mode, 'database-url': URL_OK, [input]: value });
          for (const { message, next } of problems) {
            for (const piece of pieces)
              assert.ok(!`${message}${next}`.includes(piece), `${input} in mode ${mode}: ${message}`);
            assert.doesNotMatch(message, /\n/);
            assert.ok(message.length < 200, message);
          }
        }
    });

  test('short and plain ones are quoted, so that a slip of the finger is seen', () => {
    for (const value of ['Migrate', '10min', 'public.hotels', 'api/health', '--force', 'añadir'])
      assert.equal(quoteIfSafe(value), JSON.stringify(value));
    assert.equal(quoteIfSafe('x'.repeat(400)), 'a value of 400 characters');
    assert.equal(quoteEntryIfSafe('a@b', 1), 'entry 2');
  });
});

describe('swapped secrets', () => {
  const key = makeKeyPair().private;
  const print = SSH['ssh-fingerprint']!;

  test('a private key in ssh-fingerprint is one complaint that says where it belongs', () => {
    const { problems } = parse({ ...SSH, 'ssh-fingerprint': key, 'ssh-private-key': print });
    assert.deepEqual(problems.map(({ message }) => message).sort(), [
      'ssh-fingerprint: is a private key, which belongs into ssh-private-key',
      'ssh-private-key: is a fingerprint, which belongs into ssh-fingerprint',
    ]);
  });

  test('a private key is told as one in every input but its own and env-file, and masked', () => {
    for (const input of INPUT_NAMES) {
      if (input === 'ssh-private-key' || input === 'env-file') continue;
      const given: Inputs = { ...SSH, 'database-url': URL_OK, [input]: key };
      const mine = parse(given).problems.filter((problem) => problem.input === input);
      assert.equal(mine.length, 1, input);
      assert.match(mine[0]!.message, /is a private key, which belongs into ssh-private-key/);
      const read = withEnvironment((name: InputName) => (name === input ? key : ''), {});
      assert.ok(
        secretInputs(read).some((value) => value.trim() === key.trim()),
        input,
      );
    }
  });

  test('an entry that is no fingerprint is named by its number', () => {
    refused(
      { ...SSH, 'ssh-fingerprint': `${print}\nhunter2hunter2` },
      'ssh-fingerprint',
      /entry 2 is not a SHA256 fingerprint/,
      {},
      ['hunter2'],
    );
  });
});

describe('what the environment file and our own settings share', () => {
  test('row 127: names that stand in the log are no secrets because a secret is called like them', () => {
    const env = 'AUTH_NAME=guesthouse-web\nAPI_TOKEN=guesthouse\nDB_PASSWORD=s3cr3t-w0rd';
    const given: Inputs = { 'env-file': env, environment: 'guesthouse', 'app-name': 'guesthouse-web' };
    const secrets = secretInputs(withEnvironment((name) => given[name] ?? '', {}));
    assert.deepEqual(secrets, [env, 's3cr3t-w0rd']);
  });
});

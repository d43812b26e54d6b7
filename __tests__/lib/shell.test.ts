import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { commandLine, quote } from '../../src/lib/shell.js';

/** A failing run is repeated with SEED=<number>. */
const seed = Number(process.env.SEED ?? Date.now() % 1_000_000_000);
console.log(`seed ${seed}`);

const SHELLS = ['sh', 'bash'].filter((shell) => spawnSync(shell, ['-c', ':']).status === 0);

/** The words that a real shell makes of a line; the line goes in over stdin, as scripts do. */
function wordsOf(shell: string, words: string): string[] {
  const { stdout, stderr, status } = spawnSync(shell, ['-s'], {
    input: `set -eu\nprintf '%s\\0' ${words}\n`,
    encoding: 'utf8',
    env: { PATH: process.env.PATH, HOME: '/home/secret', LC_ALL: 'C' },
  });
  assert.equal(status, 0, stderr);
  return stdout.split('\0').slice(0, -1);
}

const word = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }).filter((text) => !text.includes('\0')),
  fc
    .array(
      fc.constantFrom(
        "'",
        '"',
        '\\',
        '$',
        '`',
        '$(id)',
        '$HOME',
        ' ',
        '\n',
        '\t',
        ';',
        '&',
        '|',
        '<',
        '>',
        '*',
        '?',
        '[a]',
        '{a,b}',
        '~',
        '#',
        '!',
        '=',
        '-',
        '--',
        '%s',
        '\r',
        'é',
        'a',
      ),
      { minLength: 1, maxLength: 8 },
    )
    .map((pieces) => pieces.join('')),
  fc.constantFrom('', '-', '--', '-rf', '~', '~/x', '=', 'a=b', '#x', '!', '{}', '\\', "'", '\n'),
);

describe('quote', () => {
  for (const shell of SHELLS) {
    test(`row 9: any word comes out of ${shell} as it went in`, () => {
      fc.assert(
        fc.property(fc.array(word, { minLength: 1, maxLength: 60 }), (words) => {
          assert.deepEqual(wordsOf(shell, words.map(quote).join(' ')), words);
        }),
        { seed, numRuns: 60 },
      );
    });

    test(`a command line has exactly its words in ${shell}`, () => {
      fc.assert(
        fc.property(fc.array(word, { minLength: 1, maxLength: 30 }), (words) => {
          assert.deepEqual(wordsOf(shell, commandLine(...words)), words);
        }),
        { seed, numRuns: 40 },
      );
    });
  }

  test('leaves plain words readable', () => {
    assert.equal(
      commandLine('git', '-C', '/var/www/app', 'fetch', '--depth=1'),
      "git -C /var/www/app fetch '--depth=1'",
    );
    assert.equal(quote('it is'), "'it is'");
    assert.equal(quote("it's"), `'it'\\''s'`);
  });

  test('a NUL byte cannot be passed and is refused', () => {
    assert.throws(() => quote('a\0b'), /NUL/);
  });
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { inertLine, inertLines } from '../../src/base/inert.js';
import { COMMANDS, parseCommand } from '../servers/runner-commands.js';

describe('inertLine', () => {
  const cases: [name: string, line: string, expected: string][] = [
    ['plain text stays', 'compiled 12 files: ok :: done', 'compiled 12 files: ok :: done'],
    ['a command at the start', '::set-output name=a::b', ': :set-output name=a::b'],
    ['a command after blanks', '  ::add-mask::hotel', '  : :add-mask::hotel'],
    ['the old syntax anywhere', 'in 3 s ##[set-output name=a]b', 'in 3 s # #[set-output name=a]b'],
    ['colours', '\x1b[31mred\x1b[0m', 'red'],
    ['a hyperlink escape', '\x1b]8;;http://x\x07text\x1b]8;;\x07', 'text'],
    ['NUL and backspace', 'a\0b\bc', 'abc'],
    ['a progress bar', '10%\r50%\r100%\r', '100%'],
    ['tabs stay', 'a\tb', 'a\tb'],
  ];
  for (const [name, line, expected] of cases)
    test(`row 91: ${name}`, () => assert.equal(inertLine(line), expected));

  test('row 91: whatever a program prints, the runner finds no command in it', () => {
    const known = new Set<string>(COMMANDS);
    const piece = fc.oneof(
      fc.constantFrom(
        '::',
        '##[',
        '#',
        '[',
        ']',
        ':',
        ' ',
        '\t',
        '\x1b[0m',
        '\0',
        '\r',
        '\u2028',
        '\x85',
        '\n',
        '\ufeff',
      ),
      fc.constantFrom(...COMMANDS),
      fc.string({ maxLength: 4 }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        for (const line of inertLines(pieces.join('')))
          assert.equal(parseCommand(line, known), undefined, JSON.stringify(line));
      }),
      { numRuns: 2_000 },
    );
  });
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { sanitiser } from '../../src/base/secret.js';
import { teller } from '../../src/base/teller.js';

const SECRET = 'w0rd-of-the-hotel';

/** All that a sink was given for chunks of a program's output. */
function told(chunks: readonly string[], between: () => void = () => {}): string[] {
  const lines: string[] = [];
  const { log, end } = teller(
    {
      line: (text) => lines.push(text),
      debug: () => {},
      openOutput: (source) => lines.push(`> ${source}`),
      outputLine: (text) => lines.push(`| ${text}`),
      closeOutput: () => lines.push('<'),
    },
    sanitiser([SECRET]),
  );
  for (const text of chunks) {
    log({ kind: 'output', source: 'build', text });
    between();
  }
  end();
  return lines;
}

describe('teller', () => {
  test('joins chunks into lines and closes the group', () => {
    assert.deepEqual(told(['a', 'b\nc', '\n', 'last']), ['> build', '| ab', '| c', '| last', '<']);
  });

  test('another source or an entry of our own closes the group', () => {
    const lines: string[] = [];
    const { log, end } = teller(
      {
        line: (text) => lines.push(text),
        debug: () => {},
        openOutput: (source) => lines.push(`> ${source}`),
        outputLine: (text) => lines.push(`| ${text}`),
        closeOutput: () => lines.push('<'),
      },
      (text) => text,
    );
    log({ kind: 'output', source: 'host 1', text: 'one' });
    log({ kind: 'output', source: 'host 2', text: 'two\n' });
    log({ kind: 'line', text: 'ours' });
    end();
    assert.deepEqual(lines, ['> host 1', '| one', '<', '> host 2', '| two', '<', 'ours']);
  });

  test('rows 129 and 133: no cut into chunks, colours or control characters lets a secret through', () => {
    const noise = fc.constantFrom('', '\x1b[31m', '\0', '\x1b[0m', '\x07');
    const secret = fc
      .tuple(fc.integer({ min: 0, max: SECRET.length }), noise)
      .map(([at, between]) => SECRET.slice(0, at) + between + SECRET.slice(at));
    const text = fc
      .array(fc.oneof(secret, fc.constantFrom('\n', ' ', 'x', '\r', ':', '::', '##[')), { maxLength: 8 })
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 9 }), (whole, size) => {
        const chunks = whole.match(new RegExp(`[^]{1,${size}}`, 'g')) ?? [];
        assert.doesNotMatch(told(chunks).join('\n'), /w0rd-of-the-hotel/);
      }),
      { numRuns: 1_000 },
    );
  });

  test('row 90: a line without an end is not kept in memory, and a secret at the cut stays hidden', () => {
    const lines = told([`${'x'.repeat(127_995)}${SECRET.slice(0, 9)}`, `${SECRET.slice(9)} y\n`, 'next\n']);
    assert.ok(lines.length >= 4, String(lines.length));
    assert.doesNotMatch(lines.join(''), /w0rd/);
    assert.match(lines[1]!, / \.\.\. \d+ more characters$/);
    assert.equal(lines.at(-2), '| next');
  });
});

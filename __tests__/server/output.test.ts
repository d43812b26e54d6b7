import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { boundedText } from '../../src/server/ssh/exec.js';
import { exitProblem } from '../../src/server/ssh/exit-status.js';
import { lineReader } from '../../src/server/ssh/line-reader.js';
import { NO_NODE } from '../../src/server/worker-command.js';

describe('row 87: how a program ended has its own text and remedy', () => {
  const ended = { code: null, signal: null, stdout: '', stderr: 'line\nlast words\n' };
  const cases: [
    name: string,
    how: { code?: number; signal?: string },
    message: RegExp,
    next: RegExp | undefined,
  ][] = [
    ['killed', { signal: 'KILL' }, /was killed \(SIGKILL\): line \/ last words/, /out of memory/],
    ['killed inside a shell', { code: 137 }, /was killed \(SIGKILL\)/, /out of memory/],
    ['terminated', { signal: 'TERM' }, /ended by SIGTERM/, undefined],
    ['not found', { code: 127 }, /was not found/, /PATH is short/],
    ['not executable', { code: 126 }, /may not be run/, /PATH is short/],
    ['without Node', { code: NO_NODE }, /no Node 18 or newer/, /Install Node/],
    ['with any other code', { code: 2 }, /exit code 2: line/, undefined],
  ];
  for (const [name, how, message, next] of cases) {
    test(name, () => {
      const problem = exitProblem('host 2', { ...ended, code: how.code ?? null, signal: how.signal ?? null });
      assert.match(problem.message, message);
      assert.match(problem.message, /host 2/);
      if (next) assert.match(problem.next!, next);
      else assert.equal(problem.next, undefined);
    });
  }
});

describe('row 90: output of any length', () => {
  test('what fits is kept whole, in whatever chunks it comes', () => {
    const text = boundedText(10);
    for (const letter of 'abcdefghijklmnopqrst') text.add(Buffer.from(letter));
    assert.equal(text.text(), 'abcdefghijklmnopqrst');
  });

  test('head and tail are kept, and what is missing is counted', () => {
    for (const size of [1, 7, 100, 1_000]) {
      const text = boundedText(10);
      const whole = Buffer.from('x'.repeat(1_000));
      text.add(Buffer.from('beginning.'));
      for (let at = 0; at < whole.length; at += size) text.add(whole.subarray(at, at + size));
      text.add(Buffer.from('the ending'));
      assert.equal(text.text(), 'beginning.\n... 1000 bytes left out ...\nthe ending', String(size));
    }
  });

  test('200 MB without a newline do not pile up in the line reader', () => {
    const lines: string[] = [];
    const read = lineReader((line) => lines.push(line), 1_000);
    const chunk = Buffer.alloc(1024 * 1024, 'x');
    const before = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed;
    for (let count = 0; count < 200; count++) read(chunk);
    const grown = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed - before;
    assert.ok(grown < 100 * 1024 * 1024, String(grown));
    read(Buffer.from('\nshort\n'));
    assert.deepEqual(lines, ['short']);
  });
});

describe('row 91: hostile output', () => {
  test('is cut into lines whatever the chunks, and invalid UTF-8 becomes a replacement character', () => {
    const bytes = Buffer.concat([
      Buffer.from('añb\r\n##[set-output name=x]y\n'),
      Buffer.from([0xff, 0x00, 0x0a]),
      Buffer.from('rest'),
    ]);
    for (let size = 1; size < 8; size++) {
      const lines: string[] = [];
      const read = lineReader((line) => lines.push(line));
      for (let at = 0; at < bytes.length; at += size) read(bytes.subarray(at, at + size));
      assert.deepEqual(lines, ['añb', '##[set-output name=x]y', '\uFFFD\0'], String(size));
    }
  });
});

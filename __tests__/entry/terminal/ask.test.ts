import assert from 'node:assert/strict';
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { describe, test } from 'node:test';
import { withQuestions } from '../../../src/entry/terminal/ask.js';

/** A terminal in raw mode, as Node sees it, with these keys pressed at the first question. */
async function answered(keys: string): Promise<(string | undefined)[]> {
  const input = Object.assign(new PassThrough(), { isTTY: true, setRawMode: () => {} });
  const output = Object.assign(new PassThrough(), { isTTY: true, columns: 80 });
  return withQuestions(input, output, async (ask) => {
    const first = ask('Name: ');
    await once(output, 'readable');
    input.write(keys);
    return [await first, keys === '\r' ? 'not asked' : await ask('Again: ')];
  });
}

describe('questions on a terminal', () => {
  test('a line is the answer', async () => {
    assert.deepEqual(await answered('\r'), ['', 'not asked']);
  });

  for (const [name, key] of [
    ['Ctrl-C', '\x03'],
    ['Ctrl-D', '\x04'],
  ] as const)
    test(`${name} leaves: the question and all after it have no answer`, async () => {
      assert.deepEqual(await answered(key), [undefined, undefined]);
    });
});

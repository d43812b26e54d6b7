import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { sealer, unseal } from '../../src/lib/seal.js';

const KEY = randomBytes(32);
const EVENT = '{"kind":"progress","text":"\\"}\\u2028 ñ"}';

test('row 145: a sealed line is JSON, opens with its key, and with no change to it', () => {
  const seal = sealer(KEY);
  const line = seal.line(EVENT).trim();
  assert.deepEqual(JSON.parse(line).event, JSON.parse(EVENT));
  assert.deepEqual(unseal(KEY, line), { n: 1, event: EVENT });
  assert.equal(unseal(randomBytes(32), line), undefined);
  for (let at = 0; at < line.length; at++) {
    const changed = line.slice(0, at) + (line[at] === '1' ? '2' : '1') + line.slice(at + 1);
    assert.equal(unseal(KEY, changed), undefined, changed);
  }
  for (const other of ['', '{}', EVENT, `${line} `, line.slice(1), line.replace('"n":1', '"n":01')])
    assert.equal(unseal(KEY, other), undefined, other);
});

test('a line counts once it is written, and what stands before it on its line does not touch it', () => {
  const seal = sealer(KEY, 6);
  const lost = seal.line(EVENT);
  const again = seal.line(EVENT);
  assert.equal(again, lost);
  seal.written();
  const [torn, first, , second] = `${lost.slice(1, 40)}${again}${seal.line(EVENT)}`.split('\n');
  assert.equal(unseal(KEY, torn!), undefined);
  assert.deepEqual([unseal(KEY, first!)?.n, unseal(KEY, second!)?.n], [7, 8]);
});

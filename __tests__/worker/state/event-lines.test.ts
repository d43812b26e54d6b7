import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { sealer } from '../../../src/lib/seal.js';
import { eventLines, sealedSoFar } from '../../../src/worker/state/event-lines.js';

const KEY = Buffer.alloc(32, 3);
const folder = mkdtempSync(join(tmpdir(), 'muva-lines-'));
after(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;

function fileOf(text: string): string {
  const file = join(folder, String(++files));
  writeFileSync(file, text);
  return file;
}

describe('the events on the server', () => {
  test('whole lines are given once, each with the byte after it; one that is being written is waited for', () => {
    const file = fileOf('\none\n\ntwö\nthr');
    const events = eventLines(file, 0);
    assert.deepEqual(events.read(), {
      lines: [
        { line: 'one', end: 5 },
        { line: 'twö', end: 11 },
      ],
      more: false,
    });
    assert.deepEqual(events.read(), { lines: [], more: false });
    appendFileSync(file, 'ee\n');
    assert.deepEqual(events.read()?.lines, [{ line: 'three', end: 17 }]);
    assert.deepEqual(eventLines(file, 5).read()?.lines.length, 2);
  });

  test('row 145: a line that is too long is given by its beginning, and the next one whole', () => {
    const file = fileOf(`one\n${'x'.repeat(3_500_000)}`);
    const events = eventLines(file, 0);
    const lines: string[] = [];
    const readAll = (): void => {
      for (let found = events.read(); found !== undefined; found = found.more ? events.read() : undefined)
        for (const { line } of found.lines) {
          assert.ok(line.length <= 100);
          lines.push(line);
        }
    };
    readAll();
    assert.equal(lines.length, 2);
    appendFileSync(file, 'x\ntwo\n');
    readAll();
    assert.deepEqual([lines[0], lines.at(-1)], ['one', 'two']);
    assert.ok(lines.length <= 3, String(lines.length));
  });

  test('row 145: a file that was cut or taken away is told', () => {
    const file = fileOf('one\ntwo\n');
    const events = eventLines(file, 0);
    assert.equal(events.read()?.lines.length, 2);
    truncateSync(file, 3);
    assert.equal(events.read(), undefined);
    rmSync(file);
    assert.equal(events.read(), undefined);
  });

  test('row 145: who takes a run over goes on counting behind the lines that are its own, whoever wrote between', () => {
    const seal = sealer(KEY);
    const line = (event: object): string => {
      const text = seal.line(JSON.stringify(event));
      seal.written();
      return text;
    };
    const lines = [line({ kind: 'started' }), line({ kind: 'progress' })].join('');
    const forged = `{"kind":"ended"}\n${sealer(Buffer.alloc(32, 4), 8).line('{"kind":"ended"}')}`;
    const torn = seal.line('{"kind":"progress"}').slice(0, 50);
    assert.deepEqual(sealedSoFar(fileOf(lines + forged + torn), KEY), { told: 2, ended: false });
    assert.deepEqual(sealedSoFar(fileOf(lines + torn + line({ kind: 'ended' }) + forged), KEY), {
      told: 3,
      ended: true,
    });
    assert.deepEqual(sealedSoFar(fileOf(''), KEY), { told: 0, ended: false });
  });
});

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import type { Problem } from '../../src/lib/report.js';
import { sealer } from '../../src/lib/seal.js';
import { type RunEvents, runEvents, TamperedRecord } from '../../src/server/run-events.js';
import type { WorkerEvent } from '../../src/worker/protocol.js';

const KEY = randomBytes(32);

function reader(): { events: RunEvents; dropped: Problem[] } {
  const dropped: Problem[] = [];
  const events = runEvents({ key: KEY, prefix: 'host 2: ', onDropped: (problem) => dropped.push(problem) });
  return { events, dropped };
}

/** The lines of a worker that tells these events. */
function told(events: unknown[], key = KEY): string[] {
  const seal = sealer(key);
  return events.map((event) => {
    const line = seal.line(JSON.stringify(event)).trim();
    seal.written();
    return line;
  });
}

const progress = (text: string): WorkerEvent => ({ kind: 'progress', text });
const step: WorkerEvent = {
  kind: 'step',
  step: { name: '##[set-output name=a]1', outcome: 'passed', startedAt: 1, milliseconds: 1 },
};
const ended: WorkerEvent = { kind: 'ended', result: { outcome: 'deployed', problems: [], warnings: [] } };

describe('the record of a run', () => {
  test('row 145: forged lines, those of another key and repeated ones are dropped and told once', () => {
    const { events, dropped } = reader();
    const [one, two, three] = told([progress('1'), progress('2'), progress('3')]);
    const strangers = [
      JSON.stringify(ended),
      ...told([ended, step], randomBytes(32)),
      one!.replace('"1"', '"9"'),
      '##[set-output name=a]1',
      'x'.repeat(100),
      one!,
    ];
    const read = [one!, ...strangers, two!, ...strangers, three!].map((line) => events.read(line));
    assert.deepEqual(
      read.filter((event) => event !== undefined),
      [progress('1'), progress('2'), progress('3')],
    );
    assert.equal(dropped.length, 1);
    assert.match(dropped[0]!.message, /^host 2: another program than the worker writes into the record/);
  });

  test('row 145: a line that is missing ends it, as not known', () => {
    const { events } = reader();
    const [one, , three] = told([progress('1'), progress('2'), progress('3')]);
    events.read(one!);
    assert.throws(
      () => events.read(three!),
      (error) =>
        error instanceof TamperedRecord &&
        error.outcome === 'unknown' &&
        /^host 2: the record of the run on the server lacks line 2/.test(error.message),
    );
  });

  test('row 145: 200,000 forged steps cost no memory that stays, and a flood ends it', () => {
    const { events, dropped } = reader();
    const [one] = told([progress('1')]);
    const [forged] = told([step], randomBytes(32));
    globalThis.gc?.();
    const before = process.memoryUsage().heapUsed;
    for (let n = 0; n < 200_000; n++) assert.equal(events.read(forged!), undefined);
    globalThis.gc?.();
    assert.ok(process.memoryUsage().heapUsed - before < 64 * 1_048_576);
    assert.deepEqual(events.read(one!), progress('1'));
    assert.equal(dropped.length, 1);
    const wide = 'x'.repeat(1_000_000);
    assert.throws(() => {
      for (let n = 0; n < 1_000; n++) events.read(wide);
    }, /is flooded/);
  });

  test('row 145: even with the key, what is not understood is dropped, and steps are bounded', () => {
    const { events, dropped } = reader();
    const lines = told([
      { kind: 'ended' },
      { kind: 'eval' },
      ...Array.from({ length: 6_000 }, () => step),
      ended,
    ]);
    const read = lines.flatMap((line) => events.read(line) ?? []);
    assert.equal(read.length, 5_001);
    assert.deepEqual(read.at(-1), ended);
    assert.equal(dropped.length, 2, JSON.stringify(dropped));
    assert.match(dropped[0]!.message, /does not understand \(result is not an object\)/);
  });
});

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { KEY_LENGTH, sealer, unseal } from '../../src/lib/seal.js';
import { freeReserve, holdReserve, withReserve } from '../../src/worker/host/disk-reserve.js';
import { appendLine, writeAtomically } from '../../src/worker/host/files.js';
import type { RunResult, WorkerEvent } from '../../src/worker/protocol.js';
import { openReporter, type Reporter } from '../../src/worker/run/reporter.js';
import { readJournal, writeJournal } from '../../src/worker/state/journal.js';
import type { RunFolder } from '../../src/worker/state/run-folder.js';
import type { StateFolder } from '../../src/worker/state/state-folder.js';
import { type Disk, mountDisk } from '../servers/disk.js';

/** Bytes of one block: less than that is not given out. */
const BLOCK = 4_096;
const run = { id: '1', attempt: 1 };

const KEY = Buffer.alloc(KEY_LENGTH, 7);

describe('writing on a disk that is nearly or quite full', () => {
  let disk: Disk;
  let folder: string;
  before(() => {
    disk = mountDisk(8 * 1_024 ** 2);
  });
  after(() => disk?.stop());
  beforeEach(() => {
    freeReserve();
    disk.free();
    folder = mkdtempSync(join(disk.path, 'folder-'));
  });
  const at = (name: string): string => join(folder, name);
  const stateIn = (path: string): StateFolder =>
    ({ path, journal: join(path, 'journal.jsonl') }) as StateFolder;

  for (const blocks of [0, 1, 3])
    test(`row 137: ${blocks} blocks are left: a file is replaced whole or not at all, and no half one stays`, () => {
      writeAtomically(at('plan.json'), 'old');
      const names = readdirSync(folder);
      disk.fill(blocks * BLOCK);
      assert.throws(() => writeAtomically(at('plan.json'), 'n'.repeat(5 * BLOCK)), { code: 'ENOSPC' });
      assert.equal(readFileSync(at('plan.json'), 'utf8'), 'old');
      assert.deepEqual(readdirSync(folder), names);
    });

  test('row 137: a line is added whole or not at all', () => {
    appendLine(at('journal.jsonl'), 'first');
    disk.fill(2 * BLOCK);
    assert.throws(() => appendLine(at('journal.jsonl'), 'x'.repeat(5 * BLOCK)), { code: 'ENOSPC' });
    assert.equal(readFileSync(at('journal.jsonl'), 'utf8'), 'first\n');
    appendLine(at('journal.jsonl'), 'second');
    assert.equal(readFileSync(at('journal.jsonl'), 'utf8'), 'first\nsecond\n');
  });

  test('row 137: the reserve is really on the disk, and what must be written gets its room', () => {
    const before = disk.left();
    holdReserve(at('reserve'));
    assert.ok(before - disk.left() >= 256 * 1_024, `${before} - ${disk.left()}`);
    const state = stateIn(folder);
    writeJournal(state, run, { event: 'adopted', release: 'a', sha: 'a' });
    disk.fill();
    const detail = 'd'.repeat(3 * BLOCK);
    writeJournal(state, run, { event: 'verified', release: 'b', sha: 'b', detail });
    assert.deepEqual(
      readJournal(state).map(({ event }) => event),
      ['adopted', 'verified'],
    );
    assert.ok(!existsSync(at('reserve')));
    disk.fill();
    assert.throws(() => writeJournal(state, run, { event: 'broken', release: 'c', sha: 'c', detail }), {
      code: 'ENOSPC',
    });
    assert.equal(readJournal(state).length, 2, 'and half a line is not there');
  });

  test('row 137: where there is no room for the reserve nothing of it stays', () => {
    disk.fill(8 * BLOCK);
    assert.throws(() => holdReserve(at('reserve')), /The disk of the server is full: .* 256 KiB/);
    assert.deepEqual(readdirSync(folder), []);
    assert.equal(freeReserve(), false);
    assert.throws(
      () =>
        withReserve(() => {
          throw Object.assign(new Error('no'), { code: 'EDQUOT' });
        }),
      { code: 'EDQUOT' },
    );
  });

  /** What a run tells, and what of it is there. */
  async function told(work: (teller: Reporter) => unknown): Promise<WorkerEvent[]> {
    mkdirSync(at('run'));
    const files = { events: at('run/events'), log: at('run/log') } as RunFolder;
    const teller = openReporter(files, sealer(KEY));
    await work(teller);
    teller.close();
    const text = readFileSync(files.events, 'utf8');
    assert.ok(text === '' || text.endsWith('\n'), 'no half event');
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(unseal(KEY, line)!.event) as WorkerEvent);
  }
  const RESULT: RunResult = { outcome: 'broken', deployedSha: 'a'.repeat(40), problems: [], warnings: [] };

  test('row 137: telling decides nothing: work whose steps, output and warnings cannot be written goes on', async () => {
    const events = await told(async (teller) => {
      teller.progress('before');
      disk.fill();
      const value = await teller.step(
        'build',
        async () => {
          const output = teller.output('build')();
          output.take(`${'o'.repeat(10 * BLOCK)}\n`);
          output.finish();
          const logged = teller.logged();
          logged.take('l'.repeat(10 * BLOCK));
          logged.finish();
          teller.warn({ message: 'w'.repeat(BLOCK) });
          return 'made';
        },
        (made) => made.repeat(BLOCK),
      );
      assert.equal(value, 'made');
      assert.equal(teller.warnings.length, 1);
      disk.free();
      assert.equal(teller.end({ ...RESULT, warnings: teller.warnings }), true);
    });
    const last = events.at(-1)!;
    assert.ok(last.kind === 'ended');
    assert.match(
      last.result.warnings.at(-1)!.message,
      /^\d+ messages of this run could not be written on the server/,
    );
    assert.equal(last.result.warnings.length, 2);
  });

  test('row 137: the end, and what the action waits for, get the room of the reserve; what is only told does not', async () => {
    holdReserve(at('reserve'));
    const events = await told((teller) => {
      disk.fill();
      while (statSync(at('run/events')).size % BLOCK !== 0 || statSync(at('run/events')).size === 0)
        if (!teller.event({ kind: 'progress', text: 'x'.repeat(500) })) break;
      teller.progress('y'.repeat(BLOCK));
      assert.ok(existsSync(at('reserve')));
      assert.equal(teller.event({ kind: 'state', state: 'rehearsed' }), true);
      assert.ok(!existsSync(at('reserve')));
      assert.equal(teller.end(RESULT), true);
    });
    assert.deepEqual(
      events.map(({ kind }) => kind).filter((kind) => kind !== 'progress'),
      ['state', 'ended'],
    );
  });

  test('row 137: an end that has no room is told in short, and else not at all', async () => {
    const problems = Array.from({ length: 50 }, (_, n) => ({
      message: `${n} ${'p'.repeat(BLOCK)}`,
      next: 'n',
    }));
    const events = await told((teller) => {
      disk.fill(BLOCK);
      assert.equal(teller.end({ ...RESULT, problems }), true);
    });
    const [last] = events;
    assert.ok(last?.kind === 'ended');
    assert.deepEqual([last.result.outcome, last.result.deployedSha], ['broken', 'a'.repeat(40)]);
    assert.match(last.result.problems[0]!.message, /^0 ppp/);
    rmSync(at('run'), { recursive: true });
    const none = await told((teller) => {
      disk.fill();
      assert.equal(teller.end({ ...RESULT, problems }), false);
    });
    assert.deepEqual(none, []);
  });
});

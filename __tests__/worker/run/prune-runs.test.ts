import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { KEY_LENGTH } from '../../../src/lib/seal.js';
import { pruneRuns } from '../../../src/worker/run/prune-runs.js';
import { claimRun, markCancelled, runFolderOf } from '../../../src/worker/state/run-folder.js';
import type { StateFolder } from '../../../src/worker/state/state-folder.js';

describe('what runs leave on the server', () => {
  let state: StateFolder;
  beforeEach(() => {
    const path = mkdtempSync(join(tmpdir(), 'muva-runs-'));
    state = { path, runs: join(path, 'runs') } as StateFolder;
    mkdirSync(state.runs);
  });
  afterEach(() => rmSync(state.path, { recursive: true }));

  const here = (): string[] => readdirSync(state.runs).sort();
  /** A run that has ended so many minutes ago. */
  const ended = (name: string, minutes: number, files: string[] = []): void => {
    const folder = join(state.runs, name);
    mkdirSync(folder);
    for (const file of ['events.jsonl', 'output.log', ...files]) writeFileSync(join(folder, file), 'x');
    const at = Date.now() / 1_000 - 60 * minutes;
    utimesSync(join(folder, 'events.jsonl'), at, at);
  };
  const begin = (id: string): void => {
    const run = { id, attempt: 1 };
    pruneRuns(state, runFolderOf(state, run, 'deploy'));
    claimRun(state, run, 'deploy', Buffer.alloc(KEY_LENGTH));
  };

  test('row 137: the newest 20 runs stay, with the one that begins, however the others ended', () => {
    for (let n = 1; n <= 30; n++) ended(`${n}.1.deploy`, n);
    begin('99');
    assert.equal(here().length, 20);
    const kept = Array.from({ length: 19 }, (_, n) => `${n + 1}.1.deploy`);
    assert.deepEqual(here(), [...kept, '99.1.deploy'].sort());
    // Begun again, it is still one of them.
    pruneRuns(state, runFolderOf(state, { id: '99', attempt: 1 }, 'deploy'));
    assert.equal(here().length, 20);
  });

  test('row 138: the mark of a cancelled session stays for workers that are only starting', () => {
    for (let n = 1; n <= 30; n++) ended(`${n}.1.deploy`, n);
    markCancelled(state, { id: '98', attempt: 1, session: 's' });
    begin('99');
    assert.ok(here().includes('98.1.cancelled.s'));
  });

  test('a run that waits or works stays however old it is, and counts', () => {
    begin('1');
    const at = new Date(0);
    utimesSync(join(state.runs, '1.1.deploy/events.jsonl'), at, at);
    for (let n = 2; n <= 25; n++) ended(`${n}.1.deploy`, n);
    begin('99');
    assert.equal(here().length, 20);
    assert.ok(here().includes('1.1.deploy'));
    assert.ok(!here().includes('20.1.deploy') && here().includes('19.1.deploy'));
  });

  test('changes that were taken away stay, and are no run any more; what a killed run held is given back', () => {
    for (let n = 1; n <= 19; n++) ended(`${n}.1.deploy`, n, ['reserve']);
    ended('old.1.deploy', 99, ['local-changes.patch', 'local-changes', 'reserve']);
    begin('99');
    assert.deepEqual(readdirSync(join(state.runs, 'old.1.deploy')).sort(), [
      'local-changes',
      'local-changes.patch',
    ]);
    begin('100');
    assert.deepEqual(readdirSync(join(state.runs, '18.1.deploy')), ['events.jsonl', 'output.log']);
    assert.equal(here().length, 21, 'twenty runs and the changes');
  });
});

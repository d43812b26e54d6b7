import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { backupRoomProblem, lastBackup } from '../../../src/worker/host/backup-room.js';

const MB = 1_048_576;

describe('room for a backup on the server', () => {
  const full = { what: 'full', bytes: 500 * MB } as const;
  test('row 141: the size of the last one counts, and else that of the database', () => {
    assert.equal(backupRoomProblem(full, undefined, 600 * MB), undefined);
    assert.match(backupRoomProblem(full, undefined, 520 * MB)!.message, /the database has 500 MB/);
    assert.equal(backupRoomProblem(full, 100 * MB, 200 * MB), undefined);
    assert.match(backupRoomProblem(full, 100 * MB, 120 * MB)!.message, /the last full backup has 100 MB/);
    assert.equal(backupRoomProblem({ what: 'schema', bytes: 0 }, undefined, 100 * MB), undefined);
  });

  test('the last one is the newest of its kind', () => {
    const folder = mkdtempSync(join(tmpdir(), 'muva-backups-'));
    try {
      assert.equal(lastBackup(join(folder, 'none'), 'full'), undefined);
      writeFileSync(join(folder, '20250101T000000Z-1-full.dump'), 'a');
      writeFileSync(join(folder, '20250102T000000Z-2-full.dump'), 'abc');
      writeFileSync(join(folder, '20250103T000000Z-3-schema.dump'), 'abcdef');
      assert.equal(lastBackup(folder, 'full'), 3);
      assert.equal(lastBackup(folder, 'schema'), 6);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

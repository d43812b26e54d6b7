import { mkdtempSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Failure } from '../../lib/report.js';
import { quote } from '../../lib/shell.js';

/**
 * A new folder that only this user can enter, for what is deleted again at once. @throws a Failure where other users
 * could put one of theirs in its place, and with it what our git would read.
 */
export function scratchFolder(name: string): string {
  const place = tmpdir();
  if ((statSync(place).mode & 0o1002) === 0o002)
    throw new Failure({
      message: `${place} can be written by every user of the server and has no sticky bit.`,
      next: `Run once on the server: sudo chmod +t ${quote(place)}`,
    });
  return mkdtempSync(join(place, `muva-${name}-`));
}

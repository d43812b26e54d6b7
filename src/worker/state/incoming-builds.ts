import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isFolder, removePath } from '../host/files.js';
import type { StateFolder } from './state-folder.js';

/** Packed builds lie here until their deploy has unpacked them; one that was killed leaves its own behind. */
function incomingOf(state: StateFolder): string {
  return join(state.path, 'incoming');
}

/** Milliseconds after which nobody waits for the lock with a build any more. */
const FORGOTTEN = 86_400_000;

/** Deletes packed builds, and parts of them, that no deploy will come for. Those of runs that wait are left alone. */
export function clearIncoming(state: StateFolder, now = Date.now()): void {
  const folder = incomingOf(state);
  if (!isFolder(folder)) return;
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    // One that is being sent gets its name meanwhile.
    const sent = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? now;
    if (now - sent > FORGOTTEN) removePath(path);
  }
}

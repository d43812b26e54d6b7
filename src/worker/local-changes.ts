import { join } from 'node:path';
import { writeAtomically } from './files.js';
import { git } from './git.js';
import type { RunFolder } from './run-folder.js';
import type { Survey } from './survey.js';
import type { Teller } from './teller.js';

/** Keeps tracked files that were changed on the server as a patch beside the run's log, before a reset takes them away. */
export async function keepLocalChanges(found: Survey, folder: RunFolder, teller: Teller): Promise<void> {
  const { length } = found.facts.dirtyFiles;
  if (length === 0 || found.checkout === undefined) return;
  const patch = join(folder.path, 'local-changes.patch');
  writeAtomically(patch, `${await git(found.checkout, 'diff', '--binary', 'HEAD')}\n`);
  teller.warn({
    message: `${length} tracked ${length === 1 ? 'file has' : 'files have'} local changes on the server; kept in ${patch}.`,
    next: `To have them back: git apply ${patch}`,
  });
}

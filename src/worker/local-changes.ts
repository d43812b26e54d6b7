import { join } from 'node:path';
import type { Problem } from '../base/report.js';
import { writeAtomically } from './files.js';
import { git } from './git.js';
import type { DeployRequest } from './protocol.js';
import type { RunFolder } from './run-folder.js';
import type { Survey } from './survey.js';
import type { Teller } from './teller.js';

/** Tracked files that were changed on the server, where they are not to be taken away. */
export function dirtyRefusals(dirty: readonly string[], policy: DeployRequest['dirtyCheckout']): Problem[] {
  if (dirty.length === 0 || policy === 'stash') return [];
  return [
    {
      message: `Tracked files were changed on the server: ${named(dirty)}.`,
      next: 'Commit what is wanted, or undo it there with "git checkout -- <file>"; with dirty-checkout: stash the changes are kept as a patch.',
    },
  ];
}

/** The same where a deploy keeps them as a patch: they will no longer be live. */
export function dirtyWarnings(dirty: readonly string[], policy: DeployRequest['dirtyCheckout']): Problem[] {
  if (dirty.length === 0 || policy !== 'stash') return [];
  return [
    {
      message: `Tracked files were changed on the server: ${named(dirty)}. A deploy takes these changes away and keeps them as a patch.`,
    },
  ];
}

function named(files: readonly string[]): string {
  const more = files.length > 5 ? ` and ${files.length - 5} more` : '';
  return `${files.slice(0, 5).join(', ')}${more}`;
}

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

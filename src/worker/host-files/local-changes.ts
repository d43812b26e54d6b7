import { chmodSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Failure, type Problem } from '../../lib/report.js';
import { quote } from '../../lib/shell.js';
import { shortenList } from '../../lib/shorten-list.js';
import { isSymlink, present, removePath, syncFile, syncFolder } from '../host/files.js';
import { dirtyFiles, type GitRepository, git, gitSays } from '../host/git.js';
import { copyAsItIs, makeFoldersLike } from '../host/permissions.js';
import type { DeployRequest } from '../protocol.js';
import type { History } from '../state/journal.js';
import type { LocalChanges } from '../state/plan.js';
import { readNote, releaseFolder } from '../state/releases.js';
import type { RunFolder } from '../state/run-folder.js';
import type { StateFolder } from '../state/state-folder.js';
import { classifyPath } from './classify.js';
import { isAsRebuilt } from './rebuilt-files.js';
import { isRewritten } from './rewritten-files.js';
import { pathsInCheckout } from './tracking.js';

/** Tracked files that people changed on the server, where they are not to be taken away. */
export function dirtyRefusals(dirty: readonly string[], policy: DeployRequest['dirtyCheckout']): Problem[] {
  const byPeople = dirty.filter((path) => !isRewritten(path));
  if (byPeople.length === 0 || policy === 'stash') return [];
  return [
    {
      message: `Tracked files were changed on the server: ${shortenList(byPeople)}.`,
      next: 'Commit what is wanted, or undo it there with "git checkout -- <file>"; with dirty-checkout: stash the changes are kept as a patch.',
    },
  ];
}

/** The same where a deploy keeps them as a patch: they will no longer be live. */
export function dirtyWarnings(dirty: readonly string[], policy: DeployRequest['dirtyCheckout']): Problem[] {
  const taken = dirty.filter((path) => policy === 'stash' || isRewritten(path));
  if (taken.length === 0) return [];
  return [
    {
      message: `Tracked files were changed on the server: ${shortenList(taken)}. A deploy takes these changes away and keeps them as a patch.`,
    },
  ];
}

/** Tracked files of the live checkout that people changed: those that its own build changed are as they should be. */
export async function changedByPeople({
  checkout,
  state,
  releases,
  history,
  facts,
}: {
  checkout?: GitRepository;
  state: StateFolder;
  releases: string;
  history: Pick<History, 'live'>;
  facts: { liveSha?: string };
}): Promise<string[]> {
  if (checkout === undefined) return [];
  const dirty = await dirtyFiles(checkout);
  const { live } = history;
  if (live === undefined || live.sha !== facts.liveSha) return dirty;
  const rebuilt = new Set(readNote(state, live.release)?.rebuilt);
  const folder = releaseFolder(releases, live.release);
  const isAsMade = (path: string): boolean => rebuilt.has(path) && isAsRebuilt(folder, checkout.folder, path);
  const found = { tracked: new Set(dirty), changed: new Set(dirty), isAsMade };
  return dirty.filter((path) => classifyPath(path, found) === 'people');
}

/** Lets git know files that lie untracked where the next commit has them too; they are not written to. */
export async function trackAsTheyAre(checkout: GitRepository, paths: readonly string[]): Promise<void> {
  if (paths.length > 0) await git(checkout, 'add', '-f', '--', ...paths.map(literalPath));
}

/** In the folder of a run: the patch, and the files themselves. They may be the only copy, so they outlive the rest. */
export const PATCH = 'local-changes.patch';
export const COPIES = 'local-changes';

/**
 * Keeps tracked files that were changed on the server before git takes the changes away: as a patch beside the run's
 * log, which is proven to hold them, and as they are, because filters of git may leave things out of what it compares.
 * undefined where there are none. @throws a Failure where they cannot be kept; nothing was changed.
 */
export async function keepLocalChanges(
  checkout: GitRepository,
  paths: readonly string[],
  { path: folder }: RunFolder,
): Promise<LocalChanges | undefined> {
  if (paths.length === 0) return undefined;
  refuseStandIns(checkout, paths);
  const only = ['--', ...paths.map(literalPath)];
  const patch = join(folder, PATCH);
  await writePatch(checkout, patch, only);
  if (!(await gitSays(checkout, 'apply', '--check', '-R', '--whitespace=nowarn', '-p1', patch)))
    throw new Failure({
      message: `The local changes on the server (${shortenList(paths)}) cannot be kept as a patch: it does not fit what lies there.`,
      next: 'Commit what is wanted, or undo it there with "git checkout -- <file>".',
    });
  const copies = join(folder, COPIES);
  removePath(copies);
  for (const path of paths.filter((path) => present(join(checkout.folder, path)))) {
    await makeFoldersLike(checkout.tools, checkout.folder, copies, path);
    await copyAsItIs(checkout.tools, join(checkout.folder, path), join(copies, path));
    if (!isSymlink(join(copies, path))) syncFile(join(copies, path));
  }
  const added = await git(
    checkout,
    'diff',
    '--name-only',
    '--no-renames',
    '--diff-filter=A',
    '-z',
    'HEAD',
    ...only,
  );
  return { patch, copies, paths: [...paths], added: added.split('\0').filter(Boolean) };
}

/** A folder in the place of a tracked file, or a symlink in that of its folder: git would take it away, with all in it. */
function refuseStandIns({ folder }: GitRepository, paths: readonly string[]): void {
  const lies = pathsInCheckout(folder);
  const standIns = paths
    .map(lies)
    .filter((lying, index) => lying !== undefined && (lying.path !== paths[index] || !lying.isFile));
  if (standIns.length === 0) return;
  throw new Failure({
    message: `In the place of tracked files lies something else on the server: ${shortenList(standIns.map((lying) => lying!.path))}.`,
    next: 'Move it away there, or take the files out of git.',
  });
}

/** Whatever settings the host has for diffs: a patch that git applies, byte by byte. */
async function writePatch(checkout: GitRepository, patch: string, only: readonly string[]): Promise<void> {
  const plain = ['--binary', '-U3', '--no-ext-diff', '--no-textconv', '--no-color', '--no-renames'];
  const next = `${patch}.next`;
  const options = [...plain, '--src-prefix=a/', '--dst-prefix=b/', `--output=${next}`];
  await git(checkout, 'diff', ...options, 'HEAD', ...only);
  chmodSync(next, 0o600);
  syncFile(next);
  renameSync(next, patch);
  syncFolder(dirname(patch));
}

const literalPath = (path: string): string => `:(literal)${path}`;

/** Brings local changes back into a checkout that is at their commit. */
export async function bringBackChanges(checkout: GitRepository, changes: LocalChanges): Promise<void> {
  const { copies, paths, added } = changes;
  if (!changesAreThere(changes)) return;
  const { tools, folder } = checkout;
  for (const path of paths) {
    const [kept, live] = [join(copies, path), join(folder, path)];
    if (!present(kept)) {
      removePath(live);
      continue;
    }
    await makeFoldersLike(tools, copies, folder, path);
    await copyAsItIs(tools, kept, live);
  }
  // Only what git knows it takes away again with the version.
  await trackAsTheyAre(checkout, added);
}

/** False where somebody has deleted or moved what was kept. */
export function changesAreThere({ patch }: LocalChanges): boolean {
  return present(patch);
}

/** What a person is told of changes that are taken away. */
export function keptWords({ patch, paths: { length: count } }: LocalChanges): Problem {
  return {
    message: `${count} tracked ${count === 1 ? 'file has' : 'files have'} local changes on the server; kept in ${patch}.`,
    next: `To have them back: git apply ${quote(patch)}`,
  };
}

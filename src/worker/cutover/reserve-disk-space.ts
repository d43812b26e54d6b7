import { lstatSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { holdReserve } from '../host/disk-reserve.js';
import { changedBytes, type GitRepository, git } from '../host/git.js';
import type { Toolbox } from '../host/toolbox.js';
import type { Plan, ReleaseExtras } from '../state/plan.js';
import type { RunFolder } from '../state/run-folder.js';

/** Bytes for what is small: references, git's log of them, REVISION, folders. */
const SMALL_THINGS = 64 * 1_024;

/**
 * Holds the room that git needs to turn the checkout of a plan, on the way there or back: a disk that runs full in
 * between must not leave it between two commits. @throws a Failure where there is not so much; nothing was changed.
 */
export async function reserveForTurn(
  tools: Toolbox,
  { checkout }: Plan,
  folder: Pick<RunFolder, 'reserve'>,
): Promise<void> {
  if (checkout === undefined) return;
  const { fromSha, toSha, from, to } = checkout;
  const repository: GitRepository = { tools, folder: checkout.folder };
  const changed = await changedBytes(repository, fromSha, toSha);
  const index = sizeOf(resolve(checkout.folder, await git(repository, 'rev-parse', '--git-path', 'index')));
  const beside = Math.max(bytesBeside(checkout.folder, from), bytesBeside(checkout.folder, to));
  // The index is written anew beside the old one, also when files are taken out of it before.
  holdReserve(join(folder.reserve, 'turn'), changed + 2 * index + 2 * beside + SMALL_THINGS);
}

/** What a version has beside its commit is copied: files of the host away and back, changed ones over git's. */
function bytesBeside(live: string, { rebuilt, host, changes }: ReleaseExtras): number {
  const places = [
    ...rebuilt.paths.map((path) => join(rebuilt.folder, path)),
    ...host.map((path) => join(live, path)),
    ...(changes?.paths.map((path) => join(changes.copies, path)) ?? []),
  ];
  return places.reduce((sum, place) => sum + sizeOf(place), 0);
}

function sizeOf(path: string): number {
  return lstatSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

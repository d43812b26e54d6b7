import { join } from 'node:path';
import { isCommitted } from '../host/compare-files.js';
import { type GitRepository, trackedPaths } from '../host/git.js';
import type { CommittedFile } from '../protocol.js';
import { isRewritten } from './rewritten-files.js';
import { judgeTracking, pathsInCheckout, type Tracking } from './tracking.js';

/** Files that a commit brings and that lie in the live checkout already, without git looking after them. */

type Collisions = Pick<Tracking, 'inTheWay' | 'hostTo' | 'takenOver'>;

/** Paths that must not be overwritten. What a package manager wrote is kept as a patch. Pure. */
export function inTheWayOf(found: Collisions | undefined): string[] {
  return [...(found?.inTheWay ?? []), ...(found?.hostTo ?? [])].filter((path) => !isRewritten(path));
}

/**
 * What a commit that the host does not have would meet in its live checkout, by the names and hashes of the files. Reads
 * only. `files`: those that the commit adds, or all of its files; what git looks after already is left out.
 */
export async function foreseeCollisions(
  checkout: GitRepository,
  files: readonly CommittedFile[],
): Promise<Collisions> {
  const tracked = new Set(await trackedPaths(checkout));
  const lies = pathsInCheckout(checkout.folder);
  const added = files.filter(({ path }) => {
    const lying = lies(path);
    return lying !== undefined && !tracked.has(path) && !tracked.has(lying.path);
  });
  const byPath = new Map(added.map((file) => [file.path, file]));
  return judgeTracking({
    removed: [],
    added: [...byPath.keys()],
    lies,
    same: (path) => isCommitted(join(checkout.folder, path), byPath.get(path)),
    takenBefore: [],
    // Whoever it belongs to, it would be overwritten.
    ignored: () => false,
    shared: [],
    swapped: [],
  });
}

import { lstatSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { isCommitted } from '../host/compare-files.js';
import { changedPaths, filesOfCommit, type GitRepository, ignoredPaths } from '../host/git.js';
import type { CommittedFile } from '../protocol.js';
import { classifyPath } from './classify.js';
import { foldersAbove, isWithinAny } from './paths.js';

/**
 * Files that one of two commits tracks and the other leaves to the host: an environment file or an upload that was
 * taken out of git. When git turns a checkout from one to the other it deletes or overwrites them, whatever they hold.
 */
export interface TrackingQuestion {
  /** Paths that the commit which is left tracks, and the other does not; and the other way round. */
  removed: readonly string[];
  added: readonly string[];
  /** What of the checkout lies at a path, or in the place of a folder above it. */
  lies(path: string): CheckoutPaths | undefined;
  /** The regular file at a path is, byte for byte and executable or not, as the other commit has it. */
  same(path: string): boolean;
  /** Files of people that the commit which is left took over as they were. */
  takenBefore: readonly string[];
  /** git ignores the path in the commit that does not track it. */
  ignored(path: string): boolean;
  shared: readonly string[];
  /** What changes place at the cutover as a whole. */
  swapped: readonly string[];
}

interface CheckoutPaths {
  path: string;
  isFile: boolean;
}

export interface Tracking {
  /** What git must not delete. */
  untrack: string[];
  /** Files of the host that the left commit tracks, and that the other one does: they stay as they are. */
  hostFrom: string[];
  hostTo: string[];
  /** Files of people that are as the other commit has them: git looks after them from then on, and every way back leaves them. */
  takenOver: string[];
  /** What git would overwrite, and of which nothing says that it is the host's. */
  inTheWay: string[];
}

/** What of a checkout belongs to the host on one side of a change of commits, and to git on the other. */
export function judgeTracking(question: TrackingQuestion): Tracking {
  const { removed, added, lies, same, takenBefore, ignored, shared, swapped } = question;
  const moves = (path: string): boolean => isWithinAny(path, swapped);
  const ofHost = (path: string): boolean => {
    const lying = lies(path);
    if (lying?.path !== path || !lying.isFile) return false;
    const owner = classifyPath(path, { sharedPaths: shared });
    return owner !== 'deploy' && (ignored(path) || owner === 'shared' || owner === 'env-like');
  };
  // Where a commit makes a folder of what was a file, the file is its own.
  const gone = new Set(removed);
  const arriving = added.filter(
    (path) => path !== 'REVISION' && !moves(path) && !foldersAbove(path).some((above) => gone.has(above)),
  );
  const takenOver = arriving.filter((path) => lies(path)?.path === path && same(path));
  const hostTo = arriving.filter((path) => !takenOver.includes(path) && ofHost(path));
  const theirs = new Set(takenBefore);
  const kept = removed.filter((path) => ofHost(path) || (theirs.has(path) && lies(path)?.path === path));
  return {
    untrack: [...new Set([...kept, ...removed.filter(moves), ...hostTo, ...takenOver])],
    hostFrom: kept.filter((path) => !moves(path)),
    hostTo,
    takenOver,
    inTheWay: [
      ...new Set(
        arriving
          .filter((path) => !hostTo.includes(path) && !takenOver.includes(path))
          .flatMap((path) => lies(path)?.path ?? []),
      ),
    ],
  };
}

/** What lies in a checkout, without following a symlink: git replaces one that is in the place of a folder. */
export function pathsInCheckout(folder: string): TrackingQuestion['lies'] {
  const look = (path: string): Stats | undefined => {
    try {
      return lstatSync(join(folder, path));
    } catch {
      return undefined;
    }
  };
  return (path) => {
    for (const above of foldersAbove(path)) {
      const stats = look(above);
      if (stats === undefined) return undefined;
      if (!stats.isDirectory()) return { path: above, isFile: true };
    }
    const stats = look(path);
    return stats && { path, isFile: !stats.isDirectory() };
  };
}

export interface Turn {
  from: string;
  to: string;
  shared: readonly string[];
  swapped: readonly string[];
  takenBefore: readonly string[];
  /** A checkout of the commit `to`, for its ignore rules. */
  rules?: GitRepository;
}

/** Looks at a live checkout that is to be turned to another commit. */
export async function lookAtTracking(checkout: GitRepository, turn: Turn): Promise<Tracking> {
  const { from, to, shared, swapped, takenBefore, rules } = turn;
  const removed = await changedPaths(checkout, 'D', from, to);
  const added = await changedPaths(checkout, 'A', from, to);
  const lies = pathsInCheckout(checkout.folder);
  const isThere = (path: string): boolean => lies(path)?.path === path;
  const ignored = new Set([
    ...(await ignoredPaths(rules ?? checkout, removed.filter(isThere))),
    ...(await ignoredPaths(checkout, added.filter(isThere))),
  ]);
  const blobs = added.some(isThere) ? await filesOfCommit(checkout, to) : new Map<string, CommittedFile>();
  return judgeTracking({
    removed,
    added,
    lies,
    same: (path) => isCommitted(join(checkout.folder, path), blobs.get(path)),
    takenBefore,
    ignored: (path) => ignored.has(path),
    shared,
    swapped,
  });
}

import {
  chmodSync,
  copyFileSync,
  lstatSync,
  mkdirSync,
  readlinkSync,
  renameSync,
  symlinkSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { sameContent } from '../host/compare-files.js';
import { isFolder, isSymlink, present, removePath } from '../host/files.js';
import { changedFiles, type GitRepository } from '../host/git.js';
import { classifyPath } from './classify.js';

/**
 * Tracked files that a build changes: a service worker, an output that was committed by mistake. The new version was
 * rehearsed with them as they are after its build, so it goes live with them; git would bring the committed ones.
 */

/**
 * Which files that are in a stage after its build. Folders are other repositories, and stay as committed; shared paths
 * are the server's.
 */
export async function rebuiltFiles(stage: GitRepository, sharedPaths: readonly string[]): Promise<string[]> {
  const changed = await changedFiles(stage);
  const isFile = (path: string): boolean =>
    isSymlink(join(stage.folder, path)) || !isFolder(join(stage.folder, path));
  return changed.filter((path) => {
    const owner = classifyPath(path, { sharedPaths });
    return owner !== 'deploy' && owner !== 'shared' && isFile(path);
  });
}

/** Brings files of a release into the checkout as they are there; what it does not have is removed. */
export function layOver(release: string, checkout: string, paths: readonly string[]): void {
  for (const path of paths) {
    const [made, live] = [join(release, path), join(checkout, path)];
    if (!present(made)) removePath(live);
    else if (!sameContent(made, live)) copyAtomically(made, live);
  }
}

/** True where a file of the checkout is as the release has it. */
export function isAsRebuilt(release: string, checkout: string, path: string): boolean {
  const [made, live] = [join(release, path), join(checkout, path)];
  return present(made) ? sameContent(made, live) : !present(live);
}

/** Copies a file or symlink so that a reader sees the old content or the new, never a part. */
function copyAtomically(from: string, to: string): void {
  const next = `${to}.${process.pid}.next`;
  mkdirSync(dirname(to), { recursive: true });
  removePath(next);
  if (isSymlink(from)) symlinkSync(readlinkSync(from), next);
  else {
    copyFileSync(from, next);
    chmodSync(next, lstatSync(from).mode & 0o7777);
  }
  renameSync(next, to);
}

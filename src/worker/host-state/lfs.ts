import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import type { Problem } from '../../lib/report.js';
import { shortenList } from '../../lib/shorten-list.js';
import { type GitRepository, git, setting } from '../host/git.js';

/**
 * Git LFS keeps the content of large files elsewhere; where its filter is not set up, git checks out a few lines that
 * point to it, and every image and font of the version would be such a text.
 */

const POINTER = 'version https://git-lfs.github.com/spec/';

const NOT_SET_UP: Problem = {
  message: 'The commit keeps files in Git LFS, and git-lfs is not set up on the server',
  next: 'Once on the server, as the user who deploys: install git-lfs (apt-get install git-lfs), then git lfs install.',
};

/**
 * What stands against a commit of which it is known (`commit`), or expected from what is live, that it has files in Git
 * LFS. `from`: the live checkout, or any folder, whose settings of git hold for the stage too.
 */
export async function judgeLfs(
  from: GitRepository,
  live: GitRepository | undefined,
  commit: boolean | undefined,
): Promise<Problem[]> {
  const uses = commit ?? (live !== undefined && (await lfsFiles(live)).length > 0);
  return uses && !(await isSetUp(from)) ? [NOT_SET_UP] : [];
}

/** What of a stage are pointers in place of files: no version must go live so. */
export async function pointersIn(stage: GitRepository): Promise<Problem | undefined> {
  const pointers = (await lfsFiles(stage)).filter((path) => isPointer(join(stage.folder, path)));
  if (pointers.length === 0) return undefined;
  if (!(await isSetUp(stage)))
    return { ...NOT_SET_UP, message: `${NOT_SET_UP.message}: ${shortenList(pointers)}.` };
  return {
    message: `git-lfs left pointers in place of files: ${shortenList(pointers)}.`,
    next: 'Look on the server whether GIT_LFS_SKIP_SMUDGE or lfs.fetchexclude leaves them out: git lfs env.',
  };
}

/** The tracked files that a checkout has in Git LFS. */
async function lfsFiles(checkout: GitRepository): Promise<string[]> {
  return (await git(checkout, 'ls-files', '-z', '--', ':(attr:filter=lfs)')).split('\0').filter(Boolean);
}

async function isSetUp(from: GitRepository): Promise<boolean> {
  return (
    ((await setting(from, 'filter.lfs.process')) ?? (await setting(from, 'filter.lfs.smudge'))) !== undefined
  );
}

function isPointer(path: string): boolean {
  const start = Buffer.alloc(POINTER.length);
  try {
    const file = openSync(path, 'r');
    try {
      return readSync(file, start, 0, start.length, 0) === start.length && start.toString() === POINTER;
    } finally {
      closeSync(file);
    }
  } catch {
    // Not checked out, as in a sparse checkout: then it is no pointer either.
    return false;
  }
}

import { existsSync, lstatSync, realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { formatDuration } from '../../lib/duration.js';
import { Failure } from '../../lib/report.js';
import { pause } from '../../lib/retry.js';
import { removePath } from './files.js';
import { type GitRepository, git } from './git.js';
import { ownerOf } from './owner.js';
import { allProcesses, cwdOf, holdsOpen, isAlive, processName } from './processes.js';

/** Milliseconds that a git command of somebody else may take; then we give up. */
const LONGEST = 30_000;
/** Milliseconds between two looks at the lock. */
const BETWEEN_LOOKS = 200;

export interface LockFacts {
  /** Programs that may hold it. */
  holders: readonly number[];
  /** It was made by the user that we are. */
  own: boolean;
  /** Programs of other users can be seen on this host. */
  othersSeen: boolean;
}

/** True where nobody who is at work can have made the lock. Pure. */
export function isStale({ holders, own, othersSeen }: LockFacts): boolean {
  return holders.length === 0 && (own || othersSeen);
}

/**
 * Makes sure that git may write the index of a checkout. The lock that a killed git left is deleted; the one of a git
 * command that is at work (a person's commit, with its editor open) is waited for, `wait` milliseconds at most.
 * @throws a Failure that names who is at work; Cancelled where the signal fires.
 */
export async function freeIndex(
  checkout: GitRepository,
  signal?: AbortSignal,
  wait = LONGEST,
): Promise<void> {
  const index = resolve(checkout.folder, await git(checkout, 'rev-parse', '--git-path', 'index'));
  const lock = `${join(realpathSync(dirname(index)), basename(index))}.lock`;
  const end = performance.now() + wait;
  for (;;) {
    const before = markOf(lock);
    if (before === undefined) return;
    const facts = lookAt(lock, checkout.folder, before.uid);
    // Made by somebody who ended while we looked, or made anew: then what was seen is not about this one.
    if (isStale(facts) && markOf(lock)?.mark === before.mark) return removePath(lock);
    if (performance.now() > end) throw busy(checkout.folder, lock, facts.holders, wait);
    await pause(BETWEEN_LOOKS, signal);
  }
}

/** What tells one lock file from the next of the same name; undefined where there is none. */
function markOf(lock: string): { mark: string; uid: number } | undefined {
  const found = lstatSync(lock, { throwIfNoEntry: false });
  return found && { mark: `${found.ino}:${found.ctimeMs}`, uid: found.uid };
}

/**
 * A git command keeps the lock while an editor is open, and its descriptor closed; other programs (an IDE) hold it open.
 * Git works in the folder of its checkout, wherever it was called from.
 */
function lookAt(lock: string, folder: string, uid: number): LockFacts {
  const real = realpathSync(folder);
  const worksHere = (pid: number): boolean => {
    const cwd = cwdOf(pid);
    if (cwd !== undefined) return cwd === real || cwd.startsWith(`${real}/`);
    return lstatSync(`/proc/${pid}`, { throwIfNoEntry: false })?.uid === uid;
  };
  return {
    holders: allProcesses().filter(
      (pid) =>
        isAlive(pid, undefined) && (holdsOpen(pid, lock) || (processName(pid) === 'git' && worksHere(pid))),
    ),
    own: uid === process.getuid!(),
    // A host can hide the programs of other users (hidepid); then the first of all is hidden too.
    othersSeen: existsSync('/proc/1/stat'),
  };
}

function busy(folder: string, lock: string, holders: readonly number[], waited: number): Failure {
  const [pid] = holders;
  if (pid === undefined)
    return new Failure({
      message: `${lock} belongs to ${ownerOf(lock)}, whose programs cannot be seen on this server; waited ${formatDuration(waited)} for it to go.`,
      next: 'If no git command is at work there, delete that file on the server; then run the job again.',
    });
  return new Failure({
    message: `A git command is at work in ${folder} (pid ${pid}) and locks its index; waited ${formatDuration(waited)} for it.`,
    next: 'Finish or end that command on the server (a commit whose editor is open, for example), and run the job again.',
  });
}

import { mkdirSync, renameSync, symlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { Failure } from '../../lib/report.js';
import { withReserve } from '../host/disk-reserve.js';
import { isSymlink, present, removePath, syncFolder } from '../host/files.js';
import { readRecord, writeRecord } from '../host/records.js';
import type { ReleaseRef } from './journal.js';
import type { StateFolder } from './state-folder.js';

/**
 * One thing that changes place in a cutover: what lies at `live` moves to `kept`, what lies at `incoming` moves to
 * `live`. Paths are absolute and on one file system. `had`: something lay at `live` before.
 */
export interface Swap {
  live: string;
  incoming: string;
  kept: string;
  had: boolean;
}

/** What a version in a checkout has that its commit does not say. */
export interface ReleaseExtras {
  /** Tracked files as the build changed them, and the folder of the release, where they lie too. */
  rebuilt: { folder: string; paths: string[] };
  /** Files of the host that this commit tracks. */
  host: string[];
  /** Changes that people made on the server. */
  changes?: LocalChanges;
}

/** Tracked files that were changed on the server: a patch that fits the commit, and a folder with the files as they were. */
export interface LocalChanges {
  patch: string;
  copies: string;
  paths: string[];
  /** Those of them that the commit does not have. */
  added: string[];
}

/**
 * What a cutover or rollback is about to change, written before the first change and removed after the last, so
 * that a run that is cut anywhere can be undone or finished by the next one. Every part can be applied and undone
 * again and again: where it stands is read from the disk.
 */
export interface Plan {
  task: 'deploy' | 'rollback';
  run: { id: string; attempt: number; url?: string };
  from?: ReleaseRef;
  to: ReleaseRef;
  swaps: Swap[];
  /** In-place: the checkout whose tracked files follow the commit, and what each version has beside its commit. */
  checkout?: {
    folder: string;
    fromSha: string;
    toSha: string;
    from: ReleaseExtras;
    to: ReleaseExtras;
    /** Files that git must not look after when it turns to another commit: it would delete or overwrite them. */
    untrack: string[];
    /** Untracked files that are as `toSha` has them: git takes them as they are, with their owner and mode. */
    takenOver?: string[];
    /** A folder for files that git would overwrite, while it works. */
    aside: string;
  };
  /** Releases: the symlink that is turned. */
  link?: { path: string; from?: string; to: string };
  /**
   * Shared files that still lie in the live version and move to where all versions see them. `aside`: where goes what
   * is at home already.
   */
  shares?: { live: string; home: string; aside?: string }[];
  /**
   * How the supervisor runs the two versions, where that changes: files of its `keepEntry`. `to` is absent where the new version
   * is started as its commit says.
   */
  entry?: { from: string; to?: string };
  /** Adopt: the checkout becomes a release, and a symlink takes its place. */
  adopt?: { folder: string; release: string };
}

/**
 * A plan whose two versions share a name, or a place, would exchange a version with itself: the new one would be lost,
 * and called live. A rollback to what is in place already moves nothing. @throws a Failure; nothing was changed.
 */
export function refuseOneAndTheSame(plan: Plan): void {
  const { task, from, to, swaps } = plan;
  const oneName = task === 'deploy' && from?.release === to.release;
  const oneFolder = task === 'deploy' && plan.link !== undefined && plan.link.from === plan.link.to;
  const onePlace = swaps.find(({ live, incoming, kept }) => new Set([live, incoming, kept]).size < 3);
  if (!oneName && !oneFolder && onePlace === undefined) return;
  const what = onePlace?.live ?? `the release ${to.release}`;
  throw new Failure({
    message: `The new version and the live one would lie in one place (${what}), and one of them would be lost: nothing was changed.`,
    next: 'Start the workflow again. If it is said again, report it with the journal.jsonl of the deploy folder on the server.',
  });
}

/** @throws a Failure where another version wrote it, and this one cannot read it. */
export function readPlan(folder: StateFolder): Plan | undefined {
  return readRecord<Plan>(folder.plan);
}

export function writePlan(folder: StateFolder, plan: Plan): void {
  withReserve(() => writeRecord(folder.plan, plan));
}

export function dropPlan(folder: StateFolder): void {
  removePath(folder.plan);
  syncFolder(folder.path);
}

/** The version at this end of a plan is run again as it was: what was kept of that is old from now on. */
export function dropKeptEntry({ entry }: Plan, end: 'from' | 'to'): void {
  const kept = entry?.[end];
  if (kept !== undefined) removePath(kept);
}

/** Where one swap stands, from what exists on the disk. */
type SwapState = 'before' | 'between' | 'after';

function swapState(
  swap: Pick<Swap, 'had'>,
  on: { live: boolean; incoming: boolean; kept: boolean },
): SwapState {
  if (!on.incoming) return 'after';
  if (swap.had && !on.live && on.kept) return 'between';
  return 'before';
}

function swapPlaces(swap: Swap): SwapState {
  return swapState(swap, {
    live: present(swap.live),
    incoming: present(swap.incoming),
    kept: present(swap.kept),
  });
}

/** Moves everything to its new place; goes on where an earlier try was cut. */
export function applySwaps(swaps: readonly Swap[]): void {
  for (const swap of swaps) {
    let state = swapPlaces(swap);
    if (state === 'before' && swap.had) {
      mkdirSync(dirname(swap.kept), { recursive: true });
      if (present(swap.kept)) removePath(swap.kept);
      renameSync(swap.live, swap.kept);
      state = 'between';
    }
    if (state === 'after') continue;
    mkdirSync(dirname(swap.live), { recursive: true });
    renameSync(swap.incoming, swap.live);
  }
}

/** Moves everything back to where it was, last first. */
export function undoSwaps(swaps: readonly Swap[]): void {
  for (const swap of [...swaps].reverse()) {
    let state = swapPlaces(swap);
    if (state === 'after') {
      mkdirSync(dirname(swap.incoming), { recursive: true });
      renameSync(swap.live, swap.incoming);
      state = 'between';
    }
    if (state === 'between' && swap.had && present(swap.kept) && !present(swap.live))
      renameSync(swap.kept, swap.live);
  }
}

/** Turns a symlink in one step: readers see the old target or the new one, never none. */
export function turnLink(path: string, target: string): void {
  const next = `${path}.next`;
  removePath(next);
  symlinkSync(target, next);
  renameSync(next, path);
  syncFolder(dirname(path));
}

/** Moves shared files out of the version that had them, and leaves a symlink there; it serves both versions. */
export function applyShares(shares: NonNullable<Plan['shares']>): void {
  for (const { live, home, aside } of shares) {
    if (present(live) && !isSymlink(live)) {
      if (isSymlink(home)) removePath(home);
      if (aside !== undefined && present(home) && !present(aside)) renameSync(home, aside);
      if (!present(home)) {
        mkdirSync(dirname(home), { recursive: true });
        renameSync(live, home);
      }
    }
    linkHome(live, home);
  }
}

/** After a cutover that is taken back: what has moved stays at home, what has not stays in the live version. */
export function completeShares(shares: NonNullable<Plan['shares']>): void {
  for (const { live, home, aside } of shares) {
    if (aside !== undefined && present(live) && !present(home) && present(aside)) renameSync(aside, home);
    linkHome(live, home);
  }
}

function linkHome(live: string, home: string): void {
  if (!present(live) && present(home)) symlinkSync(home, live);
}

/** Moves a checkout into its place among the releases and puts a symlink where it was. */
export function applyAdoption({ folder, release }: NonNullable<Plan['adopt']>): void {
  if (!present(release)) {
    mkdirSync(dirname(release), { recursive: true });
    renameSync(folder, release);
  }
  if (!present(folder)) turnLink(folder, release);
}

import { readdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { isUsualOutput } from '../../lib/build-output-names.js';
import { isFolder, present, removePath } from '../host/files.js';
import { type GitRepository, gitSays } from '../host/git.js';
import { readRecord, writeRecord } from '../host/records.js';
import type { History, ReleaseRef } from './journal.js';
import type { Strategy } from './layout.js';
import type { LocalChanges } from './plan.js';
import { isReleaseName } from './release-name.js';
import type { StateFolder } from './state-folder.js';

/** What a later rollback or pruning must know of a release. */
export interface ReleaseNote {
  sha: string;
  /** No deploy of ours made it: it was live already. */
  found?: true;
  /** What install and build made, and the env file; in-place what of it changed place with the live checkout. */
  paths: string[];
  /** How those of `paths` were that may be something else than output: `stampOf` each. */
  stamps: Record<string, string>;
  /** Tracked files as the build changed them. They lie in the release's folder. */
  rebuilt: string[];
  /** In-place: what was moved into the release's folder when it left. Absent while it has never left. */
  kept?: string[];
  /** In-place: changes that people had made to its tracked files when it left. */
  changes?: LocalChanges;
  /** In-place: files of people that its commit has too, which were there before it. No way back takes them away. */
  takenOver?: string[];
  /** Environment files that the release was built with. */
  envFiles: string[];
  /** Fingerprint of these files as they were built in; absent where the build was not made here. */
  envDigest?: string;
  /** Static files taken over from the release before, not made by this one. */
  carriedChunks: string[];
}

export function releaseFolder(releases: string, release: string): string {
  return join(releases, release);
}

/** The releases of our own that lie in a folder, oldest first. */
export function releaseNames(releases: string): string[] {
  if (!isFolder(releases)) return [];
  return readdirSync(releases).filter(isReleaseName).sort();
}

function noteFile(state: StateFolder, release: string): string {
  return join(state.notes, `${release}.json`);
}

/** Where is kept how the supervisor ran a release, written when the entry was changed as the release left. */
export function entryFile(state: StateFolder, release: string): string {
  return join(state.notes, `${release}.entry`);
}

/**
 * How a release was run when it was live, as far as it was another way than now: kept when it left, or when a later one that
 * was run the same way did. Undefined where no change came after it.
 */
export function entryFileFor(
  state: StateFolder,
  { arrivals }: Pick<History, 'arrivals'>,
  release: string,
): string | undefined {
  const at = arrivals.findLastIndex((arrival) => arrival.release === release);
  const names = at < 0 ? [release] : arrivals.slice(at).map((arrival) => arrival.release);
  return names.map((name) => entryFile(state, name)).find(present);
}

/** The releases of which something is noted. */
export function notedReleases(state: StateFolder): string[] {
  if (!isFolder(state.notes)) return [];
  return readdirSync(state.notes)
    .filter((name) => name.endsWith('.json'))
    .map((name) => name.slice(0, -'.json'.length))
    .sort();
}

/** @throws a Failure where another version wrote it, and this one cannot read it. */
export function readNote(state: StateFolder, release: string): ReleaseNote | undefined {
  return readRecord<ReleaseNote>(noteFile(state, release));
}

export function writeNote(state: StateFolder, release: string, note: ReleaseNote): void {
  writeRecord(noteFile(state, release), note);
}

export function dropNote(state: StateFolder, release: string): void {
  removePath(noteFile(state, release));
  removePath(entryFile(state, release));
}

/**
 * Whether a release that is not live can be put in place without a build: what was built for it must lie in its folder,
 * and not be lost to a build that somebody made by hand in the live checkout. Among releases the folder must hold all
 * of it: what an in-place deploy kept of a version it did not make itself is its output alone.
 */
export function availability({
  state,
  releases,
  strategy,
  live,
}: {
  state: StateFolder;
  releases: string;
  strategy: Strategy;
  live?: string;
}): (release: string) => boolean {
  return (release) => {
    const folder = releaseFolder(releases, release);
    // Whatever its name says: what is live is no rollback target.
    if (live !== undefined && isFolder(folder) && realpathSync(folder) === live) return false;
    const note = readNote(state, release);
    if (note === undefined || !isFolder(folder)) return false;
    const built = strategy === 'in-place' ? note.paths : note.paths.filter(isUsualOutput);
    if (!(note.kept ?? built).every((path) => present(join(folder, path)))) return false;
    return strategy === 'in-place' || present(join(folder, 'REVISION')) || present(join(folder, '.git'));
  };
}

/** The release that a rollback without a name goes to: verified, not bad, and live before the present one. */
export function previousVerified(
  history: History,
  isAvailable: (release: string) => boolean,
): ReleaseRef | undefined {
  const at = history.verified.findIndex(({ release }) => release === history.live?.release);
  const older = at < 0 ? history.verified : history.verified.slice(0, at);
  return [...older]
    .reverse()
    .find(
      ({ release, sha }) =>
        !history.badReleases.has(release) && !history.badShas.has(sha) && isAvailable(release),
    );
}

/** Releases that may be deleted: all but the newest `keep`, the live one, the one before it and the only good one. */
export function prunable(
  releases: readonly string[],
  history: History,
  keep: number,
  isAvailable: (release: string) => boolean,
): string[] {
  const spared = new Set<string>();
  const live = history.live?.release;
  if (live !== undefined) spared.add(live);
  const previous = previousVerified(history, isAvailable);
  if (previous) spared.add(previous.release);
  const verifiedNewestFirst = [...history.verified]
    .reverse()
    .filter(({ release }) => releases.includes(release));
  for (const { release } of verifiedNewestFirst) if (spared.size < keep) spared.add(release);
  return releases.filter((release) => !spared.has(release));
}

/** Deletes a release's folder and what git knows of it as a work tree. */
export async function dropRelease(repository: GitRepository, folder: string): Promise<void> {
  if (present(folder)) removePath(folder);
  await gitSays(repository, 'worktree', 'prune');
}

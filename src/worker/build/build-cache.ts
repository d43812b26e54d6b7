import { mkdirSync, readdirSync, renameSync, rmdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { formatBytes } from '../../lib/bytes.js';
import { Cancelled, messageOf } from '../../lib/report.js';
import { copyTree, sizeOfTree, type TreeSize } from '../host/copy-tree.js';
import { isFolder, isSymlink, present, readText, removePath } from '../host/files.js';
import { freeSpace } from '../host/free-space.js';
import { type GitRepository, trackedPaths } from '../host/git.js';
import { readMark, writeRecord } from '../host/records.js';
import { foldersAbove } from '../host-files/paths.js';
import type { DeployRequest } from '../protocol.js';
import type { Reporter } from '../run/reporter.js';
import type { StateFolder } from '../state/state-folder.js';
import { type CachePlace, cachePlaces } from './cache-places.js';
import { endedByItself } from './ended-by-itself.js';

/**
 * The caches of an application's builds lie in one store, and only there: they are copied into a stage before it is
 * built, and moved out of it afterwards. No release carries them, and nothing in the store is a link to what serves.
 */
interface CacheStore {
  root: string;
  /** What the next build is given, by paths from the root of the project. */
  current: string;
  /** What a build has made, until it takes the place of `current`. */
  next: string;
  record: string;
}

function storeOf(state: Pick<StateFolder, 'path'>): CacheStore {
  const root = join(state.path, 'build-cache');
  return {
    root,
    current: join(root, 'current'),
    next: join(root, 'next'),
    record: join(root, 'store.json'),
  };
}

/** What is remembered of the warm builds since the last build that ended well. */
export interface WarmHistory {
  /** A warm build failed. */
  failed?: boolean;
  /** Warm builds in a row of which nobody knows the end: cancelled, out of time, or killed. */
  unfinished?: number;
}

/** Why the next build gets no caches; undefined where it may have them. Pure. */
export function coldReason({ failed, unfinished = 0 }: WarmHistory): string | undefined {
  if (failed) return 'the last warm build failed';
  return unfinished > 1 ? `the last ${unfinished} warm builds did not end` : undefined;
}

/** What one place holds. */
export interface MeasuredPlace extends TreeSize {
  path: string;
}

/** Bytes of all caches of one application, and what must stay free for the build. */
const MOST_BYTES = 2 * 1_073_741_824;
const LEFT_BYTES = 1_073_741_824;
const LEFT_INODES = 50_000;

/** Which of the caches are kept or brought, the small ones first: they are the ones that cost nothing. Pure. */
export function withinBounds(
  measured: readonly MeasuredPlace[],
  room: { freeBytes: number; freeInodes?: number },
): { taken: MeasuredPlace[]; left: MeasuredPlace[] } {
  let bytes = Math.min(MOST_BYTES, room.freeBytes - LEFT_BYTES);
  let inodes = (room.freeInodes ?? Number.POSITIVE_INFINITY) - LEFT_INODES;
  const taken: MeasuredPlace[] = [];
  const left: MeasuredPlace[] = [];
  for (const place of [...measured].sort((a, b) => a.bytes - b.bytes)) {
    const fits = place.bytes <= bytes && place.entries <= inodes;
    (fits ? taken : left).push(place);
    if (!fits) continue;
    bytes -= place.bytes;
    inodes -= place.entries;
  }
  return { taken, left };
}

export interface BuildCacheOptions {
  state: Pick<StateFolder, 'path'>;
  /** What serves; undefined at a first deploy. */
  live: string | undefined;
  stage: GitRepository;
  request: Pick<DeployRequest, 'buildCache' | 'sharedPaths' | 'buildOutput'>;
  reporter: Pick<Reporter, 'progress'>;
  signal: AbortSignal;
}

/**
 * Runs a build with the caches of the build before it, and keeps those that it leaves: `build` runs the command, `judge`
 * says what it made, after the caches have been taken out of the stage. What becomes of the caches never fails a build.
 * @throws what `build` and `judge` throw
 */
export async function withBuildCache<Made>(
  options: BuildCacheOptions,
  build: () => Promise<void>,
  judge: () => Promise<Made>,
): Promise<Made> {
  const store = storeOf(options.state);
  if (options.request.buildCache === 'off') {
    await unlessItFails(options, () => removePath(store.root));
    await build();
    return judge();
  }
  let places: CachePlace[] = [];
  let warm = false;
  await unlessItFails(options, async () => {
    mkdirSync(store.root, { recursive: true, mode: 0o700 });
    places = await placesIn(options);
    warm = await bring(store, places, options);
  });
  try {
    await build();
    await unlessItFails(options, () => takeOut(store, places, options));
    const made = await judge();
    await unlessItFails(options, () => keep(store));
    return made;
  } catch (error) {
    await unlessItFails(options, async () => {
      if (!warm && endedByItself(error)) {
        await takeOut(store, places, options);
        keep(store);
        return;
      }
      removePath(store.next);
      // Of one that was stopped it is not known whether the caches are to blame.
      if (warm && !(error instanceof Cancelled))
        writeRecord(store.record, { failed: true } satisfies WarmHistory);
    });
    throw error;
  }
}

async function unlessItFails(
  { reporter }: Pick<BuildCacheOptions, 'reporter'>,
  work: () => Promise<void> | void,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (error instanceof Cancelled) throw error;
    reporter.progress(`build caches: ${messageOf(error)}; the build goes on without them`);
  }
}

async function placesIn({ stage, request }: BuildCacheOptions): Promise<CachePlace[]> {
  const tracked = await trackedPaths(stage);
  return cachePlaces({ tracked, ...request, read: (path) => readText(join(stage.folder, path)) });
}

/** Resolves to whether the stage has caches now. */
async function bring(
  store: CacheStore,
  places: readonly CachePlace[],
  { live, stage, reporter, signal }: BuildCacheOptions,
): Promise<boolean> {
  removePath(store.next);
  const known = present(store.record);
  // One that cannot be read tells nothing good of the caches beside it.
  const history = known ? (readMark<WarmHistory>(store.record) ?? { failed: true }) : {};
  const from = known ? store.current : live;
  const cold = coldReason(history);
  if (cold !== undefined) reporter.progress(`cold: ${cold}`);
  if (cold !== undefined || from === undefined) return false;
  const { taken, left } = await chosen(from, places, stage.folder);
  tellLeft(left, reporter);
  const brought = taken.filter(({ path }) => !isBehindLink(stage.folder, path));
  if (brought.length === 0) return false;
  // Before the build: a worker that is killed in it tells nothing any more.
  writeRecord(store.record, { unfinished: (history.unfinished ?? 0) + 1 } satisfies WarmHistory);
  const items = brought
    .flatMap(({ path }) => itemsOf(from, path, places))
    .filter((item) => !present(join(stage.folder, item)));
  try {
    for (const item of items) {
      const to = join(stage.folder, item);
      mkdirSync(dirname(to), { recursive: true });
      await copyTree(join(from, item), to, signal);
    }
  } catch (error) {
    // A part of a cache is none.
    for (const item of items) removePath(join(stage.folder, item));
    throw error;
  }
  reporter.progress(`warm: ${inWords(brought)}`);
  return true;
}

/** Measures the caches that lie in a folder, and says which of them there is room for. */
async function chosen(
  folder: string,
  places: readonly CachePlace[],
  disk: string,
): Promise<{ taken: MeasuredPlace[]; left: MeasuredPlace[] }> {
  const measured: MeasuredPlace[] = [];
  for (const { path } of places) {
    const size: MeasuredPlace = { path, bytes: 0, entries: 0 };
    for (const item of itemsOf(folder, path, places)) {
      const { bytes, entries } = await sizeOfTree(join(folder, item));
      size.bytes += bytes;
      size.entries += entries;
    }
    if (size.entries > 0) measured.push(size);
  }
  return withinBounds(measured, freeSpace(disk));
}

/** What of a place is a cache, by paths from the root: the file itself, or what lies in the folder. */
function itemsOf(folder: string, path: string, places: readonly CachePlace[]): string[] {
  const at = join(folder, path);
  if (!present(at) || isSymlink(at) || isBehindLink(folder, path)) return [];
  if (!isFolder(at)) return [path];
  const except = places.find((place) => place.path === path)?.except ?? [];
  return readdirSync(at)
    .filter((name) => !except.includes(name))
    .map((name) => `${path}/${name}`);
}

/** A folder that is a symlink may lead to what others use too. */
function isBehindLink(folder: string, path: string): boolean {
  return foldersAbove(path).some((above) => isSymlink(join(folder, above)));
}

/** Moves the caches out of the stage, so that no release carries them. What there is no room for is deleted. */
async function takeOut(
  store: CacheStore,
  places: readonly CachePlace[],
  { stage, reporter }: BuildCacheOptions,
): Promise<void> {
  removePath(store.next);
  mkdirSync(store.next, { mode: 0o700 });
  const { taken, left } = await chosen(stage.folder, places, stage.folder);
  for (const { path } of left)
    for (const item of itemsOf(stage.folder, path, places)) removePath(join(stage.folder, item));
  for (const { path } of taken)
    for (const item of itemsOf(stage.folder, path, places)) {
      mkdirSync(dirname(join(store.next, item)), { recursive: true });
      renameSync(join(stage.folder, item), join(store.next, item));
    }
  for (const { path } of [...taken, ...left]) dropEmptyFolder(join(stage.folder, path));
  tellLeft(left, reporter);
}

/** Next.js writes into its own at work, so that one stays. */
function dropEmptyFolder(folder: string): void {
  if (folder.endsWith('/.next/cache') || !isFolder(folder) || readdirSync(folder).length > 0) return;
  rmdirSync(folder);
}

/** What was taken out is what the next build is given. */
function keep(store: CacheStore): void {
  if (!present(store.next)) return;
  // Between the two the store is empty, and the next build cold.
  removePath(store.current);
  renameSync(store.next, store.current);
  writeRecord(store.record, {} satisfies WarmHistory);
}

function inWords(places: readonly MeasuredPlace[]): string {
  return [...places]
    .sort((a, b) => b.bytes - a.bytes)
    .map(({ path, bytes }) => `${path} ${formatBytes(bytes)}`)
    .join(', ');
}

function tellLeft(left: readonly MeasuredPlace[], reporter: Pick<Reporter, 'progress'>): void {
  if (left.length > 0)
    reporter.progress(`build caches left out, for want of room or larger than 2 GB: ${inWords(left)}`);
}

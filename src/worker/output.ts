import { existsSync, linkSync, mkdirSync, readdirSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';
import { Failure, type Problem, problemsOf } from '../base/report.js';
import { findEnvFiles } from './env-files.js';
import { isFolder, present } from './files.js';
import { isTracked, type Repository, untrackedPaths } from './git.js';
import { USUAL_OUTPUT, usesNext } from './install-and-build.js';
import type { ReleaseRef } from './journal.js';
import type { DeployRequest } from './protocol.js';
import { readNote, releaseFolder, writeNote } from './releases.js';
import { readProject, type Survey } from './survey.js';
import type { Teller } from './teller.js';

/**
 * Finds what install and build made: everything in the stage that git does not track, without what the host
 * brought. The stage was fresh, so there is nothing old among it.
 */
export async function findOutput(found: Survey, request: DeployRequest, folder: string): Promise<string[]> {
  const stage: Repository = { tools: found.tools, folder };
  const brought = new Set([...findEnvFiles(folder), ...request.sharedPaths, 'REVISION']);
  const untracked = (await untrackedPaths(stage)).map((path) => path.replace(/\/$/, ''));
  const shared = (path: string): boolean =>
    request.sharedPaths.some((kept) => kept === path || kept.startsWith(`${path}${sep}`));
  const made = untracked.filter((path) => !brought.has(path) && !shared(path));
  const named = request.buildOutput.filter(
    (path) => !made.some((known) => known === path || path.startsWith(`${known}/`)),
  );
  for (const path of named) if (!present(join(folder, path))) throw new Failure(silentBuild(path));
  return made;
}

/** Exit code 0 is no proof: a build that died silently leaves nothing, or not the thing that the server starts. */
export function silentBuild(missing: string): Problem {
  return {
    message: `The build ended with 0, but ${missing} was not made.`,
    next: 'A build that runs out of memory can end like this: add swap, or build in the job with build-on: runner. If it is another output, name it in build-output.',
  };
}

/** Finds what was made after a build that ended with 0, and refuses what such a build must have made and has not. */
export async function checkOutput(found: Survey, request: DeployRequest, folder: string): Promise<string[]> {
  const made = await findOutput(found, request, folder);
  const stage: Repository = { tools: found.tools, folder };
  const before = liveOutput(found);
  const missing: string[] = [];
  for (const path of missingOutput(made, before, usesNext(readProject(folder))))
    if (!(await isTracked(stage, path))) missing.push(path);
  if (made.includes('.next') && !present(join(folder, '.next/BUILD_ID'))) missing.push('.next/BUILD_ID');
  if (missing.length > 0) throw new Failure(silentBuild(missing[0]!));
  return made;
}

/** What of the usual build output the live version has. */
function liveOutput(found: Survey): string[] {
  const note = found.history.live ? readNote(found.state, found.history.live.release) : undefined;
  if (note && note.paths.length > 0) return note.paths;
  return found.live === undefined ? [] : USUAL_OUTPUT.filter((path) => existsSync(join(found.live!, path)));
}

/** What a build must have made, from what the live version has. Pure: names in, missing names out. */
export function missingOutput(made: readonly string[], before: readonly string[], next: boolean): string[] {
  const wanted = new Set(before.filter((path) => USUAL_OUTPUT.includes(path)));
  if (next) wanted.add('.next');
  return [...wanted].filter((path) => !made.includes(path));
}

/** Folders of a build whose file names hold a hash, so that old and new files can lie side by side. */
const CHUNK_FOLDERS = [
  '.next/static',
  'dist/assets',
  'dist/static',
  'dist/client/assets',
  'dist/_astro',
  'build/static',
  'build/client/assets',
  '.output/public/_nuxt',
  'public/build',
];

/**
 * Links the static files of the live version into the new one, so that pages which were loaded before the cutover
 * still find theirs. Files that the live version itself took over are left behind: one generation is enough.
 */
export function carryChunks(live: string, folder: string, notOwn: readonly string[]): string[] {
  const skip = new Set(notOwn);
  const carried: string[] = [];
  for (const root of CHUNK_FOLDERS) {
    if (!isFolder(join(live, root)) || !isFolder(join(folder, root))) continue;
    for (const file of filesBelow(join(live, root))) {
      const path = join(root, file);
      const target = join(folder, path);
      if (skip.has(path) || present(target)) continue;
      mkdirSync(dirname(target), { recursive: true });
      linkSync(join(live, path), target);
      carried.push(path);
    }
  }
  return carried;
}

function filesBelow(root: string, below = ''): string[] {
  return readdirSync(join(root, below), { withFileTypes: true }).flatMap((item) => {
    const path = join(below, item.name);
    return item.isDirectory() ? filesBelow(root, path) : item.isFile() ? [path] : [];
  });
}

/**
 * Links the static files of the version that leaves into the one that comes back: until the reload is over the old
 * programs still hand out pages that name them, and visitors have such pages open. Never stands in the way.
 */
export function keepOpenPages(
  { state, live, releases }: Pick<Survey, 'state' | 'live' | 'releases'>,
  from: ReleaseRef | undefined,
  to: ReleaseRef,
  teller: Teller,
): void {
  if (live === undefined) return;
  try {
    const notOwn = from === undefined ? [] : (readNote(state, from.release)?.carriedChunks ?? []);
    const carried = carryChunks(live, releaseFolder(releases, to.release), notOwn);
    const note = readNote(state, to.release);
    if (note && carried.length > 0)
      writeNote(state, to.release, { ...note, carriedChunks: [...note.carriedChunks, ...carried] });
  } catch (error) {
    teller.warn({
      message: `The static files of the version that leaves could not be kept: ${problemsOf(error)[0]!.message}`,
      next: 'A page that is open now may miss a script until it is loaded again.',
    });
  }
}

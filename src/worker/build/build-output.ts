import { existsSync, linkSync, mkdirSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { USUAL_OUTPUT } from '../../lib/build-output-names.js';
import { Failure, type Problem, problemsOf } from '../../lib/report.js';
import { sameContent, stampOf } from '../host/compare-files.js';
import { deviceOf, isFolder, isSymlink, present } from '../host/files.js';
import { type GitRepository, isTracked, untrackedPaths } from '../host/git.js';
import { asLeftIn } from '../host-files/as-left.js';
import { classifyPath, isOfHost } from '../host-files/classify.js';
import { findEnvFiles } from '../host-files/env-files.js';
import { holdsAny, isWithinAny } from '../host-files/paths.js';
import { linkedPaths } from '../host-files/shared-paths.js';
import { choiceProblems, chooseSwaps, type InLive } from '../host-files/swap-choice.js';
import type { HostState } from '../host-state/host-state.js';
import { readProject, usesNext } from '../host-state/project-files.js';
import type { DeployRequest } from '../protocol.js';
import type { Reporter } from '../run/reporter.js';
import type { ReleaseRef } from '../state/journal.js';
import { readNote, releaseFolder, writeNote } from '../state/releases.js';

/** What install and build made in a stage. */
export interface BuildOutput {
  /** What git does not track and the host did not bring; whole folders as one path. The stage was fresh. */
  all: string[];
  /** Of these what changes place at the cutover in-place; elsewhere all. */
  paths: string[];
}

type OutputQuestion = Pick<DeployRequest, 'buildOutput' | 'sharedPaths'>;

/** Finds what was made. @throws a Failure where build-output names something that was not. */
export async function findOutput(
  found: HostState,
  request: OutputQuestion,
  folder: string,
): Promise<BuildOutput> {
  const all = await findBuildOutput(found, request, folder);
  const has = (path: string): boolean =>
    present(join(folder, path)) && (!all.includes(path) || holdsMore(folder, path, request.sharedPaths));
  for (const path of request.buildOutput) if (!has(path)) throw new Failure(silentBuild(path));
  return { all, paths: swapsOf(found, request, folder, all) };
}

async function findBuildOutput(
  found: HostState,
  { sharedPaths }: OutputQuestion,
  folder: string,
): Promise<string[]> {
  const stage: GitRepository = { tools: found.tools, folder };
  const known = { sharedPaths, envFiles: findEnvFiles(folder) };
  const isBrought = (path: string): boolean => {
    const owner = classifyPath(path, known);
    return owner === 'deploy' || isOfHost(owner);
  };
  const untracked = (await untrackedPaths(stage)).map((path) => path.replace(/\/$/, ''));
  return untracked.filter((path) => !isBrought(path) && holdsMore(folder, path, sharedPaths));
}

/** False for a folder in which nothing lies but the symlinks of shared paths: nobody made that. */
function holdsMore(folder: string, path: string, shared: readonly string[]): boolean {
  if (!holdsAny(path, shared)) return true;
  return readdirSync(join(folder, path)).some((name) => {
    const item = `${path}/${name}`;
    return classifyPath(item, { sharedPaths: shared }) !== 'shared' && holdsMore(folder, item, shared);
  });
}

/**
 * What of all that was made changes place. Asked again right before the cutover: the application writes meanwhile.
 * @throws a Failure where something of the host would be replaced; nothing was changed.
 */
export function swapsOf(
  found: HostState,
  request: OutputQuestion,
  folder: string,
  made: readonly string[],
): string[] {
  if (found.strategy !== 'in-place') return [...made];
  const { sharedPaths, buildOutput } = request;
  const choice = chooseSwaps({
    made,
    named: buildOutput,
    shared: sharedPaths,
    envFiles: findEnvFiles(folder),
    linked: linkedPaths(found, request),
    inLive: lookIn(found, folder),
    inside: (path) => readdirSync(join(folder, path)).map((name) => `${path}/${name}`),
  });
  const problems = [
    ...choiceProblems(choice, buildOutput),
    ...deviceProblems(found.live!, folder, choice.paths),
  ];
  if (problems.length > 0) throw new Failure(problems);
  return choice.paths;
}

/** What changes place: the output, and the environment file that the run writes, where it does not lie in it. */
export function withEnvFile(
  output: readonly string[],
  { envFile, envFilePath }: Pick<DeployRequest, 'envFile' | 'envFilePath'>,
): string[] {
  const moves = envFile !== undefined && !isWithinAny(envFilePath, output);
  return moves ? [...output, envFilePath] : [...output];
}

/** Compares a path of the stage with the same in the live checkout, and that with what the last deploy left there. */
function lookIn(found: HostState, folder: string): (path: string) => InLive {
  const { state, releases, history, facts } = found;
  const release = history.live?.sha === facts.liveSha ? history.live?.release : undefined;
  const note = release === undefined ? undefined : readNote(state, release);
  const left = asLeftIn(found.live!, note, release && releaseFolder(releases, release));
  return (path) => {
    const [live, made] = [join(found.live!, path), join(folder, path)];
    if (!present(live)) return 'absent';
    if (left.stamped(path)) return 'untouched';
    if (isFolder(live) && isFolder(made) && !isSymlink(live) && !isSymlink(made)) return 'folders';
    if (sameContent(live, made)) return 'same';
    return left.sameAsMade(path) ? 'untouched' : 'differs';
  };
}

/** A rename between file systems would fail in the middle of the cutover. */
function deviceProblems(live: string, folder: string, paths: readonly string[]): Problem[] {
  const elsewhere = paths.filter((path) =>
    [dirname(path), ...(isSymlink(join(live, path)) ? [] : [path])].some(
      (place) => deviceOf(join(live, place)) !== deviceOf(folder),
    ),
  );
  if (elsewhere.length === 0) return [];
  return [
    {
      message: `${elsewhere.slice(0, 5).join(', ')} ${elsewhere.length === 1 ? 'is' : 'are'} on another file system than ${folder}, so the new one cannot take its place at once.`,
      next: 'Unmount it, or use strategy: adopt.',
    },
  ];
}

/** Stamps of what may be something else than output, for the next deploy to see whether somebody wrote to it. */
export function stampsOf(folder: string, paths: readonly string[]): Record<string, string> {
  const others = paths.filter((path) => classifyPath(path, {}) !== 'usual');
  return Object.fromEntries(others.map((path) => [path, stampOf(join(folder, path))]));
}

/** Exit code 0 is no proof: a build that died silently leaves nothing, or not the thing that the server starts. */
function silentBuild(missing: string): Problem {
  return {
    message: `The build ended with 0, but ${missing} was not made.`,
    next: 'A build that runs out of memory can end like this: add swap, or build in the job with build-on: runner. If it makes other output now, name all of it in build-output.',
  };
}

/** Finds what was made after a build that ended with 0, and refuses what such a build must have made and has not. */
export async function checkOutput(
  found: HostState,
  request: OutputQuestion,
  folder: string,
): Promise<BuildOutput> {
  const made = await findOutput(found, request, folder);
  const stage: GitRepository = { tools: found.tools, folder };
  const missing: string[] = [];
  // What build-output names was looked for; nothing else is expected then.
  const wanted =
    request.buildOutput.length > 0
      ? []
      : missingOutput(made.all, liveOutput(found), usesNext(readProject(folder)));
  for (const path of wanted) if (!(await isTracked(stage, path))) missing.push(path);
  if (made.all.includes('.next') && !present(join(folder, '.next/BUILD_ID'))) missing.push('.next/BUILD_ID');
  if (missing.length > 0) throw new Failure(silentBuild(missing[0]!));
  return made;
}

/** What of the usual build output the live version has. */
function liveOutput(found: HostState): string[] {
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
  // Where people copy it to for `output: standalone`.
  '.next/standalone/.next/static',
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

/** All files in a folder, however deep, by their paths from it. */
export function filesBelow(root: string, below = ''): string[] {
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
  { state, live, releases }: Pick<HostState, 'state' | 'live' | 'releases'>,
  from: ReleaseRef | undefined,
  to: ReleaseRef,
  reporter: Reporter,
): void {
  if (live === undefined) return;
  try {
    const notOwn = from === undefined ? [] : (readNote(state, from.release)?.carriedChunks ?? []);
    const carried = carryChunks(live, releaseFolder(releases, to.release), notOwn);
    const note = readNote(state, to.release);
    if (note && carried.length > 0)
      writeNote(state, to.release, { ...note, carriedChunks: [...note.carriedChunks, ...carried] });
  } catch (error) {
    reporter.warn({
      message: `The static files of the version that leaves could not be kept: ${problemsOf(error)[0]!.message}`,
      next: 'A page that is open now may miss a script until it is loaded again.',
    });
  }
}

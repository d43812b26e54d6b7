import { mkdirSync, readdirSync, readlinkSync, realpathSync, statSync, symlinkSync } from 'node:fs';
import { dirname, extname, isAbsolute, join } from 'node:path';
import { isInside } from '../../lib/paths.js';
import { Failure, type Problem } from '../../lib/report.js';
import { quote } from '../../lib/shell.js';
import { deviceOf, isSymlink, present, removePath } from '../host/files.js';
import { makeFoldersLike, openLike } from '../host/permissions.js';
import type { HostState } from '../host-state/host-state.js';
import type { DeployRequest } from '../protocol.js';
import type { Plan } from '../state/plan.js';
import { readNote } from '../state/releases.js';
import { COMPANIONS, classifyPath, isOutput, isSharedOutput } from './classify.js';
import { foldersAbove } from './paths.js';

type Found = Pick<HostState, 'strategy' | 'live' | 'state'>;
type SharedQuestion = Pick<DeployRequest, 'sharedPaths' | 'buildOutput'>;

/**
 * The shared paths that lie outside of every version, with a symlink in each. Among releases all of them. In-place they
 * stay where they are, in the checkout; only what lies inside of a folder that changes place (`.next/cache`) cannot.
 */
export function linkedPaths(
  { strategy }: Pick<Found, 'strategy'>,
  { sharedPaths, buildOutput }: SharedQuestion,
): string[] {
  if (strategy !== 'in-place') return [...sharedPaths];
  return sharedPaths.filter((path) =>
    foldersAbove(path).some((above) => isOutput(classifyPath(above, { buildOutput }))),
  );
}

/** What stands against the shared paths as they lie on this host. */
export function sharedProblems(
  found: Found & Pick<HostState, 'history'>,
  request: SharedQuestion & Pick<DeployRequest, 'envFilePath' | 'envFile'>,
): Problem[] {
  const { sharedPaths, buildOutput, envFilePath, envFile } = request;
  const { state, history } = found;
  const problems: Problem[] = [];
  const note = history.live ? readNote(state, history.live.release) : undefined;
  const made = note?.paths ?? [];
  const output = sharedPaths.filter((path) => isSharedOutput(path, { buildOutput, made }));
  if (output.length > 0)
    problems.push({
      message: `shared-paths holds ${output.join(', ')}, which is built anew with every version: a build would write into the live one.`,
      next: 'Leave it out of shared-paths, or share only what lies inside of it, such as .next/cache.',
    });
  const around = envFile === undefined ? undefined : sharedPaths.find((path) => isInside(envFilePath, path));
  if (around !== undefined)
    problems.push({
      message: `env-file-path ${envFilePath} lies in the shared path ${around}: no version could have its own.`,
      next: 'Use another env-file-path.',
    });
  for (const path of linkedPaths(found, request)) problems.push(...placeProblems(found, path));
  return problems;
}

/** A shared path moves to its home by a rename, which a file system of its own would refuse in the middle of a cutover. */
function placeProblems({ live, state }: Found, path: string): Problem[] {
  const inLive = live === undefined ? undefined : join(live, path);
  if (inLive === undefined || !present(inLive)) return [];
  const home = homeOf(state, path);
  if (isSymlink(inLive)) {
    if (!present(home) || isSymlink(home) || sameTarget(inLive, home)) return [];
    return [
      {
        message: `The shared path ${path} is a symlink on the server, and ${home} holds something else.`,
        next: `Bring both together in ${home} and remove the symlink.`,
      },
    ];
  }
  if (
    statSync(inLive).dev === deviceOf(state.shared) &&
    statSync(dirname(inLive)).dev === statSync(inLive).dev
  )
    return [];
  return [
    {
      message: `The shared path ${path} is on a file system of its own, so it cannot move to ${home}.`,
      next: `Mount it elsewhere, and once: mkdir -p ${quote(dirname(home))} && ln -s <that place> ${quote(home)}`,
    },
  ];
}

function homeOf(state: Found['state'], path: string): string {
  return join(state.shared, path);
}

function sameTarget(one: string, other: string): boolean {
  try {
    return realpathSync(one) === realpathSync(other);
  } catch {
    return isSymlink(one) && readlinkSync(one) === other;
  }
}

/**
 * Lets the stage see the files that all versions share: before the build, and again after it, because an install or a
 * build may begin with an empty folder. What still lies in the live version is reached through a symlink until the
 * cutover moves it. Returns the homes where nothing is yet, and which an application has to make as a file.
 */
export function linkShared(found: Found, request: SharedQuestion, folder: string): string[] {
  const linked = linkedPaths(found, request);
  const missing: string[] = [];
  for (const path of request.sharedPaths) {
    const link = join(folder, path);
    const inLive = found.live === undefined ? undefined : join(found.live, path);
    refuseDetour(folder, path, 'shared-paths');
    if (!linked.includes(path)) {
      if (!present(link) && present(inLive!)) putLink(inLive!, link);
      continue;
    }
    const home = homeOf(found.state, path);
    makeHome(home, inLive);
    if (!present(home)) missing.push(home);
    if (isSymlink(link) && readlinkSync(link) === home) continue;
    removePath(link);
    putLink(home, link);
  }
  return missing;
}

/**
 * Makes the folders around the homes of shared paths. What lies in an application that keeps others out moves there, so
 * they keep them out too; how open the outermost is, people may change once something is in it.
 */
export async function makeSharedFolders(
  found: Found & Pick<HostState, 'tools'>,
  request: SharedQuestion,
): Promise<void> {
  const { live, state, tools } = found;
  const linked = linkedPaths(found, request);
  if (live === undefined || linked.length === 0) return;
  if (readdirSync(state.shared).length === 0) await openLike(tools, live, state.shared);
  for (const path of linked) await makeFoldersLike(tools, live, state.shared, path);
}

/** Through a symlink of the commit, what is written or linked in the stage would be so elsewhere. */
export function refuseDetour(folder: string, path: string, input: string): void {
  const through = foldersAbove(path).find((above) => isSymlink(join(folder, above)));
  if (through === undefined) return;
  throw new Failure({
    message: `${input}: ${path} lies behind ${through}, which is a symlink in the commit.`,
    next: `Name the folder that ${through} leads to.`,
  });
}

function putLink(target: string, link: string): void {
  mkdirSync(dirname(link), { recursive: true });
  symlinkSync(target, link);
}

/**
 * Makes the home of a shared path: a symlink to what the live version has; where that has nothing an empty folder, or
 * nothing at all for a name with an extension: the application makes a file itself, in its home, when it first writes.
 */
function makeHome(home: string, inLive: string | undefined): void {
  const has = inLive !== undefined && present(inLive) && !(isSymlink(inLive) && sameTarget(inLive, home));
  // Of an earlier try: it may lead to a version that is not live any more.
  if (has && isSymlink(home)) removePath(home);
  if (present(home)) return;
  mkdirSync(dirname(home), { recursive: true });
  if (has) symlinkSync(isSymlink(inLive) ? targetOf(inLive) : inLive, home);
  else if (extname(home) === '') mkdirSync(home);
}

/** Where a symlink of the host leads, as an absolute path: it is to work from another folder too. */
function targetOf(link: string): string {
  try {
    return realpathSync(link);
  } catch {
    const target = readlinkSync(link);
    return isAbsolute(target) ? target : join(dirname(link), target);
  }
}

/**
 * Shared paths that lie in the live version and move to their home at the cutover. Where the home holds something of
 * its own, the live one replaced its symlink (many programs write a new file and rename it): it is the newer one, and
 * the other is kept beside it.
 */
export function sharesOf(
  found: Found,
  request: SharedQuestion,
  version: string,
  release: string,
): NonNullable<Plan['shares']> {
  return linkedPaths(found, request)
    .flatMap((path) => [path, ...COMPANIONS.map((suffix) => path + suffix)])
    .filter((path) => present(join(found.live!, path)) && !isSymlink(join(found.live!, path)))
    .map((path) => ({ live: join(version, path), home: homeOf(found.state, path) }))
    .map(({ live, home }) => ({
      live,
      home,
      ...(present(home) && !isSymlink(home) ? { aside: `${home}.before-${release}` } : {}),
    }));
}

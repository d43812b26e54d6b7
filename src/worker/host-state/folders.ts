import { readdirSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { USUAL_OUTPUT } from '../../lib/build-output-names.js';
import { Failure, type Problem } from '../../lib/report.js';
import { quote } from '../../lib/shell.js';
import { shortenList } from '../../lib/shorten-list.js';
import { deviceOf, isFolder } from '../host/files.js';
import { type GitRepository, git, gitSays, isTracked } from '../host/git.js';
import { howToOwn, isWritable, ownerOf, ownWord } from '../host/owner.js';
import type { Toolbox } from '../host/toolbox.js';
import {
  type Distrust,
  distrustInside,
  distrustOnTheWay,
  distrustProblem,
  entriesLeadingTo,
  entryAt,
  strangeLinks,
} from '../host/trusted-paths.js';
import { currentLink, type Strategy } from '../state/layout.js';

/** Whether everything that a cutover moves can be moved by the one who deploys, so that none stops half-way. */

/** A symlink is made and turned beside what it leads to; only in place needs no right there. */
export function judgeLinkPlace(appPath: string, strategy: Strategy, releases: string): Problem | undefined {
  if (strategy === 'in-place') return undefined;
  const link = currentLink(appPath);
  const place = dirname(link);
  if (!isFolder(place))
    return {
      message: `${place} does not exist, so ${link} cannot be made there.`,
      next: `Correct app-path, or run once on the server: sudo install -d -o ${ownWord()} ${quote(place)}`,
    };
  if (strategy === 'adopt') {
    if (deviceOf(appPath) !== deviceOf(place))
      return {
        message: `${appPath} is a mount of its own and cannot become a release.`,
        next: 'Use strategy: in-place.',
      };
    const why = distrustInside(entryAt(appPath)!, process.getuid!());
    if (why !== undefined) return notToAdopt(appPath, why);
  }
  if (isWritable(place))
    return isFolder(releases) && !isWritable(releases) ? notOurs(dirname(releases), [releases]) : undefined;
  const owner = ownerOf(place);
  const without = strategy === 'adopt' ? ' (strategy: in-place does without)' : '';
  return {
    message: `${place} belongs to ${owner}, so the symlink ${link} cannot be made or turned there.`,
    next:
      owner === 'root'
        ? `Run once on the server: sudo chown ${ownWord()}: ${quote(place)}${without}`
        : `Connect as ${owner}${without}.`,
  };
}

/** Among the releases nothing may lie that others could have written: a rollback starts what is there. */
function notToAdopt(appPath: string, why: Distrust): Problem {
  if (why === 'open')
    return {
      message: `${appPath} can be written by every user of the server, so it cannot become a release.`,
      next: `Run once on the server: chmod o-w ${quote(appPath)} (strategy: in-place does without).`,
    };
  return {
    message: `${appPath} belongs to ${ownerOf(appPath)}, and neither to root nor to the user who deploys, so it cannot become a release.`,
    next: 'Connect as its owner, or use strategy: in-place.',
  };
}

/**
 * What strangers have to do with the way to the application and to its releases: a symlink of theirs could lead elsewhere
 * in the middle of a deploy. Releases that another tool made lie outside of the state folder, which is judged by itself.
 */
export function judgeWays(appPath: string, releases: string, state: string): Problem[] {
  const outside = isFolder(releases) && dirname(releases) !== state;
  const folder = outside ? entriesLeadingTo(releases).at(-1) : undefined;
  const why = folder && distrustOnTheWay(folder, process.getuid!());
  const links = [currentLink(appPath), ...(outside ? [releases] : [])].flatMap(strangeLinks);
  const problems = [...links, ...(why === undefined ? [] : [distrustProblem(folder!, why)])];
  return problems.filter(
    ({ message }, at) => problems.findIndex((other) => other.message === message) === at,
  );
}

/**
 * What of a checkout no deploy could change: its root, git's own folder, and what builds made, which changes place at a
 * cutover. `made`: paths from the root.
 */
export async function judgeOwners(checkout: GitRepository, made: readonly string[]): Promise<Problem[]> {
  const root = checkout.folder;
  if (!isWritable(root)) return [notOurs(root, [root])];
  const store = resolve(root, await git(checkout, 'rev-parse', '--git-common-dir'));
  const objects = join(store, 'objects');
  const storeIsShut =
    isShut(store) || isShut(objects) || readdirSync(objects).some((name) => isShut(join(objects, name)));
  const builds = [...new Set([...made, 'node_modules', ...USUAL_OUTPUT])].map((path) => join(root, path));
  const shut = [...(storeIsShut ? [store] : []), ...builds.filter(isShut)];
  return shut.length === 0 ? [] : [notOurs(root, shut)];
}

/**
 * Refuses a commit that changes files in folders of the live checkout which the one who deploys may not change: a reset
 * that git cannot finish would leave half of each version there. @throws a Failure.
 */
export async function refuseShutFolders(
  live: { strategy: Strategy; checkout?: GitRepository; facts: { liveSha?: string } },
  repository: GitRepository,
  sha: string,
): Promise<void> {
  const { strategy, checkout, facts } = live;
  if (strategy !== 'in-place' || checkout === undefined || facts.liveSha === undefined) return;
  const changed = await git(repository, 'diff', '--name-only', '--no-renames', '-z', facts.liveSha, sha);
  const folders = changed
    .split('\0')
    .filter(Boolean)
    .map((path) => join(checkout.folder, dirname(path)));
  const shut = [...new Set(folders)].filter(isShut);
  if (shut.length > 0) throw new Failure(notOurs(checkout.folder, shut));
}

function isShut(path: string): boolean {
  return isFolder(path) && !isWritable(path);
}

function notOurs(root: string, paths: readonly string[]): Problem {
  const names = paths.map((path) => relative(root, path) || root);
  return {
    message: `The user who deploys cannot change ${shortenList(names)}${
      paths[0] === root ? '' : ` in ${root}`
    }, which ${ownerOf(paths[0]!)} owns.`,
    next: howToOwn(...paths),
  };
}

/** The checkout in which app-path is a folder of tracked files; undefined where it is in none. */
export async function enclosingCheckout(tools: Toolbox, appPath: string): Promise<string | undefined> {
  if (tools.find('git') === undefined) return undefined;
  const here: GitRepository = { tools, folder: appPath };
  if (!(await gitSays(here, 'rev-parse', '--show-toplevel'))) return undefined;
  // Beside a checkout of something else (a home folder under git) it would not be tracked there.
  return (await isTracked(here, '.')) ? git(here, 'rev-parse', '--show-toplevel') : undefined;
}

import { mkdirSync, readdirSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Problem } from '../../lib/report.js';
import { shortenList } from '../../lib/shorten-list.js';
import { sameContent } from '../host/compare-files.js';
import { isSymlink, present } from '../host/files.js';
import { type GitRepository, isWorkTree, untrackedPaths } from '../host/git.js';
import type { HostState } from '../host-state/host-state.js';
import type { DeployRequest } from '../protocol.js';
import { liveFolder } from '../state/layout.js';
import { type ReleaseNote, readNote, releaseFolder } from '../state/releases.js';
import { asLeftIn } from './as-left.js';
import { classifyPath, type FoundPaths } from './classify.js';

type List = (folder: string) => { name: string; isFolder: boolean }[];

/**
 * What only this folder has: it is in no commit, was made by no build, and is not shared. Data, mostly, which a new
 * version would not have. A folder of which nothing is tracked is named as a whole.
 */
export function untrackedAmong(untracked: readonly string[], known: FoundPaths, list: List): string[] {
  const foreign = (path: string, isFolder: boolean): string[] => {
    if (classifyPath(path, known) !== 'people') return [];
    if (!isFolder) return [path];
    const items = list(path).map(({ name, isFolder }) => ({ path: `${path}/${name}`, isFolder }));
    const inside = items.flatMap((item) => foreign(item.path, item.isFolder));
    return items.length > 0 && items.every((item) => inside.includes(item.path)) ? [path] : inside;
  };
  return untracked.flatMap((path) => foreign(path.replace(/\/$/, ''), path.endsWith('/')));
}

type UntrackedQuestion = Pick<DeployRequest, 'buildOutput' | 'sharedPaths' | 'envFilePath'>;

/** What only the live folder has; nothing where git does not know the folder. */
export async function untrackedInLive(found: HostState, asked: UntrackedQuestion): Promise<string[]> {
  const { live, history, facts, state, releases, tools } = found;
  if (live === undefined || facts.git === undefined) return [];
  const release = history.live?.sha === facts.liveSha ? history.live?.release : undefined;
  const note = release === undefined ? undefined : readNote(state, release);
  return untrackedIn({ tools, folder: live }, asked, note, release && releaseFolder(releases, release));
}

/** What only a folder has, by the note of the release that is in it. `made`: where that was built. */
async function untrackedIn(
  repository: GitRepository,
  asked: UntrackedQuestion,
  note: ReleaseNote | undefined,
  made: string | undefined,
): Promise<string[]> {
  const { folder } = repository;
  if (!(await isWorkTree(repository))) return [];
  const left = asLeftIn(folder, note, made);
  const isAsMade = (path: string): boolean => left.stamped(path) || left.sameAsMade(path);
  const envFiles = [asked.envFilePath, ...(note?.envFiles ?? [])];
  const known = { ...asked, envFiles, isAsMade };
  return untrackedAmong(await untrackedPaths(repository), known, (path) =>
    readdirSync(join(folder, path), { withFileTypes: true }).map((item) => ({
      name: item.name,
      isFolder: item.isDirectory(),
    })),
  );
}

/** Why the live folder cannot be left behind yet. In-place it is not left. */
export async function untrackedProblems(found: HostState, asked: UntrackedQuestion): Promise<Problem[]> {
  if (found.strategy === 'in-place') return [];
  const foreign = await untrackedInLive(found, asked);
  if (foreign.length === 0) return [];
  return [
    {
      message: `The new version would not have what lies in the live folder only: ${shortenList(foreign)}.`,
      next: 'Name in shared-paths what the application needs, and in build-output what a build makes; what may go, delete on the server.',
    },
  ];
}

/**
 * Moves what only a release has out of it before the release is deleted: it appeared there while it was live, or is the
 * environment file that people wrote before a deploy brought another one. Returns the folder where it is then; undefined
 * where there was nothing.
 */
export async function rescue(
  found: Pick<HostState, 'strategy' | 'app' | 'state' | 'releases' | 'tools'>,
  release: string,
  asked: UntrackedQuestion,
): Promise<string | undefined> {
  const folder = releaseFolder(found.releases, release);
  if (!present(folder)) return undefined;
  const note = readNote(found.state, release);
  // In-place all that people and the application write stays in the checkout.
  const foreign =
    found.strategy === 'in-place'
      ? []
      : await untrackedIn({ tools: found.tools, folder }, asked, note, undefined);
  const live = liveFolder(found.app.appPath);
  const envFiles = (note?.found ? note.envFiles : []).filter(
    (path) => present(join(folder, path)) && !(live && sameContent(join(folder, path), join(live, path))),
  );
  const kept = foreign.filter((path) => !isSymlink(join(folder, path)));
  if (kept.length + envFiles.length === 0) return undefined;
  const place = `${folder}.left-behind`;
  for (const path of [...kept, ...envFiles]) {
    const target = join(place, path);
    mkdirSync(dirname(target), { recursive: true, mode: 0o700 });
    if (!present(target)) renameSync(join(folder, path), target);
  }
  return place;
}

/** What a person is told of what was moved out of a release. */
export function rescuedWords(release: string, place: string): Problem {
  return {
    message: `The release ${release} was deleted; what only it had, and no build made, is kept in ${place}.`,
    next: 'Move what the application needs into its shared path and name that in shared-paths; delete the rest.',
  };
}

import {
  chmodSync,
  chownSync,
  createReadStream,
  createWriteStream,
  mkdirSync,
  readlinkSync,
  renameSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { isFolder, isSymlink, present, removePath } from './files.js';
import { groupName, userName } from './owner.js';
import { call, type Toolbox } from './toolbox.js';

/**
 * Who may read what a deploy copies: those who may read the original. Where a right cannot be kept (only root gives a file
 * to another user, and only members give one to their group) the copy is less open, never more.
 */

/**
 * The mode of a copy that could not keep the group of the original. Pure. Whoever was in neither group could do what
 * `others` may, and whoever was in the old one what it may: both now get what both could.
 */
export function modeWithoutGroup(mode: number): number {
  const both = (mode >> 3) & mode & 0o007;
  return (mode & 0o700) | (both << 3) | both;
}

/**
 * Gives a file or folder of ours the group, the mode and the access list of another one, and a file its owner too, as far
 * as this user may; folders stay our own, because git works in none of another user, and nobody else may write in them.
 * Until then only we should be let in. Resolves to what could not be kept, in words.
 */
export async function giveRights(tools: Toolbox, like: string, to: string): Promise<string[]> {
  const was = statSync(like);
  const isOfFolder = was.isDirectory();
  const [wanted, has] = await Promise.all([accessList(tools, like), accessList(tools, to)]);
  const lost = takeOwner(to, was, isOfFolder);
  const hasGroup = statSync(to).gid === was.gid;
  // Of a folder the setgid bit too: what is made in it belongs to its group.
  const mode = isOfFolder ? (was.mode & 0o3775) | 0o700 : was.mode & 0o777;
  if (wanted === '' && has === '') {
    chmodSync(to, hasGroup ? mode : modeWithoutGroup(mode));
  } else if (wanted !== undefined && hasGroup && (await takeAccessList(tools, like, to))) {
    if (isOfFolder) chmodSync(to, (statSync(to).mode & 0o3775) | 0o700);
  } else {
    // The bits of the group may be those of a list that is not there: nobody but the owner is let in.
    chmodSync(to, mode & 0o700);
    return [
      ...lost,
      wanted === undefined ? 'what others may (install the package acl there)' : 'its access list',
    ];
  }
  return lost;
}

/** What could not be kept, in words. root may read everything anyway. */
function takeOwner(to: string, { uid, gid }: { uid: number; gid: number }, isOfFolder: boolean): string[] {
  const mayGive = process.getuid!() === 0 && !isOfFolder;
  try {
    chownSync(to, mayGive ? uid : statSync(to).uid, gid);
  } catch {
    // Not a member of that group, or it has no number here.
  }
  const now = statSync(to);
  return [
    ...(isOfFolder || now.uid === uid || uid === 0 ? [] : [`its owner ${userName(uid)}`]),
    ...(now.gid === gid ? [] : [`its group ${groupName(gid)}`]),
  ];
}

/**
 * The access list of a file or folder as text: empty where it has none beside its mode; undefined where no program of the
 * host can tell. GNU's `ls` marks a list with a plus, which is all that is known then.
 */
async function accessList(tools: Toolbox, path: string): Promise<string | undefined> {
  if (tools.find('getfacl') !== undefined && tools.find('setfacl') !== undefined) {
    const { code, stdout } = await call(tools, ['getfacl', '-cpn', '--', path]);
    if (code !== 0) return undefined;
    return /^(?!(user|group|other)::)\S/m.test(stdout) ? stdout : '';
  }
  if (tools.find('ls') === undefined) return undefined;
  const version = await call(tools, ['ls', '--version']);
  if (!version.stdout.includes('GNU coreutils')) return undefined;
  const { code, stdout } = await call(tools, ['ls', '-ldL', '--', path]);
  return code !== 0 ? undefined : stdout[10] === '+' ? '+' : '';
}

/** Replaces the whole list, also one that the folder around gave to what was made in it. False where that failed. */
async function takeAccessList(tools: Toolbox, like: string, to: string): Promise<boolean> {
  if (tools.find('setfacl') !== undefined && tools.find('getfacl') !== undefined) {
    const { code, stdout } = await call(tools, ['getfacl', '-cpn', '--', like]);
    if (code !== 0) return false;
    const none = await call(tools, ['setfacl', '-b', '-k', '--', to]);
    const set = await call(tools, ['setfacl', '--set-file=-', '--', to], { input: stdout });
    if (none.code !== 0 || set.code !== 0) return false;
  } else {
    const words = ['cp', '--attributes-only', '--preserve=mode', '--', like, to];
    if (isFolder(like) || tools.find('cp') === undefined) return false;
    if ((await call(tools, words)).code !== 0) return false;
  }
  const [wanted, has] = await Promise.all([accessList(tools, like), accessList(tools, to)]);
  return wanted === has && (isFolder(like) || ((statSync(like).mode ^ statSync(to).mode) & 0o777) === 0);
}

/**
 * Copies a file with its rights, so that a reader sees the old content or the new, never a part, and nobody the new one
 * who may not. Of a symlink it is the file that it leads to. Resolves to what could not be kept.
 */
export async function copyWithRights(tools: Toolbox, from: string, to: string): Promise<string[]> {
  const next = `${to}.${process.pid}.next`;
  removePath(next);
  await pipeline(createReadStream(from), createWriteStream(next, { flags: 'wx', mode: 0o600 }));
  const lost = await giveRights(tools, from, next);
  renameSync(next, to);
  return lost;
}

/** The same for whatever has that name: a symlink stays one. */
export async function copyAsItIs(tools: Toolbox, from: string, to: string): Promise<void> {
  if (!isSymlink(from)) {
    await copyWithRights(tools, from, to);
    return;
  }
  const next = `${to}.${process.pid}.next`;
  removePath(next);
  symlinkSync(readlinkSync(from), next);
  renameSync(next, to);
}

/** Makes the folders above `path` that are missing in `root`, each with the rights that it has in `like`. */
export async function makeFoldersLike(
  tools: Toolbox,
  like: string,
  root: string,
  path: string,
): Promise<void> {
  if (!present(root)) mkdirSync(root, { recursive: true, mode: 0o700 });
  for (const folder of folderNamesAbove(path)) {
    const made = join(root, folder);
    if (present(made)) continue;
    const model = join(like, folder);
    mkdirSync(made, isFolder(model) ? { mode: 0o700 } : {});
    if (isFolder(model)) await giveRights(tools, model, made);
  }
}

/** Closes the folders above `path` in `root`, which others may have made, to those whom `like` keeps out. */
export async function closeFoldersLike(
  tools: Toolbox,
  like: string,
  root: string,
  path: string,
): Promise<void> {
  await makeFoldersLike(tools, like, root, path);
  for (const folder of folderNamesAbove(path)) {
    const [model, there] = [join(like, folder), join(root, folder)];
    if (isFolder(model) && !isSymlink(there)) await giveRights(tools, model, there);
  }
}

function folderNamesAbove(path: string): string[] {
  const folder = dirname(path);
  return folder === '.' || folder === '/' ? [] : [...folderNamesAbove(folder), folder];
}

/** Lets into a folder whom the folder of the live version lets in, and nobody who cannot even come to that one. */
export async function openLike(tools: Toolbox, live: string, folder: string): Promise<void> {
  await giveRights(tools, live, folder);
  const above = new Set(pathsAbove(folder));
  const shut = pathsAbove(live)
    .filter((path) => !above.has(path))
    .map((path) => statSync(path));
  const { gid } = statSync(live);
  chmodSync(folder, statSync(folder).mode & 0o7777 & ~closedBy(shut, gid));
}

/**
 * The bits of a mode that the folders above take from those who come through them. Pure. `gid`: the group of what lies
 * below them.
 */
export function closedBy(above: readonly { mode: number; gid: number }[], gid: number): number {
  const shut = above.filter(({ mode }) => (mode & 0o001) === 0);
  if (shut.length === 0) return 0;
  return shut.every((folder) => folder.gid === gid && (folder.mode & 0o010) !== 0) ? 0o007 : 0o077;
}

function pathsAbove(path: string): string[] {
  const folder = dirname(path);
  return folder === path ? [] : [...pathsAbove(folder), folder];
}

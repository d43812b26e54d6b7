import { lstatSync, readdirSync, readlinkSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import type { Problem } from '../../lib/report.js';
import { quote } from '../../lib/shell.js';
import { isOurs, userName } from './owner.js';

/**
 * Whose word is taken on this host. Other users have logins there too: in a folder where everybody may write they can
 * make what we look for, and put it in the place of what we made. What root owns is as good as our own: root could do
 * everything anyway. A right of a group is one that somebody gave, and is taken for wanted.
 */

/** What has a name on the disk, itself: of a symlink, not of what it leads to. */
export interface DiskEntry {
  path: string;
  kind: 'folder' | 'file' | 'link' | 'other';
  uid: number;
  mode: number;
}

/** undefined where nothing has that name, or it may not be looked at. */
export function entryAt(path: string): DiskEntry | undefined {
  try {
    const stats = lstatSync(path);
    const kind = stats.isSymbolicLink()
      ? 'link'
      : stats.isDirectory()
        ? 'folder'
        : stats.isFile()
          ? 'file'
          : 'other';
    return { path, kind, uid: stats.uid, mode: stats.mode & 0o7777 };
  } catch {
    return undefined;
  }
}

/** As many as the kernel follows. */
const MOST_LINKS = 40;

/** Every folder and symlink that leads to a path, as the kernel walks it, down to the path itself as far as it exists. */
export function entriesLeadingTo(path: string): DiskEntry[] {
  const way: DiskEntry[] = [];
  const names = path.split('/');
  let at = '/';
  for (let links = 0; ; ) {
    const lying = entryAt(at);
    if (lying === undefined) return way;
    way.push(lying);
    if (lying.kind === 'link') {
      if (++links > MOST_LINKS) return way;
      const target = readlinkSync(at);
      names.unshift(...target.split('/'));
      at = isAbsolute(target) ? '/' : dirname(at);
    }
    let name = names.shift();
    while (name === '' || name === '.') name = names.shift();
    if (name === undefined) return way;
    at = name === '..' ? dirname(at) : join(at, name);
  }
}

export type Distrust = 'stranger' | 'link' | 'special' | 'open';

/** Why somebody else could have another thing in the place of what lies behind this. Pure. `us`: our own id. */
export function distrustOnTheWay({ kind, uid, mode }: DiskEntry, us: number): Distrust | undefined {
  if (!isOurs(uid, us)) return 'stranger';
  // With the sticky bit everybody may make something in it, and nobody may take away what is ours.
  return kind !== 'link' && (mode & 0o002) !== 0 && (mode & 0o1000) === 0 ? 'open' : undefined;
}

/**
 * Why a thing of our own folder cannot be taken for what we wrote. Pure. That a file has a second name elsewhere is no
 * reason: who may write it is said by its owner and its mode, under whatever name.
 */
export function distrustInside({ kind, uid, mode }: DiskEntry, us: number): Distrust | undefined {
  if (kind === 'link') return 'link';
  if (!isOurs(uid, us)) return 'stranger';
  if (kind === 'other') return 'special';
  return (mode & 0o002) === 0 ? undefined : 'open';
}

/** What lies in a folder, and in those below it that `depths` names, as deep as it says. */
export function everythingIn(folder: string, depths: Readonly<Record<string, number>>): DiskEntry[] {
  return namesInFolder(folder).flatMap((name) => entriesBelow(join(folder, name), depths[name] ?? 0));
}

function entriesBelow(path: string, depth: number): DiskEntry[] {
  const lying = entryAt(path);
  if (lying === undefined) return [];
  if (lying.kind !== 'folder' || depth === 0) return [lying];
  return [lying, ...namesInFolder(path).flatMap((name) => entriesBelow(join(path, name), depth - 1))];
}

function namesInFolder(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    // What may not be read by its owner is told where it is needed.
    return [];
  }
}

/** What is told of a thing that is not trusted. Whatever a stranger wrote is deleted, never taken over. */
export function distrustProblem({ path, uid }: DiskEntry, why: Distrust): Problem {
  const place = quote(path);
  switch (why) {
    case 'link':
      return {
        message: `${path} is a symlink of ${userName(uid)}: in the deploy's own folder none is followed.`,
        next: `Look where it leads (ls -l ${place}), and delete it on the server: sudo rm -- ${place}`,
      };
    case 'stranger':
      return {
        message: `${path} belongs to ${userName(uid)}, and neither to root nor to the user who deploys: nothing of it is used.`,
        next: `Look what it is, and delete it on the server: sudo rm -r -- ${place}`,
      };
    case 'special':
      return {
        message: `${path} is a pipe, a device or a socket, or a file where a folder must be.`,
        next: `Look what it is (ls -l ${place}), and delete it on the server: sudo rm -- ${place}`,
      };
    case 'open':
      return {
        message: `${path} can be written by every user of the server.`,
        next: `Look who wrote there (ls -la ${place}), delete what is not yours, then: ${uid === process.getuid!() ? '' : 'sudo '}chmod o-w ${place}`,
      };
  }
}

/** The first thing on the way to a folder by which others could bring another one into its place. */
export function problemOnTheWay(folder: string): Problem | undefined {
  const us = process.getuid!();
  for (const lying of entriesLeadingTo(folder)) {
    const why = distrustOnTheWay(lying, us);
    if (why === 'open') return distrustProblem(lying, why);
    if (why !== undefined)
      return {
        message: `${lying.path}, on the way to ${folder}, belongs to ${userName(lying.uid)}, who could put something else in its place.`,
        next: `Connect as ${userName(lying.uid)}, or use an app-path below folders of root or of the user who deploys.`,
      };
  }
  return undefined;
}

/** Symlinks that a stranger made, on the way to a path. */
export function strangeLinks(path: string): Problem[] {
  return entriesLeadingTo(path)
    .filter(({ kind, uid }) => kind === 'link' && !isOurs(uid, process.getuid!()))
    .map(({ path, uid }) => ({
      message: `${path} is a symlink that ${userName(uid)} made, who can let it lead elsewhere at any time.`,
      next: `Look where it leads (ls -l ${quote(path)}); delete it, and make it anew as root or as the user who deploys.`,
    }));
}

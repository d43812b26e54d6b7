import { existsSync, readlinkSync, realpathSync } from 'node:fs';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { isFolder, isSymlink, present } from '../host/files.js';
import type { HostFacts } from '../protocol.js';

/** How the application lies on the disk now. */
export type Layout = HostFacts['layout'];
export type Strategy = HostFacts['strategy'];

/** The symlink that is turned from release to release: app-path itself, or `current` inside it. */
export function currentLink(appPath: string): string {
  const inside = join(appPath, 'current');
  return !isSymlink(appPath) && isSymlink(inside) ? inside : appPath;
}

export function layoutOf(appPath: string): Layout {
  if (isSymlink(currentLink(appPath))) return 'releases';
  if (!present(appPath)) return 'absent';
  return existsSync(join(appPath, '.git')) ? 'checkout' : 'other';
}

/** What `auto` means for a layout. */
export function strategyFor(layout: Layout, asked: 'auto' | Strategy): Strategy | undefined {
  if (asked === 'auto')
    return layout === 'checkout' ? 'in-place' : layout === 'other' ? undefined : 'releases';
  if (asked === 'adopt')
    return layout === 'checkout' ? 'adopt' : layout === 'releases' ? 'releases' : undefined;
  if (asked === 'in-place') return layout === 'checkout' ? 'in-place' : undefined;
  return layout === 'releases' || layout === 'absent' ? 'releases' : undefined;
}

/** The folder that serves now, with symlinks resolved; undefined where there is none. */
export function liveFolder(appPath: string): string | undefined {
  const link = currentLink(appPath);
  return isFolder(link) ? realpathSync(link) : undefined;
}

/** The checkout that app-path leads to as a symlink, where that is no release: nobody made it to be left behind. */
export function checkoutBehind(appPath: string): string | undefined {
  if (!isSymlink(appPath) || !isFolder(appPath)) return undefined;
  const target = realpathSync(appPath);
  // A release of ours has a file .git, one of other tools has none, and an adopted checkout lies among the releases.
  return isFolder(join(target, '.git')) && basename(dirname(target)) !== 'releases' ? target : undefined;
}

/** Where releases lie: beside the one that is live, where that is such a folder, else in the state folder. */
export function releasesFolder(appPath: string, state: { readonly releases: string }): string {
  const link = currentLink(appPath);
  if (!isSymlink(link)) return state.releases;
  const target = readlinkSync(link);
  const parent = dirname(isAbsolute(target) ? target : join(dirname(link), target));
  return basename(parent) === 'releases' ? parent : state.releases;
}

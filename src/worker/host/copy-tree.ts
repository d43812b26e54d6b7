import { constants, type Stats } from 'node:fs';
import { copyFile, lstat, mkdir, readdir, readlink, symlink, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { Cancelled } from '../../lib/report.js';

/** How much a file or a whole folder is. */
export interface TreeSize {
  bytes: number;
  /** Files, folders and symlinks: each is an inode. */
  entries: number;
}

const NOTHING: TreeSize = { bytes: 0, entries: 0 };

/** Measures what lies at a path, without following a symlink; nothing where nothing is there. */
export async function sizeOfTree(path: string): Promise<TreeSize> {
  const stats = await statIfThere(path);
  if (stats === undefined) return NOTHING;
  if (!stats.isDirectory()) return { bytes: stats.size, entries: 1 };
  const size: TreeSize = { bytes: 0, entries: 1 };
  for (const name of await readdir(path)) {
    const { bytes, entries } = await sizeOfTree(join(path, name));
    size.bytes += bytes;
    size.entries += entries;
  }
  return size;
}

async function statIfThere(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * Copies a file or a whole folder to a path where nothing is, with its times. The file system shares the blocks where it
 * can (btrfs, XFS); a later write to one of the two is never seen in the other. Pipes, sockets and devices are left out.
 * @throws Cancelled, or the file system's error; what was copied until then is left.
 */
export async function copyTree(from: string, to: string, signal: AbortSignal): Promise<void> {
  if (signal.aborted) throw new Cancelled();
  const stats = await lstat(from);
  if (stats.isSymbolicLink()) return symlink(await readlink(from), to);
  if (stats.isDirectory()) {
    await mkdir(to);
    for (const name of await readdir(from)) await copyTree(join(from, name), join(to, name), signal);
  } else if (stats.isFile()) await copyFile(from, to, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
  else return;
  await utimes(to, stats.atime, stats.mtime);
}

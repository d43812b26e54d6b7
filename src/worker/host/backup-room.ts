import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { formatBytes } from '../../lib/bytes.js';
import type { Problem } from '../../lib/report.js';
import type { DeployRequest } from '../protocol.js';
import { isFolder } from './files.js';

/** Bytes that are left free beside a backup, for what a cutover writes. */
const BESIDE = 64 * 1_048_576;

/** The size of the newest backup of a kind in a folder; their names begin with the time. undefined where there is none. */
export function lastBackup(folder: string, what: 'schema' | 'full'): number | undefined {
  if (!isFolder(folder)) return undefined;
  const newest = readdirSync(folder)
    .filter((name) => name.endsWith(`-${what}.dump`))
    .sort()
    .at(-1);
  return newest === undefined ? undefined : statSync(join(folder, newest)).size;
}

/** Why a backup would not find room; undefined where it does. Pure. */
export function backupRoomProblem(
  { what, bytes }: NonNullable<DeployRequest['backup']>,
  last: number | undefined,
  freeBytes: number,
): Problem | undefined {
  const needed = last ?? bytes;
  if (freeBytes >= needed + BESIDE) return undefined;
  const why =
    last === undefined
      ? `the database has ${formatBytes(bytes)}`
      : `the last ${what} backup has ${formatBytes(last)}`;
  return {
    message: `Only ${formatBytes(freeBytes)} are free where the backup goes, and ${why}: nothing was changed.`,
    next: 'Free some space on the server, lower keep-releases (as many backups are kept), or say backup-to: runner.',
  };
}

import { createHash } from 'node:crypto';
import { closeSync, lstatSync, openSync, readdirSync, readlinkSync, readSync, type Stats } from 'node:fs';
import { join } from 'node:path';

/** Whether what lies on the disk is what lay there before, or what lies somewhere else. Nothing here follows a symlink. */

/** Bytes that are compared at a time: databases and uploads may be larger than the memory. */
const CHUNK = 1_048_576;

/** SQLite keeps what was written last beside its file: the file alone may look untouched. */
const JOURNALS = ['-wal', '-journal'];

function statOf(path: string): Stats | undefined {
  try {
    return lstatSync(path);
  } catch {
    return undefined;
  }
}

/** True for two files with the same bytes, and for two symlinks with the same target; never for folders. */
export function sameContent(one: string, other: string): boolean {
  const [a, b] = [statOf(one), statOf(other)];
  if (a?.isSymbolicLink() && b?.isSymbolicLink()) return readlinkSync(one) === readlinkSync(other);
  if (!a?.isFile() || !b?.isFile() || a.size !== b.size) return false;
  const files = [openSync(one, 'r'), openSync(other, 'r')] as const;
  try {
    const buffers = [Buffer.alloc(CHUNK), Buffer.alloc(CHUNK)] as const;
    for (;;) {
      const read = files.map((fd, index) => readSync(fd, buffers[index]!, 0, CHUNK, null)) as [
        number,
        number,
      ];
      if (read[0] !== read[1] || buffers[0].compare(buffers[1], 0, read[1], 0, read[0]) !== 0) return false;
      if (read[0] === 0) return true;
    }
  } finally {
    files.forEach(closeSync);
  }
}

/** What git keeps of a file: its mode, and the hash of its content. */
interface CommittedContent {
  mode: string;
  id: string;
}

/** True for a regular file with the bytes and the executable bit that git keeps; its filters are left out. */
export function isCommitted(path: string, kept: CommittedContent | undefined): boolean {
  const stats = statOf(path);
  if (kept === undefined || !stats?.isFile()) return false;
  if (kept.mode !== ((stats.mode & 0o100) === 0 ? '100644' : '100755')) return false;
  const hash = createHash(kept.id.length === 64 ? 'sha256' : 'sha1').update(`blob ${stats.size}\0`);
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch {
    return false;
  }
  try {
    const buffer = Buffer.alloc(Math.min(CHUNK, Math.max(1, stats.size)));
    for (let read = readSync(file, buffer); read > 0; read = readSync(file, buffer))
      hash.update(buffer.subarray(0, read));
  } finally {
    closeSync(file);
  }
  return hash.digest('hex') === kept.id;
}

/**
 * A mark of a file or of a whole folder: the same as long as nobody writes there, also after a move to another place.
 * Made of names, sizes and times, so that a large folder costs no reading.
 */
export function stampOf(path: string): string {
  const hash = createHash('sha256');
  for (const line of stampLines(path, '')) hash.update(line).update('\0');
  for (const suffix of JOURNALS) for (const line of stampLines(path + suffix, suffix)) hash.update(line);
  return hash.digest('hex').slice(0, 24);
}

function stampLines(path: string, name: string): string[] {
  const stats = statOf(path);
  if (stats === undefined) return [];
  if (stats.isSymbolicLink()) return [`${name}\0${readlinkSync(path)}`];
  if (!stats.isDirectory()) return [`${name}\0${stats.size}\0${stats.mtimeMs}`];
  return [
    `${name}/`,
    ...readdirSync(path)
      .sort()
      .flatMap((item) => stampLines(join(path, item), `${name}/${item}`)),
  ];
}

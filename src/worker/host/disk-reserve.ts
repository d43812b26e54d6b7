import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { Failure, type Problem } from '../../lib/report.js';
import { removePath, writeAll } from './files.js';

/**
 * Room on the disk that a run takes beforehand and gives back when the disk is full: for what must be written down
 * whatever happens (the plan, the journal, the end), and for the files of a commit that git brings on the way there and
 * back. A process is one run, so what it holds is kept here.
 */

/** Bytes. A plan, its journal lines and an end are a few thousand each. */
const FOR_RECORDS = 256 * 1_024;
const AT_ONCE = 1_048_576;

/** The files that hold room now. The first is given back first. */
const held: string[] = [];

/** @throws a Failure where there is not so much room: then what needs it must not begin. */
export function holdReserve(file: string, bytes = FOR_RECORDS): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  try {
    const fd = openSync(file, 'w', 0o600);
    try {
      // Bytes that no file system compresses or leaves out.
      for (let left = bytes; left > 0; left -= AT_ONCE) writeAll(fd, randomBytes(Math.min(left, AT_ONCE)));
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    removePath(file);
    throw isDiskFull(error) ? fullDisk(dirname(file), bytes) : error;
  }
  held.push(file);
}

/** Gives all room back; false where none is held. */
export function freeReserve(): boolean {
  const files = held.splice(0);
  for (const file of files) removePath(file);
  return files.length > 0;
}

/** Does a write that must succeed: on a full disk again, each time with a part of the room that is held. */
export function withReserve<T>(write: () => T): T {
  for (;;) {
    try {
      return write();
    } catch (error) {
      const file = isDiskFull(error) ? held.shift() : undefined;
      if (file === undefined) throw error;
      removePath(file);
    }
  }
}

/** Begins something. @throws a Failure with words for a person where the disk has no room for it. */
export function refuseFullDisk<T>(place: string, begin: () => T): T {
  try {
    return begin();
  } catch (error) {
    throw isDiskFull(error) ? fullDisk(place, FOR_RECORDS) : error;
  }
}

/** True where a write failed for want of room: of the disk, or of what this user may have of it. */
export function isDiskFull(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOSPC' || code === 'EDQUOT';
}

const NEXT =
  'Free some space there (df -h; df -i): old logs, docker images, caches. Then start the workflow again.';

function fullDisk(place: string, bytes: number): Failure {
  return new Failure({
    message: `The disk of the server is full: there is no room for ${Math.ceil(bytes / 1_024)} KiB at ${place}. Nothing was changed.`,
    next: NEXT,
  });
}

/** A problem that a full disk has made, in the words of whichever program met it, with what to do. Pure. */
export function withAdvice(problem: Problem): Problem {
  if (!/ENOSPC|EDQUOT|no space left on device|out of diskspace|disk quota exceeded/i.test(problem.message))
    return problem;
  return { ...problem, message: `The disk of the server is full: ${problem.message}`, next: NEXT };
}

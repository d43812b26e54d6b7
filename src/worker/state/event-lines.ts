import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { LONGEST_EVENT, unseal } from '../../lib/seal.js';

/** Reads a file of events that grows while it is read, and that others than the worker can write: in bounded memory. */
export interface EventLines {
  /**
   * The next whole lines, each with the byte after it, and whether there is more to read at once. A line that is still
   * being written is left out; of one that is too long to be the worker's, only the beginning is given. undefined: the
   * file is shorter than what was read of it, or gone.
   */
  read(): { lines: { line: string; end: number }[]; more: boolean } | undefined;
}

/** Bytes given of a line that is too long. */
const BEGINNING = 100;

/** Reads `file` from byte `offset` on. */
export function eventLines(file: string, offset: number): EventLines {
  let at = offset;
  let skipping = false;
  return {
    read() {
      const chunk = readAt(file, at);
      if (chunk === undefined) return undefined;
      const { bytes, more } = chunk;
      const lines: { line: string; end: number }[] = [];
      let start = 0;
      /** Behind the last line that says something: an empty one may still be taken back by who writes. */
      let told = 0;
      for (let end = bytes.indexOf(0x0a); end >= 0; end = bytes.indexOf(0x0a, start)) {
        const line = bytes.toString('utf8', start, end);
        start = end + 1;
        if (skipping || line.trim() !== '') told = start;
        if (!skipping && told === start) lines.push({ line, end: at + start });
        skipping = false;
      }
      if (told === 0 && bytes.length === LONGEST_EVENT) {
        told = bytes.length;
        if (!skipping) lines.push({ line: bytes.toString('utf8', 0, BEGINNING), end: at + told });
        skipping = true;
      }
      at += told;
      return { lines, more: more && told > 0 };
    },
  };
}

/** At most as much as the longest line, from a byte on. */
function readAt(file: string, at: number): { bytes: Buffer; more: boolean } | undefined {
  let fd: number;
  try {
    fd = openSync(file, 'r');
  } catch {
    return undefined;
  }
  try {
    const left = fstatSync(fd).size - at;
    if (left < 0) return undefined;
    const bytes = Buffer.alloc(Math.min(left, LONGEST_EVENT));
    let length = 0;
    for (let count = -1; length < bytes.length && count !== 0; length += count)
      count = readSync(fd, bytes, length, bytes.length - length, at + length);
    return { bytes: bytes.subarray(0, length), more: left > length };
  } finally {
    closeSync(fd);
  }
}

/** How many events a worker with this key has told so far, and whether the last one is its end. */
export function sealedSoFar(file: string, key: Buffer): { told: number; ended: boolean } {
  const reader = eventLines(file, 0);
  let told = 0;
  let ended = false;
  for (let found = reader.read(); found !== undefined; found = found.more ? reader.read() : undefined)
    for (const { line } of found.lines) {
      const opened = unseal(key, line);
      if (opened === undefined || opened.n <= told) continue;
      told = opened.n;
      ended = (JSON.parse(opened.event) as { kind: string }).kind === 'ended';
    }
  return { told, ended };
}

import type { SourcePosition } from '../../lib/report.js';

/** Longest line shown to a person; a longer one is cut around the column. */
const SHOWN = 160;

/** Line and column (from 1, in code points) of a place in a file, with its line. `index` counts UTF-16 units. */
export function positionIn(file: string, source: string, index: number): SourcePosition {
  const end = Math.max(0, Math.min(index, source.length));
  const lineStart = end === 0 ? 0 : source.lastIndexOf('\n', end - 1) + 1;
  let line = 1;
  for (let at = source.indexOf('\n'); at !== -1 && at < lineStart; at = source.indexOf('\n', at + 1)) line++;
  const newline = source.indexOf('\n', lineStart);
  const lineEnd = newline === -1 ? source.length : newline;
  const text = source.slice(lineStart, Math.min(lineEnd, lineStart + 100_000)).replace(/\r$/, '');
  const column = codePoints(source.slice(lineStart, end)) + 1;
  // A line too long to show is left out: cut, its caret would point at the wrong place.
  return { file, line, column, ...(text.length <= SHOWN ? { text } : {}) };
}

/** UTF-16 index of the code point number `position` (from 1), as PostgreSQL counts. */
export function indexOfCodePoint(source: string, position: number): number {
  let index = 0;
  for (let count = 1; count < position && index < source.length; count++)
    index += source.codePointAt(index)! > 0xffff ? 2 : 1;
  return index;
}

/** True where a position from 1 in code points lies in a text, or right behind it. */
export function isPositionWithin(text: string, position: number): boolean {
  return position <= text.length + 1 && indexOfCodePoint(text, position) <= text.length;
}

/** Turns UTF-8 byte offsets (as the parser library gives them) into UTF-16 indexes; ascending calls are cheap. */
export function byteToIndex(source: string): (byteOffset: number) => number {
  // Where each character is one byte there is nothing to count.
  if (Buffer.byteLength(source) === source.length) return (byteOffset) => Math.min(byteOffset, source.length);
  let index = 0;
  let bytes = 0;
  return (byteOffset) => {
    if (byteOffset < bytes) {
      index = 0;
      bytes = 0;
    }
    while (bytes < byteOffset && index < source.length) {
      const code = source.codePointAt(index)!;
      bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
      index += code > 0xffff ? 2 : 1;
    }
    return index;
  };
}

/** The same text with a range blanked, so that every offset and line stays where it was. */
export function blank(source: string, from: number, to: number): string {
  return source.slice(0, from) + source.slice(from, to).replaceAll(/[^\r\n]/g, ' ') + source.slice(to);
}

/** A statement in one short line, for a message. */
export function oneLine(text: string, longest = 80): string {
  const short = text.replaceAll(/\s+/g, ' ').trim();
  return short.length > longest ? `${short.slice(0, longest - 1)}…` : short;
}

function codePoints(text: string): number {
  let count = 0;
  for (let index = 0; index < text.length; index += text.codePointAt(index)! > 0xffff ? 2 : 1) count++;
  return count;
}

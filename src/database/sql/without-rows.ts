import { blank } from './source-text.js';
import { afterToken, skipBlanks } from './sql-lexer.js';

/** A shorter text, and shorter lists of rows, are parsed as they stand. UTF-16 units. */
const LONG = 16 * 1_024;

/**
 * A text in which long lists of rows (`VALUES (...), (...), ...`) are blanked but for their first row, so that all that
 * follows stays where it was. For the local parser, to which every value of a dump is a node of a tree that nobody looks at:
 * 400 kB of rows cost it a second. The server parses all of them.
 */
export function withoutRows(source: string): string {
  if (source.length < LONG || !/\bvalues\b/i.test(source)) return source;
  const lists: { from: number; to: number }[] = [];
  for (let index = 0, depth = 0; index < source.length; ) {
    const end = afterToken(source, index);
    const token = source.slice(index, Math.min(end, index + VALUES.length + 1));
    if (token === '(') depth += 1;
    if (token === ')') depth -= 1;
    index = end;
    if (depth !== 0 || token.toLowerCase() !== VALUES) continue;
    const rows = rowsFrom(source, index);
    if (rows === undefined) continue;
    if (rows.to - rows.from >= LONG) lists.push(rows);
    index = rows.to;
  }
  return lists.reduce((text, { from, to }) => blank(text, from, to), source);
}

const VALUES = 'values';

/** From the end of the first row to the end of the last; undefined where no row follows, or one is not closed. */
function rowsFrom(source: string, start: number): { from: number; to: number } | undefined {
  const first = afterRow(source, skipBlanks(source, start));
  if (first === undefined) return undefined;
  let to = first;
  for (;;) {
    const comma = skipBlanks(source, to);
    const next = source[comma] === ',' ? afterRow(source, skipBlanks(source, comma + 1)) : undefined;
    if (next === undefined) return { from: first, to };
    to = next;
  }
}

/** The index behind the row that begins at `start`; undefined where none begins there, or it is not closed. */
function afterRow(source: string, start: number): number | undefined {
  if (source[start] !== '(') return undefined;
  for (let index = start, depth = 0; index < source.length; ) {
    const end = afterToken(source, index);
    if (end === index + 1) {
      if (source[index] === '(') depth += 1;
      if (source[index] === ')') depth -= 1;
    }
    index = end;
    if (depth === 0) return index;
  }
  return undefined;
}

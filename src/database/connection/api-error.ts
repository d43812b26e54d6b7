import { definedOnly } from '../../lib/defined-only.js';
import type { SqlErrorFields } from './sql-error.js';

const START = /^(?:Failed to run sql query: )?(ERROR|FATAL|PANIC):\s+([0-9A-Z]{5}): /;

/**
 * The query endpoint gives the server's error as text: severity, SQLSTATE and message, then `LINE n:` with a caret,
 * and after that DETAIL, HINT, QUERY and CONTEXT. `shift` is what stood before the message that was asked to be sent.
 * DETAIL holds row data and is left out.
 */
export function parseApiError(said: string, query: string, shift: number): SqlErrorFields | undefined {
  const start = START.exec(said);
  if (!start) return undefined;
  const rest = said.slice(start[0].length);
  const { head, parts } = sections(rest);
  const position = positionOf(parts, query);
  const hint = parts.get('HINT');
  const internalQuery = parts.get('QUERY');
  const where = parts.get('CONTEXT');
  return {
    severity: start[1]!,
    code: start[2]!,
    message: head.trim(),
    ...(position === undefined ? {} : { position: position - shift }),
    ...(hint === undefined ? {} : { hint: hint.trim() }),
    ...(internalQuery === undefined ? {} : { internalQuery: internalQuery.trimEnd() }),
    ...definedOnly({ where }),
  };
}

function sections(text: string): { head: string; parts: Map<string, string> } {
  const parts = new Map<string, string>();
  const marks = [...text.matchAll(/^(LINE \d+|DETAIL|HINT|QUERY|CONTEXT):/gm)];
  marks.forEach((mark, index) => {
    const from = mark.index + mark[0].length;
    const to = marks[index + 1]?.index ?? text.length;
    const name = mark[1]!;
    // The first of a name counts: the QUERY of an error may itself hold such words at the start of a line.
    if (!parts.has(name)) parts.set(name, text.slice(from, to).replace(/^ {1,2}/, ''));
  });
  return { head: text.slice(0, marks[0]?.index ?? text.length), parts };
}

/** From `LINE n: text` and the caret below it: the position in the whole query, from 1, in code points. */
function positionOf(parts: ReadonlyMap<string, string>, query: string): number | undefined {
  const entry = [...parts].find(([name]) => name.startsWith('LINE '));
  if (!entry) return undefined;
  const [name, shown] = entry;
  const lines = shown.split('\n');
  const caret = lines[1]?.indexOf('^') ?? -1;
  const line = Number(name.slice(5));
  if (caret === -1) return undefined;
  const before = query.split('\n').slice(0, line - 1);
  const start = before.reduce((sum, each) => sum + [...each].length + 1, 0);
  return start + Math.max(0, caret - `${name}: `.length) + 1;
}

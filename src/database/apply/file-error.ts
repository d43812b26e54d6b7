import { definedOnly } from '../../lib/defined-only.js';
import type { Problem, SourcePosition } from '../../lib/report.js';
import { shortenList } from '../../lib/shorten-list.js';
import type { SqlError } from '../connection/sql-error.js';
import type { PlannedFile } from '../migrations/batches.js';
import { strings } from '../sql/parse-tree.js';
import { indexOfCodePoint, isPositionWithin, oneLine, positionIn } from '../sql/source-text.js';
import { afterToken, skipBlanks } from '../sql/sql-lexer.js';
import { identifier } from '../sql/sql-text.js';
import type { StatementLine } from './migration-statement.js';
import { nextActionOfError } from './next-action.js';

/** An error that came while a file ran, as a problem with its place in the file; `message` is what was sent. */
export function fileProblem(
  file: PlannedFile,
  lines: readonly StatementLine[],
  error: SqlError,
  message: string,
): Problem {
  const { source } = file.shape;
  const statement = statementAt(lines, error.where) ?? statementWith(source, lines, error.internalQuery);
  if (!statement) return worded(file, error, undefined);
  const called = insideFunction(file, statement, error);
  if (called) return called;
  const text = source.slice(statement.from, statement.to);
  const offset = offsetIn(text, error) ?? offsetBy(text, error, message) ?? offsetOfLine(text, error, 1) ?? 0;
  return worded(file, error, positionIn(file.file, file.source, statement.from + offset));
}

/** Where in a file an error came from, for files that are sent as they stand. */
export interface ErrorPlace {
  statement: { from: number; to: number };
  /** The message, the error's position in it, and where the statement starts in it. */
  message?: string;
  position?: number;
  start?: number;
}

/** The same for a file whose statements stood in the message themselves. */
export function placedProblem(file: PlannedFile, error: SqlError, place: ErrorPlace | undefined): Problem {
  if (!place) return worded(file, error, undefined);
  const called = insideFunction(file, place.statement, error);
  if (called) return called;
  const { statement, message = '', position, start = 0 } = place;
  const text = file.shape.source.slice(statement.from, statement.to);
  const inside =
    position === undefined
      ? (offsetIn(text, error) ?? offsetOfLine(text, error, 0) ?? 0)
      : indexOfCodePoint(message, position) - start;
  const index = statement.from + Math.max(0, Math.min(inside, statement.to - statement.from));
  return worded(file, error, positionIn(file.file, file.source, index));
}

function worded(file: PlannedFile, error: SqlError, at: SourcePosition | undefined): Problem {
  const next = nextActionOfError(error, file);
  return {
    message: withObjects(withoutRowData(error, file.source), error.objects),
    code: error.code,
    ...definedOnly({ at }),
    ...definedOnly({ next }),
  };
}

/**
 * An error inside a PL/pgSQL function that a statement calls: where the file itself makes the function, the place is in
 * its body; else its line is told in words. Undefined where no function was under way.
 */
function insideFunction(file: PlannedFile, calling: { from: number }, error: SqlError): Problem | undefined {
  const [, name = '', line = ''] = /^PL\/pgSQL function (.+) line (\d+) at /m.exec(error.where ?? '') ?? [];
  // Our own body, or a DO block of the file, is none.
  if (name === '' || name.startsWith('inline_code_block')) return undefined;
  const { source, statements = [] } = file.shape;
  const call = positionIn(file.file, file.source, calling.from);
  const made = statements.findLast(
    ({ kind, node, from }) =>
      kind === 'CreateFunctionStmt' && from <= calling.from && isNamed(node.funcname, name),
  );
  const text = made ? source.slice(made.from, made.to) : '';
  const inside = offsetIn(text, error) ?? offsetOfBodyLine(text, Number(line));
  if (made === undefined || inside === undefined) {
    const told = worded(file, error, call);
    return { ...told, message: `${told.message} (in line ${line} of function ${name})` };
  }
  const told = worded(file, error, positionIn(file.file, file.source, made.from + inside));
  return { ...told, message: `${told.message} (in function ${name}, which line ${call.line} calls)` };
}

/** The stack names a function by its signature, with its schema where the search path does not lead to it. */
function isNamed(funcname: unknown, signature: string): boolean {
  const name = strings(funcname).at(-1);
  const called = signature.slice(0, signature.indexOf('('));
  return (
    name !== undefined &&
    [name, identifier(name)].some((each) => called === each || called.endsWith(`.${each}`))
  );
}

/** Most of the objects that one message names. */
const MOST_OBJECTS = 10;

function withObjects(message: string, objects: string | undefined): string {
  if (objects === undefined) return message;
  const lines = objects.split('\n').filter((line) => line.trim() !== '');
  return `${message} (${oneLine(shortenList(lines, MOST_OBJECTS), 1_000)})`;
}

/**
 * Where in a statement an error came from, by the query that the server was at: the statement itself, or a part of it,
 * such as a line of a DO block or the body of a function.
 */
function offsetIn(text: string, { internalQuery, internalPosition = 1 }: SqlError): number | undefined {
  if (!internalQuery) return undefined;
  const at = text.indexOf(internalQuery);
  const once = at !== -1 && text.indexOf(internalQuery, at + 1) === -1;
  const inside = indexOfCodePoint(internalQuery, internalPosition);
  return once && isPositionWithin(internalQuery, internalPosition) ? at + inside : undefined;
}

/**
 * The compiler of a function looks for the function's body in the whole message, and where it stands there only once
 * it tells the position in that message, though the query that it names is the statement.
 */
function offsetBy(
  text: string,
  { internalQuery, internalPosition }: SqlError,
  message: string,
): number | undefined {
  if (internalQuery !== text || internalPosition === undefined) return undefined;
  const index = indexOfCodePoint(message, internalPosition);
  for (let start = message.indexOf(text); start !== -1; start = message.indexOf(text, start + 1))
    if (index >= start && index <= start + text.length) return index - start;
  return undefined;
}

/**
 * Where an error tells no position, the call stack tells the line of each PL/pgSQL body. `outer`: how many bodies of
 * our own stand around the statement.
 */
function offsetOfLine(text: string, { where }: SqlError, outer: number): number | undefined {
  const lines = bodyLines(where);
  const line = lines[lines.length - 1 - outer];
  return line !== undefined && /^do\b/i.test(text) ? offsetOfBodyLine(text, line) : undefined;
}

/** Where a line of a statement's body begins, counted from the quote that opens it. */
function offsetOfBodyLine(text: string, line: number): number | undefined {
  const body = bodyOf(text);
  if (body === undefined) return undefined;
  let index = body;
  for (let count = 1; count < line; count++) {
    const newline = text.indexOf('\n', index);
    if (newline === -1) return undefined;
    index = newline + 1;
  }
  // In the statement's first line its beginning says as much.
  return text.lastIndexOf('\n', index - 1) === -1 ? undefined : skipBlanks(text, index);
}

/** Where the body of a DO block or a function starts: behind its dollar quote. */
function bodyOf(text: string): number | undefined {
  for (let index = 0; index < text.length; index = afterToken(text, index)) {
    const [tag] = /^\$[^$\s]*\$/.exec(text.slice(index, index + 100)) ?? [];
    if (tag !== undefined) return index + tag.length;
  }
  return undefined;
}

/** The statement that a line of our own body runs, by the call stack of an error or a notice. */
export function statementAt(
  lines: readonly StatementLine[],
  where: string | undefined,
): StatementLine | undefined {
  const line = outermostLine(where);
  return lines.find((each) => each.line === line);
}

/** The line of our own body, the last one in the call stack. */
function outermostLine(where: string | undefined): number | undefined {
  const lines = bodyLines(where);
  return lines[lines.length - 1];
}

/** The lines of all anonymous bodies in the call stack, innermost first. */
function bodyLines(where = ''): number[] {
  return [...where.matchAll(/inline_code_block\D+(\d+)/g)].map(([, line]) => Number(line));
}

/** Which of several units an error came from, where no notice told: their lines are distinct then. */
export function statementOfError(
  units: readonly { lines: readonly StatementLine[] }[],
  error: SqlError,
): number | undefined {
  const line = outermostLine(error.where);
  const found = units.findIndex(({ lines }) => lines.some((each) => each.line === line));
  return found === -1 ? undefined : found;
}

/** Syntax errors come without a call stack, but with the statement. */
function statementWith(
  source: string,
  lines: readonly StatementLine[],
  query: string | undefined,
): StatementLine | undefined {
  return query === undefined
    ? undefined
    : lines.find(({ from, to }) => to - from === query.length && source.slice(from, to) === query);
}

/**
 * Data errors quote the value that did not fit, which may come from a row: it is shown only where the file itself
 * holds that value.
 */
export function withoutRowData(error: SqlError, source: string): string {
  if (!error.code.startsWith('22')) return error.message;
  const quote = error.message.indexOf('"');
  const end = error.message.lastIndexOf('"');
  if (quote === -1 || end <= quote) return error.message;
  const value = error.message.slice(quote + 1, end);
  return source.includes(value)
    ? error.message
    : `${error.message.slice(0, quote)}"…"${error.message.slice(end + 1)}`;
}

import type { Problem, SourcePosition } from '../base/report.js';
import type { PlannedFile } from './batches.js';
import { CODES } from './codes.js';
import { indexOfCodePoint, positionIn } from './source-text.js';
import type { SqlError } from './sql-error.js';
import type { StatementLine } from './unit.js';

/** An error that came while a file ran, as a problem with its place in the file. */
export function fileProblem(file: PlannedFile, lines: readonly StatementLine[], error: SqlError): Problem {
  return worded(file, error, placeOf(file, lines, error));
}

/** Where in a file an error came from, for files that are sent as they stand. */
export interface Place {
  statement: { from: number; to: number };
  /** The message, the error's position in it, and where the statement starts in it. */
  message?: string;
  position?: number;
  start?: number;
}

/** The same for a file whose statements stood in the message themselves. */
export function placedProblem(file: PlannedFile, error: SqlError, place: Place | undefined): Problem {
  if (!place) return worded(file, error, undefined);
  const { statement, message = '', position, start = 0 } = place;
  const inside = position === undefined ? 0 : indexOfCodePoint(message, position) - start;
  const index = statement.from + Math.max(0, Math.min(inside, statement.to - statement.from));
  return worded(file, error, positionIn(file.file, file.source, index));
}

function worded(file: PlannedFile, error: SqlError, at: SourcePosition | undefined): Problem {
  const next = nextAction(error);
  return {
    message: withoutRowData(error, file.source),
    code: error.code,
    ...(at ? { at } : {}),
    ...(next === undefined ? {} : { next }),
  };
}

/**
 * The server tells a position for some errors only. For the others the outermost line of its call stack names the
 * line of our PL/pgSQL body, and with it the statement.
 */
function placeOf(
  file: PlannedFile,
  lines: readonly StatementLine[],
  error: SqlError,
): SourcePosition | undefined {
  const { source } = file.shape;
  const statement = statementAt(lines, error.where) ?? statementWith(source, lines, error.internalQuery);
  if (!statement) return undefined;
  const text = source.slice(statement.from, statement.to);
  const inside =
    error.internalQuery === text && error.internalPosition !== undefined
      ? indexOfCodePoint(text, error.internalPosition)
      : 0;
  return positionIn(file.file, file.source, statement.from + inside);
}

function statementAt(lines: readonly StatementLine[], where: string | undefined): StatementLine | undefined {
  const line = outermostLine(where);
  return lines.find((each) => each.line === line);
}

/** The line of our own body, the last one in the call stack. */
function outermostLine(where: string | undefined): number | undefined {
  const calls = [...(where ?? '').matchAll(/inline_code_block\D+(\d+)/g)];
  const line = calls[calls.length - 1]?.[1];
  return line === undefined ? undefined : Number(line);
}

/** Which of several units an error came from, where no notice told: their lines are distinct then. */
export function unitOf(
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

const NEXT: Readonly<Record<string, string>> = {
  '55P04':
    'A value added to an enum can be used only after the commit: use it in a file of its own, after this one.',
  '2D000': 'A procedure that commits cannot run inside a migration: call it by hand after the deploy.',
  '57014': 'Where it was the time-out: raise statement-timeout, or make the statement smaller.',
  '53100': 'The disk of the database is full: make room, then run again.',
  '25006':
    'The database is read-only by default, and behind a transaction pooler that holds for what runs outside a transaction: give the session pooler or direct URL (port 5432).',
  '42501': 'The role may not do this: grant the right, or use the role that owns the object.',
  [CODES.tampered]: 'Remove what touches supabase_migrations: the history is kept by this action.',
};

function nextAction(error: SqlError): string | undefined {
  const own = NEXT[error.code];
  if (own !== undefined) return own;
  if (error.code.startsWith('58'))
    return 'This is a fault of the server (a missing library or file), not of the migration.';
  if (error.code === '42P07' || error.code === '42710' || error.code === '42701')
    return 'It exists already: was it made by hand, or by a file whose history row is missing? Compare, then use baseline or IF NOT EXISTS.';
  return error.hint;
}

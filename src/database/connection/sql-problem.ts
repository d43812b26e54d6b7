import { definedOnly } from '../../lib/defined-only.js';
import { Cancelled, Failure, type Problem } from '../../lib/report.js';
import { LostConnection, SqlError } from './sql-error.js';

/** What the server said, as a problem; `next` where it gives no hint itself. */
export function sqlProblem(error: SqlError, next?: string): Problem {
  return { message: error.message, code: error.code, ...definedOnly({ next: error.hint ?? next }) };
}

/** The connection broke, and nothing of the work under way was done. */
export function lostProblem(error: unknown, next: string): Problem {
  return {
    message: `the connection to the database was lost: ${error instanceof Error ? error.message : 'no answer'}`,
    next,
  };
}

/** Any error of a message of which nothing took effect; `next` where the connection was lost. */
export function databaseProblem(error: unknown, next: string): Problem {
  if (error instanceof SqlError) return sqlProblem(error);
  return error instanceof Failure ? error.problems[0]! : lostProblem(error, next);
}

/** An error of a message that read only: whatever happened, nothing was changed. */
export function failureOf(error: unknown, doing: string): unknown {
  if (error instanceof SqlError)
    return error.code === '57014' && !isTimeout(error)
      ? new Cancelled(`cancelled while ${doing}`)
      : new Failure(problemOfSql(error, doing));
  if (error instanceof LostConnection)
    return new Failure({
      message: `the database did not answer while ${doing}: ${error.message}`,
      code: error.code,
      next: 'Where a pooler stands in front of it, the database behind it may be down. Run again in a moment.',
    });
  return error;
}

/** The server has one code for a cancel and for its own time-out, and tells them apart in words. */
function isTimeout({ message }: SqlError): boolean {
  return /timeout/i.test(message);
}

/** Class 08: a pooler answered, and the server behind it did not. */
function behindPooler(error: SqlError, doing: string): Problem {
  return {
    message: `the database behind the pooler could not be reached while ${doing}: ${error.message}`,
    code: error.code,
    next: 'The pooler is up and the database is down, starting or full. Run again in a moment.',
  };
}

const NEXT: Readonly<Record<string, string>> = {
  '57014':
    'The database was too slow, or its role has a short statement_timeout: run again at a quieter time, or raise it (alter role ... set statement_timeout).',
  '42501': 'Use the role that owns it (postgres on Supabase), or grant the right.',
};

/** A server's error in words; `doing` says what was under way. */
function problemOfSql(error: SqlError, doing: string): Problem {
  if (error.code.startsWith('08')) return behindPooler(error, doing);
  return { ...sqlProblem(error, NEXT[error.code]), message: `${doing}: ${error.message}` };
}

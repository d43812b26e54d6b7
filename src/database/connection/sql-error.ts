/**
 * What PostgreSQL said. Its `detail` is left out on purpose: it holds row data ("Failing row contains (...)"), except
 * where it can only name objects.
 */
export class SqlError extends Error {
  /** SQLSTATE. */
  readonly code: string;
  /** ERROR, FATAL or PANIC; after the last two the connection is gone. */
  readonly severity: string;
  /** Position in the message sent, from 1, in code points. */
  readonly position?: number;
  /** Position in `internalQuery`, from 1, in code points. */
  readonly internalPosition?: number;
  /** The statement that PL/pgSQL ran when the error came; never shown, only searched. */
  readonly internalQuery?: string;
  /** The call stack as PostgreSQL tells it, innermost first; never shown, only searched. */
  readonly where?: string;
  readonly hint?: string;
  /** The detail of an error that concerns objects alone: what depends on it, which types do not fit. */
  readonly objects?: string;

  constructor(fields: SqlErrorFields) {
    super(fields.message);
    this.name = 'SqlError';
    this.code = fields.code;
    this.severity = fields.severity ?? 'ERROR';
    if (fields.position !== undefined) this.position = fields.position;
    if (fields.internalPosition !== undefined) this.internalPosition = fields.internalPosition;
    if (fields.internalQuery !== undefined) this.internalQuery = fields.internalQuery;
    if (fields.where !== undefined) this.where = fields.where;
    if (fields.hint !== undefined) this.hint = fields.hint;
    if (fields.objects !== undefined) this.objects = fields.objects;
  }
}

export interface SqlErrorFields {
  message: string;
  code: string;
  severity?: string;
  position?: number;
  internalPosition?: number;
  internalQuery?: string;
  where?: string;
  hint?: string;
  objects?: string;
}

/** No answer came to a message that was sent: whether it took effect is not known. */
export class LostConnection extends Error {
  /** A system error code, or DEADLINE. */
  readonly code: string;

  constructor(message: string, code: string) {
    super(message);
    this.name = 'LostConnection';
    this.code = code;
  }
}

/** What an error means for work that was under way. */
export type ErrorMeaning =
  /** Nothing was done and the same may work in a moment. */
  | 'retry'
  /** It may have been done: take the lock, then look. */
  | 'resolve'
  /** Nothing was done, and trying again will not help. */
  | 'stop';

const RETRY = new Set(['55P03', '40P01', '40001', '53300', '57P03']);
const RESOLVE = new Set(['57P01', '57P02', '57P05']);

/** Sorts the error of a message that was sent. */
export function errorMeaning(error: unknown): ErrorMeaning {
  if (error instanceof LostConnection) return 'resolve';
  if (!(error instanceof SqlError)) return 'stop';
  if (RETRY.has(error.code)) return 'retry';
  // A server that goes down, or a pooler that lost it, may have committed before the answer was cut.
  if (RESOLVE.has(error.code) || error.code.startsWith('08')) return 'resolve';
  return 'stop';
}

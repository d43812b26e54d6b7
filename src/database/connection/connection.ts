import type { Log } from '../../lib/log.js';

/** The way to the server, which decides what may be asked of a session: behind a transaction pooler nothing outlasts a transaction. */
export type Transport = 'direct' | 'session-pooler' | 'transaction-pooler' | 'management-api';

/** The rows of one statement of a message, by column name. */
export type Row = Record<string, unknown>;

export interface StatementResult {
  /** The command tag's word, such as SELECT or INSERT; empty where the transport does not tell it. */
  command: string;
  rows: Row[];
}

export interface ServerNotice {
  severity: string;
  message: string;
  /** The function of the server's program that said it. */
  routine?: string;
  /** The call stack, as SqlError.where. */
  where?: string;
}

export interface SendOptions {
  /** Milliseconds of silence (no answer, no notice) after which the outcome is given up as unknown. */
  deadline: number;
  signal?: AbortSignal;
  /** Told of each RAISE INFO/NOTICE/WARNING while the message still runs; never called by the query endpoint. */
  onNotice?: (notice: ServerNotice) => void;
}

/**
 * One database, over whichever transport. Connects on the first message and again when the connection was lost
 * between messages; never repeats a message that may have run.
 */
export interface Database {
  readonly transport: Transport;
  /** The role that a session of a temporary login works as; it has to be taken again after a RESET ROLE. */
  readonly role?: string | undefined;
  /**
   * Told the pid that the server's own `pg_backend_pid()` gave: where another one was announced at connecting,
   * a pooler stands in between. What it does is looked at once, and `transport` says so from then on.
   */
  confirmBackend?(pid: number, signal?: AbortSignal): Promise<void>;
  /**
   * Sends one simple-query message: all its statements are one implicit transaction.
   * Over the Management API only the last statement that returned rows has its rows in the answer, and values are
   * JSON: a message that must work everywhere asks for one text or jsonb value at its end.
   * Rejects with SqlError when the server answered with an error, and with LostConnection when no answer came
   * (the outcome of the message is then unknown).
   */
  send(message: string, options: SendOptions): Promise<StatementResult[]>;
  close(): Promise<void>;
}

/** A database to work with, where what happens is told, and what stops it. */
export interface DatabaseAccess {
  readonly database: Database;
  readonly log: Log;
  readonly signal: AbortSignal;
}

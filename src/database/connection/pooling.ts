import { pause } from '../../lib/retry.js';
import type { Row } from './connection.js';

/** A second connection through the pooler, beside ours. */
export interface Visitor {
  ask(message: string): Promise<Row>;
  /** Says goodbye, and resolves when the connection is closed. */
  leave(): Promise<void>;
}

export interface PoolingLook {
  /** Asks over the connection that is being judged. */
  ask(message: string): Promise<Row>;
  visit(): Promise<Visitor>;
  /** Stands in what the visitor asks, and nowhere else: by it the visitor's last statement is known. */
  nonce: string;
  signal?: AbortSignal | undefined;
}

/** After a visitor has left, the pooler has this many milliseconds to reset or close its connection. */
const RESET_WITHIN = 2_000;
const BETWEEN_LOOKS = 50;
/** A connection that was reset may be given to somebody else before it is looked at; then another visitor is sent. */
const VISITS = 3;

/**
 * Who is asked, one after the other. In a pool with nobody else in it, whoever shares connections is found out: with
 * the newest connection first, the visitor gets ours; with the oldest first, of two asks in a row the second gets
 * another one. In a busy pool chance would have to give back the same two connections each time.
 */
const TURNS = ['ours', 'ours', 'visitor', 'ours', 'visitor', 'visitor', 'ours'] as const;

/**
 * Whether the pooler in between keeps one session of the server for each of its clients. True only with two proofs:
 * both connections kept a server process of their own while the other was used, and the pooler gave the visitor's
 * session up when the visitor left (PgBouncer resets it, Supavisor closes it), which one that shares them does not.
 * A yes that is wrong would leave settings and locks behind in sessions of the application, so all else is a no.
 * Nothing is set or left behind by the look itself.
 */
export async function keepsSessions(look: PoolingLook): Promise<boolean> {
  for (let visits = 1; ; visits++) {
    const end = await visitOnce(look);
    if (end !== 'taken by others' || visits === VISITS) return end === 'given up';
  }
}

/** What a visit showed: that sessions are shared, or what became of the visitor's when it had left. */
type Visit = 'shared' | 'given up' | 'kept' | 'taken by others';

async function visitOnce(look: PoolingLook): Promise<Visit> {
  const visitor = await look.visit();
  let process: string;
  try {
    const seen = await askInTurns(look, visitor);
    if (!seen) return 'shared';
    process = seen;
    // A pooler that resets a connection after every transaction has done so by now.
    if ((await stateOf(look, process)) !== 'as the visitor left it') return 'shared';
  } finally {
    await visitor.leave();
  }
  const until = performance.now() + RESET_WITHIN;
  for (;;) {
    const state = await stateOf(look, process);
    if (state === 'gone' || state === 'reset') return 'given up';
    if (state === 'used') return 'taken by others';
    if (performance.now() > until) return 'kept';
    await pause(BETWEEN_LOOKS, look.signal);
  }
}

/** The visitor's server process, where each of the two had one of its own all the time. */
async function askInTurns(look: PoolingLook, visitor: Visitor): Promise<string | undefined> {
  const has: Partial<Record<(typeof TURNS)[number], string>> = {};
  for (const turn of TURNS) {
    const row = await (turn === 'ours' ? look.ask(WHO) : visitor.ask(`/*${look.nonce}*/ ${WHO}`));
    const process = String(row.process);
    has[turn] ??= process;
    if (has[turn] !== process || has.ours === has.visitor) return undefined;
  }
  return has.visitor;
}

/** Names a server process for good: its number alone may be used again. */
const PROCESS = "pid || '.' || extract(epoch from backend_start)";
const WHO = `select ${PROCESS} as process from pg_catalog.pg_stat_activity where pid = pg_catalog.pg_backend_pid()`;

type ProcessState = 'gone' | 'reset' | 'as the visitor left it' | 'used';

async function stateOf(look: PoolingLook, process: string): Promise<ProcessState> {
  const { query } = await look.ask(
    `select (select query from pg_catalog.pg_stat_activity where ${PROCESS} = '${process}') as query`,
  );
  if (typeof query !== 'string') return 'gone';
  if (query.includes(look.nonce)) return 'as the visitor left it';
  return /^\s*discard\s+all\s*;?\s*$/i.test(query) ? 'reset' : 'used';
}

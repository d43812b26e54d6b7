import type { SourcePosition } from '../../lib/report.js';
import type { Database } from '../connection/connection.js';
import { jsonField } from '../connection/results.js';
import { HISTORY_TABLE } from '../history/deploy-tables.js';
import type { PlannedFile } from '../migrations/batches.js';
import { conflicts, type LockMode, lockOf } from '../migrations/lock-modes.js';
import { positionIn } from '../sql/source-text.js';
import { afterToken } from '../sql/sql-lexer.js';

/** What work that timed out had waited for, as far as it is known: the server no longer knows it. */
export interface Waited {
  /** SQL that names the tables. */
  text: string;
  mode: LockMode;
}

/** What every transaction of ours waits for before its first file. */
export const WAITED_FOR_HISTORY: Waited = { text: HISTORY_TABLE, mode: 'ShareRowExclusiveLock' };

/** The statement of a file that an error points to; without a place it came before the first or behind the last. */
export function waitedIn(file: PlannedFile | undefined, at: SourcePosition | undefined): Waited {
  if (!file || !at) return WAITED_FOR_HISTORY;
  const { source, statements } = file.shape;
  const statement = statements?.findLast(({ from }) => {
    const { line, column } = positionIn(file.file, file.source, from);
    return line < at.line || (line === at.line && column <= at.column);
  });
  return statement
    ? { text: source.slice(statement.from, statement.to), mode: lockOf(statement) }
    : { text: source, mode: 'AccessExclusiveLock' };
}

/** A table lock that somebody else holds. */
export interface HeldLock {
  pid: number;
  who: string;
  state: string | null;
  seconds: number | null;
  /** Without and with its schema. */
  table: string;
  qualified: string;
  mode: string;
}

/** In the order of their transactions, longest first. */
const HELD = `select coalesce(json_agg(b), '[]')::text as held from (
  select a.pid, coalesce(nullif(a.application_name, ''), a.usename, a.backend_type) as who, a.state,
    round(extract(epoch from clock_timestamp() - a.xact_start)) as seconds,
    c.relname as table, c.oid::regclass::text as qualified, l.mode
  from pg_locks l join pg_stat_activity a using (pid) join pg_class c on c.oid = l.relation
  where l.granted and l.locktype = 'relation' and l.pid <> pg_backend_pid() and c.relkind in ('r', 'p', 'm', 'v')
    and c.relnamespace <> 'pg_catalog'::regnamespace
    and l.database = (select oid from pg_database where datname = current_database())
  order by a.xact_start limit 10000) b`;

/** Who may have kept us waiting, for the message after a lock time-out; empty where nobody is seen any more. */
export async function nameBlockers(database: Database, waited: Waited): Promise<string> {
  try {
    const results = await database.send(HELD, { deadline: 10_000 });
    return describeBlockers(jsonField<HeldLock[]>(results, 'held') ?? [], waited);
  } catch {
    // Only words for a message: the lock time-out itself is told either way.
    return '';
  }
}

/**
 * Of all that is held: what conflicts on a table that is named. Where nothing does, a table was meant that is not
 * named, such as one that a view reads: whoever keeps everybody from a table.
 */
export function describeBlockers(held: readonly HeldLock[], { text, mode }: Waited): string {
  const names = identifiersIn(text);
  const named = held.filter((lock) => names.has(lock.table) && conflicts(lock.mode, mode));
  const found = named.length > 0 ? named : held.filter((lock) => lock.mode === 'AccessExclusiveLock');
  const pids = [...new Set(found.map(({ pid }) => pid))].slice(0, 3);
  return pids
    .map((pid) => {
      const locks = found.filter((lock) => lock.pid === pid);
      const { who, state, seconds } = locks[0]!;
      const tables = [...new Set(locks.map(({ qualified }) => qualified))].sort().join(', ');
      return `${who} (pid ${pid}, ${state ?? 'at work'} for ${seconds ?? 0} s, holds ${tables})`;
    })
    .join('; ');
}

/** A transaction that is older than ours. */
interface OldTransaction {
  pid: number;
  who: string;
  state: string | null;
  seconds: number;
  /** This role may end it. */
  mine: boolean;
}

/** What CONCURRENTLY waits for: every transaction that may see what was there before, whatever it has touched. */
const OLD = `select coalesce(json_agg(b), '[]')::text as old from (
  select a.pid, coalesce(nullif(a.application_name, ''), a.usename, a.backend_type) as who, a.state,
    round(extract(epoch from clock_timestamp() - a.xact_start)) as seconds,
    (select rolsuper from pg_roles where rolname = current_user) or pg_has_role(a.usesysid, 'usage')
      or (pg_has_role('pg_signal_backend', 'usage')
        and not (select rolsuper from pg_roles r where r.oid = a.usesysid)) as mine
  from pg_stat_activity a
  where a.datname = current_database() and a.pid <> pg_backend_pid()
    and (a.backend_xid is not null or a.backend_xmin is not null)
  order by a.xact_start limit 3) b`;

/** Who has kept a statement with CONCURRENTLY waiting, and what can be done; undefined where nobody is seen any more. */
export async function nameOldTransactions(
  database: Database,
): Promise<{ who: string; next: string } | undefined> {
  let old: OldTransaction[];
  try {
    const results = await database.send(OLD, { deadline: 10_000 });
    old = jsonField<OldTransaction[]>(results, 'old') ?? [];
  } catch {
    // Only words for a message: the time-out itself is told either way.
    return undefined;
  }
  if (old.length === 0) return undefined;
  const ends = old.filter(({ mine }) => mine).map(({ pid }) => `select pg_terminate_backend(${pid});`);
  return {
    who: old
      .map(({ pid, who, state, seconds }) => `${who} (pid ${pid}, ${state ?? 'at work'} for ${seconds} s)`)
      .join('; '),
    next: `Wait for the end of that transaction, then run again.${ends.length > 0 ? ` Or end it: ${ends.join(' ')}` : ''}`,
  };
}

/** Every name that stands in SQL, also in its texts, which may be the bodies of functions; comments left out. */
function identifiersIn(text: string): Set<string> {
  const names = new Set<string>();
  for (let index = 0; index < text.length; ) {
    const next = afterToken(text, index);
    const token = text.slice(index, next);
    index = next;
    if (token.startsWith('--') || token.startsWith('/*')) continue;
    if (token.startsWith('"')) names.add(token.slice(1, -1).replaceAll('""', '"'));
    else for (const word of token.match(/[\p{L}_][\p{L}\p{N}_$]*/gu) ?? []) names.add(word.toLowerCase());
  }
  return names;
}

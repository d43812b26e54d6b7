import type { Database, SendOptions } from '../connection/connection.js';
import { jsonField } from '../connection/results.js';
import { dollarQuote } from '../sql/sql-text.js';
import {
  HISTORY_TABLE,
  LEASE_HELD,
  LEASE_TABLE,
  LOCK_KEY,
  MIGRATIONS_TABLE,
  READS_TABLES,
  RUNS_TABLE,
} from './deploy-tables.js';

/** One run that changed the database. Milliseconds since the epoch. */
export interface PastDeploy {
  runId: string;
  attempt: number | null;
  environment: string | null;
  sha: string | null;
  outcome: string | null;
  startedAt: number;
  finishedAt: number | null;
}

/** What the database says of itself. */
export interface DatabaseStatus {
  /** In the order in which they are applied. */
  recorded: string[];
  /** Of the versions that this action applied. */
  applied: Record<string, { runId: string; at: number }>;
  /** Newest first, a hundred at most. */
  runs: PastDeploy[];
  /** A run is at work. */
  busy: boolean;
  /** What the role may not read, or this version cannot. */
  unread: string[];
}

const milliseconds = (column: string): string => `round(extract(epoch from ${column}) * 1000)`;

/** Reads a table that may be missing, or closed to the role. */
const readInto = (field: string, table: string, select: string): string => `
  if to_regclass('${table}') is not null then
    if has_table_privilege('${table}', 'select') and not row_security_active(to_regclass('${table}')::oid) then
      execute $q$${select}$q$ into part;
      look := look || jsonb_build_object('${field}', part);
    else unread := unread || '${table}'::text; end if;
  end if;`;

const QUESTION = `set local statement_timeout = '30s'; do ${dollarQuote(`
declare look jsonb := '{"recorded": [], "applied": {}, "runs": []}'; part jsonb; unread text[] := '{}'; held boolean := false;
begin
  ${readInto('recorded', HISTORY_TABLE, `select coalesce(jsonb_agg(version order by version collate "C"), '[]') from ${HISTORY_TABLE}`)}
  if ${READS_TABLES} then
  ${readInto('applied', MIGRATIONS_TABLE, `select coalesce(jsonb_object_agg(version, jsonb_build_object('runId', run_id, 'at', ${milliseconds('applied_at')})), '{}') from ${MIGRATIONS_TABLE}`)}
  ${readInto(
    'runs',
    RUNS_TABLE,
    `select coalesce(jsonb_agg(r), '[]') from (select run_id as "runId", run_attempt as attempt, environment, sha, outcome,
       ${milliseconds('started_at')} as "startedAt", ${milliseconds('finished_at')} as "finishedAt"
       from ${RUNS_TABLE} order by started_at desc, run_id desc limit 100) r`,
  )}
  if to_regclass('${LEASE_TABLE}') is not null and has_table_privilege('${LEASE_TABLE}', 'select') then
    execute $q$select exists (select from ${LEASE_TABLE} l where ${LEASE_HELD})$q$ into held;
  end if;
  else unread := unread || 'the tables of another version of this action'::text; end if;
  look := look || jsonb_build_object('unread', to_jsonb(unread), 'busy', held or exists (select from pg_locks
    where locktype = 'advisory' and classid = 0 and objid = ${LOCK_KEY}
      and database = (select oid from pg_database where datname = current_database())));
  perform set_config('muva.status', look::text, true);
end`)};
select current_setting('muva.status') as status`;

/** One message that writes nothing and takes no lock. */
export async function readDatabaseStatus(database: Database, options: SendOptions): Promise<DatabaseStatus> {
  const status = jsonField<DatabaseStatus>(await database.send(QUESTION, options), 'status');
  if (!status) throw new Error('the question after the status gave no row');
  return status;
}

/**
 * The versions, oldest first, that a run applied after the last one of what is live: their code serves nowhere. Null
 * where no run of the live commits is known. Pure.
 */
export function versionsAhead(
  { runs, applied, recorded }: Pick<DatabaseStatus, 'runs' | 'applied' | 'recorded'>,
  live: readonly string[],
): string[] | null {
  const ofLive = runs.filter(({ sha }) => sha !== null && live.includes(sha));
  if (ofLive.length === 0) return null;
  const since = Math.max(...ofLive.map(({ startedAt }) => startedAt));
  const later = new Set(runs.filter(({ startedAt }) => startedAt > since).map(({ runId }) => runId));
  return recorded.filter((version) => later.has(applied[version]?.runId ?? ''));
}

import { createHash } from 'node:crypto';
import type { Database, SendOptions, StatementResult } from '../connection/connection.js';
import { jsonField } from '../connection/results.js';
import { byBytes } from '../migrations/migration-files.js';
import { HISTORY_TABLE } from './deploy-tables.js';
import {
  type HistoryAnswer,
  historyMessage,
  type RecordedRun,
  type TableFormats,
} from './history-message.js';
import type { PartialMigration } from './partial-migration.js';

/** One row of Supabase's history, with what our own table knows about it. */
interface RecordedMigration {
  version: string;
  name: string | null;
  /** MD5 of all recorded statements without white space and semicolons; null where none were recorded. */
  textHash: string | null;
  /** SHA-256 of the file that we applied; null where another tool applied it. */
  checksum: string | null;
  /** The workflow run that applied it; null where another tool did. */
  runId: string | null;
  /** The text that undoes it is recorded. */
  hasDown: boolean;
}

/** What one look at the database tells; everything that a plan is made from. */
export interface HistoryReport {
  /** Such as 150020. */
  serverVersion: number;
  backendPid: number;
  /** A standby: nothing can be written. */
  readOnly: boolean;
  /** The role and rights that are missing for what would have to be written; empty when all is there. */
  missingRights: string[];
  /** False for a database that holds nothing yet. */
  holdsTables: boolean;
  /** The role that works, and the one that owns our tables, or else the history; null where there is neither. */
  role: string;
  owner: string | null;
  recorded: RecordedMigration[];
  /** Of each of our tables that is there; null where it says none. Where one cannot be read, none was. */
  formats: TableFormats;
  /** The environment that deployed to this database last; null where none did. */
  environment: string | null;
  /** The newest run that changed this database under an environment's name also deployed to a server; then whose it was. */
  withServer: { environment: string; repository: string | null } | null;
  /** Files of ours that were applied in part, because some of their statements cannot run in a transaction. */
  partial: PartialMigration[];
}

/** The hash of a set of versions: tells whether the history is still the one that was planned from. */
export function historyHash(versions: readonly string[]): string {
  return createHash('md5')
    .update([...versions].sort(byBytes).join(','))
    .digest('hex');
}

/** The same hash in SQL, over the table as it is now. */
export const HISTORY_HASH_SQL = `(select pg_catalog.md5(coalesce(pg_catalog.string_agg(version, ',' order by version collate pg_catalog."C"), '')) from ${HISTORY_TABLE})`;

/** Looks at the history and our own tables in one message. `locked`: under the lock of this action. */
export async function readHistory(
  database: Database,
  options: SendOptions,
  locked = false,
): Promise<HistoryReport> {
  const {
    newest,
    missingRights = [],
    holdsTables = false,
    recorded,
    ours,
    partial = [],
    ...rest
  } = readAnswer(await database.send(historyMessage({ locked, plan: true }), options));
  await database.confirmBackend?.(rest.backendPid, options.signal);
  return {
    ...rest,
    missingRights,
    holdsTables,
    environment: newest?.environment ?? null,
    withServer: newest?.server ? { environment: newest.environment, repository: newest.repository } : null,
    partial,
    recorded: migrationsOf(recorded, ours),
  };
}

/** What the runs of this action did, as far as it may have to be taken back. */
export interface RunsLook {
  recorded: RecordedMigration[];
  /** Newest first. */
  runs: RecordedRun[];
  partial: { version: string; runId: string; done: number }[];
  environment: string | null;
  formats: TableFormats;
}

/** Looks what the runs did, in one message. A table that the role may not read is an error, and no empty answer. */
export async function lookAtRuns(database: Database, options: SendOptions): Promise<RunsLook> {
  const {
    recorded,
    ours,
    runs = [],
    partial = [],
    newest,
    formats,
  } = readAnswer(await database.send(historyMessage({ rollback: true }), options));
  return {
    recorded: migrationsOf(recorded, ours),
    runs,
    partial: partial.map(({ version, runId = '', done }) => ({ version, runId, done })),
    environment: newest?.environment ?? null,
    formats,
  };
}

function readAnswer(results: readonly StatementResult[]): HistoryAnswer {
  const answer = jsonField<HistoryAnswer>(results, 'look');
  if (!answer) throw new Error('the look at the history gave no row');
  return answer;
}

function migrationsOf(
  recorded: HistoryAnswer['recorded'] = [],
  ours: HistoryAnswer['ours'] = {},
): RecordedMigration[] {
  return recorded
    .map(([version, name, textHash]) => {
      const [checksum = null, runId = null, hasDown = false, ownName = name] = ours[version] ?? [];
      return { version, name: ownName, textHash, checksum, runId, hasDown };
    })
    .sort((a, b) => byBytes(a.version, b.version));
}

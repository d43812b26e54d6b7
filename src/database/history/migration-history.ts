import { createHash } from 'node:crypto';
import { jsonField } from '../connection/answer.js';
import type { Database, SendOptions } from '../connection/connection.js';
import { byBytes } from '../files/migration-files.js';
import type { NonTransactionalKind } from '../files/non-transactional.js';
import {
  HISTORY_SCHEMA,
  HISTORY_TABLE,
  LOCK_KEY,
  MIGRATIONS_TABLE,
  OUR_TABLES,
  PARTIAL_TABLE,
  READS_TABLES,
  RUNS_TABLE,
  TABLE_FORMATS,
} from './bookmark.js';
import { CODES } from './codes.js';

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
}

/** What one look at the database tells; everything that a plan is made from. */
export interface HistoryLook {
  /** Such as 150020. */
  serverVersion: number;
  backendPid: number;
  /** A standby: nothing can be written. */
  readOnly: boolean;
  /** The role and rights that are missing for what would have to be written; empty when all is there. */
  missingRights: string[];
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

/** The format of each of our tables that is there, by its name; null where it says none. */
export type TableFormats = Readonly<Record<string, number | null>>;

/** What of a file stands whose statements cannot all run in one transaction. */
export interface PartialMigration {
  version: string;
  /** Parts that are committed. */
  done: number;
  /** Bytes of the file's text up to the end of those parts, and their SHA-256. */
  bytes: number;
  prefix: string;
  /**
   * The statement behind them that was about to be sent outside a transaction: written before it is sent, and emptied
   * with the record that it was done, or when the server has refused it. Null: it was not sent.
   */
  sent: SentStatement | null;
}

export interface SentStatement {
  kind: NonTransactionalKind;
  /** Stands in a comment before the statement, so that its session can be found. */
  token: string;
  /** SHA-256 of the statement's text. */
  text: string;
  /** What was there before, by kind; null where nothing is needed to tell whether it was done. */
  before: Readonly<Record<string, unknown>> | null;
}

/** The text of a file up to what stands of it, as it is recorded: editing it later would be a lie. */
export function prefixOf(text: string): Pick<PartialMigration, 'bytes' | 'prefix'> {
  return { bytes: Buffer.byteLength(text), prefix: createHash('sha256').update(text).digest('hex') };
}

/**
 * The UTF-16 index behind what stands of a file; undefined where the file no longer begins with the text that was
 * applied.
 */
export function standsUpTo(source: string, { bytes, prefix }: PartialMigration): number | undefined {
  const text = Buffer.from(source).subarray(0, bytes).toString();
  return prefixOf(text).prefix === prefix ? text.length : undefined;
}

/** SQL: a row of that table as PartialMigration. */
export const PARTIAL_JSON =
  "jsonb_build_object('version', version, 'done', done, 'bytes', bytes, 'prefix', prefix, 'sent', sent)";

/** White space and semicolons, by which versions of the CLI split differently; the same set in SQL and here. */
const IGNORED = /[ \t\r\n\f\v;]+/g;
const IGNORED_SQL = "E' \\t\\r\\n\\f\\013;'";

/** The hash under which a file's text is compared with what any tool has recorded for it. */
export function textHash(source: string): string {
  return createHash('md5').update(source.replaceAll(IGNORED, '')).digest('hex');
}

/** The same hash in SQL, of an expression that gives text. */
export function textHashSql(text: string): string {
  return `pg_catalog.md5(pg_catalog.translate(${text}, ${IGNORED_SQL}, ''))`;
}

/** The hash of a set of versions: tells whether the history is still the one that was planned from. */
export function historyHash(versions: readonly string[]): string {
  return createHash('md5')
    .update([...versions].sort(byBytes).join(','))
    .digest('hex');
}

/** The same hash in SQL, over the table as it is now. */
export const HISTORY_HASH_SQL = `(select pg_catalog.md5(coalesce(pg_catalog.string_agg(version, ',' order by version collate pg_catalog."C"), '')) from ${HISTORY_TABLE})`;

/** Milliseconds; the role's own could be shorter than a long history takes. */
const LOOK_TIMEOUT = 30_000;

/**
 * One message that looks and writes nothing. The tables may be missing, so it is built at run time; its answer is
 * handed out through a setting, because that is the only way that works over every transport.
 */
function lookMessage(locked: boolean): string {
  const lock = `if not pg_catalog.pg_try_advisory_xact_lock(${LOCK_KEY}) then
      raise exception using errcode = '${CODES.locked}', message = 'another deploy is at work in this database';
    end if;`;
  return `set local statement_timeout = '${LOOK_TIMEOUT}ms'; do $muva$
declare
  look jsonb;
  part jsonb;
begin
  ${locked ? lock : ''}
  look := pg_catalog.jsonb_build_object(
    'serverVersion', pg_catalog.current_setting('server_version_num')::int,
    'backendPid', pg_catalog.pg_backend_pid(),
    'readOnly', pg_catalog.pg_is_in_recovery(),
    'recorded', '[]'::jsonb, 'formats', ${TABLE_FORMATS}, 'environment', null, 'withServer', null, 'partial', '[]'::jsonb,
    'missingRights', pg_catalog.to_jsonb(array(${MISSING_RIGHTS})), 'role', current_user,
    'owner', (select pg_get_userbyid(relowner) from pg_class
      where oid = coalesce(to_regclass('${RUNS_TABLE}'), to_regclass('${HISTORY_TABLE}'))));
  ${readTable(
    HISTORY_TABLE,
    'recorded',
    `select coalesce(jsonb_agg(jsonb_build_array(h.version, to_jsonb(h)->>'name',
       case when jsonb_array_length(coalesce(nullif(to_jsonb(h)->'statements', 'null'), '[]')) > 0 then
         ${textHashSql("(select string_agg(s, '' order by n) from jsonb_array_elements_text(to_jsonb(h)->'statements') with ordinality x(s, n))")} end)), '[]')
     from ${HISTORY_TABLE} h`,
  )}
  if ${READS_TABLES} then
  ${readTable(
    MIGRATIONS_TABLE,
    'ours',
    `select coalesce(jsonb_object_agg(version, jsonb_build_array(checksum, run_id)), '{}') from ${MIGRATIONS_TABLE}`,
  )}
  ${readTable(
    RUNS_TABLE,
    'environment',
    `select to_jsonb((select environment from ${RUNS_TABLE} where environment is not null order by started_at desc, run_id desc limit 1))`,
  )}
  ${readTable(
    RUNS_TABLE,
    'withServer',
    `select (select case when server then jsonb_build_object('environment', environment, 'repository', repository) end
       from ${RUNS_TABLE} where environment is not null order by started_at desc, run_id desc limit 1)`,
  )}
  ${readTable(
    PARTIAL_TABLE,
    'partial',
    `select coalesce(jsonb_agg(${PARTIAL_JSON}), '[]') from ${PARTIAL_TABLE}`,
  )}
  end if;
  perform pg_catalog.set_config('muva.look', look::text, true);
end
$muva$;
select pg_catalog.current_setting('muva.look') as look`;
}

/** Reads a table that may not exist or not be readable into one field of the look. */
function readTable(table: string, field: string, select: string): string {
  return `if pg_catalog.to_regclass('${table}') is not null and pg_catalog.has_table_privilege('${table}', 'select') then
    execute $q$${select}$q$ into part;
    look := look || pg_catalog.jsonb_build_object('${field}', part);
  end if;`;
}

const asArray = (tables: readonly string[]): string =>
  `array[${tables.map((table) => `'${table}'`).join(', ')}]`;
const hasColumn = (column: string): string =>
  `exists (select from pg_attribute where attrelid = to_regclass('${HISTORY_TABLE}') and attname = '${column}' and not attisdropped)`;

/**
 * Our tables have row level security and no policy: only their owner, and who may act for it, sees their rows. Where
 * a column is to be added to the history of an older CLI, it takes its owner too.
 */
const MISSING_RIGHTS = `
  select 'create schema ${HISTORY_SCHEMA}' where to_regnamespace('${HISTORY_SCHEMA}') is null
    and not has_database_privilege(current_database(), 'create')
  union all select 'usage on schema ${HISTORY_SCHEMA}' where to_regnamespace('${HISTORY_SCHEMA}') is not null
    and not has_schema_privilege('${HISTORY_SCHEMA}', 'usage')
  union all select 'create in schema ${HISTORY_SCHEMA}' where to_regnamespace('${HISTORY_SCHEMA}') is not null
    and exists (select from unnest(${asArray([HISTORY_TABLE, ...OUR_TABLES])}) t where to_regclass(t) is null)
    and not has_schema_privilege('${HISTORY_SCHEMA}', 'create')
  union all select r || ' on ' || t from unnest(${asArray([HISTORY_TABLE, ...OUR_TABLES])}) t,
    unnest(array['select', 'insert', 'update', 'delete']) r
    where to_regclass(t) is not null and not has_table_privilege(t, r)
  union all select 'the rows of ' || t || ', which row level security hides' from unnest(${asArray(OUR_TABLES)}) t
    where to_regclass(t) is not null and row_security_active(to_regclass(t)::oid)
  union all select 'ownership of ${HISTORY_TABLE}, to which a column is to be added'
    where to_regclass('${HISTORY_TABLE}') is not null and not (${hasColumn('statements')} and ${hasColumn('name')})
      and not pg_has_role((select relowner from pg_class where oid = to_regclass('${HISTORY_TABLE}')), 'usage')`;

interface RawLook extends Omit<HistoryLook, 'recorded'> {
  recorded: [version: string, name: string | null, textHash: string | null][];
  ours?: Record<string, [checksum: string | null, runId: string]>;
}

/** Looks at history and bookmark in one message. */
export async function lookAtHistory(
  database: Database,
  options: SendOptions,
  locked = false,
): Promise<HistoryLook> {
  const results = await database.send(lookMessage(locked), options);
  const raw = jsonField<RawLook>(results, 'look');
  if (!raw) throw new Error('the look at the history gave no row');
  const { ours = {}, recorded, ...rest } = raw;
  await database.confirmBackend?.(rest.backendPid, options.signal);
  return {
    ...rest,
    recorded: recorded
      .map(([version, name, hash]) => ({
        version,
        name,
        textHash: hash,
        checksum: ours[version]?.[0] ?? null,
        runId: ours[version]?.[1] ?? null,
      }))
      .sort((a, b) => byBytes(a.version, b.version)),
  };
}

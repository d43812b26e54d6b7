import { dollarQuote } from '../sql/sql-text.js';
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
} from './deploy-tables.js';
import { CODES } from './error-codes.js';
import { PARTIAL_JSON, type PartialMigration } from './partial-migration.js';
import { textHashSql } from './text-hash.js';

/** The SQL that asks what is recorded: Supabase's history and our own tables beside it. */

/** The format of each of our tables that is there, by its name; null where it says none. */
export type TableFormats = Readonly<Record<string, number | null>>;

export interface RecordedRun {
  runId: string;
  /** Null for a run that was started without a commit. */
  sha: string | null;
  outcome: string | null;
}

/** What is asked; every look tells the versions, who applied them, what is half applied, and the newest environment. */
export interface HistoryQuestion {
  /** Raises CODES.locked where another run is at work, so that what is told is final. */
  readonly locked?: boolean;
  /** For a plan: the hash of each recorded text, and the rights that are missing for writing. */
  readonly plan?: boolean;
  /** For a rollback: the runs, and an error, not an empty answer, where a table may not be read. */
  readonly rollback?: boolean;
}

/** The answer as the message gives it; a part that was not asked for, or whose table is missing, is absent. */
export interface HistoryAnswer {
  serverVersion: number;
  backendPid: number;
  readOnly: boolean;
  missingRights?: string[];
  holdsTables?: boolean;
  role: string;
  owner: string | null;
  formats: TableFormats;
  recorded?: [version: string, name: string | null, textHash: string | null][];
  /** `name`: of the file, for a rollback; other tools may have changed the one in the history. */
  ours?: Record<string, [checksum: string | null, runId: string, hasDown: boolean, name?: string]>;
  /** Of the newest run under an environment's name. */
  newest?: { environment: string; server: boolean; repository: string | null } | null;
  /** Newest first. */
  runs?: RecordedRun[];
  /** `runId`: whose it is, for a rollback. */
  partial?: (PartialMigration & { runId?: string })[];
}

/** Milliseconds; the role's own could be shorter than a long history takes. */
const LOOK_TIMEOUT = 30_000;

const TRY_LOCK = `if not pg_catalog.pg_try_advisory_xact_lock(${LOCK_KEY}) then
      raise exception using errcode = '${CODES.locked}', message = 'another deploy is at work in this database';
    end if;`;

/** Hashing every recorded text is most of the work of a look. */
const TEXT_HASH = `case when jsonb_array_length(coalesce(nullif(to_jsonb(h)->'statements', 'null'), '[]')) > 0 then
         ${textHashSql("(select string_agg(s, E'\\n' order by n) from jsonb_array_elements_text(to_jsonb(h)->'statements') with ordinality x(s, n))")} end`;

/**
 * One message that looks and writes nothing; its last statement gives a HistoryAnswer as `look`. The tables may be
 * missing, so it is built at run time; its answer is handed out through a setting, because that is the only way that
 * works over every transport.
 */
export function historyMessage({ locked, plan, rollback }: HistoryQuestion): string {
  const read = rollback ? readTable : readTableIfAllowed;
  return `set local statement_timeout = '${LOOK_TIMEOUT}ms'; do $muva$
declare
  look jsonb;
  part jsonb;
begin
  ${locked ? TRY_LOCK : ''}
  look := pg_catalog.jsonb_build_object(
    'serverVersion', pg_catalog.current_setting('server_version_num')::int,
    'backendPid', pg_catalog.pg_backend_pid(),
    'readOnly', pg_catalog.pg_is_in_recovery(),
    'formats', ${TABLE_FORMATS}, 'role', current_user,
    'owner', (select pg_get_userbyid(relowner) from pg_class
      where oid = coalesce(to_regclass('${RUNS_TABLE}'), to_regclass('${HISTORY_TABLE}'))));
  ${plan ? `look := look || pg_catalog.jsonb_build_object('missingRights', pg_catalog.to_jsonb(array(${MISSING_RIGHTS})), 'holdsTables', ${HOLDS_TABLES});` : ''}
  ${read(
    HISTORY_TABLE,
    'recorded',
    `select coalesce(jsonb_agg(jsonb_build_array(h.version, to_jsonb(h)->>'name', ${plan ? TEXT_HASH : 'null'})), '[]')
     from ${HISTORY_TABLE} h`,
  )}
  if ${READS_TABLES} then
  ${read(
    MIGRATIONS_TABLE,
    'ours',
    `select coalesce(jsonb_object_agg(version, jsonb_build_array(checksum, run_id, down is not null${rollback ? ', name' : ''})), '{}') from ${MIGRATIONS_TABLE}`,
  )}
  ${read(
    RUNS_TABLE,
    'newest',
    `select (select jsonb_build_object('environment', environment, 'server', server, 'repository', repository)
       from ${RUNS_TABLE} where environment is not null order by started_at desc, run_id desc limit 1)`,
  )}
  ${
    rollback
      ? read(
          RUNS_TABLE,
          'runs',
          `select coalesce(jsonb_agg(jsonb_build_object('runId', run_id, 'sha', sha, 'outcome', outcome)
       order by coalesce(finished_at, started_at) desc), '[]') from ${RUNS_TABLE}`,
        )
      : ''
  }
  ${read(
    PARTIAL_TABLE,
    'partial',
    `select coalesce(jsonb_agg(${PARTIAL_JSON}${rollback ? " || jsonb_build_object('runId', run_id)" : ''}), '[]') from ${PARTIAL_TABLE}`,
  )}
  end if;
  perform pg_catalog.set_config('muva.look', look::text, true);
end
$muva$;
select pg_catalog.current_setting('muva.look') as look`;
}

/** What is recorded, inside another message: a statement that leaves it in `muva.history` as a JSON array of RecordedText. */
export const VERSIONS_STATEMENT = `do ${dollarQuote(`
declare versions text;
begin
  if to_regclass('${HISTORY_TABLE}') is not null then
    execute $q$select jsonb_agg(jsonb_build_object('version', h.version, 'name', to_jsonb(h)->>'name',
      'textHash', ${TEXT_HASH}, 'checksum', null) order by version collate "C")::text from ${HISTORY_TABLE} h$q$ into versions;
  end if;
  perform set_config('muva.history', coalesce(versions, '[]'), true);
exception when insufficient_privilege then perform set_config('muva.history', '', true);
end`)};`;

/** Reads a table that may not exist into one field of the look. */
function readTable(table: string, field: string, select: string, also = ''): string {
  return `if pg_catalog.to_regclass('${table}') is not null${also} then
    execute $q$${select}$q$ into part;
    look := look || pg_catalog.jsonb_build_object('${field}', part);
  end if;`;
}

/** The same, where a role that may not read it is told nothing. */
function readTableIfAllowed(table: string, field: string, select: string): string {
  return readTable(table, field, select, ` and pg_catalog.has_table_privilege('${table}', 'select')`);
}

const asArray = (tables: readonly string[]): string =>
  `array[${tables.map((table) => `'${table}'`).join(', ')}]`;
const hasColumn = (column: string): string =>
  `exists (select from pg_attribute where attrelid = to_regclass('${HISTORY_TABLE}') and attname = '${column}' and not attisdropped)`;

/** Something that is of no system schema. Platform schemas count too: it only spares an empty database a question. */
const HOLDS_TABLES = `exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname !~ '^(pg_|information_schema$)')`;

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

import { DATABASE_FORMATS } from '../../lib/record-format.js';
import { literal } from '../sql/sql-text.js';
import { CODES } from './error-codes.js';

/** The workflow run under which is recorded what it changes. */
export interface DeployRun {
  readonly id: string;
  readonly attempt: number;
  /** The commit that it deploys. */
  readonly sha?: string;
  /** owner/name. */
  readonly repository?: string;
  readonly actor?: string;
}

/** Supabase's own schema for its history; ours stands beside it, so that a dump of the history takes both. */
export const HISTORY_SCHEMA = 'supabase_migrations';
export const HISTORY_TABLE = `${HISTORY_SCHEMA}.schema_migrations`;
/** One row per workflow run that changed the database. */
export const RUNS_TABLE = `${HISTORY_SCHEMA}.deploy_runs`;
/** One row per migration that this action applied. */
export const MIGRATIONS_TABLE = `${HISTORY_SCHEMA}.deploy_migrations`;
/**
 * At most one row: who is at work outside a transaction. A row, because a transaction pooler cannot hold a session's
 * lock; where the session is known, its end frees the lease at once.
 */
export const LEASE_TABLE = `${HISTORY_SCHEMA}.deploy_lease`;
/**
 * What of a file stands whose statements cannot all run in one transaction, and which of them was about to be sent
 * outside of one: as PartialMigration.
 */
export const PARTIAL_TABLE = `${HISTORY_SCHEMA}.deploy_partial`;

/** True while somebody who is alive holds the lease: not expired, and its session, where known, still there. */
export const LEASE_HELD = `until > clock_timestamp() and (pid is null or exists (
    select from pg_catalog.pg_stat_activity a where a.pid = l.pid and a.backend_start = l.backend_start))`;

/** In the order in which they are told of. */
export const OUR_TABLES = [RUNS_TABLE, MIGRATIONS_TABLE, LEASE_TABLE, PARTIAL_TABLE];

/** The column by which each table says its format: its default for the table, empty or not, its value for the row. */
const FORMAT_COLUMN = `format int not null default ${DATABASE_FORMATS.newest}`;

/** A row for each of our tables that is there: its name and its format; null where it says none. */
const FORMATS = `(select t.name, (
    select pg_catalog.substring(pg_catalog.pg_get_expr(d.adbin, d.adrelid), '^[0-9]{1,9}$')::int
    from pg_catalog.pg_attribute a join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attrelid = pg_catalog.to_regclass(t.name) and a.attname = 'format' and not a.attisdropped) as format
  from pg_catalog.unnest(array[${OUR_TABLES.map(literal).join(', ')}]) t(name)
  where pg_catalog.to_regclass(t.name) is not null)`;

/** SQL: the formats of our tables as a JSON object, by the name of each that is there. */
export const TABLE_FORMATS = `(select coalesce(pg_catalog.jsonb_object_agg(f.name, f.format), '{}') from ${FORMATS} f)`;

const IS_READABLE = `coalesce(f.format between ${DATABASE_FORMATS.oldest} and ${DATABASE_FORMATS.newest}, false)`;

/** SQL: true where this version can read all of our tables that are there. No column of them may be named before. */
export const READS_TABLES = `(not exists (select from ${FORMATS} f where not ${IS_READABLE}))`;

/** PL/pgSQL: raises where another version has made our tables anew since they were looked at. */
const REFUSE_OTHER_FORMATS = `if not ${READS_TABLES} then
    raise exception using errcode = '${CODES.format}', message = (
      select 'the table ' || f.name || ' is in the format ' || coalesce(f.format::text, 'of no version') || ', which this version of the action cannot read'
      from ${FORMATS} f where not ${IS_READABLE} limit 1),
      hint = 'Use the version of the action that deployed last.';
  end if;`;

/** The advisory lock that all runs of this action take in a database; the number is "muva" in ASCII. */
export const LOCK_KEY = 1836414561;

/**
 * PL/pgSQL statements that make Supabase's history table and our own tables where they are missing, and complete an
 * older history table. To be run inside the lock: CREATE ... IF NOT EXISTS is itself open to races. Where everything
 * is there already nothing is written, so that a role which may not create anything gets by.
 */
const BOOTSTRAP = `
  if to_regnamespace('${HISTORY_SCHEMA}') is null then
    create schema ${HISTORY_SCHEMA};
  end if;
  if to_regclass('${HISTORY_TABLE}') is null then
    create table ${HISTORY_TABLE} (version text not null primary key, statements text[], name text);
  end if;
  if (select count(*) from pg_catalog.pg_attribute where attrelid = '${HISTORY_TABLE}'::regclass
      and attname in ('statements', 'name') and not attisdropped) < 2 then
    alter table ${HISTORY_TABLE} add column if not exists statements text[], add column if not exists name text;
  end if;
  if to_regclass('${RUNS_TABLE}') is null then
    create table ${RUNS_TABLE} (
      ${FORMAT_COLUMN}, run_id text primary key, run_attempt int, environment text, sha text, repository text, actor text,
      previous_version text, fingerprint_before text, fingerprint_after text, objects jsonb, changes jsonb,
      outcome text, server boolean,
      started_at timestamptz not null default now(), finished_at timestamptz);
    alter table ${RUNS_TABLE} enable row level security;
  end if;
  if to_regclass('${MIGRATIONS_TABLE}') is null then
    create table ${MIGRATIONS_TABLE} (
      ${FORMAT_COLUMN}, version text primary key, run_id text not null, position int not null, name text, checksum text,
      down text, applied_at timestamptz not null default clock_timestamp());
    alter table ${MIGRATIONS_TABLE} enable row level security;
  end if;
  if to_regclass('${LEASE_TABLE}') is null then
    create table ${LEASE_TABLE} (${FORMAT_COLUMN}, single boolean primary key default true check (single), holder text not null,
      until timestamptz not null, pid int, backend_start timestamptz);
    alter table ${LEASE_TABLE} enable row level security;
  end if;
  if to_regclass('${PARTIAL_TABLE}') is null then
    create table ${PARTIAL_TABLE} (${FORMAT_COLUMN}, version text primary key, run_id text not null, done int not null,
      bytes int not null, prefix text not null, sent jsonb, updated_at timestamptz not null default now());
    alter table ${PARTIAL_TABLE} enable row level security;
  end if;`;

/**
 * PL/pgSQL that begins every message which writes: takes the lock of this action, makes what is missing, lets nobody
 * in while another run is at work outside a transaction, and keeps other tools from the history until the end.
 * `holder`: our own name in the lease, where we have one.
 */
export function takeDatabase(holder = ''): string {
  const busy = `raise exception using errcode = '${CODES.locked}', message = 'another deploy is at work in this database';`;
  return `
  if not pg_catalog.pg_try_advisory_xact_lock(${LOCK_KEY}) then ${busy} end if;
  ${REFUSE_OTHER_FORMATS}
  ${BOOTSTRAP}
  if exists (select from ${LEASE_TABLE} l where ${LEASE_HELD} and holder <> ${literal(holder)}) then ${busy} end if;
  lock table ${HISTORY_TABLE} in share row exclusive mode;`;
}

/**
 * The run's row, written with the first change that the run makes; a re-run of the same run keeps the first state.
 * `server`: the run also deploys to a server.
 */
export function runRow(
  run: DeployRun,
  environment: string | undefined,
  previousVersion: string | undefined,
  server: boolean,
): string {
  const values = [
    literal(run.id),
    String(run.attempt),
    literal(environment),
    literal(run.sha),
    literal(run.repository),
    literal(run.actor),
    literal(previousVersion),
    String(server),
  ];
  return `insert into ${RUNS_TABLE} as r (run_id, run_attempt, environment, sha, repository, actor, previous_version, server)
    values (${values.join(', ')})
    on conflict (run_id) do update set run_attempt = excluded.run_attempt,
      environment = coalesce(excluded.environment, r.environment), sha = excluded.sha,
      server = r.server or excluded.server;`;
}

export interface AppliedMigration {
  version: string;
  name: string;
  /** SHA-256 of the file's bytes. */
  checksum: string;
  /** The text of its down file, so that a rollback needs no checkout. */
  down: string | undefined;
  /** Order within the run, from 1. */
  position: number;
}

/** Our row about an applied migration, for the same transaction. */
export function migrationRow(run: Pick<DeployRun, 'id'>, migration: AppliedMigration): string {
  const { version, name, checksum, down, position } = migration;
  return `insert into ${MIGRATIONS_TABLE} (version, run_id, position, name, checksum, down)
    values (${literal(version)}, ${literal(run.id)}, ${position}, ${literal(name)}, ${literal(checksum)}, ${literal(down)})
    on conflict (version) do update set run_id = excluded.run_id, position = excluded.position, name = excluded.name,
      checksum = excluded.checksum, down = excluded.down, applied_at = clock_timestamp();`;
}

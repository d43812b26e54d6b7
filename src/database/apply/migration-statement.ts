import { actAs, actAsAgain } from '../connection/acting-role.js';
import {
  type DeployRun,
  HISTORY_TABLE,
  migrationRow,
  runRow,
  takeDatabase,
} from '../history/deploy-tables.js';
import { CODES } from '../history/error-codes.js';
import { HISTORY_HASH_SQL, historyHash } from '../history/migration-history.js';
import type { PlannedFile } from '../migrations/batches.js';
import type { MigrationFile } from '../migrations/migration-files.js';
import { splitAsCli } from '../migrations/split-statements.js';
import type { PlacedStatement } from '../sql/parser.js';
import { dollarQuote, literal, textArray } from '../sql/sql-text.js';

/** Milliseconds that the server gives a statement, and its wait for a lock. */
export interface Timeouts {
  readonly lockTimeout: number;
  readonly statementTimeout: number;
}

export interface ApplyRules extends Timeouts {
  /** Milliseconds that another run's lock on this database is waited for. */
  readonly lockWait: number;
}

export interface StatementContext {
  run: DeployRun;
  environment: string | undefined;
  /** The run also deploys to a server. */
  server?: boolean;
  rules: ApplyRules;
  /** Versions that must be recorded when the message begins, no more and no less. */
  recorded: readonly string[];
  /** Recorded without being run, in the same transaction. */
  baseline: readonly MigrationFile[];
  /** Of the first file within the run, from 1. */
  position: number;
  /** Told apart from anything that a file prints. */
  marker: string;
  /** As `Database.role`. */
  role?: string | undefined;
  /** Where no notice tells which file is under way, line numbers do: no two units then share any. */
  distinctLines?: boolean;
  /** Milliseconds that the transaction may wait for its next message; IDLE_TIMEOUT where nothing else is said. */
  idleTimeout?: number;
  /** Under which name the lease is ours, where one is taken. */
  holder?: string;
  /** SQL for the same transaction: before the first file, which leaves the settings as it finds them, and after the last. */
  before?: string;
  after?: string;
  /** Told where that SQL could not look at the schema, because others hold a table; never over a transport without notices. */
  onNotLookedAt?: () => void;
}

/**
 * Settings of one transaction. RESET ALL at the end of a file undoes them, so each file begins with them again. A role's
 * own transaction_timeout would end a batch of many files, each of which is within its time.
 */
export function localSettings(timeouts: Timeouts, idleTimeout = IDLE_TIMEOUT): string {
  return `select ${settingCalls(timeouts, idleTimeout)};`;
}

/** The same as the expressions of a SELECT or PERFORM. */
function settingCalls({ lockTimeout, statementTimeout }: Timeouts, idleTimeout = IDLE_TIMEOUT): string {
  return `pg_catalog.set_config('lock_timeout', '${lockTimeout}ms', true),
  pg_catalog.set_config('statement_timeout', '${statementTimeout}ms', true),
  pg_catalog.set_config('idle_in_transaction_session_timeout', '${idleTimeout}ms', true),
  case when pg_catalog.current_setting('server_version_num')::int >= 140000
    then pg_catalog.set_config('client_connection_check_interval', '500ms', true) end,
  case when pg_catalog.current_setting('server_version_num')::int >= 170000
    then pg_catalog.set_config('transaction_timeout', '0', true) end`;
}

/** Milliseconds after which the server ends a transaction whose client is gone. */
export const IDLE_TIMEOUT = 30_000;

/** The lock, the guard against a history that has moved on, and the run's own row: the start of every transaction. */
export function openTransaction(context: StatementContext): string {
  const { run, environment, recorded, baseline, server = false } = context;
  const newest = recorded[recorded.length - 1];
  return `set transaction isolation level read committed, read write;
${localSettings(context.rules, context.idleTimeout)}
do ${dollarQuote(`begin
  ${takeDatabase(context.holder)}
  if not (${historyIs(recorded)}) then
    raise exception using errcode = '${CODES.changed}', message = 'the migration history has changed since it was looked at';
  end if;
  ${runRow(run, environment, newest, server)}
  ${baseline.map((file) => historyRow(file)).join('\n  ')}
end`)};
${context.before ?? ''}`;
}

/** Supabase's own row about a migration. */
function historyRow(file: Pick<MigrationFile, 'version' | 'name' | 'source'>): string {
  return `insert into ${HISTORY_TABLE} (version, name, statements)
    values (${literal(file.version)}, ${literal(file.name)}, ${textArray(splitAsCli(file.source))});`;
}

/**
 * Undoes what a file may have left in the session, so that it reaches neither the next file nor a pooled client.
 * Our own lock belongs to the transaction: letting go of all locks of the session leaves it where it is.
 */
export const LEAVE_NOTHING = leaveNothing(undefined);

/** The same, for a session that works as a role which a RESET ROLE would leave. */
export function leaveNothing(role: string | undefined): string {
  const commands = `${settingsAsBefore(role)}; unlisten *; deallocate all; close all; discard temp; discard sequences`;
  // All in one EXECUTE: the string of each is planned like a query, which after each of a thousand files counts.
  return `
  execute ${literal(commands)};
  perform pg_catalog.pg_advisory_unlock_all();`;
}

/** Undoes what was set; what else the session has stays. */
export function leaveNoSettings(role: string | undefined): string {
  return `
  execute ${literal(settingsAsBefore(role))};`;
}

function settingsAsBefore(role: string | undefined): string {
  const own = role === undefined ? '' : `; ${actAs(role)}`;
  return `reset session authorization; reset role; reset all${own}`;
}

/** Deferred constraints are checked at each file's end and stay as they were, so that a failure names its file. */
export const CHECK_DEFERRED = `
  if exists (select from pg_catalog.pg_trigger where tgdeferrable) then
    begin
      execute 'set constraints all immediate';
      raise exception using errcode = '${CODES.undone}';
    exception when sqlstate '${CODES.undone}' then null;
    end;
  end if;`;

/** Where the statements of a file stand in its unit: a line of the PL/pgSQL body, and the place in the file. */
export interface StatementLine {
  line: number;
  from: number;
  to: number;
}

export interface MigrationStatement {
  sql: string;
  lines: StatementLine[];
}

/**
 * What any change to the set of recorded versions changes too: how many they are, and the sum of their hashes. It costs
 * a tenth of the hash in the guard, which counts when it is computed after each of a thousand files.
 */
const HISTORY_COUNT = `(select pg_catalog.count(*) from ${HISTORY_TABLE})`;
const HISTORY_SUM = `(select coalesce(pg_catalog.sum(pg_catalog.hashtext(version)), 0) from ${HISTORY_TABLE})`;
const AS_BEFORE = `(muva_count, muva_sum) = (select pg_catalog.count(*), coalesce(pg_catalog.sum(pg_catalog.hashtext(version)), 0) from ${HISTORY_TABLE})`;

/**
 * One file as one statement: the file itself, cleaning up, its rows in both tables, and what the next one starts from:
 * the settings that it runs under, and what is recorded by then, because counting it again costs as much as the file.
 * That its version is not recorded yet is known from the opening, which locks the history, and from the file before.
 * Each query of our own here is planned anew for each file, so there are few. One notice for each file: where the one
 * ends, the next begins.
 */
function fileStatement(
  file: PlannedFile,
  index: number,
  context: StatementContext,
  before: readonly PlannedFile[],
  padding = 0,
): MigrationStatement {
  const { source, statements, timed } = file.shape;
  if (timed) return timedStatement(file, index, context, { before, groups: timed, padding });
  const told = (name: string): string => `pg_catalog.current_setting('muva.${name}')::bigint`;
  const [count, sum] = index === 0 ? [HISTORY_COUNT, HISTORY_SUM] : [told('count'), told('sum')];
  let body = `declare started timestamptz := clock_timestamp(); muva_count bigint := ${count}; muva_sum bigint := ${sum}; begin\n${'\n'.repeat(padding)}`;
  body += index === 0 ? `raise info '${context.marker} start 0';\n` : '\n';
  const pieces = statements ?? (source.trim() === '' ? [] : [{ from: 0, to: source.length }]);
  const { text, lines } = statementLines(source, pieces, 3 + padding, context.role);
  body += text;
  body += `${finishFile(file, index, AS_BEFORE, context)}
  perform ${settingCalls(context.rules)},
  pg_catalog.set_config('muva.count', (muva_count + 1)::text, true),
  pg_catalog.set_config('muva.sum', (muva_sum + pg_catalog.hashtext(${literal(file.version)}))::text, true);
  raise info '${context.marker} done ${index} %', (pg_catalog.date_part('epoch', clock_timestamp() - started) * 1000)::int;
end`;
  return { sql: `do ${dollarQuote(body)};`, lines };
}

/**
 * The same for a file that sets statement_timeout itself: several statements, because the server counts that time anew
 * for each one that it is sent. What was recorded before it stands in the text, since the file may reset any setting.
 */
function timedStatement(
  file: PlannedFile,
  index: number,
  context: StatementContext,
  {
    before,
    groups,
    padding,
  }: { before: readonly PlannedFile[]; groups: readonly PlacedStatement[][]; padding: number },
): MigrationStatement {
  const lines: StatementLine[] = [];
  const units = groups.map((pieces) => {
    // Only the line tells which statement an error came from, so no two have the same one.
    const first = Math.max(padding + 3, (lines[lines.length - 1]?.line ?? 0) + 1);
    const { text, lines: own } = statementLines(file.shape.source, pieces, first, context.role);
    const start = lines.length === 0 && index === 0 ? `raise info '${context.marker} start 0';` : '';
    lines.push(...own);
    return `do ${dollarQuote(`begin\n${start}${'\n'.repeat(first - 2)}${text}end`)};`;
  });
  const recorded = [...context.recorded, ...[...context.baseline, ...before].map(({ version }) => version)];
  const end = `begin ${finishFile(file, index, historyIs(recorded), context)}
  perform ${settingCalls(context.rules)},
  pg_catalog.set_config('muva.count', ${HISTORY_COUNT}::text, true),
  pg_catalog.set_config('muva.sum', ${HISTORY_SUM}::text, true);
  raise info '${context.marker} done ${index}';
end`;
  return { sql: [...units, localSettings(context.rules), `do ${dollarQuote(end)};`].join('\n'), lines };
}

/**
 * Statements of a file as PL/pgSQL, one EXECUTE each, and on which line of the body each one stands. `role`: as
 * `Database.role`.
 */
export function statementLines(
  source: string,
  pieces: readonly PlacedStatement[],
  firstLine: number,
  role: string | undefined,
): { text: string; lines: StatementLine[] } {
  const lines: StatementLine[] = [];
  let text = '';
  let line = firstLine;
  for (const piece of pieces) {
    const { from, to } = piece;
    const again = actAsAgain(piece, role);
    const one = `execute ${dollarQuote(source.slice(from, to))};${again === '' ? '' : ` execute ${literal(again)};`}\n`;
    lines.push({ line, from, to });
    text += one;
    line += one.split('\n').length - 1;
  }
  return { text, lines };
}

/**
 * What ends every file: nothing left behind, the history untouched by the file, and the file's rows in both tables.
 * `untouched`: an SQL condition.
 */
export function finishFile(
  file: PlannedFile,
  index: number,
  untouched: string,
  context: StatementContext,
): string {
  const tampered = `raise exception using errcode = '${CODES.tampered}', message = 'the file changed the migration history itself';`;
  return `${leaveNothing(context.role)}${CHECK_DEFERRED}
  if pg_catalog.to_regclass('${HISTORY_TABLE}') is null then ${tampered} end if;
  if not (${untouched}) then ${tampered} end if;
  ${historyRow(file)}
  ${migrationRow(context.run, { ...file, down: file.down?.source, position: context.position + index })}`;
}

/** The condition that exactly these versions are recorded, which holds across messages. */
export function historyIs(versions: readonly string[]): string {
  return `${HISTORY_HASH_SQL} = ${literal(historyHash(versions))}`;
}

/** A batch in one message: all of it is committed together, or nothing. */
export function batchMessage(
  files: readonly PlannedFile[],
  context: StatementContext,
): { message: string; units: MigrationStatement[] } {
  let lines = 0;
  const units = files.map((file, index) => {
    const padding = context.distinctLines ? lines : 0;
    const unit = fileStatement(file, index, context, files.slice(0, index), padding);
    lines += file.source.split('\n').length + (file.shape.timed?.length ?? 0) + 100;
    return unit;
  });
  const message = [openTransaction(context), ...units.map((unit) => unit.sql), context.after ?? ''].join(
    '\n',
  );
  return { message, units };
}

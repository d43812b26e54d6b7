import type { DatabaseAddress, DatabaseConnection } from '../../lib/database-address.js';
import { Cancelled, type Problem } from '../../lib/report.js';
import { shortenList } from '../../lib/shorten-list.js';
import type { DatabaseAccess } from '../connection/connection.js';
import { openDatabase } from '../connection/open.js';
import { jsonField } from '../connection/results.js';
import { SqlError } from '../connection/sql-error.js';
import { type RunReader, runReader, type SqlParsers } from '../lint/run-statements.js';
import { type PlannedFile, titleOf } from '../migrations/batches.js';
import { classify } from '../migrations/classify.js';
import { type MigrationFile, readMigrationFiles } from '../migrations/migration-files.js';
import { whyNonTransactional } from '../migrations/non-transactional.js';
import { loadParser, type Statement } from '../sql/parser.js';
import { loadBodyParser } from '../sql/plpgsql.js';
import { textArray } from '../sql/sql-text.js';
import { statementKind } from '../sql/statement-kind.js';
import { groundMessages } from './ground-messages.js';
import { compareStates, type Measured, readSeenStates, SEEN_STATE_SQL } from './held-locks.js';
import { changesSession, whyNotRun } from './not-run.js';
import { dumpSchema, isOfPlatform, rolesNamed } from './schema-dump.js';
import { type Scratch, takeScratch } from './scratch.js';
import { LEAVE_SESSION } from './scratch-sql.js';

/** What is measured where. */
export interface MeasureSetting {
  readonly workingDirectory: string;
  readonly migrationsDir: string;
  readonly downDir?: string;
  /** The way to the database itself. */
  readonly connection: DatabaseConnection;
  readonly shadow: DatabaseAddress;
  /** What the scratch database starts from: the applied files, or the schema of the database itself. */
  readonly shadowBase: 'files' | 'database';
  /** Milliseconds. */
  readonly lockTimeout: number;
  /** Milliseconds. */
  readonly statementTimeout: number;
  /** Of the database itself, such as 17. */
  readonly serverMajor: number;
}

/** What came of one pending statement: what was seen, or why nothing was. */
export type MeasuredStatement = {
  version: string;
  /** Where it starts in its file, as a finding has it. */
  from: number;
  text: string;
  file: string;
  line: number;
} & ({ measured: Measured; why?: undefined } | { measured?: undefined; why: string });

export interface MeasuredPlan {
  statements: MeasuredStatement[];
  /** Why nothing was measured at all. */
  why?: string;
  warnings: Problem[];
}

/**
 * Asks PostgreSQL itself: runs each pending statement on a scratch database in a transaction that is undone, looks at
 * the locks that it still holds on what was there before and at what it wrote anew, and then lets it stand for the next
 * one. Fails never: what cannot be measured is told with its reason. The scratch database is emptied again.
 */
export async function measurePlan(
  { database: target, log, signal }: DatabaseAccess,
  setting: MeasureSetting,
  due: readonly PlannedFile[],
): Promise<MeasuredPlan> {
  const certificate = setting.connection.caCertificate;
  const connection = {
    kind: 'url',
    address: setting.shadow,
    ...(certificate === undefined ? {} : { caCertificate: certificate }),
  } as const;
  const database = openDatabase(connection, { log, source: 'shadow-database-url' });
  try {
    if (database.transport === 'transaction-pooler')
      return nothing('shadow-database-url leads through a transaction pooler');
    const scratch = await takeScratch(database, target, signal);
    if ('why' in scratch) return nothing(scratch.why);
    const result = await measureOn(scratch, target, setting, due, signal).catch((error: unknown) =>
      nothing(saying(error, signal)),
    );
    return { ...result, warnings: [...result.warnings, ...(await scratch.empty())] };
  } catch (error) {
    return nothing(saying(error, signal));
  } finally {
    await database.close();
  }
}

function nothing(why: string): MeasuredPlan {
  return { statements: [], why, warnings: [] };
}

/** @throws Cancelled where the run is. */
function saying(error: unknown, signal: AbortSignal): string {
  if (signal.aborted) throw new Cancelled();
  if (error instanceof SqlError) return `${error.message} (${error.code})`;
  return error instanceof Error ? error.message : String(error);
}

async function measureOn(
  scratch: Scratch,
  target: DatabaseAccess['database'],
  setting: MeasureSetting,
  due: readonly PlannedFile[],
  signal: AbortSignal,
): Promise<MeasuredPlan> {
  const parsers: SqlParsers = { parse: await loadParser(), parseBody: await loadBodyParser() };
  const reader = runReader(parsers);
  const warnings: Problem[] = [];
  if (setting.shadowBase === 'files') {
    const { files } = await readMigrationFiles(setting.workingDirectory, setting);
    const pending = new Set(due.map(({ version }) => version));
    const applied = files.filter(({ version }) => !pending.has(version));
    const why = await replay(scratch, applied, parsers, reader, signal);
    if (why !== undefined) return { statements: [], why, warnings };
  } else {
    const ground = await restore(scratch, target, setting, parsers, signal);
    if ('why' in ground) return nothing(ground.why);
    warnings.push(...ground.warnings);
  }
  const statements: MeasuredStatement[] = [];
  for (const file of due) {
    const locals: string[] = [];
    for (const statement of file.shape.statements ?? [])
      statements.push(
        ...(await measureStatement(scratch, setting, { file, statement, locals, reader, signal })),
      );
    await scratch.send(LEAVE_SESSION);
  }
  return { statements, warnings };
}

/** Runs the applied files; gives which one does not run there, and why. */
async function replay(
  scratch: Scratch,
  applied: readonly MigrationFile[],
  { parse }: SqlParsers,
  reader: RunReader,
  signal: AbortSignal,
): Promise<string | undefined> {
  for (const file of applied) {
    try {
      const shape = classify(file.file, file.source, parse);
      for (const { text, alone } of groundMessages(shape, reader))
        await (alone ? scratch.sendAlone(text) : scratch.send(text));
      await scratch.send(LEAVE_SESSION);
    } catch (error) {
      return `the applied file ${titleOf(file)} does not run on the scratch database: ${saying(error, signal)}; with shadow-base: database it starts from the schema of the database itself`;
    }
  }
  return undefined;
}

/** Gives the scratch database the schema of the database itself; what it cannot take is listed, and no role is made. */
async function restore(
  scratch: Scratch,
  target: DatabaseAccess['database'],
  { connection, lockTimeout, serverMajor }: MeasureSetting,
  { parse }: SqlParsers,
  signal: AbortSignal,
): Promise<{ warnings: Problem[] } | { why: string }> {
  if (connection.kind !== 'url') return { why: 'shadow-base: database needs database-url, for pg_dump' };
  const { address, caCertificate } = connection;
  const { transport } = target;
  const dump = await dumpSchema({ address, caCertificate, transport, serverMajor, lockTimeout, signal });
  if ('why' in dump) return dump;
  const shape = classify('the schema of the database', dump.sql, parse);
  const all = (shape.statements ?? []).filter((statement) => !isOfPlatform(statement));
  const missing = await missingRoles(scratch, rolesNamed(all));
  const wrong: string[] = [];
  for (const statement of all) {
    if (rolesNamed([statement]).some((role) => missing.includes(role))) continue;
    const text = shape.source.slice(statement.from, statement.to);
    await scratch.send(text).catch((error: unknown) => {
      // A schema that is there already, such as public, is as good.
      if (error instanceof SqlError && error.code === '42P06') return;
      wrong.push(`${statementKind(text) ?? statement.kind}: ${saying(error, signal)}`);
    });
  }
  await scratch.send(LEAVE_SESSION);
  return {
    warnings: [
      ...(missing.length === 0
        ? []
        : [
            {
              message: `the scratch database has not the roles ${shortenList(missing, 10)}: what belongs to them or is granted to them is left out there`,
              next: 'Create them there in a step before this one, or take the image supabase/postgres.',
            },
          ]),
      ...(wrong.length === 0
        ? []
        : [
            {
              message: `${wrong.length} of ${all.length} statements of the schema could not be restored on the scratch database: ${shortenList(wrong, 10)}`,
            },
          ]),
    ],
  };
}

async function missingRoles(scratch: Scratch, names: readonly string[]): Promise<string[]> {
  const message = `select coalesce(json_agg(n), '[]')::text as missing from unnest(${textArray(names)}) n
    where not exists (select from pg_catalog.pg_roles where rolname = n)`;
  return jsonField<string[]>(await scratch.send(message), 'missing') ?? [];
}

interface StatementOrder {
  file: PlannedFile;
  statement: Statement;
  /** What the file has set for its transaction so far; taken in here. */
  locals: string[];
  reader: RunReader;
  signal: AbortSignal;
}

async function measureStatement(
  scratch: Scratch,
  { lockTimeout, statementTimeout }: MeasureSetting,
  { file, statement, locals, reader, signal }: StatementOrder,
): Promise<MeasuredStatement[]> {
  const { source } = file.shape;
  const text = source.slice(statement.from, statement.to);
  const place = {
    version: file.version,
    from: statement.from,
    text,
    file: file.file,
    line: source.slice(0, statement.from).split('\n').length,
  };
  const run = reader.read(statement, source);
  const notRun = whyNotRun(run);
  if (notRun !== undefined) return [{ ...place, why: notRun }];
  if (statement.kind === 'TransactionStmt') return [];
  const head = `begin; set local lock_timeout = '${lockTimeout}ms'; set local statement_timeout = '${statementTimeout}ms';
${locals.map((each) => `${each};`).join('\n')}`;
  const keep = `${head}\n${text}\n;commit`;
  if (changesSession(statement)) {
    if (statement.node.is_local === true || statement.kind === 'SelectStmt') locals.push(text);
    await settled(scratch, keep);
    return [];
  }
  const alone = whyNonTransactional(statement);
  if (alone !== undefined) {
    const failed = await scratch.sendAlone(text).then(
      () => undefined,
      (error: unknown) => saying(error, signal),
    );
    return [{ ...place, why: failed ?? `${alone} runs in no transaction` }];
  }
  try {
    const results = await scratch.send(
      `${head}\n${SEEN_STATE_SQL};\n${text}\n;\n${SEEN_STATE_SQL};\nrollback`,
    );
    const [before, after] = readSeenStates(results);
    if (!before || !after) throw new Error('the look at the scratch database gave no row');
    await settled(scratch, keep);
    return [{ ...place, measured: compareStates(before, after) }];
  } catch (error) {
    const why = saying(error, signal);
    await scratch.sendAlone('rollback');
    return [{ ...place, why }];
  }
}

/** What stands now is the ground of the next statement; that it does not stand shows there. */
async function settled(scratch: Scratch, message: string): Promise<void> {
  try {
    await scratch.send(message);
  } catch (error) {
    if (!(error instanceof SqlError)) throw error;
    await scratch.sendAlone('rollback');
  }
}

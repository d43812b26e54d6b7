import type { DatabaseAddress, DatabaseConnection } from '../lib/database-address.js';
import { definedOnly } from '../lib/defined-only.js';
import { Failure, type Problem } from '../lib/report.js';
import { STILL_INSIDE } from './apply/explicit-transaction.js';
import { placedProblem } from './apply/file-error.js';
import {
  type ApplyRules,
  LEAVE_NOTHING,
  leaveNoSettings,
  openTransaction,
} from './apply/migration-statement.js';
import type { Database, DatabaseAccess } from './connection/connection.js';
import { openDatabase } from './connection/open.js';
import { SqlError } from './connection/sql-error.js';
import { failureOf } from './connection/sql-problem.js';
import type { DeployRun } from './history/deploy-tables.js';
import { CODES } from './history/error-codes.js';
import { titleOf } from './migrations/batches.js';
import { classify } from './migrations/classify.js';
import { forOneTransaction } from './migrations/down-files.js';
import type { Segment } from './migrations/file-shape.js';
import { type MigrationFile, readMigrationFiles } from './migrations/migration-files.js';
import type { DatabasePlan } from './plan.js';
import type { DeployCheck } from './schema/deploy-check.js';
import {
  compareObjects,
  describeDifference,
  fingerprintQuery,
  isSameSchema,
  ownerlessQuery,
  readFingerprint,
  type SchemaFingerprint,
  type SchemaObject,
} from './schema/fingerprint.js';
import { loadParser, type Parse } from './sql/parser.js';
import { blank } from './sql/source-text.js';
import { dollarQuote } from './sql/sql-text.js';

/** What is proven, and on top of what. */
export interface ProofOrder<T> {
  /** Applied already, or of no use without a down file: they only make the ground. */
  base: T[];
  /** Each with a down file, in order. */
  proven: T[];
}

/** What is proven where, and under which rules. */
export interface ProofSetting {
  readonly workingDirectory: string;
  readonly migrationsDir: string;
  readonly downDir?: string;
  readonly run: DeployRun;
  readonly rules: ApplyRules;
  /** The way to the database itself, which the scratch database must not be. */
  readonly connection: DatabaseConnection;
  readonly shadow: DatabaseAddress;
}

/** Only what comes after the last pending file without a down file can be undone, and is proven. */
export function orderProof<T extends Pick<MigrationFile, 'down'>>(
  applied: readonly T[],
  pending: readonly T[],
): ProofOrder<T> {
  const last = pending.map(({ down }) => down === undefined).lastIndexOf(true);
  return { base: [...applied, ...pending.slice(0, last + 1)], proven: pending.slice(last + 1) };
}

/** Milliseconds for one file on the scratch database. */
const FILE_DEADLINE = 10 * 60_000;

/**
 * Proves on a scratch database that each pending down file undoes its migration: up, down and up again, with the
 * schema compared after every file. All of it happens in one transaction that is rolled back, so the scratch
 * database stays as it was.
 */
export async function proveReversible(
  tools: Pick<DatabaseAccess, 'log' | 'signal'>,
  setting: ProofSetting,
  plan: DatabasePlan,
): Promise<DeployCheck> {
  // Said at once, not only on the day when a file with a down file is pending.
  refuseSameDatabase(setting);
  const calm = (detail: string): DeployCheck => ({ detail, refusals: [], warnings: [] });
  const { files } = await readMigrationFiles(setting.workingDirectory, setting);
  const due = new Set([...plan.pending, ...plan.deferred].map(({ version }) => version));
  const { base, proven } = orderProof(
    files.filter(({ version }) => !due.has(version)),
    files.filter(({ version }) => due.has(version)),
  );
  if (proven.length === 0)
    return calm(due.size === 0 ? 'nothing pending' : 'the newest pending file has no down file');
  return onShadow(tools, setting, async (stage) => {
    const problems = await prove(stage, setting, base, proven);
    const unprovable = problems.filter(({ code = '' }) => NOT_IN_ONE_TRANSACTION.has(code));
    if (unprovable.length > 0)
      return { detail: 'not proven', refusals: [], warnings: unprovable.map(notProven) };
    return { detail: detailOf(proven.length, due.size, problems), refusals: problems, warnings: [] };
  });
}

/** Does work on the scratch database, over a connection of its own. @throws a Failure where it cannot serve */
async function onShadow<T>(
  { log, signal }: Pick<DatabaseAccess, 'log' | 'signal'>,
  setting: ProofSetting,
  work: (stage: ShadowStage) => Promise<T>,
): Promise<T> {
  refuseSameDatabase(setting);
  const { connection, shadow } = setting;
  const certificate =
    connection.caCertificate === undefined ? {} : { caCertificate: connection.caCertificate };
  const database = openDatabase(
    { kind: 'url', address: shadow, ...certificate },
    { log, source: 'shadow-database-url' },
  );
  try {
    if (database.transport === 'transaction-pooler')
      throw new Failure({
        message: 'shadow-database-url leads through a transaction pooler',
        next: 'Give a direct URL: the proof is one long transaction.',
      });
    return await work({ database, signal, parse: await loadParser() });
  } finally {
    await database.close();
  }
}

/**
 * What stands on the scratch database before the first file and behind each of them, owners left out; all of it is
 * taken back. @throws a Failure where a file cannot be run there
 */
export async function statesOnShadow(
  tools: Pick<DatabaseAccess, 'log' | 'signal'>,
  setting: ProofSetting,
  files: readonly MigrationFile[],
): Promise<SchemaObject[][]> {
  const sending = { deadline: FILE_DEADLINE, signal: tools.signal };
  return onShadow(tools, setting, async (stage) => {
    try {
      await stage.database.send(`begin;\n${openTransaction(contextOf(setting))}`, sending);
      const states = [(await readSchema(stage, ownerlessQuery())).objects];
      for (const file of files) {
        await runOnShadow(stage, file, file.source);
        states.push((await readSchema(stage, ownerlessQuery())).objects);
      }
      return states;
    } catch (error) {
      throw failureOf(error, 'running the files on the scratch database');
    } finally {
      await stage.database.send('rollback', sending).catch(() => undefined);
    }
  });
}

/** Errors of files that are good, and that only the one transaction of the proof brings about. */
const NOT_IN_ONE_TRANSACTION = new Set(['55P04', '55006']);

function notProven({ message, ...problem }: Problem): Problem {
  return {
    ...problem,
    message: `the down files are not proven: ${message}; a deploy commits in between, and the proof is one transaction`,
    next: 'Use PostgreSQL 17 or newer for the scratch database: there a value of an enum can be used in the transaction that made the type.',
  };
}

function detailOf(proven: number, due: number, problems: readonly Problem[]): string {
  if (problems.length > 0) return 'it does not fit';
  const rest = due - proven;
  return `${proven} proven: up, down and up again${rest > 0 ? `; ${rest} have no down file, or lie below one that has none` : ''}`;
}

function refuseSameDatabase({ connection, shadow }: ProofSetting): void {
  if (connection.kind !== 'url') return;
  const { host, port, database } = connection.address;
  if (host === shadow.host && port === shadow.port && database === shadow.database)
    throw new Failure({
      message: 'shadow-database-url is the same database as database-url',
      next: 'Give an empty scratch database, such as a postgres service container.',
    });
}

interface ShadowStage {
  database: Database;
  signal: AbortSignal;
  parse: Parse;
}

async function prove(
  stage: ShadowStage,
  setting: ProofSetting,
  base: readonly MigrationFile[],
  proven: readonly MigrationFile[],
): Promise<Problem[]> {
  const sending = { deadline: FILE_DEADLINE, signal: stage.signal };
  try {
    await stage.database.send(`begin;\n${openTransaction(contextOf(setting))}`, sending);
    for (const file of base) await runOnShadow(stage, file, file.source);
    const states = [await readSchema(stage)];
    for (const file of proven) {
      await runOnShadow(stage, file, file.source);
      states.push(await readSchema(stage));
    }
    const problems: Problem[] = [];
    for (let index = proven.length - 1; index >= 0 && problems.length === 0; index--) {
      const file = proven[index]!;
      await runOnShadow(stage, { ...file, file: file.down!.file }, file.down!.source);
      problems.push(...leftoverProblem(file, states[index]!, await readSchema(stage)));
    }
    if (problems.length > 0) return problems;
    for (const file of proven) await runOnShadow(stage, file, file.source);
    return leftoverProblem(proven.at(-1)!, states.at(-1)!, await readSchema(stage), 'a second up');
  } catch (error) {
    if (error instanceof Failure) return error.problems;
    if (error instanceof SqlError && error.code === CODES.changed)
      return [
        {
          message: 'the scratch database is not empty: it has a migration history',
          next: 'Give an empty one in shadow-database-url.',
        },
      ];
    const failure = failureOf(error, 'proving the down files on the scratch database');
    if (failure instanceof Failure) return failure.problems;
    throw failure;
  } finally {
    await stage.database.send('rollback', sending).catch(() => undefined);
  }
}

/** The scratch database has a history of its own kind: none, so nothing is expected in it. */
function contextOf({ run, rules }: ProofSetting): Parameters<typeof openTransaction>[0] {
  return {
    run,
    environment: undefined,
    rules,
    recorded: [],
    baseline: [],
    position: 1,
    marker: 'shadow',
  };
}

/** Runs a file as it stands inside the open transaction; what no transaction can hold is left out. */
async function runOnShadow(stage: ShadowStage, file: MigrationFile, text: string): Promise<void> {
  const shape = classify(file.file, text, stage.parse);
  if (shape.problems.length > 0) throw new Failure(shape.problems);
  const prepared = forOneTransaction(shape);
  const source = prepared.never.reduce((left, { from, to }) => blank(left, from, to), prepared.source);
  for (const part of shape.transactions > 1 ? shape.segments : [undefined]) {
    const head = `${STILL_INSIDE}${part ? textsOf(source, part.sessionSetup) : ''}`;
    const body = part ? onlyPart(source, part) : source;
    const leave = shape.sessionBound.length > 0 ? leaveNoSettings(undefined) : LEAVE_NOTHING;
    const message = `${head}${body}\n;do ${dollarQuote(`begin ${leave} end`)};`;
    try {
      await stage.database.send(message, { deadline: FILE_DEADLINE, signal: stage.signal });
    } catch (error) {
      if (!(error instanceof SqlError)) throw error;
      const place = {
        statement: { from: 0, to: source.length },
        message,
        start: head.length,
        ...definedOnly({ position: error.position }),
      };
      const problem = placedProblem({ ...file, source: text, shape }, error, place);
      throw new Failure({ ...problem, message: `on the scratch database: ${problem.message}` });
    }
  }
}

/** A part of a file that commits by itself, where it stands in the file: what SET LOCAL sets ends with it. */
function onlyPart(source: string, { statements, end }: Segment): string {
  return blank(blank(source, 0, statements[0]?.from ?? 0), end, source.length);
}

function textsOf(source: string, statements: readonly { from: number; to: number }[]): string {
  return statements.map(({ from, to }) => `${source.slice(from, to)};`).join('\n');
}

async function readSchema(stage: ShadowStage, asked = fingerprintQuery()): Promise<SchemaFingerprint> {
  const results = await stage.database.send(`${STILL_INSIDE}${asked} reset all;`, {
    deadline: FILE_DEADLINE,
    signal: stage.signal,
  });
  return readFingerprint(results);
}

function leftoverProblem(
  file: MigrationFile,
  wanted: SchemaFingerprint,
  found: SchemaFingerprint,
  what = 'its down file',
): Problem[] {
  const difference = compareObjects(wanted.objects, found.objects);
  if (isSameSchema(difference)) return [];
  const down = file.down?.file ?? file.file;
  return [
    {
      message: `${titleOf(file)}: ${what} does not give back the schema as it was: ${describeDifference(difference)}`,
      at: { file: down, line: 1, column: 1 },
      next: `Complete ${down}.`,
    },
  ];
}

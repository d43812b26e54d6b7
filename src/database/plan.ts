import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { definedOnly } from '../lib/defined-only.js';
import type { Problem } from '../lib/report.js';
import { preflight } from './apply/preflight.js';
import { type Asked, askCatalog, type CatalogAnswer, classifyAll } from './classify-files.js';
import type { Database, DatabaseAccess } from './connection/connection.js';
import { retryRead } from './connection/retry-read.js';
import { failureOf } from './connection/sql-problem.js';
import { PARTIAL_TABLE } from './history/deploy-tables.js';
import { editedProblems } from './history/edited-files.js';
import { type HistoryReport, readHistory } from './history/migration-history.js';
import { missingProblem } from './history/missing-files.js';
import { standsUpTo } from './history/partial-migration.js';
import {
  choosePending,
  type FileRules,
  type Identity,
  irreversible,
  type Pending,
  sameVersions,
  wrongMarkers,
} from './history/pending-files.js';
import { askCatalogFacts, type CatalogFacts, type CatalogQuestion } from './lint/catalog-facts.js';
import { findingProblem } from './lint/finding-problem.js';
import { isDestructive, isRisky, type LintFinding, lintFiles } from './lint/lint.js';
import { refusedByPartitioned } from './lint/partitioned-refusals.js';
import { sumUpRemarks } from './lint/remarks.js';
import { type Batch, makeBatches, type PlannedFile } from './migrations/batches.js';
import type { FileShape, Remark } from './migrations/file-shape.js';
import { readMigrationFiles } from './migrations/migration-files.js';
import { nonTransactional, whyNonTransactional } from './migrations/non-transactional.js';
import { alreadyThere } from './schema/already-there.js';
import { type OwnCheck, readOwnChecks } from './schema/own-checks.js';
import { loadParser } from './sql/parser.js';
import { loadBodyParser } from './sql/plpgsql.js';
import { positionIn } from './sql/source-text.js';
import { literal } from './sql/sql-text.js';

/** What a migrate would do; made without writing anything. */
export interface DatabasePlan {
  /** To be applied now, in order. */
  pending: PlannedFile[];
  /** Waiting until health has passed. */
  deferred: PlannedFile[];
  /** Recorded as applied without being run. */
  baseline: Pending['baseline'];
  /** What is committed together. */
  batches: Batch[];
  /** Queries of verify-sql: run with the last batch. */
  checks: OwnCheck[];
  /** What is to be told of statements, what deletes data first; empty of what the inputs allow or refuse. */
  findings: LintFinding[];
  /** Everything else that is worth knowing, but for remarks. `warningsOf` puts all of it in order. */
  warnings: Problem[];
  /** What is worth a line, and no more. */
  remarks: Remark[];
  /** Why nothing may be applied; empty when all is well. */
  refusals: Problem[];
  /** Every pending and deferred file has a down file. */
  reversible: boolean;
  /** A pending or deferred file deletes data; unknown where one runs what cannot be read beforehand. */
  destructive: boolean | 'unknown';
  /** That pending files seem to have been run by hand, as their text tells; a scratch database may know better. */
  byHand?: Problem;
  /** The history that the plan was made from; undefined for a plan made from the files alone. */
  look?: HistoryReport;
}

/** What holds for the files themselves, whatever is applied. */
export interface PlanRules extends Pick<FileRules, 'irreversibleMigrations'> {
  /** From the working directory. */
  readonly migrationsDir: string;
  readonly downDir?: string;
  readonly transaction: 'all' | 'each';
  readonly destructiveChanges: 'allow' | 'warn' | 'refuse';
  /** Folders and .sql files, from the working directory. */
  readonly verifySql: readonly string[];
}

export interface PlanOrder {
  readonly workingDirectory: string;
  readonly rules: PlanRules & FileRules;
  readonly identity: Identity;
  /** Files marked `-- deploy: after-health` are due: health has passed, or nobody asks for it. */
  readonly contract: boolean;
  /** What is worth knowing of the order itself; told with the warnings of the files. */
  readonly warnings: readonly Problem[];
}

/** How long a look may take; it waits for nothing but the network. */
const LOOK_DEADLINE = 60_000;

/** Looks at files and database and says what a migrate would do. All refusals at once. */
export async function planDatabase(
  { database, signal }: DatabaseAccess,
  { workingDirectory, rules, identity, contract, warnings }: PlanOrder,
): Promise<DatabasePlan> {
  const sending = { deadline: LOOK_DEADLINE, signal };
  // The files are read while the connection is made and the server looks.
  const [look, files, own] = await Promise.all([
    retryRead(signal, () => readHistory(database, sending)).catch((error) => {
      throw failureOf(error, 'looking at the migration history');
    }),
    readMigrationFiles(workingDirectory, rules),
    readOwnChecks(workingDirectory, rules.verifySql),
  ]);
  const chosen = choosePending(files.files, look, rules, identity, contract);
  const catalog = (names: readonly string[]): Promise<CatalogAnswer> =>
    retryRead(signal, () => askCatalog(database, names, sending)).catch((error) => {
      throw failureOf(error, 'looking at what the pending files name');
    });
  const facts = (question: CatalogQuestion): Promise<CatalogFacts> =>
    retryRead(signal, () => askCatalogFacts(database, question, sending)).catch((error) => {
      throw failureOf(error, 'looking at what the pending files name');
    });
  const plan = await planFor(chosen, rules, { partials: look.partial, catalog }, facts);
  plan.look = look;
  takeChecks(plan, own);
  plan.warnings.unshift(...files.warnings);
  plan.refusals.unshift(...files.problems);
  plan.warnings.push(...warnings);
  const edited = await editedProblems(database, chosen.edited, rules.editedMigrations, sending).catch(
    (error) => {
      throw failureOf(error, 'comparing applied files');
    },
  );
  (rules.editedMigrations === 'refuse' ? plan.refusals : plan.warnings).push(...edited);
  if (chosen.missing.length > 0) {
    const recorded = new Set(look.recorded.map(({ version }) => version));
    const missing = await missingProblem(
      database,
      chosen.missing,
      { files: files.files, recorded },
      sending,
    ).catch((error) => {
      throw failureOf(error, 'looking for the files of applied versions');
    });
    (rules.missingMigrations === 'refuse' ? plan.refusals : plan.warnings).push(missing);
  }
  // What is refused already would only be told twice.
  const all = [...plan.pending, ...plan.deferred].filter(({ shape }) => shape.problems.length === 0);
  if (all.length > 0)
    plan.refusals.push(
      ...(await preflight(database, all, sending).catch((error) => {
        throw failureOf(error, 'letting the server parse the pending files');
      })),
    );
  // Once something is recorded, files are run by a tool; until then they may have been run by hand.
  if (look.recorded.length === 0 && look.holdsTables && chosen.baseline.length === 0 && all.length > 0) {
    const there = await alreadyThere(database, all, sending);
    if (there) plan.byHand = there;
  }
  refuseTransport(plan, database);
  refuseEditedParts(plan, look);
  return plan;
}

/**
 * The plan that the files alone allow, where no database may be asked (a pull request from a fork). A project
 * without migrations has none to read.
 */
export async function planFiles(workingDirectory: string, rules: PlanRules): Promise<DatabasePlan> {
  const absent = !existsSync(join(workingDirectory, rules.migrationsDir));
  const files = absent
    ? { files: [], warnings: [], problems: [] }
    : await readMigrationFiles(workingDirectory, rules);
  const chosen: Pending = {
    pending: files.files.filter(({ unreadable }) => unreadable === undefined),
    deferred: [],
    baseline: [],
    edited: [],
    missing: [],
    // Which of them are applied already, and stop nothing, is not known here.
    warnings: [...sameVersions(files.files), ...files.files.flatMap(({ unreadable }) => unreadable ?? [])],
    refusals: [
      ...wrongMarkers(files.files),
      ...(rules.irreversibleMigrations === 'refuse' ? irreversible(files.files, rules) : []),
    ],
  };
  const plan = await planFor(chosen, rules);
  plan.warnings.unshift(...files.warnings);
  plan.refusals.unshift(...files.problems);
  takeChecks(plan, await readOwnChecks(workingDirectory, rules.verifySql));
  // No server was asked, so the parser's word stands.
  plan.refusals.push(...plan.pending.flatMap((file) => file.shape.doubt ?? []));
  return plan;
}

function takeChecks(plan: DatabasePlan, own: Awaited<ReturnType<typeof readOwnChecks>>): void {
  plan.checks = own.checks;
  plan.refusals.push(...own.problems);
}

/** All that a plan warns of: what deletes data first, remarks last. `told` replaces its findings, where they were measured. */
export function warningsOf(
  { findings, warnings, remarks }: Pick<DatabasePlan, 'findings' | 'warnings' | 'remarks'>,
  told: readonly Problem[] = findings.map((finding) => findingProblem(finding)),
): Problem[] {
  const first = findings.filter(isRisky).length;
  return [...told.slice(0, first), ...warnings, ...told.slice(first), ...sumUpRemarks(remarks)];
}

async function planFor(
  chosen: Pending,
  rules: Pick<PlanRules, 'transaction' | 'destructiveChanges'>,
  asked: Asked = {},
  askFacts?: (question: CatalogQuestion) => Promise<CatalogFacts>,
): Promise<DatabasePlan> {
  const due = [...chosen.pending, ...chosen.deferred];
  const planned = due.length > 0 ? await classifyAll(due, asked) : [];
  const pending = planned.slice(0, chosen.pending.length);
  const { findings, ignored, facts } = await lintPlanned(planned, askFacts);
  const risky = findings.filter(isRisky);
  const refused = rules.destructiveChanges === 'refuse' ? risky : [];
  return {
    pending,
    deferred: planned.slice(chosen.pending.length),
    baseline: chosen.baseline,
    batches: makeBatches(pending, rules.transaction),
    checks: [],
    findings: findings.filter((finding) => rules.destructiveChanges === 'warn' || !risky.includes(finding)),
    warnings: [...chosen.warnings, ...planned.flatMap((file) => file.shape.notices)],
    remarks: planned.flatMap((file) => file.shape.remarks),
    refusals: [
      ...chosen.refusals,
      ...planned.flatMap((file) => file.shape.problems),
      ...(facts ? planned.flatMap((file) => refusedByPartitioned(file, facts)) : []),
      ...refused.map((finding) => findingProblem(finding, 'refused')),
    ],
    reversible: planned.every((file) => file.down !== undefined),
    destructive: deletesData([...findings, ...ignored]),
  };
}

/** What its author says is meant deletes data all the same. */
function deletesData(findings: readonly LintFinding[]): boolean | 'unknown' {
  if (findings.some(isDestructive)) return true;
  return findings.some(({ effect }) => effect === 'unknown') ? 'unknown' : false;
}

/** How often a catalog is asked: functions that it has may name others, and tables of their own. */
const MOST_QUESTIONS = 4;

/** The findings of the files; a catalog is asked only where it could say more of them. */
async function lintPlanned(
  planned: readonly PlannedFile[],
  askFacts?: (question: CatalogQuestion) => Promise<CatalogFacts>,
): Promise<{ findings: LintFinding[]; ignored: LintFinding[]; facts?: CatalogFacts }> {
  if (planned.length === 0) return { findings: [], ignored: [] };
  const parsers = { parse: await loadParser(), parseBody: await loadBodyParser() };
  let facts: CatalogFacts | undefined;
  let result = lintFiles(planned, parsers);
  for (let questions = 0; askFacts && questions < MOST_QUESTIONS; questions++) {
    const question = {
      relations: [...new Set([...(facts?.asked.relations ?? []), ...result.question.relations])],
      functions: [...new Set([...(facts?.asked.functions ?? []), ...result.question.functions])],
    };
    const names = ({ relations, functions }: CatalogQuestion): number => relations.length + functions.length;
    if (names(question) === (facts ? names(facts.asked) : 0)) break;
    facts = await askFacts(question);
    result = lintFiles(planned, parsers, facts);
  }
  return { findings: result.findings, ignored: result.ignored, ...definedOnly({ facts }) };
}

/** A file that was applied in part goes on behind that part, so the part must still be what was run. */
function refuseEditedParts(plan: DatabasePlan, look: HistoryReport): void {
  for (const partial of look.partial) {
    const file = [...plan.pending, ...plan.deferred].find((each) => each.version === partial.version);
    if (!file) continue;
    const edited = standsUpTo(file.source, partial) === undefined;
    if (!edited && file.shape.statements === undefined)
      plan.refusals.push({
        message: `${file.file} was applied in part, and where that part ends cannot be told, because the file cannot be parsed`,
        at: { file: file.file, line: 1, column: 1 },
        next: 'Put what follows the part that stands into a file of its own.',
      });
    if (!edited) continue;
    plan.refusals.push({
      message: `${file.file} was applied in part (${partial.done} of its parts stand), and that part has been edited since`,
      at: { file: file.file, line: 1, column: 1 },
      next: `Put the applied statements back as they were, and change only what comes after them. Or undo by hand what they did, so that the file begins anew: delete from ${PARTIAL_TABLE} where version = ${literal(file.version)};`,
    });
  }
}

/** What the way to the server cannot hold is refused before the first file. */
function refuseTransport(
  { pending, deferred, refusals, warnings }: DatabasePlan,
  { transport }: Database,
): void {
  for (const file of [...pending, ...deferred]) {
    const { shape } = file;
    if (transport === 'management-api' && !eachInOneMessage(shape))
      refusals.push({
        message: `${file.file}: ${shape.why ?? 'it'}, and the Management API runs each request as one transaction`,
        at: { file: file.file, line: 1, column: 1 },
        next: 'Give database-url (the session pooler URL) for this deploy.',
      });
    if (transport === 'management-api' && shape.timed)
      warnings.push({
        message: `${file.file} sets statement_timeout itself, and the Management API gives each request 60 s all the same`,
        at: { file: file.file, line: 1, column: 1 },
        next: 'Give database-url (the session pooler URL) where it takes longer.',
      });
    if (transport === 'transaction-pooler') refusals.push(...lostSettings(file), ...discarded(file));
    // Where each message may get another session; or because the session that stood is gone.
    const apart = transport === 'transaction-pooler' || transport === 'management-api';
    for (const { problem, made, used } of shape.sessionBound)
      if (apart)
        refusals.push({
          ...problem,
          next: `Give the session pooler or direct URL in database-url (port 5432). Or: ${problem.next}`,
        });
      else if (made < shape.standing && used >= shape.standing)
        refusals.push({
          ...problem,
          next: 'It was made by a part that is applied, and went with its session: make it again behind that part.',
        });
  }
}

/** Each part of the file is one message that needs no session. */
function eachInOneMessage({ mode, segments }: FileShape): boolean {
  return (
    mode === 'together' || (mode === 'outside' && segments.every((part) => !part.alone && !part.explicit))
  );
}

/** It would reach a session that others have. */
function discarded({ file, source, shape }: PlannedFile): Problem[] {
  return (shape.statements ?? [])
    .filter((statement) => nonTransactional(statement) === 'discard-all')
    .map(({ from }) => ({
      message: 'DISCARD ALL behind a transaction pooler would reach a session of others',
      at: positionIn(file, source, from),
      next: 'Remove it: no session of this action keeps anything from one file to the next. Or give the session pooler or direct URL in database-url (port 5432).',
    }));
}

/** A statement outside a transaction runs in whichever session the pooler has: nothing can be set for it. */
function lostSettings(file: PlannedFile): Problem[] {
  return file.shape.segments.flatMap(({ alone, sessionSetup: again, statements: [statement] }) => {
    const set = again[again.length - 1];
    if (!alone || !set || !statement) return [];
    const line = positionIn(file.file, file.source, set.from).line;
    return [
      {
        message: `${whyNonTransactional(statement)} cannot run in a transaction, and behind a transaction pooler what line ${line} sets does not hold for it`,
        at: positionIn(file.file, file.source, statement.from),
        next: 'Give the session pooler or direct URL in database-url (port 5432). Or put the statement into a file of its own, with names that are qualified (schema.table).',
      },
    ];
  });
}

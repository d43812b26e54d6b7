import { Cancelled, type Problem } from '../../lib/report.js';
import { errorMeaning, SqlError } from '../connection/sql-error.js';
import { sqlProblem } from '../connection/sql-problem.js';
import { PARTIAL_TABLE } from '../history/deploy-tables.js';
import { CODES } from '../history/error-codes.js';
import { type PartialMigration, prefixOf } from '../history/partial-migration.js';
import type { PlannedFile } from '../migrations/batches.js';
import { verificationProblems } from '../schema/schema-facts.js';
import { dollarQuote, literal } from '../sql/sql-text.js';
import { waitedIn } from './blockers.js';
import { ANSWER_GRACE, noteReader } from './delivery.js';
import { readHistoryUnderLock } from './history-under-lock.js';
import { asProblem, type PartsRun, renewLease } from './lease.js';
import { CHECK_DEFERRED, finishFile, historyIs, leaveNothing, localSettings } from './migration-statement.js';
import { COMMIT_UNKNOWN, RESOLVE_WITHIN, retryBusy } from './retry-busy.js';

/** What ended a part: nothing of that part stands, unless it is unknown, or `left` or `cancelled` says what does. */
export type PartFailure =
  | { problem: Problem; outcome: 'failed' | 'unknown'; left?: string }
  | { notVerified: Problem[] }
  | { cancelled: string | undefined }
  | 'changed';

/** True for the part after which nothing more is to be run, where it is a transaction that can bring the rows along. */
export function isEnd({ file }: PartsRun, index: number): boolean {
  const { segments } = file.shape;
  return index === segments.length - 1 && !segments[index]!.alone;
}

/** PL/pgSQL that ends part number `index`: how far we are, or at the end both history rows. */
export function recordPart(run: PartsRun, index: number): string {
  if (isEnd(run, index)) return recordAll(run);
  const { context } = run;
  return `${leaveNothing(context.role)}${CHECK_DEFERRED}
  ${recordStanding(run, index + 1, 'null')}`;
}

/** SQL that records what stands: the first `parts` parts. `sent`: an SQL expression, as PartialMigration.sent. */
export function recordStanding({ file, context }: PartsRun, parts: number, sent: string): string {
  const { done, bytes, prefix } = committedParts(file, parts);
  return `insert into ${PARTIAL_TABLE} (version, run_id, done, bytes, prefix, sent)
    values (${literal(file.version)}, ${literal(context.run.id)}, ${done}, ${bytes}, ${literal(prefix)}, ${sent})
    on conflict (version) do update set run_id = excluded.run_id, done = excluded.done, bytes = excluded.bytes,
      prefix = excluded.prefix, sent = excluded.sent, updated_at = now();`;
}

function recordAll({ file, context }: PartsRun): string {
  const recorded = [...context.recorded, ...context.baseline.map((each) => each.version)];
  return `${finishFile(file, 0, historyIs(recorded), { ...context, marker: '' })}
  delete from ${PARTIAL_TABLE} where version = ${literal(file.version)};`;
}

/** All parts stand: the file goes into the history, in one transaction with the verification. */
export function recordWholeFile(run: PartsRun, parts: number): Promise<PartFailure | undefined> {
  return sendPart(
    run,
    parts,
    partMessage(run, `begin ${renewLease(run)} ${recordAll(run)} end`, true),
    sqlProblem,
  );
}

export function partMessage({ context }: PartsRun, body: string, end: boolean): string {
  return `set transaction isolation level read committed, read write;
${localSettings(context.rules)}
do ${dollarQuote(body)};
${end && context.after ? `${localSettings(context.rules)}\n${context.after}` : ''}`;
}

/** The first `parts` parts of a file, as they are recorded. */
export function committedParts(
  { shape, source }: PlannedFile,
  parts: number,
): Pick<PartialMigration, 'done' | 'bytes' | 'prefix'> {
  const text = source.slice(0, shape.segments[parts - 1]?.end ?? 0);
  return { done: parts, ...prefixOf(text) };
}

/** Sends a part that is one transaction; retried, and looked after where no answer came. */
export async function sendPart(
  run: PartsRun,
  index: number,
  message: string,
  explain: (error: SqlError) => Problem,
): Promise<PartFailure | undefined> {
  const { tools, context, file } = run;
  for (let attempt = 1; ; attempt++) {
    try {
      await tools.database.send(message, {
        deadline: context.rules.statementTimeout + ANSWER_GRACE,
        signal: tools.signal,
        onNotice: noteReader(context),
      });
      return undefined;
    } catch (error) {
      if (error instanceof Cancelled) return { cancelled: undefined };
      if (error instanceof SqlError && (error.code === CODES.changed || error.code === CODES.recorded))
        return 'changed';
      if (error instanceof SqlError && error.code === '57014' && tools.signal.aborted)
        return { cancelled: undefined };
      if (error instanceof SqlError && error.code === CODES.notVerified)
        return { notVerified: verificationProblems(error.message) };
      const meaning = errorMeaning(error);
      if (meaning === 'resolve') {
        const state = await partState(run, index);
        if (state === 'done') return undefined;
        if (state === 'unknown') return { problem: COMMIT_UNKNOWN, outcome: 'unknown' };
        if (tools.signal.aborted) return { cancelled: undefined };
      }
      const problem = error instanceof SqlError ? explain(error) : asProblem(error);
      const over =
        meaning === 'stop' ? problem : await retryBusy(tools, attempt, problem, waitedIn(file, problem.at));
      if (over !== 'again') return { problem: over, outcome: 'failed' };
    }
  }
}

/** Looks, under the lock, whether part number `index` is committed. */
async function partState({ tools, file }: PartsRun, index: number): Promise<'done' | 'not done' | 'unknown'> {
  const look = await readHistoryUnderLock(tools.database, RESOLVE_WITHIN, tools.signal);
  if (!look) return 'unknown';
  if (look.recorded.some((row) => row.version === file.version)) return 'done';
  const partial = look.partial.find((row) => row.version === file.version);
  return (partial?.done ?? 0) > index ? 'done' : 'not done';
}

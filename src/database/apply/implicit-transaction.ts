import { Cancelled, Failure, type Problem } from '../../lib/report.js';
import type { DatabaseAccess } from '../connection/connection.js';
import { errorMeaning, SqlError } from '../connection/sql-error.js';
import { lostProblem, sqlProblem } from '../connection/sql-problem.js';
import { CODES } from '../history/error-codes.js';
import type { Batch } from '../migrations/batches.js';
import { ownCheckProblems } from '../schema/own-checks.js';
import { verificationProblems } from '../schema/schema-facts.js';
import { waitedIn } from './blockers.js';
import {
  answerWithin,
  type BatchContext,
  type Delivery,
  type FileTime,
  markerReader,
  newMarker,
  timesMessage,
  timesOf,
} from './delivery.js';
import { sendExplicit } from './explicit-transaction.js';
import { fileProblem, statementAt, statementOfError } from './file-error.js';
import { readHistoryUnderLock } from './history-under-lock.js';
import { batchMessage } from './migration-statement.js';
import { COMMIT_UNKNOWN, RESOLVE_WITHIN, retryBusy } from './retry-busy.js';
import { waitForLock } from './wait-for-lock.js';

/** What came of a batch. Anything but `done` means that none of its files is applied. */
export type BatchOutcome =
  | { kind: 'done'; times: FileTime[] }
  /** The history is not the one that was planned from: look again. */
  | { kind: 'changed' }
  /** These files cannot share a transaction: try again with a batch that ends before this file. */
  | { kind: 'split'; before: number; why: string }
  | { kind: 'failed'; problem: Problem; at: number | undefined; times: FileTime[]; stands?: string }
  /** Every file ran, and the schema was not as required at the end: one problem per failed fact. */
  | { kind: 'not-verified'; problems: Problem[]; stands?: string }
  /** `stands`: what of the file is committed all the same, because it cannot run in a transaction. */
  | { kind: 'cancelled'; stands?: string }
  | { kind: 'unknown'; problem: Problem };

/** Applies a batch that is one transaction: all of it, or nothing, and never without knowing which. */
export async function applyBatch(
  tools: DatabaseAccess,
  batch: Batch,
  context: BatchContext,
): Promise<BatchOutcome> {
  let cuts = 0;
  let tries = 0;
  for (;;) {
    context.notices.forget();
    const sent = await (batch.mode === 'explicit' ? sendExplicit : sendImplicit)(tools, batch, context);
    if (sent.error === undefined) return { kind: 'done', times: sent.times };
    const { error } = sent;
    if (error instanceof SqlError && error.code === CODES.locked) {
      await waitForLock(tools, context.rules.lockWait);
      continue;
    }
    const verdict = judgeError(error, batch, sent, tools.signal);
    if (verdict.kind === 'retry') {
      const waited = waitedIn(batch.files[verdict.at ?? -1], verdict.problem.at);
      const problem = await retryBusy(tools, ++tries, verdict.problem, waited);
      if (problem !== 'again') return { kind: 'failed', problem, at: verdict.at, times: sent.times };
    } else if (verdict.kind === 'resolve') {
      const outcome = await resolveBatch(tools, batch, context, sent.times);
      // Not applied, and nobody is at work any more: once more, but not for ever.
      if (outcome === 'again' && ++cuts <= 2 && !tools.signal.aborted) continue;
      if (outcome !== 'again') return outcome;
      return tools.signal.aborted
        ? { kind: 'cancelled' }
        : {
            kind: 'failed',
            problem: lostProblem(error, nextAfterCuts(tools)),
            at: undefined,
            times: sent.times,
          };
    } else return verdict;
  }
}

function nextAfterCuts({ database }: DatabaseAccess): string {
  const nothing = 'Nothing of this batch was applied. Run again.';
  return database.transport === 'management-api'
    ? `${nothing} The Management API gives each request 60 s: where the files take longer, or fail later, give database-url (the session pooler URL).`
    : nothing;
}

async function sendImplicit(tools: DatabaseAccess, batch: Batch, context: BatchContext): Promise<Delivery> {
  const marker = newMarker();
  const blind = tools.database.transport === 'management-api';
  const { message, units } = batchMessage(batch.files, { ...context, marker, distinctLines: blind });
  const sent: Delivery = {
    times: [],
    current: undefined,
    explain: (error) => {
      const index = sent.current ?? -1;
      const [file, unit] = [batch.files[index], units[index]];
      if (!file || !unit) return sqlProblem(error);
      const problem = fileProblem(file, unit.lines, error, message);
      return batch.files.length > 1 && SAME_TIME.has(error.code) ? { ...problem, next: OWN_TIMES } : problem;
    },
  };
  const reader = markerReader(tools, marker, { batch, context, sent });
  try {
    const results = await tools.database.send(blind ? `${message}\n${timesMessage(batch.files)}` : message, {
      deadline: answerWithin(context, batch.files),
      signal: tools.signal,
      onNotice(notice) {
        reader.onNotice(notice);
        const index = sent.current ?? -1;
        const [file, unit] = [batch.files[index], units[index]];
        const statement = unit && statementAt(unit.lines, notice.where);
        if (file && statement) context.notices.note(file, statement.from, notice);
      },
    });
    if (blind) sent.times = timesOf(results);
  } catch (error) {
    sent.error = error;
    if (blind && error instanceof SqlError) sent.current = statementOfError(units, error);
  } finally {
    reader.close();
  }
  return sent;
}

/** Rows that are told apart by now() alone are the same ones in one transaction. */
const SAME_TIME = new Set(['23505', '23P01']);
const OWN_TIMES =
  'Where files rely on different times: now() is the same for all that is committed together, and transaction: each gives every file its own.';

type ErrorVerdict =
  | BatchOutcome
  | { kind: 'retry'; problem: Problem; at: number | undefined }
  | { kind: 'resolve' };

function judgeError(error: unknown, batch: Batch, sent: Delivery, signal: AbortSignal): ErrorVerdict {
  if (error instanceof Cancelled) return { kind: 'cancelled' };
  if (error instanceof Failure)
    return { kind: 'failed', problem: error.problems[0]!, at: undefined, times: sent.times };
  const meaning = errorMeaning(error);
  if (meaning === 'resolve' || (error instanceof SqlError && error.code === CODES.lostTransaction))
    return { kind: 'resolve' };
  if (!(error instanceof SqlError)) throw error;
  if (error.code === CODES.changed || error.code === CODES.recorded) return { kind: 'changed' };
  if (error.code === CODES.notVerified)
    return { kind: 'not-verified', problems: verificationProblems(error.message) };
  if (error.code === CODES.ownChecks)
    return { kind: 'not-verified', problems: ownCheckProblems(error.message) };
  if (error.code === '57014' && signal.aborted) return { kind: 'cancelled' };
  const at = sent.current;
  const together = batch.files.length > 1 && at !== undefined && at > 0;
  if (together && error.code === '55006')
    return { kind: 'split', before: at, why: 'deferred checks of the files before it are still to be made' };
  if (together && error.code === '53200')
    return { kind: 'split', before: at, why: 'the lock table of the server is full' };
  if (together && error.code === '55P04' && !addsValue(batch.files[at]!.source, error.message))
    return {
      kind: 'split',
      before: at,
      why: 'a value that is added to an enum before it can be used only after the commit',
    };
  const problem = sent.explain(error);
  return meaning === 'retry'
    ? { kind: 'retry', problem, at }
    : { kind: 'failed', problem, at, times: sent.times };
}

/**
 * Whether a file itself adds the enum value that it may not use yet: then no split helps. Where it is added in a DO
 * block of another file, the files did not tell that they cannot share a transaction.
 */
function addsValue(source: string, message: string): boolean {
  const [, value] = /"([^"]*)"/.exec(message) ?? [];
  const added = [...source.matchAll(/\badd\s+value\s+(?:if\s+not\s+exists\s+)?'((?:[^']|'')*)'/gi)];
  return added.some(([, each]) => value === undefined || each?.replaceAll("''", "'") === value);
}

/** Takes the lock, then looks: applied by us, applied by another run, or not at all. */
async function resolveBatch(
  tools: DatabaseAccess,
  batch: Batch,
  context: BatchContext,
  times: FileTime[],
): Promise<BatchOutcome | 'again'> {
  tools.log({
    kind: 'progress',
    text: 'no answer came: looking at the history, under the lock, whether it was applied',
  });
  const look = await readHistoryUnderLock(tools.database, RESOLVE_WITHIN, tools.signal);
  if (!look) return { kind: 'unknown', problem: COMMIT_UNKNOWN };
  const ours = new Map(look.recorded.map((row) => [row.version, row.runId]));
  const wanted = [...batch.files, ...context.baseline];
  const present = wanted.filter((file) => ours.has(file.version));
  if (present.length === 0) return 'again';
  const byUs = batch.files.every((file) => ours.get(file.version) === context.run.id);
  return byUs && present.length === wanted.length ? { kind: 'done', times } : { kind: 'changed' };
}

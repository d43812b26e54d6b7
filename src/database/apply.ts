import { randomBytes } from 'node:crypto';
import type { Log } from '../base/log.js';
import { Cancelled, Failure, type Problem } from '../base/report.js';
import { backoff, pause } from '../base/retry.js';
import type { Batch, PlannedFile } from './batches.js';
import type { Database } from './connection.js';
import { fileProblem } from './file-error.js';
import { lookUnderLock } from './resolve.js';
import { DOES_NOT_VERIFY, verificationProblems } from './schema-facts.js';
import { errorMeaning, SqlError } from './sql-error.js';
import { batchMessage, CODES, type Unit, type UnitContext } from './unit.js';
import { waitForLock } from './wait-for-lock.js';

/** What came of a batch. Anything but `done` means that none of its files is applied. */
export type BatchOutcome =
  | { kind: 'done'; times: FileTime[] }
  /** The history is not the one that was planned from: look again. */
  | { kind: 'changed' }
  /** These files cannot share a transaction: try again with a batch that ends before this file. */
  | { kind: 'split'; before: number; why: string }
  | { kind: 'failed'; problem: Problem; at: number | undefined; times: FileTime[] }
  /** Every file ran, and the schema was not as required at the end: one problem per failed fact. */
  | { kind: 'not-verified'; problems: Problem[] }
  | { kind: 'cancelled' }
  | { kind: 'unknown'; problem: Problem };

export interface FileTime {
  startedAt: number;
  /** As the server measured it. */
  milliseconds: number;
}

export interface ApplyTools {
  database: Database;
  log: Log;
  signal: AbortSignal;
}

/** What one run waits for another one's lock, in milliseconds. */
export const LOCK_WAIT = 10 * 60_000;
/** For an answer that is due: longer than the server gives a statement. */
const GRACE = 30_000;
/** A cut connection is noticed by the server within a second; a lost network takes longer. */
const RESOLVE_WITHIN = 120_000;
const TRIES = 6;

export type BatchContext = Omit<UnitContext, 'marker'>;

/** Applies a batch of mode `together`: all of it, or nothing, and never without knowing which. */
export async function applyBatch(
  tools: ApplyTools,
  batch: Batch,
  context: BatchContext,
): Promise<BatchOutcome> {
  let cuts = 0;
  for (let attempt = 1; ; attempt++) {
    const sent = await sendBatch(tools, batch, context);
    if (sent.error === undefined) return { kind: 'done', times: sent.times };
    const { error } = sent;
    if (error instanceof SqlError && error.code === CODES.locked) {
      await waitForLock(tools, LOCK_WAIT);
      continue;
    }
    const verdict = judge(error, batch, sent, tools.signal);
    if (verdict.kind === 'retry' && attempt < TRIES) {
      const wait = backoff(attempt, 500, 8_000);
      tools.log({
        kind: 'progress',
        text: `${verdict.problem.message}; trying again in ${Math.round(wait / 100) / 10} s`,
      });
      await pause(wait, tools.signal);
    } else if (verdict.kind === 'retry')
      return { kind: 'failed', problem: verdict.problem, at: verdict.at, times: sent.times };
    else if (verdict.kind === 'resolve') {
      const outcome = await resolveBatch(tools, batch, context, sent.times);
      // Not applied, and nobody is at work any more: once more, but not for ever.
      if (outcome === 'again' && ++cuts <= 2 && !tools.signal.aborted) continue;
      if (outcome !== 'again') return outcome;
      return tools.signal.aborted
        ? { kind: 'cancelled' }
        : { kind: 'failed', problem: lost(error), at: undefined, times: sent.times };
    } else return verdict;
  }
}

interface Sent {
  error?: unknown;
  units: Unit[];
  times: FileTime[];
  /** The file that was under way when the answer came; undefined before the first and where nobody tells. */
  current: number | undefined;
}

async function sendBatch(tools: ApplyTools, batch: Batch, context: BatchContext): Promise<Sent> {
  const marker = `muva ${randomBytes(8).toString('hex')}`;
  const { message, units } = batchMessage(batch.files, { ...context, marker });
  const sent: Sent = { units, times: [], current: undefined };
  const onNotice = (notice: { severity: string; message: string }): void => {
    if (!notice.message.startsWith(marker)) return;
    const [event, index, milliseconds] = notice.message.slice(marker.length + 1).split(' ');
    const file = Number(index);
    if (event === 'start') {
      sent.current = file;
      sent.times[file] = { startedAt: Date.now(), milliseconds: 0 };
    } else if (event === 'done') {
      sent.times[file]!.milliseconds = Number(milliseconds);
      // Run, not applied: that is said after the commit only.
      tools.log({ kind: 'progress', text: `ran ${batch.files[file]!.version}_${batch.files[file]!.name}` });
    }
  };
  const deadline = context.rules.statementTimeout + GRACE;
  try {
    await tools.database.send(message, { deadline, signal: tools.signal, onNotice });
  } catch (error) {
    sent.error = error;
  }
  return sent;
}

type Verdict =
  | BatchOutcome
  | { kind: 'retry'; problem: Problem; at: number | undefined }
  | { kind: 'resolve' };

function judge(error: unknown, batch: Batch, sent: Sent, signal: AbortSignal): Verdict {
  if (error instanceof Cancelled) return { kind: 'cancelled' };
  if (error instanceof Failure)
    return { kind: 'failed', problem: error.problems[0]!, at: undefined, times: sent.times };
  const meaning = errorMeaning(error);
  if (meaning === 'resolve') return { kind: 'resolve' };
  if (!(error instanceof SqlError)) throw error;
  if (error.code === CODES.changed || error.code === CODES.recorded) return { kind: 'changed' };
  if (error.code === DOES_NOT_VERIFY)
    return { kind: 'not-verified', problems: verificationProblems(error.message) };
  if (error.code === '57014' && signal.aborted) return { kind: 'cancelled' };
  const at = sent.current;
  const together = batch.files.length > 1 && at !== undefined && at > 0;
  if (together && error.code === '55006')
    return { kind: 'split', before: at, why: 'deferred checks of the files before it are still to be made' };
  if (together && error.code === '53200')
    return { kind: 'split', before: at, why: 'the lock table of the server is full' };
  const problem = problemOf(batch.files[at ?? -1], sent.units[at ?? -1], error);
  return meaning === 'retry'
    ? { kind: 'retry', problem, at }
    : { kind: 'failed', problem, at, times: sent.times };
}

function problemOf(file: PlannedFile | undefined, unit: Unit | undefined, error: SqlError): Problem {
  if (file && unit) return fileProblem(file, unit.lines, error);
  return {
    message: error.message,
    code: error.code,
    ...(error.hint === undefined ? {} : { next: error.hint }),
  };
}

function lost(error: unknown): Problem {
  return {
    message: `the connection to the database was lost: ${error instanceof Error ? error.message : 'no answer'}`,
    next: 'Nothing of this batch was applied. Run again.',
  };
}

/** Takes the lock, then looks: applied by us, applied by another run, or not at all. */
async function resolveBatch(
  tools: ApplyTools,
  batch: Batch,
  context: BatchContext,
  times: FileTime[],
): Promise<BatchOutcome | 'again'> {
  tools.log({
    kind: 'progress',
    text: 'no answer came: looking at the history, under the lock, whether it was applied',
  });
  const look = await lookUnderLock(tools.database, RESOLVE_WITHIN);
  if (!look)
    return {
      kind: 'unknown',
      problem: {
        message: 'the answer to the commit was lost, and the database could not be asked since',
        next: 'Run again when the database can be reached: it finds out by itself what was applied.',
      },
    };
  const ours = new Map(look.recorded.map((row) => [row.version, row.runId]));
  const wanted = [...batch.files, ...context.baseline];
  const present = wanted.filter((file) => ours.has(file.version));
  if (present.length === 0) return 'again';
  const byUs = batch.files.every((file) => ours.get(file.version) === context.run.id);
  return byUs && present.length === wanted.length ? { kind: 'done', times } : { kind: 'changed' };
}

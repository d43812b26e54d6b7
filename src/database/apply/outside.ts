import { createHash, randomBytes } from 'node:crypto';
import { given } from '../../base/given.js';
import { Cancelled, Failure, type Problem } from '../../base/report.js';
import { errorMeaning, LostConnection, SqlError } from '../connection/sql-error.js';
import type { Batch } from '../files/batches.js';
import type { Segment } from '../files/classify.js';
import { lockOf } from '../files/lock-modes.js';
import { nonTransactional } from '../files/non-transactional.js';
import type { PartialMigration, SentStatement } from '../history/migration-history.js';
import { oneLine, positionIn } from '../sql/source-text.js';
import { literal } from '../sql/sql-text.js';
import { sendAlone } from './alone.js';
import type { BatchOutcome } from './apply.js';
import { fileProblem, placedProblem } from './file-error.js';
import { asProblem, begin, type PartsRun, release, renewLease } from './lease.js';
import { RECOVERY } from './look-ups.js';
import {
  finish,
  isEnd,
  type PartFailure,
  partMessage,
  recordPart,
  recordStanding,
  sendPart,
} from './part.js';
import { type ApplyTools, type BatchContext, serverProblem } from './sent.js';
import {
  cleanUp,
  doneAndEdited,
  type SentPart,
  settle,
  tokenComment,
  trappedIndex,
  unknownYet,
} from './settle.js';
import { tryAgain } from './try-again.js';
import { leaveNothing, type StatementLine, statementLines } from './unit.js';

/**
 * Applies one file some of whose statements cannot run in a transaction: those alone, the others between them
 * together. How far it got is recorded with each part, so that the next run goes on behind the last committed part
 * instead of failing on what exists already. The file is in the history only when all of it is done.
 */
export async function applyOutside(
  tools: ApplyTools,
  batch: Batch,
  context: BatchContext,
  partial: PartialMigration | undefined,
): Promise<BatchOutcome> {
  const file = batch.files[0]!;
  const run: PartsRun = {
    tools,
    file,
    context,
    holder: `${context.run.id}#${randomBytes(6).toString('hex')}`,
    startedAt: Date.now(),
  };
  const begun = await begin(run, partial);
  if (begun) return begun;
  const { segments, standing } = file.shape;
  const sent = partial?.sent ?? undefined;
  const same = sent !== undefined && isSame(run, standing, sent);
  let done = standing;
  try {
    const edited = sent && !same ? await caught(settleEdited(run, done)) : undefined;
    if (edited) return tellWhatStands(run, done, edited);
    for (; done < segments.length; done++) {
      const { alone } = segments[done]!;
      const failed = await caught(
        alone ? runAlone(run, done, same && done === standing) : runTogether(run, done),
      );
      if (failed) return tellWhatStands(run, done, failed);
    }
    // Only a transaction at the end of the file can bring the rows along.
    const recorded = done > standing && !segments[done - 1]!.alone;
    const failed = recorded ? undefined : await caught(finish(run, done));
    if (failed) return tellWhatStands(run, done, failed);
    return { kind: 'done', times: [{ startedAt: run.startedAt, milliseconds: Date.now() - run.startedAt }] };
  } finally {
    await release(run);
  }
}

/** A cancel or an unreachable server ends a part like any other failure: what stands is told all the same. */
async function caught(part: Promise<PartFailure | undefined>): Promise<PartFailure | undefined> {
  try {
    return await part;
  } catch (error) {
    if (error instanceof Cancelled) return { cancelled: undefined };
    if (error instanceof Failure) return { problem: error.problems[0]!, outcome: error.outcome };
    // Of what is asked between the parts: nothing was under way.
    if (error instanceof SqlError || error instanceof LostConnection)
      return { problem: asProblem(error), outcome: 'failed' };
    throw error;
  }
}

/** A part that is one transaction. */
async function runTogether(run: PartsRun, index: number): Promise<PartFailure | undefined> {
  const { body, lines } = partBody(run, run.file.shape.segments[index]!, index);
  const message = partMessage(run, body, isEnd(run, index));
  return sendPart(run, index, message, (error) => fileProblem(run.file, lines, error, message));
}

function partBody(run: PartsRun, segment: Segment, index: number): { body: string; lines: StatementLine[] } {
  const guard = renewLease(run);
  const { text, lines } = statementLines(
    run.file.shape.source,
    [...segment.again, ...segment.statements],
    guard.split('\n').length + 2,
  );
  return { body: `begin\n${guard}\n${text}${recordPart(run, index)}\nend`, lines };
}

/** How often a statement whose answer was lost is sent again, where it was found not done. */
const CUTS = 2;

/**
 * A statement that PostgreSQL runs outside a transaction only: alone in its message. Before it is sent it is recorded
 * that it will be, so that wherever we are cut, it is looked up before it would be sent again. `sent`: a run that was
 * cut had sent it.
 */
async function runAlone(run: PartsRun, index: number, sent: boolean): Promise<PartFailure | undefined> {
  const { tools, file } = run;
  const statement = file.shape.segments[index]!.statements[0]!;
  const part: SentPart = { run, index, edited: false };
  const text = file.shape.source.slice(statement.from, statement.to);
  let unsettled = sent;
  for (let attempt = 1, cuts = 0; ; attempt++) {
    if (unsettled) {
      const settled = await settle(part);
      if (settled === 'done') break;
      if (settled !== 'not done') return settled;
    }
    if (cuts > CUTS)
      return { problem: asProblem(new LostConnection('no answer came', 'ENDED')), outcome: 'failed' };
    const token = randomBytes(8).toString('hex');
    const failed = await noteSent(run, index, token);
    if (failed) return failed;
    const error = await sendOnce(part, token);
    if (error === undefined) break;
    if (errorMeaning(error) === 'resolve') {
      if (tools.signal.aborted) return { cancelled: unknownYet(part) };
      unsettled = true;
      cuts++;
      continue;
    }
    const cleaned = await cleanUp(part);
    if (cleaned.state === 'done') break;
    unsettled = cleaned.state === 'kept';
    const left = cleaned.state === 'kept' ? cleaned.left : undefined;
    if (error instanceof Cancelled || tools.signal.aborted) return { cancelled: left };
    const problem = error instanceof SqlError ? placedProblem(file, error, { statement }) : asProblem(error);
    const again = errorMeaning(error) === 'retry';
    const over = again ? await tryAgain(tools, attempt, problem, { text, mode: lockOf(statement) }) : problem;
    if (over !== 'again') return { problem: over, outcome: 'failed', ...given({ left }) };
  }
  const recorded = `begin ${renewLease(run)} ${recordPart(run, index)} end`;
  return sendPart(run, index, partMessage(run, recorded, false), serverProblem);
}

/** Sends the statement; undefined where it was done, otherwise the error. */
async function sendOnce(part: SentPart, token: string): Promise<unknown> {
  const { tools, file, context } = part.run;
  const { statements, again } = file.shape.segments[part.index]!;
  const { from, to, node } = statements[0]!;
  const textOf = (each: { from: number; to: number }): string => file.shape.source.slice(each.from, each.to);
  const message = `${tokenComment(token)} ${textOf({ from, to })}`;
  const settings = again.map((each) => `${textOf(each)};`).join('\n');
  try {
    await sendAlone(tools, message, { rules: context.rules, again: settings });
    return node.if_not_exists === true ? await trappedIndex(part) : undefined;
  } catch (error) {
    return error;
  }
}

/** Records what is about to be sent, and what is there before it, under what the file has set so far. */
async function noteSent(run: PartsRun, index: number, token: string): Promise<PartFailure | undefined> {
  const { file, context } = run;
  const { source } = file.shape;
  const { statements, again } = file.shape.segments[index]!;
  const statement = statements[0]!;
  const kind = nonTransactional(statement);
  if (kind === undefined)
    throw new Error('a statement that can run in a transaction was to be sent outside of one');
  const text = source.slice(statement.from, statement.to);
  const recovery = RECOVERY[kind];
  const head = `declare muva_before jsonb; muva_relation regclass; muva_shape text; begin\n${renewLease(run)}\n`;
  const settings = statementLines(source, again, head.split('\n').length);
  const sent = `jsonb_build_object('kind', ${literal(kind)}, 'token', ${literal(token)}, 'text', ${literal(hashOf(text))}, 'before', muva_before)`;
  const body = `${head}${settings.text}${recovery === 'repeat' ? '' : recovery.before(statement, text)}
  ${leaveNothing(context.role)}
  ${recordStanding(run, index, sent)}
end`;
  const message = partMessage(run, body, false);
  // Written twice it says the same, so where no answer came it is simply written again.
  return sendPart(run, Number.POSITIVE_INFINITY, message, (error) =>
    fileProblem(file, settings.lines, error, message),
  );
}

/** Whether what was sent is still what stands in the file behind what is committed. */
function isSame({ file }: PartsRun, index: number, sent: SentStatement): boolean {
  const { alone, statements } = file.shape.segments[index] ?? { alone: false, statements: [] };
  const [statement] = statements;
  return (
    alone &&
    statement !== undefined &&
    hashOf(file.shape.source.slice(statement.from, statement.to)) === sent.text
  );
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** A statement that was sent and has been edited since: where it was done, the file would tell another story. */
async function settleEdited(run: PartsRun, index: number): Promise<PartFailure | undefined> {
  const part: SentPart = { run, index, edited: true };
  const settled = await settle(part);
  return settled === 'done' ? doneAndEdited(part) : settled === 'not done' ? undefined : settled;
}

/** Says exactly which statements stand, and how to go on. */
function tellWhatStands(run: PartsRun, done: number, failure: PartFailure): BatchOutcome {
  if (failure === 'changed') return { kind: 'changed' };
  const committed = committedWords(run, done);
  if ('notVerified' in failure)
    return { kind: 'not-verified', problems: failure.notVerified, ...given({ stands: committed }) };
  const left = 'cancelled' in failure ? failure.cancelled : failure.left;
  const words = [committed, left].filter((each) => each !== undefined).join(' ');
  const stands = words === '' ? undefined : words;
  if ('cancelled' in failure) return { kind: 'cancelled', ...given({ stands }) };
  const next = [failure.problem.next, stands].filter((each) => each !== undefined).join(' ');
  const problem: Problem = { ...failure.problem, ...(next === '' ? {} : { next }) };
  if (failure.outcome === 'unknown') return { kind: 'unknown', problem };
  const times = [{ startedAt: run.startedAt, milliseconds: Date.now() - run.startedAt }];
  return { kind: 'failed', problem, at: 0, times, ...given({ stands }) };
}

function committedWords({ file }: PartsRun, done: number): string | undefined {
  const standing = file.shape.segments.slice(0, done).flatMap((segment) => segment.statements);
  if (standing.length === 0) return undefined;
  const next = file.shape.segments[done]?.statements[0];
  const line = positionIn(file.file, file.source, next?.from ?? file.source.length).line;
  const texts = standing.map(({ from, to }) => oneLine(file.source.slice(from, to), 50));
  return `Applied and kept: ${standing.length} ${standing.length === 1 ? 'statement' : 'statements'} before line ${line} (${texts.join('; ')}). The file is not recorded; correct it from line ${line} on, and the next run goes on there.`;
}

import { randomBytes } from 'node:crypto';
import { definedOnly } from '../../lib/defined-only.js';
import { Cancelled, Failure, type Problem } from '../../lib/report.js';
import type { DatabaseAccess } from '../connection/connection.js';
import { LostConnection, SqlError } from '../connection/sql-error.js';
import type { PartialMigration } from '../history/partial-migration.js';
import type { Batch } from '../migrations/batches.js';
import type { Segment } from '../migrations/file-shape.js';
import { oneLine, positionIn } from '../sql/source-text.js';
import { type BatchContext, newMarker } from './delivery.js';
import { announced } from './explicit-transaction.js';
import { fileProblem, placedProblem, statementAt } from './file-error.js';
import {
  explicitPart,
  isEnd,
  type PartFailure,
  partMessage,
  recordPart,
  recordWholeFile,
  sendPart,
} from './file-part.js';
import type { BatchOutcome } from './implicit-transaction.js';
import { asProblem, beginParts, type PartsRun, release, renewLease } from './lease.js';
import { type StatementLine, statementLines } from './migration-statement.js';
import { isSameStatement, resolveEdited, runNonTransactional } from './run-non-transactional.js';

/**
 * Applies one file in parts: it has COMMITs of its own, or statements that cannot run in a transaction, each of which
 * runs alone. How far it got is recorded with each part, so that the next run goes on behind the last committed part
 * instead of failing on what exists already. The file is in the history only when all of it is done.
 */
export async function applyNonTransactional(
  tools: DatabaseAccess,
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
  const begun = await beginParts(run, partial);
  if (begun) return begun;
  const { segments, standing } = file.shape;
  const sent = partial?.sent ?? undefined;
  const same = sent !== undefined && isSameStatement(run, standing, sent);
  let done = standing;
  try {
    const edited = sent && !same ? await caught(resolveEdited(run, done)) : undefined;
    if (edited) return tellWhatStands(run, done, edited);
    for (; done < segments.length; done++) {
      const { alone } = segments[done]!;
      const failed = await caught(
        alone ? runNonTransactional(run, done, same && done === standing) : runTransactionalPart(run, done),
      );
      if (failed) return tellWhatStands(run, done, failed);
    }
    // Only a transaction at the end of the file can bring the rows along.
    const recorded = done > standing && !segments[done - 1]!.alone;
    const failed = recorded ? undefined : await caught(recordWholeFile(run, done));
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
async function runTransactionalPart(run: PartsRun, index: number): Promise<PartFailure | undefined> {
  const { file } = run;
  const segment = file.shape.segments[index]!;
  const { transport } = run.tools.database;
  if (segment.explicit || (segment.timed && transport !== 'management-api')) return runExplicit(run, index);
  const { body, lines } = partBody(run, segment, index);
  const message = partMessage(run, body, isEnd(run, index), segment.isolation);
  const { notices } = run.context;
  return sendPart(run, index, message, (error) => fileProblem(file, lines, error, message), {
    onNotice(notice) {
      const statement = statementAt(lines, notice.where);
      if (statement) notices.note(file, statement.from, notice);
    },
  });
}

/** The same where a DO block cannot hold its statements. */
async function runExplicit(run: PartsRun, index: number): Promise<PartFailure | undefined> {
  const marker = newMarker();
  const segment = run.file.shape.segments[index]!;
  const { message, place } = explicitPart(run, index, marker);
  let current: number | undefined;
  return sendPart(
    run,
    index,
    message,
    (error) => placedProblem(run.file, error, place(error.position, current)),
    {
      explicit: true,
      onNotice(notice) {
        const began = announced(notice.message, marker);
        if (began !== undefined) current = began;
        else {
          const statement = [...segment.sessionSetup, ...segment.statements][current ?? -1];
          if (statement) run.context.notices.note(run.file, statement.from, notice);
        }
      },
    },
  );
}

function partBody(run: PartsRun, segment: Segment, index: number): { body: string; lines: StatementLine[] } {
  const guard = renewLease(run);
  const { text, lines } = statementLines(
    run.file.shape.source,
    [...segment.sessionSetup, ...segment.statements],
    guard.split('\n').length + 2,
    run.context.role,
  );
  return { body: `begin\n${guard}\n${text}${recordPart(run, index)}\nend`, lines };
}

/** Says exactly which statements stand, and how to go on. */
function tellWhatStands(run: PartsRun, done: number, failure: PartFailure): BatchOutcome {
  if (failure === 'changed') return { kind: 'changed' };
  const committed = committedWords(run, done);
  if ('notVerified' in failure)
    return { kind: 'not-verified', problems: failure.notVerified, ...definedOnly({ stands: committed }) };
  const left = 'cancelled' in failure ? failure.cancelled : failure.left;
  const words = [committed, left].filter((each) => each !== undefined).join(' ');
  const stands = words === '' ? undefined : words;
  if ('cancelled' in failure) return { kind: 'cancelled', ...definedOnly({ stands }) };
  const next = [failure.problem.next, stands].filter((each) => each !== undefined).join(' ');
  const problem: Problem = { ...failure.problem, ...(next === '' ? {} : { next }) };
  if (failure.outcome === 'unknown') return { kind: 'unknown', problem };
  const times = [{ startedAt: run.startedAt, milliseconds: Date.now() - run.startedAt }];
  return { kind: 'failed', problem, at: 0, times, ...definedOnly({ stands }) };
}

function committedWords({ file }: PartsRun, done: number): string | undefined {
  const standing = file.shape.segments.slice(0, done).flatMap((segment) => segment.statements);
  if (standing.length === 0) return undefined;
  const next = file.shape.segments[done]?.statements[0];
  const line = positionIn(file.file, file.source, next?.from ?? file.source.length).line;
  const texts = standing.map(({ from, to }) => oneLine(file.source.slice(from, to), 50));
  return `Applied and kept: ${standing.length} ${standing.length === 1 ? 'statement' : 'statements'} before line ${line} (${texts.join('; ')}). The file is not recorded; correct it from line ${line} on, and the next run goes on there.`;
}

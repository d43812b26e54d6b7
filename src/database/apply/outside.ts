import { randomBytes } from 'node:crypto';
import { given } from '../../base/given.js';
import { Cancelled, Failure, type Problem } from '../../base/report.js';
import { errorMeaning, LostConnection, SqlError } from '../connection/sql-error.js';
import type { Batch } from '../files/batches.js';
import type { Segment } from '../files/classify.js';
import { lockOf } from '../files/lock-modes.js';
import { PARTIAL_TABLE } from '../history/bookmark.js';
import type { IndexBuild, PartialMigration } from '../history/migration-history.js';
import type { Statement } from '../sql/parser.js';
import { oneLine, positionIn } from '../sql/source-text.js';
import { literal } from '../sql/sql-text.js';
import { type Alone, sendAlone } from './alone.js';
import type { BatchOutcome } from './apply.js';
import { fileProblem, placedProblem } from './file-error.js';
import { buildOf, dropLeftovers, invalidIndexes, trappedIndex } from './index-build.js';
import { asProblem, begin, type PartsRun, release, renewLease } from './lease.js';
import { finish, isEnd, type PartFailure, partMessage, prefixOf, recordPart, sendPart } from './part.js';
import { type ApplyTools, type BatchContext, serverProblem } from './sent.js';
import { tryAgain } from './try-again.js';
import { type StatementLine, statementLines } from './unit.js';

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
  const begun = await begin(run);
  if (begun) return begun;
  let done = partial?.done ?? 0;
  try {
    const { segments } = file.shape;
    for (; done < segments.length; done++) {
      const segment = segments[done]!;
      const building = done === partial?.done ? partial.building : null;
      const failed = await caught(segment.alone ? runAlone(run, done, building) : runTogether(run, done));
      if (failed) return tellWhatStands(run, done, failed);
    }
    // A statement alone in its message cannot bring the rows along, as a transaction at the end of the file does.
    const failed = segments[done - 1]?.alone ? await caught(finish(run, done)) : undefined;
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
    if (error instanceof Cancelled) return 'cancelled';
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

type StatementPlace = Pick<Statement, 'from' | 'to'>;

/** A statement that PostgreSQL runs outside a transaction only: alone in its message, its traces looked after. */
async function runAlone(
  run: PartsRun,
  index: number,
  unfinished: IndexBuild | null,
): Promise<PartFailure | undefined> {
  const { tools, file, context } = run;
  const segment = file.shape.segments[index]!;
  const statement = segment.statements[0]!;
  const textOf = ({ from, to }: StatementPlace): string => file.shape.source.slice(from, to);
  const text = textOf(statement);
  const alone: Alone = {
    rules: context.rules,
    again: segment.again.map((each) => `${textOf(each)};`).join('\n'),
  };
  const build = await buildOf(tools, statement, alone);
  // A killed try of ours may have left an invalid index, or may still be building.
  if (unfinished) await dropLeftovers(tools, unfinished, alone);
  const before = build ? await invalidIndexes(tools, build.relation) : [];
  const building = build ? { relation: build.relation, before } : null;
  const noted = await notePart(run, index, building);
  if (noted) return noted;
  for (let attempt = 1; ; attempt++) {
    let error: unknown = await sendAlone(tools, text, alone).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    if (error === undefined && build) {
      const trapped = await trappedIndex(tools, build);
      if (trapped !== undefined) error = trapped;
    }
    if (error === undefined) break;
    if (building) await dropLeftovers(tools, building, alone);
    if (error instanceof Cancelled || tools.signal.aborted) return 'cancelled';
    if (error instanceof Failure) return { problem: error.problems[0]!, outcome: 'failed' };
    // Index builds are safe to try again, since what they left was dropped; of the others a lost answer tells nothing.
    const again = errorMeaning(error) === 'retry' || (errorMeaning(error) === 'resolve' && building !== null);
    if (!again && error instanceof LostConnection) return { problem: unknownAlone(text), outcome: 'unknown' };
    const problem = error instanceof SqlError ? placedProblem(file, error, { statement }) : asProblem(error);
    const over = again ? await tryAgain(tools, attempt, problem, { text, mode: lockOf(statement) }) : problem;
    if (over !== 'again') return { problem: over, outcome: 'failed' };
  }
  const recorded = `begin ${renewLease(run)} ${recordPart(run, index)} end`;
  return sendPart(run, index, partMessage(run, recorded, false), serverProblem);
}

/** Records what is about to be tried, so that a later run knows whose invalid index it finds. */
async function notePart(
  run: PartsRun,
  index: number,
  building: IndexBuild | null,
): Promise<PartFailure | undefined> {
  const { file, context } = run;
  const body = `begin ${renewLease(run)}
  insert into ${PARTIAL_TABLE} (version, run_id, done, prefix, building) values (${literal(file.version)}, ${literal(context.run.id)},
    ${index}, ${literal(prefixOf(file, index))}, ${building ? `${literal(JSON.stringify(building))}::jsonb` : 'null'})
    on conflict (version) do update set run_id = excluded.run_id, done = excluded.done, prefix = excluded.prefix,
      building = excluded.building, updated_at = now();
end`;
  // Written twice it says the same, so where no answer came it is simply written again.
  return sendPart(run, Number.POSITIVE_INFINITY, partMessage(run, body, false), serverProblem);
}

/** Says exactly which statements stand, and how to go on. */
function tellWhatStands(run: PartsRun, done: number, failure: PartFailure): BatchOutcome {
  const { file } = run;
  if (failure === 'changed') return { kind: 'changed' };
  const standing = file.shape.segments.slice(0, done).flatMap((segment) => segment.statements);
  const next = file.shape.segments[done]?.statements[0];
  const line = positionIn(file.file, file.source, next?.from ?? file.source.length).line;
  const stands =
    standing.length === 0
      ? undefined
      : `Applied and kept: ${standing.length} ${standing.length === 1 ? 'statement' : 'statements'} before line ${line} (${standing
          .map(({ from, to }) => oneLine(file.source.slice(from, to), 50))
          .join(
            '; ',
          )}). The file is not recorded; correct it from line ${line} on, and the next run goes on there.`;
  if (typeof failure === 'object' && 'notVerified' in failure)
    return {
      kind: 'not-verified',
      problems: failure.notVerified,
      ...given({ stands }),
    };
  if (failure === 'cancelled') return { kind: 'cancelled', ...given({ stands }) };
  const problem: Problem = {
    ...failure.problem,
    ...(stands === undefined
      ? {}
      : { next: failure.problem.next === undefined ? stands : `${failure.problem.next} ${stands}` }),
  };
  if (failure.outcome === 'unknown') return { kind: 'unknown', problem };
  const times = [{ startedAt: run.startedAt, milliseconds: Date.now() - run.startedAt }];
  return { kind: 'failed', problem, at: 0, times, ...given({ stands }) };
}

function unknownAlone(text: string): Problem {
  return {
    message: `the answer to ${oneLine(text, 60)} was lost: it may have been done`,
    next: 'Look whether it was done; the next run does it again.',
  };
}

import { createHash, randomBytes } from 'node:crypto';
import { Cancelled, Failure, type Problem } from '../base/report.js';
import { backoff, pause } from '../base/retry.js';
import type { BatchOutcome } from './apply.js';
import type { Batch, PlannedFile } from './batches.js';
import { HISTORY_TABLE, LEASE_TABLE, PARTIAL_TABLE } from './bookmark.js';
import type { Segment } from './classify.js';
import { fileProblem, placedProblem } from './file-error.js';
import { buildOf, dropLeftovers, invalidIndexes, trappedIndex } from './index-build.js';
import type { IndexBuild, PartialMigration } from './migration-history.js';
import { lookUnderLock } from './resolve.js';
import { DOES_NOT_VERIFY, verificationProblems } from './schema-facts.js';
import { type ApplyTools, type BatchContext, GRACE, serverProblem } from './sent.js';
import { oneLine, positionIn } from './source-text.js';
import { errorMeaning, LostConnection, SqlError } from './sql-error.js';
import { dollarQuote, literal } from './sql-text.js';
import {
  CHECK_DEFERRED,
  CODES,
  finishFile,
  leaveNothing,
  localSettings,
  opening,
  type StatementLine,
  statementLines,
} from './unit.js';
import { LOCK_WAIT, waitForLock } from './wait-for-lock.js';

const TRIES = 6;
/** The lease outlives the longest statement by this much. */
const LEASE_GRACE = 60_000;
const RESOLVE_WITHIN = 120_000;

/** Everything that one file with statements outside a transaction is run with. */
interface Run {
  tools: ApplyTools;
  file: PlannedFile;
  context: BatchContext;
  /** Our name in the lease; one for each try, because one workflow run may have several jobs. */
  holder: string;
  startedAt: number;
}

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
  const run: Run = {
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
      const failed = segment.alone ? await runAlone(run, done, building) : await runTogether(run, done);
      if (failed) return tellWhatStands(run, done, failed);
    }
    // A statement alone in its message cannot bring the rows along, as a transaction at the end of the file does.
    const failed = segments[done - 1]?.alone ? await finish(run, done) : undefined;
    if (failed) return tellWhatStands(run, done, failed);
    return { kind: 'done', times: [{ startedAt: run.startedAt, milliseconds: Date.now() - run.startedAt }] };
  } finally {
    await release(run);
  }
}

/** What ended a part: nothing of that part stands, unless it is unknown. */
type PartFailure =
  | { problem: Problem; outcome: 'failed' | 'unknown' }
  | { notVerified: Problem[] }
  | 'cancelled'
  | 'changed';

/** Takes the lease inside the ordinary opening transaction; an outcome where that could not be done. */
async function begin(run: Run): Promise<BatchOutcome | undefined> {
  const { tools, context, holder } = run;
  const text = `${opening({ ...context, holder, marker: '' })}\n${takeLease(run)}`;
  for (let attempt = 1; ; attempt++) {
    try {
      await tools.database.send(text, { deadline: GRACE + context.rules.lockTimeout, signal: tools.signal });
      return undefined;
    } catch (error) {
      if (error instanceof Cancelled || tools.signal.aborted) return { kind: 'cancelled' };
      if (error instanceof Failure) return { kind: 'failed', problem: error.problems[0]!, at: 0, times: [] };
      if (error instanceof SqlError && error.code === CODES.locked) await waitForLock(tools, LOCK_WAIT);
      else if (error instanceof SqlError && error.code === CODES.changed) return { kind: 'changed' };
      else if (errorMeaning(error) === 'stop' || attempt === TRIES)
        return { kind: 'failed', problem: asProblem(error), at: 0, times: [] };
      // Taking the lease twice is harmless, so an answer that was lost needs no look.
      else await pause(backoff(attempt, 500, 8_000), tools.signal);
    }
  }
}

const leaseUntil = ({ context }: Run): string =>
  `clock_timestamp() + interval '${context.rules.statementTimeout + LEASE_GRACE} milliseconds'`;

/** The session stands in the lease where it lasts: its end then frees the lease at once. */
function session({ tools }: Run): { pid: string; start: string } {
  return tools.database.transport === 'transaction-pooler'
    ? { pid: 'null::int', start: 'null::timestamptz' }
    : {
        pid: 'pg_catalog.pg_backend_pid()',
        start:
          '(select backend_start from pg_catalog.pg_stat_activity where pid = pg_catalog.pg_backend_pid())',
      };
}

function takeLease(run: Run): string {
  const { pid, start } = session(run);
  return `insert into ${LEASE_TABLE} (holder, until, pid, backend_start) values (${literal(run.holder)}, ${leaseUntil(run)}, ${pid}, ${start})
    on conflict (single) do update set holder = excluded.holder, until = excluded.until, pid = excluded.pid,
      backend_start = excluded.backend_start;`;
}

/** PL/pgSQL: the lease is still ours, and lasts on; raises where another run has taken over. */
function renewLease(run: Run): string {
  const { pid, start } = session(run);
  return `update ${LEASE_TABLE} set until = ${leaseUntil(run)}, pid = ${pid}, backend_start = ${start}
    where holder = ${literal(run.holder)};
  if not found then
    raise exception using errcode = '${CODES.changed}', message = 'another run has taken over this database';
  end if;
  lock table ${HISTORY_TABLE} in share row exclusive mode;
  if exists (select from ${HISTORY_TABLE} where version = ${literal(run.file.version)}) then
    raise exception using errcode = '${CODES.recorded}', message = 'the version is recorded already';
  end if;`;
}

async function release({ tools, holder }: Run): Promise<void> {
  const message = `delete from ${LEASE_TABLE} where holder = ${literal(holder)}`;
  await tools.database.send(message, { deadline: 5_000 }).catch(() => undefined);
}

/** True for the part after which nothing more is to be run, where it is a transaction that can bring the rows along. */
function isEnd({ file }: Run, index: number): boolean {
  const { segments } = file.shape;
  return index === segments.length - 1 && !segments[index]!.alone;
}

/** PL/pgSQL that ends part number `index`: how far we are, or at the end both history rows. */
function recordPart(run: Run, index: number): string {
  if (isEnd(run, index)) return recordAll(run);
  const { file, context } = run;
  return `${leaveNothing(context.role)}${CHECK_DEFERRED}
  insert into ${PARTIAL_TABLE} (version, run_id, done, prefix) values (${literal(file.version)}, ${literal(context.run.id)}, ${index + 1}, ${literal(prefixOf(file, index + 1))})
    on conflict (version) do update set run_id = excluded.run_id, done = excluded.done, prefix = excluded.prefix,
      building = null, updated_at = now();`;
}

function recordAll({ file, context }: Run): string {
  const recorded = [...context.recorded, ...context.baseline.map((each) => each.version)];
  return `${finishFile(file, 0, recorded, { ...context, marker: '' })}
  delete from ${PARTIAL_TABLE} where version = ${literal(file.version)};`;
}

/** All parts stand: the file goes into the history, in one transaction with the verification. */
function finish(run: Run, parts: number): Promise<PartFailure | undefined> {
  return sendPart(
    run,
    parts,
    partMessage(run, `begin ${renewLease(run)} ${recordAll(run)} end`, true),
    serverProblem,
  );
}

function partMessage({ context }: Run, body: string, end: boolean): string {
  return `set transaction isolation level read committed, read write;
${localSettings(context.rules)}
do ${dollarQuote(body)};
${end && context.after ? `${localSettings(context.rules)}\n${context.after}` : ''}`;
}

/** SHA-256 of the text that the first `parts` parts were made from: editing it later would be a lie. */
export function prefixOf(file: PlannedFile, parts: number): string {
  const statements = file.shape.segments.slice(0, parts).flatMap((segment) => segment.statements);
  const end = statements[statements.length - 1]?.to ?? 0;
  return createHash('sha256').update(file.source.slice(0, end)).digest('hex');
}

/** A part that is one transaction. */
async function runTogether(run: Run, index: number): Promise<PartFailure | undefined> {
  const { body, lines } = partBody(run, run.file.shape.segments[index]!, index);
  const message = partMessage(run, body, isEnd(run, index));
  return sendPart(run, index, message, (error) => fileProblem(run.file, lines, error));
}

function partBody(run: Run, segment: Segment, index: number): { body: string; lines: StatementLine[] } {
  const guard = renewLease(run);
  const { text, lines } = statementLines(
    run.file.shape.source,
    segment.statements,
    guard.split('\n').length + 2,
  );
  return { body: `begin\n${guard}\n${text}${recordPart(run, index)}\nend`, lines };
}

/** Sends a part that is one transaction; retried, and looked after where no answer came. */
async function sendPart(
  run: Run,
  index: number,
  message: string,
  explain: (error: SqlError) => Problem,
): Promise<PartFailure | undefined> {
  const { tools, context } = run;
  for (let attempt = 1; ; attempt++) {
    try {
      await tools.database.send(message, {
        deadline: context.rules.statementTimeout + GRACE,
        signal: tools.signal,
      });
      return undefined;
    } catch (error) {
      if (error instanceof Cancelled) return 'cancelled';
      if (error instanceof SqlError && (error.code === CODES.changed || error.code === CODES.recorded))
        return 'changed';
      if (error instanceof SqlError && error.code === '57014' && tools.signal.aborted) return 'cancelled';
      if (error instanceof SqlError && error.code === DOES_NOT_VERIFY)
        return { notVerified: verificationProblems(error.message) };
      const meaning = errorMeaning(error);
      if (meaning === 'resolve') {
        const state = await partState(run, index);
        if (state === 'done') return undefined;
        if (state === 'unknown') return { problem: unknownProblem(), outcome: 'unknown' };
        if (tools.signal.aborted) return 'cancelled';
      }
      if (meaning === 'stop' || attempt === TRIES)
        return {
          problem: error instanceof SqlError ? explain(error) : asProblem(error),
          outcome: 'failed',
        };
      await pause(backoff(attempt, 500, 8_000), tools.signal);
    }
  }
}

/** Looks, under the lock, whether part number `index` is committed. */
async function partState({ tools, file }: Run, index: number): Promise<'done' | 'not done' | 'unknown'> {
  const look = await lookUnderLock(tools.database, RESOLVE_WITHIN);
  if (!look) return 'unknown';
  if (look.recorded.some((row) => row.version === file.version)) return 'done';
  const partial = look.partial.find((row) => row.version === file.version);
  return (partial?.done ?? 0) > index ? 'done' : 'not done';
}

/** A statement that PostgreSQL runs outside a transaction only: alone in its message, its traces looked after. */
async function runAlone(
  run: Run,
  index: number,
  unfinished: IndexBuild | null,
): Promise<PartFailure | undefined> {
  const { tools, file } = run;
  const statement = file.shape.segments[index]!.statements[0]!;
  const text = file.shape.source.slice(statement.from, statement.to);
  const build = buildOf(statement);
  // A killed try of ours may have left an invalid index, or may still be building.
  if (unfinished) await dropLeftovers(tools, unfinished);
  const before = build ? await invalidIndexes(tools, build.relation) : [];
  const building = build ? { relation: build.relation, before } : null;
  const noted = await notePart(run, index, building);
  if (noted) return noted;
  for (let attempt = 1; ; attempt++) {
    let error = await sendAlone(run, text);
    if (error === undefined && build) {
      const trapped = await trappedIndex(tools, build);
      if (trapped !== undefined) error = trapped;
    }
    if (error === undefined) break;
    if (building) await dropLeftovers(tools, building);
    if (error instanceof Cancelled || tools.signal.aborted) return 'cancelled';
    if (error instanceof Failure) return { problem: error.problems[0]!, outcome: 'failed' };
    // Index builds are safe to try again, since what they left was dropped; of the others a lost answer tells nothing.
    const again = errorMeaning(error) === 'retry' || (errorMeaning(error) === 'resolve' && building !== null);
    if (!again && error instanceof LostConnection) return { problem: unknownAlone(text), outcome: 'unknown' };
    if (!again || attempt === TRIES)
      return {
        problem: error instanceof SqlError ? placedProblem(file, error, { statement }) : asProblem(error),
        outcome: 'failed',
      };
    await pause(backoff(attempt, 500, 8_000), tools.signal);
  }
  const recorded = `begin ${renewLease(run)} ${recordPart(run, index)} end`;
  return sendPart(run, index, partMessage(run, recorded, false), serverProblem);
}

/** Records what is about to be tried, so that a later run knows whose invalid index it finds. */
async function notePart(
  run: Run,
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

/**
 * The time-outs cannot stand in the same message, because that would make it a transaction. A session of our own can
 * be given them before; behind a transaction pooler they would reach another client, so the role's own hold there.
 */
async function sendAlone({ tools, context }: Run, text: string): Promise<unknown> {
  const { database, signal } = tools;
  const own = database.transport !== 'transaction-pooler';
  const sending = { deadline: context.rules.statementTimeout + GRACE, signal };
  try {
    // These statements wait for other transactions without blocking them: their wait is bounded by the whole time.
    if (own)
      await database.send(
        `set statement_timeout = '${context.rules.statementTimeout}ms'; set lock_timeout = 0;
         do $m$begin if current_setting('server_version_num')::int >= 140000 then
           perform set_config('client_connection_check_interval', '500ms', false); end if; end$m$`,
        sending,
      );
    await database.send(text, sending);
    return undefined;
  } catch (error) {
    return error;
  } finally {
    if (own) await database.send('reset all', { deadline: 5_000 }).catch(() => undefined);
  }
}

/** Says exactly which statements stand, and how to go on. */
function tellWhatStands(run: Run, done: number, failure: PartFailure): BatchOutcome {
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
      ...(stands === undefined ? {} : { stands }),
    };
  if (failure === 'cancelled') return { kind: 'cancelled', ...(stands === undefined ? {} : { stands }) };
  const problem: Problem = {
    ...failure.problem,
    ...(stands === undefined
      ? {}
      : { next: failure.problem.next === undefined ? stands : `${failure.problem.next} ${stands}` }),
  };
  if (failure.outcome === 'unknown') return { kind: 'unknown', problem };
  const times = [{ startedAt: run.startedAt, milliseconds: Date.now() - run.startedAt }];
  return { kind: 'failed', problem, at: 0, times, ...(stands === undefined ? {} : { stands }) };
}

function asProblem(error: unknown): Problem {
  if (error instanceof SqlError) return serverProblem(error);
  if (error instanceof Failure) return error.problems[0]!;
  return {
    message: `the connection to the database was lost: ${error instanceof Error ? error.message : 'no answer'}`,
    next: 'Run again: it goes on where it stopped.',
  };
}

function unknownProblem(): Problem {
  return {
    message: 'the answer to the commit was lost, and the database could not be asked since',
    next: 'Run again when the database can be reached: it finds out by itself what was applied.',
  };
}

function unknownAlone(text: string): Problem {
  return {
    message: `the answer to ${oneLine(text, 60)} was lost: it may have been done`,
    next: 'Look whether it was done; the next run does it again.',
  };
}

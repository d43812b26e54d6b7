import { Cancelled, type Problem } from '../../lib/report.js';
import type { SendOptions } from '../connection/connection.js';
import { errorMeaning, SqlError } from '../connection/sql-error.js';
import { sqlProblem } from '../connection/sql-problem.js';
import { PARTIAL_TABLE } from '../history/deploy-tables.js';
import { CODES } from '../history/error-codes.js';
import { type PartialMigration, prefixOf } from '../history/partial-migration.js';
import type { PlannedFile } from '../migrations/batches.js';
import { ownCheckProblems } from '../schema/own-checks.js';
import { verificationProblems } from '../schema/schema-facts.js';
import { dollarQuote, literal } from '../sql/sql-text.js';
import { waitedIn } from './blockers.js';
import { answerWithin, noteReader } from './delivery.js';
import { statementsMessage } from './explicit-transaction.js';
import type { ErrorPlace } from './file-error.js';
import { readHistoryUnderLock } from './history-under-lock.js';
import { asProblem, isSessionBound, type PartsRun, renewLease } from './lease.js';
import {
  CHECK_DEFERRED,
  finishFile,
  historyIs,
  leaveNoSettings,
  leaveNothing,
  localSettings,
} from './migration-statement.js';
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
  return `${leavePart(run)}${CHECK_DEFERRED}
  ${recordStanding(run, index + 1, 'null')}`;
}

/** PL/pgSQL that leaves the session as it was, but for what later parts of the file count on. */
export function leavePart(run: PartsRun): string {
  const { role } = run.context;
  return isSessionBound(run) ? leaveNoSettings(role) : leaveNothing(role);
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

/** A message that is one transaction: PL/pgSQL, and where it is the `end` of the file, what follows the last file. */
export function partMessage({ context }: PartsRun, body: string, end: boolean, isolation?: string): string {
  return `set transaction isolation level ${isolation ?? 'read committed'}, read write;
${localSettings(context.rules)}
do ${dollarQuote(body)};
${end ? atEnd(context) : ''}`;
}

function atEnd({ rules, after }: PartsRun['context']): string {
  return after ? `${localSettings(rules)}\n${after}` : '';
}

/** The same for statements that a DO block cannot hold: they stand in the message, in a transaction of its own. */
export function explicitPart(run: PartsRun, index: number, marker: string): ExplicitPart {
  const { context, file } = run;
  const { shape } = file;
  const { statements, sessionSetup, isolation = 'read committed' } = shape.segments[index]!;
  const body = statementsMessage(shape.source, [...sessionSetup, ...statements], marker, context.role);
  const head = `begin isolation level ${isolation}, read write;
${localSettings(context.rules)}
do ${dollarQuote(`begin ${renewLease(run)} end`)};
`;
  const message = `${head}${body.message}
${localSettings(context.rules)}
do ${dollarQuote(`begin ${recordPart(run, index)} end`)};
${isEnd(run, index) ? atEnd(context) : ''}
commit`;
  return { message, place: (position, current) => body.place(message, head.length, position, current) };
}

export interface ExplicitPart {
  message: string;
  place: (position: number | undefined, current: number | undefined) => ErrorPlace | undefined;
}

/** The first `parts` parts of a file, as they are recorded. */
export function committedParts(
  { shape, source }: PlannedFile,
  parts: number,
): Pick<PartialMigration, 'done' | 'bytes' | 'prefix'> {
  const text = source.slice(0, shape.segments[parts - 1]?.end ?? 0);
  return { done: parts, ...prefixOf(text) };
}

/**
 * Sends a part that is one transaction; retried, and looked after where no answer came. `onNotice`: told what the
 * message raises. `explicit`: it is a transaction that the message begins and ends itself.
 */
export async function sendPart(
  run: PartsRun,
  index: number,
  message: string,
  explain: (error: SqlError) => Problem,
  {
    onNotice,
    explicit = false,
  }: { onNotice?: NonNullable<SendOptions['onNotice']>; explicit?: boolean } = {},
): Promise<PartFailure | undefined> {
  const { tools, context, file } = run;
  const readNote = noteReader(context);
  for (let attempt = 1; ; attempt++) {
    try {
      await tools.database.send(message, {
        deadline: answerWithin(context, [file]),
        signal: tools.signal,
        onNotice(notice) {
          readNote(notice);
          onNotice?.(notice);
        },
      });
      return undefined;
    } catch (error) {
      // After an error the session waits for the end of the transaction that the message has begun.
      if (explicit) await tools.database.send('rollback', { deadline: 5_000 }).catch(() => undefined);
      if (error instanceof Cancelled) return { cancelled: undefined };
      if (error instanceof SqlError && (error.code === CODES.changed || error.code === CODES.recorded))
        return 'changed';
      if (error instanceof SqlError && error.code === '57014' && tools.signal.aborted)
        return { cancelled: undefined };
      if (error instanceof SqlError && error.code === CODES.notVerified)
        return { notVerified: verificationProblems(error.message) };
      if (error instanceof SqlError && error.code === CODES.ownChecks)
        return { notVerified: ownCheckProblems(error.message) };
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

import { capitalize } from '../../lib/capitalize.js';
import { Cancelled, Failure, type Problem } from '../../lib/report.js';
import { pause } from '../../lib/retry.js';
import type { DatabaseAccess } from '../connection/connection.js';
import { jsonField } from '../connection/results.js';
import { retryRead } from '../connection/retry-read.js';
import { errorMeaning, SqlError } from '../connection/sql-error.js';
import { sqlProblem } from '../connection/sql-problem.js';
import { PARTIAL_TABLE } from '../history/deploy-tables.js';
import type { SentStatement } from '../history/partial-migration.js';
import type { PlannedFile } from '../migrations/batches.js';
import { whyNonTransactional } from '../migrations/non-transactional.js';
import { positionIn } from '../sql/source-text.js';
import { literal } from '../sql/sql-text.js';
import { committedParts, type PartFailure } from './file-part.js';
import type { PartsRun } from './lease.js';
import { sendNonTransactional } from './send-non-transactional.js';
import { invalidNamed, type OutcomeVerdict, RECOVERY, WORKER, type Worker } from './statement-outcome.js';

/** Milliseconds for a look, which waits for nothing but the network. */
const DEADLINE = 30_000;
/** Between two looks at somebody who is at work. */
const POLL = 500;
/**
 * Milliseconds for removing what a statement left that has failed: it may wait for the same as the statement, and the
 * next run can do it too. After a cancel the runner kills the process 7.5 s after it asked.
 */
const AFTER_FAILURE = 10_000;
const AT_CANCEL = 3_500;

/** The statement that was sent behind the first `index` parts of a file. */
export interface SentPart {
  run: PartsRun;
  index: number;
  /** The file holds another statement there now, or none. */
  edited: boolean;
}

/**
 * Finds out what became of a statement that was sent outside a transaction: waits until its session is gone, looks at
 * what is there, removes what it left, or ends what it began. `done` and `not done` are certain; anything else is a
 * failure that tells a person what to do.
 */
export async function resolveStatement(part: SentPart): Promise<'done' | 'not done' | PartFailure> {
  const { run } = part;
  run.tools.log({
    kind: 'progress',
    text: `looking whether ${statementName(part)} was done, whose answer was lost`,
  });
  try {
    const sent = await recordedSent(run);
    for (let round = 1; ; round++) {
      const verdict = await lookPatiently(part, sent);
      switch (verdict.state) {
        case 'done':
        case 'not done':
          return verdict.state;
        case 'busy':
          return stillAtWork(part, verdict.who);
        case 'unclear':
          return cannotTell(part, sent, verdict.why);
        case 'left over':
          await oneRound(run, round, () => removeLeftover(run, verdict.drop));
          break;
        case 'half done':
          run.tools.log({ kind: 'progress', text: `${verdict.what}: ending what was begun` });
          await oneRound(run, round, () =>
            sendNonTransactional(run.tools, verdict.finish, { ...run.context, sessionSetup: '' }),
          );
      }
    }
  } catch (error) {
    return couldNotResolve(part, error);
  }
}

/** How often it is tried to end or remove something, each time behind a look. */
const ROUNDS = 3;

async function oneRound(run: PartsRun, round: number, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (errorMeaning(error) === 'stop' || round === ROUNDS || run.tools.signal.aborted) throw error;
  }
}

/**
 * The same after the server has refused a statement, whose error is told in any case: removes what it left. `kept`:
 * something stands that the next run has to settle, and `left` says what.
 */
export async function cleanUp(
  part: SentPart,
): Promise<{ state: 'done' | 'not done' } | { state: 'kept'; left: string }> {
  const run = patient(part.run);
  try {
    const sent = await recordedSent(run);
    const verdict = await lookNow(run, sent);
    switch (verdict.state) {
      case 'done':
        return { state: 'done' };
      case 'not done':
        await forget(run, sent);
        return { state: 'not done' };
      case 'left over':
        try {
          await removeLeftover(run, verdict.drop);
          await forget(run, sent);
          return { state: 'not done' };
        } catch {
          const what = verdict.drop.map((each) => each.what).join(', ');
          return { state: 'kept', left: `It left ${what} invalid; the next run drops that and goes on.` };
        }
      case 'half done':
        return { state: 'kept', left: `${capitalize(verdict.what)}; the next run ends that.` };
      case 'busy':
      case 'unclear':
        return { state: 'kept', left: unknownYet(part) };
    }
  } catch {
    return { state: 'kept', left: unknownYet(part) };
  }
}

/** For work that is done even when the run was cancelled, but in little time. */
function patient(run: PartsRun): PartsRun {
  const { tools, context } = run;
  const most = tools.signal.aborted ? AT_CANCEL : AFTER_FAILURE;
  const rules = { ...context.rules, statementTimeout: Math.min(most, context.rules.statementTimeout) };
  return {
    ...run,
    tools: { ...tools, signal: new AbortController().signal },
    context: { ...context, rules },
  };
}

/** For a person: what is done about a statement whose outcome could not be found out. */
export function unknownYet(part: SentPart): string {
  return `Whether ${statementName(part)} was done is not known; the next run looks.`;
}

async function removeLeftover(run: PartsRun, drop: { what: string; sql: string }[]): Promise<void> {
  for (const { what, sql } of drop) {
    run.tools.log({
      kind: 'progress',
      text: `dropping ${what}, which an unfinished build of ours left invalid`,
    });
    await sendNonTransactional(run.tools, sql, { ...run.context, sessionSetup: '' });
  }
}

/** Looks until nobody is at work any more, for as long as another run's lock is waited for. */
async function lookPatiently(part: SentPart, sent: SentStatement): Promise<OutcomeVerdict> {
  const { tools, context } = part.run;
  const until = performance.now() + context.rules.lockWait;
  let told: number | undefined;
  for (;;) {
    const verdict = await lookNow(part.run, sent);
    if (verdict.state !== 'busy' || performance.now() > until) return verdict;
    const { pid, name, seconds } = verdict.who;
    if (told !== pid)
      tools.log({
        kind: 'progress',
        text: `waiting for ${name} (pid ${pid}), which has been at work on ${statementName(part)} for ${seconds} s`,
      });
    told = pid;
    await pause(POLL, tools.signal);
  }
}

/** What is recorded of the statement; the lease is ours, so nobody else writes it. */
async function recordedSent({ tools, file }: PartsRun): Promise<SentStatement> {
  const message = `select sent::text as sent from ${PARTIAL_TABLE} where version = ${literal(file.version)}`;
  const results = await retryRead(tools.signal, () =>
    tools.database.send(message, { deadline: DEADLINE, signal: tools.signal }),
  );
  const sent = jsonField<SentStatement>(results, 'sent');
  if (!sent) throw new Error('the statement that was sent is not recorded');
  return sent;
}

/** The server has refused it, and nothing is left of it: the next run may send it, or what a person makes of it. */
async function forget({ tools, file }: PartsRun, { token }: SentStatement): Promise<void> {
  const message = `set transaction read write; update ${PARTIAL_TABLE} set sent = null where ${isRecorded(file, token)}`;
  await tools.database.send(message, { deadline: DEADLINE });
}

function isRecorded({ version }: PlannedFile, token: string): string {
  return `version = ${literal(version)} and sent ->> 'token' = ${literal(token)}`;
}

async function lookNow({ tools }: PartsRun, sent: SentStatement): Promise<OutcomeVerdict> {
  const recovery = RECOVERY[sent.kind];
  const before = sent.before ?? {};
  const { session, now } = await askNow(
    tools,
    sent,
    recovery === 'repeat' ? 'null::jsonb' : recovery.now(before),
  );
  if (session) return { state: 'busy', who: session };
  return recovery === 'repeat' ? { state: 'not done' } : recovery.judge(before, now);
}

/**
 * Asks for the session whose message begins with the statement's token, and only then for an SQL expression: what a
 * session does before it is gone is seen by the second look.
 */
async function askNow(
  { database, signal }: DatabaseAccess,
  { token }: SentStatement,
  expression: string,
): Promise<{ session: Worker | null; now: unknown }> {
  const session = `(select ${WORKER} from pg_stat_activity a where a.pid <> pg_backend_pid() and a.state <> 'idle'
    and position(${literal(tokenComment(token))} in a.query) > 0 limit 1)`;
  const message = `set transaction isolation level read committed; set local search_path = '';
    select set_config('muva.session', coalesce(${session}::text, 'null'), true);
    select jsonb_build_object('session', current_setting('muva.session')::jsonb, 'now', ${expression})::text as look`;
  const results = await retryRead(signal, () => database.send(message, { deadline: DEADLINE, signal }));
  const found = jsonField<{ session: Worker | null; now: unknown }>(results, 'look');
  if (!found) throw new Error('the look at a statement gave no row');
  return found;
}

/**
 * CREATE INDEX CONCURRENTLY IF NOT EXISTS reports success over an invalid index of the same name. A Failure for that
 * trap; undefined where the index is as it should be, and for other statements.
 */
export async function trappedIndex({ run }: SentPart): Promise<Failure | undefined> {
  const sent = await recordedSent(run);
  const recovery = RECOVERY['create-index'];
  if (sent.kind !== 'create-index' || recovery === 'repeat' || !sent.before) return undefined;
  const { now } = await askNow(run.tools, sent, recovery.now(sent.before));
  const index = invalidNamed(sent.before, now);
  if (index === undefined) return undefined;
  return new Failure({
    message: `the index ${index} is invalid: a build that failed earlier left it, and IF NOT EXISTS takes it for good`,
    next: `It is not ours to drop. Run: drop index concurrently ${index};  and then deploy again.`,
  });
}

/** Stands before a statement that is sent outside a transaction, so that its session is known by its query. */
export function tokenComment(token: string): string {
  return `/*sent ${token}*/`;
}

/** By kind and line: its text may hold a password, as that of a subscription does. */
function statementName(part: SentPart): string {
  const statement = part.edited ? undefined : part.run.file.shape.segments[part.index]?.statements[0];
  const name = statement && whyNonTransactional(statement);
  return `${name ?? 'the statement that was sent'} in line ${statementPlace(part).at.line}`;
}

function statementPlace({ run: { file }, index }: SentPart): Required<Pick<Problem, 'at'>> {
  const next = file.shape.segments[index]?.statements[0];
  const end = file.shape.segments[index - 1]?.end ?? 0;
  return { at: positionIn(file.file, file.source, next?.from ?? end) };
}

function stillAtWork(part: SentPart, { pid, name, seconds }: Worker): PartFailure {
  return {
    problem: {
      message: `${name} (pid ${pid}) has been at work on ${statementName(part)} for ${seconds} s, and is not done`,
      ...statementPlace(part),
      next: 'Wait for it, then run again: the next run looks whether it was done.',
    },
    outcome: 'failed',
    left: unknownYet(part),
  };
}

/** Never sent again by us: a person looks, and says with one of two lines how the next run goes on. */
function cannotTell(part: SentPart, sent: SentStatement, why: string): PartFailure {
  const { run, index, edited } = part;
  const set = (fields: string): string =>
    `update ${PARTIAL_TABLE} set ${fields} where ${isRecorded(run.file, sent.token)};`;
  const { done, bytes, prefix } = committedParts(run.file, index + 1);
  const ran = edited
    ? 'Where it was done: put it back as it was.'
    : `Where it was done: ${set(`done = ${done}, bytes = ${bytes}, prefix = '${prefix}', sent = null`)}`;
  return {
    problem: {
      message: `${statementName(part)} was sent, and it cannot be told whether it was done: ${why}`,
      ...statementPlace(part),
      next: `It is not sent again by itself: look at it. ${ran} Where it was not: ${set('sent = null')} Then run again; it goes on there.`,
    },
    outcome: 'failed',
    left: `Whether ${statementName(part)} was done is not known.`,
  };
}

/** A file must tell what was done: what stands is not what it says now. */
export function doneAndEdited(part: SentPart): PartFailure {
  return {
    problem: {
      message: 'the statement that was sent here was done, and has been edited since',
      ...statementPlace(part),
      next: 'Put it back as it was, and change what it made in a statement behind it.',
    },
    outcome: 'failed',
    left: 'The statement as it was before the edit is done.',
  };
}

function couldNotResolve(part: SentPart, error: unknown): PartFailure {
  if (error instanceof Cancelled || part.run.tools.signal.aborted) return { cancelled: unknownYet(part) };
  if (error instanceof SqlError && errorMeaning(error) !== 'resolve')
    return {
      problem: {
        ...sqlProblem(error),
        message: `finding out what became of ${statementName(part)}: ${error.message}`,
        ...statementPlace(part),
      },
      outcome: 'failed',
      left: unknownYet(part),
    };
  const lost = error instanceof Failure || errorMeaning(error) === 'resolve';
  if (!lost) throw error;
  return {
    problem: {
      message: `the answer to ${statementName(part)} was lost, and the database could not be asked since`,
      ...statementPlace(part),
      next: 'Run again when the database can be reached: it looks by itself whether the statement was done.',
    },
    outcome: 'unknown',
  };
}

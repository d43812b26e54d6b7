import { createHash, randomBytes } from 'node:crypto';
import { definedOnly } from '../../lib/defined-only.js';
import { Cancelled, type Problem } from '../../lib/report.js';
import { actAsAgain } from '../connection/acting-role.js';
import { errorMeaning, SqlError } from '../connection/sql-error.js';
import { sqlProblem } from '../connection/sql-problem.js';
import type { SentStatement } from '../history/partial-migration.js';
import { lockOf } from '../migrations/lock-modes.js';
import { nonTransactional, whyNonTransactional } from '../migrations/non-transactional.js';
import { literal } from '../sql/sql-text.js';
import { nameOldTransactions } from './blockers.js';
import { fileProblem, placedProblem } from './file-error.js';
import {
  leavePart,
  type PartFailure,
  partMessage,
  recordPart,
  recordStanding,
  sendPart,
} from './file-part.js';
import { asProblem, type PartsRun, renewLease } from './lease.js';
import { statementLines } from './migration-statement.js';
import {
  cleanUp,
  doneAndEdited,
  resolveStatement,
  type SentPart,
  tokenComment,
  trappedIndex,
  unknownYet,
} from './resolve-statement.js';
import { retryBusy } from './retry-busy.js';
import { sendNonTransactional } from './send-non-transactional.js';
import { RECOVERY } from './statement-outcome.js';

/** How often a statement whose answer was lost is sent again, where it was found not done. */
const CUTS = 2;

/**
 * A statement that PostgreSQL runs outside a transaction only: alone in its message. Before it is sent it is recorded
 * that it will be, so that wherever we are cut, it is looked up before it would be sent again. `sent`: a run that was
 * cut had sent it.
 */
export async function runNonTransactional(
  run: PartsRun,
  index: number,
  sent: boolean,
): Promise<PartFailure | undefined> {
  const { tools, file } = run;
  const statement = file.shape.segments[index]!.statements[0]!;
  const part: SentPart = { run, index, edited: false };
  const text = file.shape.source.slice(statement.from, statement.to);
  const problemOf = (error: unknown): Problem =>
    error instanceof SqlError ? placedProblem(file, error, { statement }) : asProblem(error);
  let unsettled = sent;
  let lost: unknown;
  for (let attempt = 1, cuts = 0; ; attempt++) {
    if (unsettled) {
      const settled = await resolveStatement(part);
      if (settled === 'done') break;
      if (settled !== 'not done') return settled;
    }
    if (cuts > CUTS) return { problem: problemOf(lost), outcome: 'failed' };
    const token = randomBytes(8).toString('hex');
    const failed = await noteSent(run, index, token);
    if (failed) return failed;
    const error = await sendOnce(part, token);
    if (error === undefined) break;
    if (errorMeaning(error) === 'resolve') {
      if (tools.signal.aborted) return { cancelled: unknownYet(part) };
      unsettled = true;
      lost = error;
      cuts++;
      continue;
    }
    const waited =
      isTimeout(error) && !tools.signal.aborted && /CONCURRENTLY$/.test(whyNonTransactional(statement) ?? '');
    const old = waited ? await nameOldTransactions(tools.database) : undefined;
    const cleaned = await cleanUp(part);
    if (cleaned.state === 'done') break;
    unsettled = cleaned.state === 'kept';
    const left = cleaned.state === 'kept' ? cleaned.left : undefined;
    if (error instanceof Cancelled || tools.signal.aborted) return { cancelled: left };
    const told = problemOf(error);
    const problem = old
      ? { ...told, message: `${told.message}; it waited for older transactions: ${old.who}`, next: old.next }
      : told;
    const again = errorMeaning(error) === 'retry';
    const over = again
      ? await retryBusy(tools, attempt, problem, { text, mode: lockOf(statement) })
      : problem;
    if (over !== 'again') return { problem: over, outcome: 'failed', ...definedOnly({ left }) };
  }
  const recorded = `begin ${renewLease(run)} ${recordPart(run, index)} end`;
  return sendPart(run, index, partMessage(run, recorded, false), sqlProblem);
}

function isTimeout(error: unknown): boolean {
  return error instanceof SqlError && error.code === '57014';
}

/** Sends the statement; undefined where it was done, otherwise the error. */
async function sendOnce(part: SentPart, token: string): Promise<unknown> {
  const { tools, file, context } = part.run;
  const { statements, sessionSetup: again } = file.shape.segments[part.index]!;
  const { from, to, node } = statements[0]!;
  const textOf = (each: { from: number; to: number }): string => file.shape.source.slice(each.from, each.to);
  const message = `${tokenComment(token)} ${textOf({ from, to })}`;
  const settings = again.map((each) => `${textOf(each)};${actAsAgain(each, context.role)}`).join('\n');
  try {
    await sendNonTransactional(tools, message, { rules: context.rules, sessionSetup: settings });
    return node.if_not_exists === true ? await trappedIndex(part) : undefined;
  } catch (error) {
    return error;
  }
}

/** Records what is about to be sent, and what is there before it, under what the file has set so far. */
async function noteSent(run: PartsRun, index: number, token: string): Promise<PartFailure | undefined> {
  const { file } = run;
  const { source } = file.shape;
  const { statements, sessionSetup: again } = file.shape.segments[index]!;
  const statement = statements[0]!;
  const kind = nonTransactional(statement);
  if (kind === undefined)
    throw new Error('a statement that can run in a transaction was to be sent outside of one');
  const text = source.slice(statement.from, statement.to);
  const recovery = RECOVERY[kind];
  const head = `declare muva_before jsonb; muva_relation regclass; muva_shape text; begin\n${renewLease(run)}\n`;
  const settings = statementLines(source, again, head.split('\n').length, run.context.role);
  const sent = `jsonb_build_object('kind', ${literal(kind)}, 'token', ${literal(token)}, 'text', ${literal(hashOf(text))}, 'before', muva_before)`;
  const body = `${head}${settings.text}${recovery === 'repeat' ? '' : recovery.before(statement, text)}
  ${leavePart(run)}
  ${recordStanding(run, index, sent)}
end`;
  const message = partMessage(run, body, false);
  // Written twice it says the same, so where no answer came it is simply written again.
  return sendPart(run, Number.POSITIVE_INFINITY, message, (error) =>
    fileProblem(file, settings.lines, error, message),
  );
}

/** Whether what was sent is still what stands in the file behind what is committed. */
export function isSameStatement({ file }: PartsRun, index: number, sent: SentStatement): boolean {
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
export async function resolveEdited(run: PartsRun, index: number): Promise<PartFailure | undefined> {
  const part: SentPart = { run, index, edited: true };
  const settled = await resolveStatement(part);
  return settled === 'done' ? doneAndEdited(part) : settled === 'not done' ? undefined : settled;
}

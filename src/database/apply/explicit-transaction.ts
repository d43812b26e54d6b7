import { actAsAgain } from '../connection/acting-role.js';
import type { DatabaseAccess, ServerNotice } from '../connection/connection.js';
import { onItsWay } from '../connection/exchange.js';
import { sqlProblem } from '../connection/sql-problem.js';
import { LOCK_KEY } from '../history/deploy-tables.js';
import { CODES } from '../history/error-codes.js';
import type { Batch, PlannedFile } from '../migrations/batches.js';
import type { PlacedStatement } from '../sql/parser.js';
import { dollarQuote } from '../sql/sql-text.js';
import { answerWithin, type BatchContext, type Delivery, markerReader, newMarker } from './delivery.js';
import { type ErrorPlace, placedProblem } from './file-error.js';
import {
  finishFile,
  historyIs,
  IDLE_TIMEOUT,
  localSettings,
  openTransaction,
} from './migration-statement.js';

/**
 * Stands before every message but the first: where the connection was lost and made again in between, this message
 * would run outside the transaction. The lock belongs to the transaction, so holding it proves that we are inside.
 */
export const STILL_INSIDE = `do ${dollarQuote(`begin
  if not exists (select from pg_catalog.pg_locks where pid = pg_catalog.pg_backend_pid() and locktype = 'advisory'
      and classid = 0 and objid = ${LOCK_KEY}) then
    raise exception using errcode = '${CODES.lostTransaction}', message = 'the transaction is gone';
  end if;
end`)};\n`;

/**
 * One file in an explicit transaction over three messages: for what the one-statement form cannot hold (savepoints,
 * SELECT INTO, very large files). As safe as that form, with more round trips.
 */
export async function sendExplicit(
  tools: DatabaseAccess,
  batch: Batch,
  context: BatchContext,
): Promise<Delivery> {
  const marker = newMarker();
  const file = batch.files[0]!;
  let stage: 'opening' | 'file' | 'closing' = 'opening';
  const body = fileMessage(file, marker, context.role);
  const sent: Delivery = {
    times: [],
    current: undefined,
    explain: (error) =>
      stage === 'file' ? placedProblem(file, error, body.place(error.position, current)) : sqlProblem(error),
  };
  let current: number | undefined;
  const reader = markerReader(tools, marker, { batch, context, sent });
  const sending = {
    deadline: answerWithin(context, batch.files),
    signal: tools.signal,
    onNotice: (notice: ServerNotice): void => {
      const statement = announced(notice.message, marker);
      if (statement !== undefined) current = statement;
      else {
        reader.onNotice(notice);
        const at = file.shape.statements?.[current ?? -1];
        if (stage === 'file' && at) context.notices.note(file, at.from, notice);
      }
    },
  };
  const { database } = tools;
  // While a large file is on its way the server sees an idle transaction.
  const unit = { ...context, marker, idleTimeout: IDLE_TIMEOUT + onItsWay(body.message) };
  try {
    await database.send(`begin;\n${openTransaction(unit)}`, sending);
    stage = 'file';
    await database.send(body.message, sending);
    stage = 'closing';
    const results = await database.send(endOfFile(file, unit), sending);
    // Committing a transaction that has failed "succeeds": only the answer tells.
    if (results[results.length - 1]?.command === 'ROLLBACK')
      throw new Error('the commit was answered with a rollback');
  } catch (error) {
    sent.error = error;
    await database.send('rollback', { deadline: 5_000 }).catch(() => undefined);
  } finally {
    reader.close();
  }
  return sent;
}

interface Body {
  message: string;
  /** Where in the file an error came from: by its position in the message, else by the statement last begun. */
  place: (position: number | undefined, current: number | undefined) => ErrorPlace | undefined;
}

/** The file's statements one after the other, each announced, so that an error without a position has a place too. */
function fileMessage(file: PlannedFile, marker: string, role: string | undefined): Body {
  const { source, statements = [{ from: 0, to: file.shape.source.length }] } = file.shape;
  const head = `${STILL_INSIDE}do $m$begin raise info '${marker} start 0'; end$m$;\n`;
  const body = statementsMessage(source, statements, marker, role);
  const message = head + body.message;
  return { message, place: (position, current) => body.place(message, head.length, position, current) };
}

/** Statements as they stand, each announced as number `at` of them. `role`: as `Database.role`. */
export function statementsMessage(
  source: string,
  statements: readonly PlacedStatement[],
  marker: string,
  role: string | undefined,
): {
  message: string;
  /** As Body.place, in a whole message in which this one begins at `offset`. */
  place: (
    whole: string,
    offset: number,
    position: number | undefined,
    current: number | undefined,
  ) => ErrorPlace | undefined;
} {
  const starts: number[] = [];
  let message = '';
  statements.forEach((statement, index) => {
    const { from, to } = statement;
    message += `do $m$begin raise info '${marker} at ${index}'; end$m$;\n`;
    starts.push(message.length);
    message += `${source.slice(from, to)};${actAsAgain(statement, role)}\n`;
  });
  return {
    message,
    place(whole, offset, position, current) {
      const statement = statements[current ?? -1];
      const start = starts[current ?? -1];
      if (!statement || start === undefined) return undefined;
      return {
        statement,
        ...(position === undefined ? {} : { message: whole, position, start: offset + start }),
      };
    },
  };
}

/** The number of the statement that a notice announces; undefined for other notices. */
export function announced(message: string, marker: string): number | undefined {
  return message.startsWith(`${marker} at `) ? Number(message.slice(marker.length + 4)) : undefined;
}

function endOfFile(file: PlannedFile, context: Parameters<typeof openTransaction>[0]): string {
  const recorded = [...context.recorded, ...context.baseline.map((each) => each.version)];
  return `${STILL_INSIDE}${localSettings(context.rules)}
do ${dollarQuote(`begin ${finishFile(file, 0, historyIs(recorded), context)} end`)};
${context.after ? `${localSettings(context.rules)}\n${context.after}` : ''}
commit`;
}

import { Cancelled, Failure, type Problem } from '../../lib/report.js';
import type { DatabaseAccess } from '../connection/connection.js';
import { errorMeaning, SqlError } from '../connection/sql-error.js';
import { databaseProblem } from '../connection/sql-problem.js';
import { HISTORY_TABLE, LEASE_TABLE, PARTIAL_TABLE } from '../history/deploy-tables.js';
import { CODES } from '../history/error-codes.js';
import { PARTIAL_JSON, type PartialMigration } from '../history/partial-migration.js';
import type { PlannedFile } from '../migrations/batches.js';
import { dollarQuote, literal } from '../sql/sql-text.js';
import { WAITED_FOR_HISTORY } from './blockers.js';
import { ANSWER_GRACE, type BatchContext, noteReader } from './delivery.js';
import type { BatchOutcome } from './implicit-transaction.js';
import { leaveNothing, openTransaction } from './migration-statement.js';
import { retryBusy } from './retry-busy.js';
import { waitForLock } from './wait-for-lock.js';

/** The lease outlives the longest statement by this much. */
const LEASE_GRACE = 60_000;

/** Everything that one file with statements outside a transaction is run with. */
export interface PartsRun {
  tools: DatabaseAccess;
  file: PlannedFile;
  context: BatchContext;
  /** Our name in the lease; one for each try, because one workflow run may have several jobs. */
  holder: string;
  startedAt: number;
}

/**
 * Takes the lease inside the ordinary opening transaction; an outcome where that could not be done. `partial`: what is
 * recorded of the file, as it was planned from.
 */
export async function beginParts(
  run: PartsRun,
  partial: PartialMigration | undefined,
): Promise<BatchOutcome | undefined> {
  const { tools, context, holder } = run;
  const text = `${openTransaction({ ...context, holder, marker: '' })}\n${standsAsPlanned(run, partial)}\n${takeLease(run)}`;
  for (let attempt = 1; ; attempt++) {
    try {
      await tools.database.send(text, {
        deadline: ANSWER_GRACE + context.rules.lockTimeout,
        signal: tools.signal,
        onNotice: noteReader(context),
      });
      return undefined;
    } catch (error) {
      if (error instanceof Cancelled || tools.signal.aborted) return { kind: 'cancelled' };
      if (error instanceof Failure) return { kind: 'failed', problem: error.problems[0]!, at: 0, times: [] };
      if (error instanceof SqlError && error.code === CODES.locked)
        await waitForLock(tools, context.rules.lockWait);
      else if (error instanceof SqlError && error.code === CODES.changed) return { kind: 'changed' };
      else {
        // Taking the lease twice is harmless, so an answer that was lost needs no look.
        const problem = asProblem(error);
        const over =
          errorMeaning(error) === 'stop'
            ? problem
            : await retryBusy(tools, attempt, problem, WAITED_FOR_HISTORY);
        if (over !== 'again') return { kind: 'failed', problem: over, at: 0, times: [] };
      }
    }
  }
}

const leaseUntil = ({ context }: PartsRun): string =>
  `clock_timestamp() + interval '${context.rules.statementTimeout + LEASE_GRACE} milliseconds'`;

/** The session stands in the lease where it lasts: its end then frees the lease at once. */
function session({ tools }: PartsRun): { pid: string; start: string } {
  const { transport } = tools.database;
  return transport === 'transaction-pooler' || transport === 'management-api'
    ? { pid: 'null::int', start: 'null::timestamptz' }
    : {
        pid: 'pg_catalog.pg_backend_pid()',
        start:
          '(select backend_start from pg_catalog.pg_stat_activity where pid = pg_catalog.pg_backend_pid())',
      };
}

/** Another run may have gone on with the file since it was looked at, which no history row tells. */
function standsAsPlanned({ file }: PartsRun, partial: PartialMigration | undefined): string {
  return `do ${dollarQuote(`begin
  if (select ${PARTIAL_JSON} from ${PARTIAL_TABLE} where version = ${literal(file.version)})
      is distinct from ${partial ? `${literal(JSON.stringify(partial))}::jsonb` : 'null'} then
    raise exception using errcode = '${CODES.changed}', message = 'another run has gone on with the file';
  end if;
end`)};`;
}

function takeLease(run: PartsRun): string {
  const { pid, start } = session(run);
  return `insert into ${LEASE_TABLE} (holder, until, pid, backend_start) values (${literal(run.holder)}, ${leaseUntil(run)}, ${pid}, ${start})
    on conflict (single) do update set holder = excluded.holder, until = excluded.until, pid = excluded.pid,
      backend_start = excluded.backend_start;`;
}

/** True where parts of the file share what only their session has. */
export function isSessionBound({ file }: PartsRun): boolean {
  return file.shape.sessionBound.length > 0;
}

/** PL/pgSQL: the lease is still ours, and lasts on; raises where another run has taken over. */
export function renewLease(run: PartsRun): string {
  const { pid, start } = session(run);
  const sameSession = `if exists (select from ${LEASE_TABLE} where holder = ${literal(run.holder)}
      and (pid, backend_start) is distinct from (${pid}, ${start})) then
    raise exception using errcode = '${CODES.lostTransaction}',
      message = 'the session is gone, and with it what the file had made for its later parts';
  end if;
  `;
  return `${isSessionBound(run) ? sameSession : ''}update ${LEASE_TABLE} set until = ${leaseUntil(run)}, pid = ${pid}, backend_start = ${start}
    where holder = ${literal(run.holder)};
  if not found then
    raise exception using errcode = '${CODES.changed}', message = 'another run has taken over this database';
  end if;
  lock table ${HISTORY_TABLE} in share row exclusive mode;
  if exists (select from ${HISTORY_TABLE} where version = ${literal(run.file.version)}) then
    raise exception using errcode = '${CODES.recorded}', message = 'the version is recorded already';
  end if;`;
}

export async function release(run: PartsRun): Promise<void> {
  const { tools, holder, context } = run;
  const clean = isSessionBound(run) ? `do ${dollarQuote(`begin ${leaveNothing(context.role)} end`)};` : '';
  // A database may be read-only by default.
  const message = `set transaction read write; ${clean} delete from ${LEASE_TABLE} where holder = ${literal(holder)}`;
  await tools.database.send(message, { deadline: 5_000 }).catch(() => undefined);
}

/** An error between the parts of a file, or of a part that was not done. */
export function asProblem(error: unknown): Problem {
  return databaseProblem(error, 'Run again: it goes on where it stopped.');
}

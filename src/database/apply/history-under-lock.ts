import { Failure } from '../../lib/report.js';
import { pause } from '../../lib/retry.js';
import type { Database } from '../connection/connection.js';
import { errorMeaning, SqlError } from '../connection/sql-error.js';
import { CODES } from '../history/error-codes.js';
import { type HistoryReport, readHistory } from '../history/migration-history.js';

/** Between two looks at a lock that another holds. */
const POLL = 500;
const READ_DEADLINE = 15_000;
const CANCELLED_WITHIN = 4_000;
/** What holds the lock now may be our own message, which is given its time whatever others are. */
const HELD_WITHIN = 10 * 60_000;

/**
 * Looks at the history under the lock. An old backend of ours that is still at work holds that lock, so what is seen
 * here is final. Waits by asking again, never inside a transaction. Undefined when it could not be found out: the
 * database could not be asked for `within` milliseconds, or somebody kept the lock for `HELD_WITHIN`. A person who
 * has cancelled gets an answer within seconds, before the runner kills the process.
 */
export async function readHistoryUnderLock(
  database: Database,
  within: number,
  signal?: AbortSignal,
): Promise<HistoryReport | undefined> {
  const started = performance.now();
  let heard = started;
  const isLate = (): boolean => {
    const now = performance.now();
    if (signal?.aborted) return now - started > CANCELLED_WITHIN;
    return now - heard > within || now - started > HELD_WITHIN;
  };
  while (!isLate()) {
    try {
      return await readHistory(database, { deadline: READ_DEADLINE }, true);
    } catch (error) {
      const locked = error instanceof SqlError && error.code === CODES.locked;
      if (locked) heard = performance.now();
      if (!locked && !(error instanceof Failure) && errorMeaning(error) === 'stop') throw error;
    }
    await pause(POLL);
  }
  return undefined;
}

import { Failure } from '../base/report.js';
import { pause } from '../base/retry.js';
import type { Database } from './connection.js';
import { type HistoryLook, lookAtHistory } from './migration-history.js';
import { errorMeaning, SqlError } from './sql-error.js';
import { CODES } from './unit.js';

/** Between two looks at a lock that another holds. */
const POLL = 500;
const LOOK_DEADLINE = 15_000;

/**
 * Looks at the history under the lock. An old backend of ours that is still at work holds that lock, so what is seen
 * here is final. Waits by asking again, never inside a transaction. Undefined when it could not be found out in time.
 */
export async function lookUnderLock(database: Database, within: number): Promise<HistoryLook | undefined> {
  const until = performance.now() + within;
  while (performance.now() < until) {
    try {
      return await lookAtHistory(database, { deadline: LOOK_DEADLINE }, true);
    } catch (error) {
      const waitable =
        error instanceof Failure ||
        errorMeaning(error) !== 'stop' ||
        (error instanceof SqlError && error.code === CODES.locked);
      if (!waitable) throw error;
    }
    await pause(POLL);
  }
  return undefined;
}

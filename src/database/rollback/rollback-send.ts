import { formatDuration } from '../../lib/duration.js';
import { Cancelled, Failure } from '../../lib/report.js';
import { retry } from '../../lib/retry.js';
import { readHistoryUnderLock } from '../apply/history-under-lock.js';
import type { ApplyRules } from '../apply/migration-statement.js';
import { RESOLVE_WITHIN } from '../apply/retry-busy.js';
import { waitForLock } from '../apply/wait-for-lock.js';
import type { Database, DatabaseAccess, StatementResult } from '../connection/connection.js';
import { errorMeaning, SqlError } from '../connection/sql-error.js';
import { CODES } from '../history/error-codes.js';

/** Milliseconds for a message that only looks. */
export const ROLLBACK_READ_DEADLINE = 40_000;

/** Milliseconds that a table in use is waited for. */
const WAIT = 120_000;

/** How often an answer may be lost before the network is blamed. */
const CUTS = 3;

type SendRules = Pick<ApplyRules, 'statementTimeout' | 'lockWait'>;

/**
 * Sends a message that deletes history rows of `versions`, again while the database is busy. Where the answer was
 * lost it takes the same lock, looks at the history, and sends again only what was certainly not done.
 * Undefined: it was done, but its answer is gone.
 */
export async function sendChange(
  access: DatabaseAccess,
  rules: SendRules,
  versions: readonly string[],
  message: string,
  onNotice?: (message: string) => void,
): Promise<StatementResult[] | undefined> {
  const { database, log, signal } = access;
  for (let cuts = 0; ; ) {
    try {
      return await patiently(access, () =>
        database.send(message, {
          // The server gives each statement its time, and tells after each that it is still at work.
          deadline: rules.statementTimeout + 30_000,
          signal,
          onNotice: (notice) => onNotice?.(notice.message),
        }),
      );
    } catch (error) {
      if (error instanceof SqlError && error.code === CODES.locked) {
        await waitForLock(access, rules.lockWait);
        continue;
      }
      if (errorMeaning(error) !== 'resolve') throw signal.aborted ? new Cancelled(NOTHING_UNDONE) : error;
      log({ kind: 'progress', text: 'the connection was lost: looking what became of the rollback' });
      if ((await standingVersions(database, versions)).length === 0) return undefined;
      if (signal.aborted) throw new Cancelled(NOTHING_UNDONE);
      if (++cuts === CUTS)
        throw new Failure({
          message: `the connection to the database was lost ${CUTS} times; nothing was undone`,
          next: 'Run the rollback again when the network is steady.',
        });
      log({ kind: 'progress', text: 'nothing was undone: trying again' });
    }
  }
}

const NOTHING_UNDONE = 'the rollback of the database was cancelled; nothing was undone';

/** Repeats what was not done because the database was busy. */
function patiently<T>({ log, signal }: DatabaseAccess, work: () => Promise<T>): Promise<T> {
  return retry(
    {
      tries: 100,
      deadline: WAIT,
      first: 250,
      longest: 5_000,
      signal,
      worthwhile: (error) => errorMeaning(error) === 'retry',
      onRetry: (error, _attempt, wait) =>
        log({
          kind: 'progress',
          text: `waiting ${formatDuration(wait)}: ${error instanceof Error ? error.message : 'the database is busy'}`,
        }),
    },
    work,
  );
}

/** Which of the versions stand in the history, read under the lock, so that no lost message can still be at work. */
async function standingVersions(database: Database, versions: readonly string[]): Promise<string[]> {
  const look = await readHistoryUnderLock(database, RESOLVE_WITHIN);
  if (!look)
    throw new Failure(
      {
        message: 'the answer to the rollback was lost, and the database could not be asked since',
        next: 'Run the rollback again when the database can be reached: what is undone already is left alone.',
      },
      'unknown',
    );
  const history = new Set(look.recorded.map(({ version }) => version));
  return versions.filter((version) => history.has(version));
}

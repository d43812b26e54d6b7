import { retry } from '../base/retry.js';
import type { DatabaseSettings } from '../settings/settings.js';
import type { Tools } from '../tools.js';
import { LOCK_KEY } from './bookmark.js';
import type { Database, StatementResult } from './connection.js';
import type { RollbackLook } from './rollback-decision.js';
import { BUSY, LOOK_MESSAGE } from './rollback-sql.js';
import { errorMeaning, SqlError } from './sql-error.js';

/** Milliseconds for a message that only looks. */
export const LOOK_DEADLINE = 40_000;

/** Milliseconds that another run's work, a table in use, or a server that restarts is waited for. */
const WAIT = 120_000;

export interface Sender {
  tools: Tools;
  database: Database;
  wanted: DatabaseSettings;
}

/**
 * Sends a message that deletes history rows of `versions`, again while the database is busy. Where the answer was
 * lost it takes the same lock, looks at the history, and sends again only what was certainly not done.
 * Undefined: it was done, but its answer is gone.
 */
export async function sendChange(
  sender: Sender,
  versions: readonly string[],
  message: string,
  statements: number,
  onNotice?: (message: string) => void,
): Promise<StatementResult[] | undefined> {
  const { database, tools, wanted } = sender;
  for (;;) {
    try {
      return await patiently(tools, isBusy, () =>
        database.send(message, {
          deadline: wanted.statementTimeout * statements + 30_000,
          signal: tools.signal,
          onNotice: (notice) => onNotice?.(notice.message),
        }),
      );
    } catch (error) {
      if (errorMeaning(error) !== 'resolve') throw error;
      tools.log({ kind: 'progress', text: 'the connection was lost: looking what became of the rollback' });
      const standing = await patiently(tools, maySucceedLater, () => standingVersions(sender, versions));
      if (standing.length === 0) return undefined;
      tools.log({ kind: 'progress', text: 'nothing was undone: trying again' });
    }
  }
}

function patiently<T>(
  tools: Tools,
  worthwhile: (error: unknown) => boolean,
  work: () => Promise<T>,
): Promise<T> {
  return retry(
    {
      tries: 100,
      deadline: WAIT,
      first: 250,
      longest: 5_000,
      signal: tools.signal,
      worthwhile,
      onRetry: (error, _attempt, wait) =>
        tools.log({
          kind: 'progress',
          text: `waiting ${wait} ms: ${error instanceof Error ? error.message : 'the database is busy'}`,
        }),
    },
    work,
  );
}

function isBusy(error: unknown): boolean {
  return (error instanceof SqlError && error.code === BUSY) || errorMeaning(error) === 'retry';
}

function maySucceedLater(error: unknown): boolean {
  return errorMeaning(error) !== 'stop';
}

/** Which of the versions stand in the history, read under the lock, so that no lost message can still be at work. */
async function standingVersions(sender: Sender, versions: readonly string[]): Promise<string[]> {
  const results = await sender.database.send(
    `set local lock_timeout = '20s'; select pg_advisory_xact_lock(${LOCK_KEY});\n${LOOK_MESSAGE}`,
    { deadline: LOOK_DEADLINE, signal: sender.tools.signal },
  );
  const history = new Set(readLook(results).history);
  return versions.filter((version) => history.has(version));
}

export function readLook(results: readonly StatementResult[]): RollbackLook {
  const value = results[results.length - 1]?.rows[0]?.look;
  if (value === undefined || value === null) throw new Error('the look at the history gave no row');
  return (typeof value === 'string' ? JSON.parse(value) : value) as RollbackLook;
}

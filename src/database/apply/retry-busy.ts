import type { Problem } from '../../lib/report.js';
import { backoff, pause } from '../../lib/retry.js';
import type { DatabaseAccess } from '../connection/connection.js';
import { nameBlockers, type Waited } from './blockers.js';

/** How often work that a busy database refused is tried, in all. */
const TRIES = 6;

/** Milliseconds in which it must be found out what became of a message whose answer was lost. */
export const RESOLVE_WITHIN = 120_000;

/**
 * After try number `tries` (from 1) ended in a problem that may pass: waits, says why, and resolves to `again`; after
 * the last try to the problem itself. A lock time-out names who holds what was waited for.
 */
export async function retryBusy(
  tools: DatabaseAccess,
  tries: number,
  problem: Problem,
  waited: Waited,
): Promise<Problem | 'again'> {
  const named = problem.code === '55P03' ? await withBlockers(tools, problem, waited) : problem;
  if (tries >= TRIES) return named;
  const wait = backoff(tries, 500, 8_000);
  tools.log({
    kind: 'progress',
    text: `${named.message}; trying again in ${Math.round(wait / 100) / 10} s`,
  });
  await pause(wait, tools.signal);
  return 'again';
}

async function withBlockers(
  { database }: DatabaseAccess,
  problem: Problem,
  waited: Waited,
): Promise<Problem> {
  const blockers = await nameBlockers(database, waited);
  return blockers === ''
    ? problem
    : {
        ...problem,
        message: `${problem.message}, blocked by ${blockers}`,
        next: 'Run again at a quieter time, raise lock-timeout, or end the session that holds it: select pg_terminate_backend(<pid>);',
      };
}

/** It could not be found out whether the commit happened; the next run finds out. */
export const COMMIT_UNKNOWN: Problem = {
  message: 'the answer to the commit was lost, and the database could not be asked since',
  next: 'Run again when the database can be reached: it finds out by itself what was applied.',
};

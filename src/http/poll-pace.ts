import { waitWhileBad, waitWhileGood } from '../lib/request-budget.js';
import { backoff } from '../lib/retry.js';
import type { CheckState } from './check-state.js';
import type { Tried } from './try-check.js';

/** Milliseconds: the first wait for a port that is closed, the longest, and between good answers. */
const FIRST_WAIT = 100;
const LONGEST_WAIT = 200;
const BETWEEN_GOOD = 50;
/** Milliseconds to wait where a server says that there are too many requests, and not how long: then ever longer. */
const LIMITED = { first: 2_000, longest: 10_000 };
/** The pace of checks whose requests are not counted. */
const UNCOUNTED_TRIALS = 30;

/** Milliseconds: with less than this left no new try is begun, for it could only time out. */
export const SHORTEST_TRY = 20;

/** Where all checks stand together, at one moment. */
export interface PollStanding {
  checks: number;
  /** Good answers in a row that every check must give. */
  successes: number;
  /** Milliseconds until the deadline. */
  remaining: number;
  /** Milliseconds since the application first answered; 0 where it has not. */
  answering: number;
}

/** What a check waits for before its next try. */
export type Wait =
  /** It is tried no more: nothing is to be learned before the deadline. */
  | { kind: 'none' }
  | { kind: 'pause'; milliseconds: number }
  /** A pause that ends early where the others need to know how this check is now. */
  | { kind: 'sleep'; milliseconds: number }
  /** The turn of this check among those that fail. */
  | { kind: 'turn' };

/** How long a check waits that has just been tried. Pure. */
export function waitAfter(state: CheckState, { look, reached }: Tried, standing: PollStanding): Wait {
  const { checks, successes, answering } = standing;
  const remaining = Math.max(0, standing.remaining);
  const pause = (milliseconds: number): Wait => ({
    kind: 'pause',
    milliseconds: Math.min(milliseconds, remaining),
  });
  if (look.limited !== undefined) {
    const milliseconds = look.limited.after ?? backoff(state.limited, LIMITED.first, LIMITED.longest);
    if (milliseconds > standing.remaining - SHORTEST_TRY) return { kind: 'none' };
    return { kind: 'pause', milliseconds };
  }
  if (look.ok && state.streak < successes) return pause(BETWEEN_GOOD);
  if (look.ok) return { kind: 'sleep', milliseconds: Math.min(waitWhileGood(answering, checks), remaining) };
  if (look.awaitsOther) return { kind: 'sleep', milliseconds: remaining };
  if (!reached) return pause(backoff(state.attempts - state.good, FIRST_WAIT, LONGEST_WAIT));
  return { kind: 'turn' };
}

/**
 * Milliseconds between two tries of failing checks. `deadline`: of all of them, in milliseconds; `allowance`: requests
 * that they may make, where these are counted.
 */
export function failingPause(
  { checks, successes, answering }: Omit<PollStanding, 'remaining'>,
  deadline: number,
  allowance: number | undefined,
): number {
  const trials = allowance === undefined ? UNCOUNTED_TRIALS : allowance - checks * successes;
  return waitWhileBad(answering, trials, deadline);
}

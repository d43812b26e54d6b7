import type { Requests } from '../lib/request-budget.js';
import { type Ask, type Check, NoTurn, type TryResult } from './check.js';
import { get, NoAnswer } from './request.js';

/** What came of one try. */
export interface Tried {
  look: TryResult;
  /** False where nobody was there to answer: the port is closed, or the check waits for another one. */
  reached: boolean;
}

/** What one try of a check works with. */
export interface TryOptions extends Omit<Ask, 'get'> {
  /** Counts the requests; without it there is no limit. */
  requests: Requests | undefined;
  /** Asked before each request: true where it may be made although the budget is used up. */
  essential: () => boolean;
}

/** Tries a check once; undefined where the budget allows no request. @throws Cancelled when the signal fires. */
export async function tryCheck(check: Check, options: TryOptions): Promise<Tried | undefined> {
  const { timeout, signal, requests, essential } = options;
  const made = { seen: 0, refused: 0 };
  const ask: Ask = {
    timeout,
    signal,
    async get(url, rest) {
      if (requests?.begin(essential()) === false) throw new NoTurn();
      let refused = false;
      try {
        return await get(url, { ...rest, timeout: timeout(), signal });
      } catch (error) {
        refused = error instanceof NoAnswer && error.code === 'ECONNREFUSED';
        throw error;
      } finally {
        requests?.end(!refused);
        made[refused ? 'refused' : 'seen'] += 1;
      }
    },
  };
  try {
    const look = await check.ask(ask);
    // A check that asks a database makes no request of its own here.
    return { look, reached: made.seen > 0 || (made.refused === 0 && look.awaitsOther === undefined) };
  } catch (error) {
    if (error instanceof NoTurn) return undefined;
    throw error;
  }
}

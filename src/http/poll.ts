import { setMaxListeners } from 'node:events';
import { Cancelled } from '../lib/report.js';
import type { Requests } from '../lib/request-budget.js';
import { pause } from '../lib/retry.js';
import { whenAborted } from '../lib/when-aborted.js';
import type { Check, CheckResult, TryResult } from './check.js';
import {
  type CheckState,
  findingOf,
  isDecided,
  isGivenUp,
  newCheckState,
  noteTry,
  toldLook,
} from './check-state.js';
import { failingPause, type PollStanding, SHORTEST_TRY, type Wait, waitAfter } from './poll-pace.js';
import { forever, sleeping, spacedTurns } from './spaced-turns.js';
import { tryCheck } from './try-check.js';

/** How checks are polled. */
export interface PollOptions {
  /** Milliseconds, per request. */
  timeout: number;
  /** Milliseconds from now; no request outlives it. */
  deadline: number;
  /** Good answers in a row that every check must give. */
  successes: number;
  /** A check that has given enough good answers is asked no more, also while others still fail. */
  once?: boolean;
  /** Counts the requests of all checks, which are of one application then; without it there is no limit. */
  requests?: Requests;
  signal?: AbortSignal;
  onAttempt?: (name: string, attempt: number, look: TryResult) => void;
}

/** Milliseconds after which a good answer is asked for again once the others are good too. */
const STALE = 1_000;

/**
 * Asks all checks until at one moment every check has given enough good answers in a row, or the deadline is reached.
 * A port that is closed is asked again and again; an application that answers, but not well yet, at the pace of the
 * request budget: its failing checks take turns, and all are asked at once when one of them turns good. A check that
 * has given enough goes on being asked, slowly, while others still fail (not with `once`). A check whose fault cannot
 * be cured by waiting is given up after three tries. An answer of 429 is no answer.
 * @throws Cancelled when the signal fires, and what a check throws; a check that stays bad is no error.
 */
export async function poll(checks: readonly Check[], options: PollOptions): Promise<CheckResult[]> {
  const { requests, successes, deadline } = options;
  const started = performance.now();
  const elapsed = (): number => performance.now() - started;
  const remaining = (): number => deadline - elapsed();
  const states = checks.map(({ name }) => newCheckState(name));
  /** Fires once all checks are decided, and with the caller's signal. */
  const ended = followingController(options.signal);
  const { signal } = ended;
  let answeringSince: number | undefined;
  const standing = (): PollStanding => ({
    checks: checks.length,
    successes,
    remaining: remaining(),
    answering: answeringSince === undefined ? 0 : elapsed() - answeringSince,
  });
  const pauseOfFailing = (): number => failingPause(standing(), deadline, requests?.allowance);
  const turns = spacedTurns(pauseOfFailing, signal);
  const sleepers = sleeping(signal);
  const endWhenDecided = (): void => {
    if (states.every((state) => isDecided(state, successes))) ended.abort();
  };

  /** Asks one check until nothing is left to be asked of it. */
  async function askOn(check: Check, state: CheckState): Promise<void> {
    while (remaining() >= SHORTEST_TRY && (await askOnce(check, state)) === 'again');
    state.over = true;
    endWhenDecided();
  }

  /** One try, and the wait after it. */
  async function askOnce(check: Check, state: CheckState): Promise<'again' | 'over'> {
    const cutShort = remaining() < options.timeout;
    state.askedAt = elapsed();
    const tried = await tryCheck(check, {
      timeout: () => Math.max(1, Math.min(options.timeout, remaining())),
      signal,
      requests,
      essential: () => state.essential,
    });
    if (tried === undefined) return withoutRequests(state);
    state.essential = false;
    state.milliseconds = elapsed();
    if (tried.reached) answeringSince ??= elapsed();
    const recovered = noteTry(state, tried.look, cutShort);
    options.onAttempt?.(state.name, state.attempts, toldLook(state, tried.look));
    if (recovered) askOthersAgain(state);
    endWhenDecided();
    if (options.once === true && state.streak >= successes) return 'over';
    const wait = waitAfter(state, tried, standing());
    await waitFor(state, wait);
    return wait.kind === 'none' || isGivenUp(state) ? 'over' : 'again';
  }

  /** The budget is used up: one good answer is enough then, and a bad check has one more try, just before the deadline. */
  async function withoutRequests(state: CheckState): Promise<'again' | 'over'> {
    if (state.streak > 0) state.spent = true;
    if (state.spent || state.hadLastTry) return 'over';
    await untilLastTry(state, forever(signal));
    return 'again';
  }

  /** One check has turned good: the others may have too, and what was good long ago must still be so. */
  function askOthersAgain(recovered: CheckState): void {
    turns.all();
    for (const other of states) {
      if (other === recovered || other.over) continue;
      const stale = other.streak >= successes && elapsed() - other.askedAt > STALE && options.once !== true;
      if (stale) other.streak = successes - 1;
      if (stale || other.look.awaitsOther) sleepers.wake(other);
    }
  }

  async function waitFor(state: CheckState, wait: Wait): Promise<void> {
    if (wait.kind === 'pause') await pause(wait.milliseconds, signal);
    if (wait.kind === 'sleep') await sleepers.sleep(state, wait.milliseconds);
    if (wait.kind === 'turn')
      await untilLastTry(state, requests ? turns.turn() : pause(pauseOfFailing(), signal));
  }

  /** Waits for what is given, but in time for one try before the deadline. */
  async function untilLastTry(state: CheckState, wait: Promise<void>): Promise<void> {
    const left = remaining() - Math.min(options.timeout, deadline / 10);
    if (state.hadLastTry || left <= 0) {
      await Promise.race([wait, pause(Math.max(0, remaining()), signal)]);
      return;
    }
    // Also where `wait` is over first: a try that is made about then is the last one.
    const lastTry = pause(left, signal).then(() => {
      state.hadLastTry = true;
      state.essential = true;
    });
    await Promise.race([wait, lastTry]);
  }

  const asking = checks.map((check, index) =>
    askOn(check, states[index]!).catch((error: unknown) => {
      if (!(error instanceof Cancelled && signal.aborted)) throw error;
    }),
  );
  await Promise.all(asking).finally(() => ended.abort());
  if (options.signal?.aborted) throw new Cancelled();
  return states.map((state) => findingOf(state, successes));
}

/** A controller of one's own that also aborts with `signal`; it may have any number of listeners. */
export function followingController(signal: AbortSignal | undefined): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  const followNoMore = whenAborted(signal, () => controller.abort());
  whenAborted(controller.signal, followNoMore);
  return controller;
}

import type { CheckResult, TryResult } from './check.js';

/** What the tries of one check have shown so far. */
export interface CheckState {
  readonly name: string;
  attempts: number;
  /** Good answers, in all and since the last bad one. */
  good: number;
  streak: number;
  /** Of the newest try that counts: neither a 429, nor one that the deadline cut short. */
  look: TryResult;
  /** Milliseconds from the start: when its newest try began and ended. */
  askedAt: number;
  milliseconds: number;
  /** Tries in a row with a fault that waiting does not cure. */
  lasting: number;
  /** An answer other than 429 was seen. */
  judged: boolean;
  /** Answers of 429 since the last other one. */
  limited: number;
  /** The budget is used up, and its last answer was good. */
  spent: boolean;
  /** It is asked no more: what was seen is what counts. */
  over: boolean;
  /** The next try may be made whatever was asked before: it is the first one, or the one before the deadline. */
  essential: boolean;
  hadLastTry: boolean;
}

/** A check that was not asked yet. */
export function newCheckState(name: string): CheckState {
  return {
    name,
    attempts: 0,
    good: 0,
    streak: 0,
    look: { ok: false, status: null, detail: 'was not asked', fault: 'timeout' },
    askedAt: 0,
    milliseconds: 0,
    lasting: 0,
    judged: false,
    limited: 0,
    spent: false,
    over: false,
    essential: true,
    hadLastTry: false,
  };
}

/** Tries after which a lasting fault is believed. */
const LASTING_TRIES = 3;

/** True where waiting is known not to cure it. */
export function isGivenUp({ lasting }: CheckState): boolean {
  return lasting >= LASTING_TRIES;
}

/** True where nothing more has to be learned of it; it may be asked on while others are not so far. */
export function isDecided(state: CheckState, successes: number): boolean {
  return state.streak >= successes || state.over || isGivenUp(state);
}

/**
 * Counts a try; true where the check has turned good with it. `cutShort`: the deadline left it less than the time of a
 * request.
 */
export function noteTry(state: CheckState, look: TryResult, cutShort: boolean): boolean {
  state.attempts += 1;
  // It says nothing about an application that was asked before.
  if (cutShort && look.fault === 'timeout' && state.attempts > 1) return false;
  state.limited = look.limited === undefined ? 0 : state.limited + 1;
  if (state.limited > 0) return false;
  state.judged = true;
  state.look = look;
  state.good += look.ok ? 1 : 0;
  state.streak = look.ok ? state.streak + 1 : 0;
  state.lasting = lastingTries(state.lasting, look);
  return state.streak === 1;
}

function lastingTries(before: number, { lasting }: TryResult): number {
  if (lasting === 'certain') return LASTING_TRIES;
  return lasting === 'likely' ? before + 1 : 0;
}

/** The newest try as it is told while the check is asked on: a 429 does not hide why the application was bad before it. */
export function toldLook({ judged, look }: CheckState, newest: TryResult): TryResult {
  if (newest.limited === undefined || !judged || look.ok) return newest;
  return { ...look, detail: `${look.detail ?? 'is not healthy'}; now answers 429 (too many requests)` };
}

/** Nobody is judged by an answer of 429: what was seen before it counts, and where nothing was, nothing is held against it. */
const NOT_JUDGED: TryResult = {
  ok: true,
  status: 429,
  detail: 'not judged: answers 429 (too many requests)',
};

/** What came of a check that is asked no more, where `successes` good answers in a row were needed. */
export function findingOf(state: CheckState, successes: number): CheckResult {
  const { name, attempts, good, milliseconds, streak, limited, judged, spent } = state;
  const look = limited > 0 && !judged ? NOT_JUDGED : state.look;
  const ok = streak >= successes || (spent && streak > 0) || (limited > 0 && look.ok);
  const finding = { name, ok, attempts, good, milliseconds, look: { ...look, ok } };
  if (ok || good === 0) return finding;
  const flapping = `${good} of ${attempts} answers were good, but not ${successes} in a row`;
  const detail = look.detail ? `${look.detail}; ${flapping}` : flapping;
  return { ...finding, look: { ...finding.look, fault: look.fault ?? 'timeout', detail } };
}

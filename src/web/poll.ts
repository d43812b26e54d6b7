import { setMaxListeners } from 'node:events';
import { Cancelled, type HealthFault, type Timings } from '../base/report.js';
import { type Requests, waitWhileBad, waitWhileGood } from '../base/request-budget.js';
import { backoff, pause } from '../base/retry.js';
import { whenAborted } from '../base/when-aborted.js';
import { type Answer, type GetOptions, get, NoAnswer } from './request.js';
import { forever, sleeping, takeTurns } from './turns.js';

/** What one try of one check found. */
export interface Look {
  ok: boolean;
  status: number | null;
  detail?: string;
  fault?: HealthFault;
  /** What a person can do about it, where this check alone tells. */
  next?: string;
  timings?: Timings;
  /**
   * Waiting does not cure it: `likely` (an expired certificate, a name that does not exist) is believed when it was
   * seen three times in a row, `certain` (a wrong password, which must not be tried again and again) at once.
   */
  lasting?: 'likely' | 'certain';
  certificateDays?: number;
  /**
   * The server takes no more requests from us for now (429), which says nothing about the application. `after`:
   * milliseconds until it wants to be asked again, where it told.
   */
  limited?: { after?: number };
  /** Nothing was asked, because another check has to be good first. */
  awaitsOther?: true;
}

export interface Ask {
  /** Milliseconds that the next request may take; asked again before each request of one try. */
  timeout: () => number;
  signal: AbortSignal;
  /** One counted request. @throws what `get` throws; NoTurn where the budget is used up. */
  get(url: URL, options: Pick<GetOptions, 'bodyLimit' | 'headers'>): Promise<Answer>;
}

export interface Check {
  name: string;
  ask(ask: Ask): Promise<Look>;
}

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
  onAttempt?: (name: string, attempt: number, look: Look) => void;
}

/** What came of one check. */
export interface Finding {
  name: string;
  /** Its newest answers were good, as many as asked for. */
  ok: boolean;
  attempts: number;
  good: number;
  look: Look;
  /** Milliseconds from the start until its last try ended. */
  milliseconds: number;
}

/** Milliseconds: the first wait for a port that is closed, the longest, and between good answers. */
const FIRST_WAIT = 100;
const LONGEST_WAIT = 200;
const BETWEEN_GOOD = 50;
/** Milliseconds after which a good answer is asked for again once the others are good too. */
const STALE = 1_000;
/** Milliseconds to wait where a server says that there are too many requests, and not how long: then ever longer. */
const LIMITED = { first: 2_000, longest: 10_000 };
/** Tries after which a lasting fault is believed. */
const LASTING_TRIES = 3;
/** Milliseconds: with less than this left no new try is begun, for it could only time out. */
const SHORTEST_TRY = 20;
/** The pace of checks whose requests are not counted. */
const UNCOUNTED_TRIALS = 30;

interface Course extends Finding {
  streak: number;
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
  askedAt: number;
}

/** One try; `seen` is false where nobody was there to see it. */
interface Seen {
  look: Look;
  seen: boolean;
}

/** The budget allows no more requests now. */
export class NoTurn extends Error {}

/**
 * Asks all checks until at one moment every check has given enough good answers in a row, or the deadline is reached.
 * A port that is closed is asked again and again; an application that answers, but not well yet, at the pace of the
 * request budget: its failing checks take turns, and all are asked at once when one of them turns good. A check that
 * has given enough goes on being asked, slowly, while others still fail (not with `once`). A check whose fault cannot
 * be cured by waiting is given up after three tries. An answer of 429 is no answer.
 */
export async function poll(checks: readonly Check[], options: PollOptions): Promise<Finding[]> {
  const started = performance.now();
  const { requests, successes } = options;
  const elapsed = (): number => performance.now() - started;
  const remaining = (): number => options.deadline - elapsed();
  const settled = followingController(options.signal);
  const courses: Course[] = checks.map(({ name }) => ({
    name,
    ok: false,
    attempts: 0,
    good: 0,
    look: { ok: false, status: null, detail: 'was not asked', fault: 'timeout' },
    milliseconds: 0,
    streak: 0,
    lasting: 0,
    judged: false,
    limited: 0,
    spent: false,
    over: false,
    essential: true,
    hadLastTry: false,
    askedAt: 0,
  }));
  const enough = (course: Course): boolean => course.streak >= successes;
  const isSettled = (course: Course): boolean =>
    enough(course) || course.over || course.lasting >= LASTING_TRIES;
  const trials = requests ? requests.allowance - checks.length * successes : UNCOUNTED_TRIALS;
  let answeringSince: number | undefined;
  const answering = (): number => (answeringSince === undefined ? 0 : elapsed() - answeringSince);
  const badPause = (): number => waitWhileBad(answering(), trials, options.deadline);
  const queue = takeTurns(badPause, settled.signal);
  const sleepers = sleeping(settled.signal);

  /** Undefined where the budget allows none. */
  async function tryOnce(check: Check, course: Course): Promise<Seen | undefined> {
    let refused = 0;
    let seen = 0;
    const timeout = (): number => Math.max(1, Math.min(options.timeout, remaining()));
    const ask: Ask = {
      timeout,
      signal: settled.signal,
      async get(url, rest) {
        if (requests?.begin(course.essential) === false) throw new NoTurn();
        let counted = true;
        try {
          return await get(url, { ...rest, timeout: timeout(), signal: settled.signal });
        } catch (error) {
          counted = !(error instanceof NoAnswer && error.code === 'ECONNREFUSED');
          throw error;
        } finally {
          requests?.end(counted);
          if (counted) seen += 1;
          else refused += 1;
        }
      },
    };
    try {
      const look = await check.ask(ask);
      return { look, seen: seen > 0 || (refused === 0 && look.awaitsOther === undefined) };
    } catch (error) {
      if (error instanceof NoTurn) return undefined;
      throw error;
    }
  }

  /** Waits for what is given, but in time for one try before the deadline. */
  async function untilLastTry(course: Course, wait: Promise<void>): Promise<void> {
    const left = remaining() - Math.min(options.timeout, options.deadline / 10);
    if (course.hadLastTry || left <= 0) {
      await Promise.race([wait, pause(Math.max(0, remaining()), settled.signal)]);
      return;
    }
    const reached = pause(left, settled.signal).then(() => {
      course.hadLastTry = true;
      course.essential = true;
    });
    await Promise.race([wait, reached]);
  }

  /** How long a check that was seen so waits for its next try. */
  async function waitAfter(course: Course, { look, seen }: Seen): Promise<void> {
    const { signal } = settled;
    if (look.limited !== undefined) {
      const wait = look.limited.after ?? backoff(course.limited, LIMITED.first, LIMITED.longest);
      // Before that time nothing is to be learned.
      if (wait > remaining() - SHORTEST_TRY) course.over = true;
      else await pause(wait, signal);
    } else if (look.ok && enough(course)) {
      await sleepers.sleep(course, Math.min(waitWhileGood(answering(), checks.length), remaining()));
    } else if (look.ok) await pause(Math.min(BETWEEN_GOOD, Math.max(0, remaining())), signal);
    else if (look.awaitsOther) await sleepers.sleep(course, remaining());
    else if (!seen) {
      const wait = backoff(course.attempts - course.good, FIRST_WAIT, LONGEST_WAIT);
      await pause(Math.min(wait, Math.max(0, remaining())), signal);
    } else await untilLastTry(course, requests ? queue.turn() : pause(badPause(), signal));
  }

  /** One check has turned good: the others may have too, and what was good long ago must still be so. */
  function onRecovery(course: Course): void {
    queue.all();
    for (const other of courses) {
      if (other === course || other.over) continue;
      const stale = enough(other) && elapsed() - other.askedAt > STALE && options.once !== true;
      if (stale) other.streak = successes - 1;
      if (stale || other.look.awaitsOther) sleepers.wake(other);
    }
  }

  /** True once nothing is left to be asked of it. */
  async function step(check: Check, course: Course): Promise<boolean> {
    const shortened = remaining() < options.timeout;
    course.askedAt = elapsed();
    const tried = await tryOnce(check, course);
    if (tried === undefined) {
      if (course.streak > 0) course.spent = true;
      if (course.spent || course.hadLastTry) return true;
      await untilLastTry(course, forever(settled.signal));
      return false;
    }
    course.essential = false;
    course.milliseconds = elapsed();
    if (tried.seen) answeringSince ??= elapsed();
    const recovered = note(course, tried.look, shortened);
    options.onAttempt?.(course.name, course.attempts, toldOf(course, tried.look));
    if (recovered) onRecovery(course);
    if (courses.every(isSettled)) settled.abort();
    if (options.once === true && enough(course)) return true;
    await waitAfter(course, tried);
    return course.over || course.lasting >= LASTING_TRIES;
  }

  async function follow(check: Check, course: Course): Promise<void> {
    while (remaining() >= SHORTEST_TRY && !(await step(check, course)));
    course.over = true;
    if (courses.every(isSettled)) settled.abort();
  }

  await Promise.all(
    checks.map((check, index) =>
      follow(check, courses[index]!).catch((error: unknown) => {
        if (!(error instanceof Cancelled && settled.signal.aborted)) throw error;
      }),
    ),
  ).finally(() => settled.abort());
  if (options.signal?.aborted) throw new Cancelled();
  return courses.map((course) => finding(course, successes));
}

/** A controller of one's own that also aborts with `signal`; it may have any number of listeners. */
export function followingController(signal: AbortSignal | undefined): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  const followNoMore = whenAborted(signal, () => controller.abort());
  whenAborted(controller.signal, followNoMore);
  return controller;
}

/** Takes a look to the others of its check; true where the check has turned good with it. */
function note(course: Course, look: Look, shortened: boolean): boolean {
  course.attempts += 1;
  // A last try that the deadline cut short says nothing about an application that was asked before.
  if (shortened && look.fault === 'timeout' && course.attempts > 1) return false;
  course.limited = look.limited === undefined ? 0 : course.limited + 1;
  if (course.limited > 0) return false;
  course.judged = true;
  course.good += look.ok ? 1 : 0;
  course.streak = look.ok ? course.streak + 1 : 0;
  course.lasting =
    look.lasting === 'certain' ? LASTING_TRIES : look.lasting === 'likely' ? course.lasting + 1 : 0;
  course.look = look;
  return course.streak === 1;
}

/** A 429 does not hide why the application was bad before it. */
function toldOf({ judged, look }: Course, newest: Look): Look {
  if (newest.limited === undefined || !judged || look.ok) return newest;
  return { ...look, detail: `${look.detail ?? 'is not healthy'}; now answers 429 (too many requests)` };
}

/** Nobody is judged by an answer of 429: what was seen before it counts, and where nothing was, nothing is held against it. */
const NOT_JUDGED: Look = {
  ok: true,
  status: 429,
  detail: 'not judged: answers 429 (too many requests)',
};

function finding(course: Course, successes: number): Finding {
  const { name, attempts, good, milliseconds, streak, limited, judged, spent } = course;
  const look = limited > 0 && !judged ? NOT_JUDGED : course.look;
  const ok = streak >= successes || (spent && streak > 0) || (limited > 0 && look.ok);
  const base = { name, ok, attempts, good, milliseconds };
  if (ok || good === 0) return { ...base, look: { ...look, ok } };
  const flapping = `${good} of ${attempts} answers were good, but not ${successes} in a row`;
  const fault = look.fault ?? 'timeout';
  return {
    ...base,
    look: { ...look, ok, fault, detail: look.detail ? `${look.detail}; ${flapping}` : flapping },
  };
}

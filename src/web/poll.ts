import { setMaxListeners } from 'node:events';
import { Cancelled, type HealthFault, type Timings } from '../base/report.js';
import { backoff, pause } from '../base/retry.js';

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
  /** Milliseconds to wait at least before the next try: it was costly, or the server asked for fewer. */
  pace?: number;
}

export interface Ask {
  /** Milliseconds that the next request may take; asked again before each request of one try. */
  timeout: () => number;
  signal: AbortSignal;
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

/** Milliseconds: the first wait after a bad answer, the longest, between good ones, and once there are enough. */
const FIRST_WAIT = 100;
const LONGEST_WAIT = 200;
const BETWEEN_GOOD = 50;
const WHILE_OTHERS_FAIL = 1_000;
/** Tries after which a lasting fault is believed. */
const LASTING_TRIES = 3;
/** Milliseconds: with less than this left no new try is begun, for it could only time out. */
const SHORTEST_TRY = 20;

interface Course extends Finding {
  streak: number;
  lasting: number;
}

/**
 * Asks all checks in parallel, each at its own pace, until at one moment every check has given enough good answers
 * in a row, or the deadline is reached. A check that has given enough goes on being asked, slowly, while others
 * still fail (not with `once`). A check whose fault cannot be cured by waiting is given up after three tries.
 */
export async function poll(checks: readonly Check[], options: PollOptions): Promise<Finding[]> {
  const started = performance.now();
  const remaining = (): number => options.deadline - (performance.now() - started);
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
  }));
  const enough = (course: Course): boolean => course.streak >= options.successes;
  const isSettled = (course: Course): boolean => enough(course) || course.lasting >= LASTING_TRIES;

  async function follow(check: Check, course: Course): Promise<void> {
    while (remaining() >= SHORTEST_TRY && course.lasting < LASTING_TRIES) {
      const shortened = remaining() < options.timeout;
      const timeout = (): number => Math.max(1, Math.min(options.timeout, remaining()));
      const look = await check.ask({ timeout, signal: settled.signal });
      note(course, look, shortened);
      course.milliseconds = performance.now() - started;
      options.onAttempt?.(course.name, course.attempts, look);
      if (courses.every(isSettled)) return settled.abort();
      if (options.once === true && enough(course)) return;
      const bad = course.attempts - course.good;
      const wait = look.ok
        ? enough(course)
          ? WHILE_OTHERS_FAIL
          : BETWEEN_GOOD
        : backoff(bad, FIRST_WAIT, LONGEST_WAIT);
      await pause(Math.min(Math.max(wait, look.pace ?? 0), Math.max(0, remaining())), settled.signal);
    }
  }

  await Promise.all(
    checks.map((check, index) =>
      follow(check, courses[index]!).catch((error: unknown) => {
        if (!(error instanceof Cancelled && settled.signal.aborted)) throw error;
      }),
    ),
  ).finally(() => settled.abort());
  if (options.signal?.aborted) throw new Cancelled();
  return courses.map((course) => finding(course, options.successes));
}

/** A controller of one's own that also aborts with `signal`; it may have any number of listeners. */
export function followingController(signal: AbortSignal | undefined): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  const follow = (): void => controller.abort();
  if (signal?.aborted) follow();
  signal?.addEventListener('abort', follow, { once: true });
  controller.signal.addEventListener('abort', () => signal?.removeEventListener('abort', follow), {
    once: true,
  });
  return controller;
}

function note(course: Course, look: Look, shortened: boolean): void {
  course.attempts += 1;
  // A last try that the deadline cut short says nothing about an application that was asked before.
  if (shortened && look.fault === 'timeout' && course.attempts > 1) return;
  course.good += look.ok ? 1 : 0;
  course.streak = look.ok ? course.streak + 1 : 0;
  course.lasting =
    look.lasting === 'certain' ? LASTING_TRIES : look.lasting === 'likely' ? course.lasting + 1 : 0;
  course.look = look;
}

function finding(course: Course, successes: number): Finding {
  const { name, attempts, good, look, milliseconds, streak } = course;
  const ok = streak >= successes;
  const base = { name, ok, attempts, good, milliseconds };
  if (ok || good === 0) return { ...base, look: { ...look, ok } };
  const flapping = `${good} of ${attempts} answers were good, but not ${successes} in a row`;
  const fault = look.fault ?? 'timeout';
  return {
    ...base,
    look: { ...look, ok, fault, detail: look.detail ? `${look.detail}; ${flapping}` : flapping },
  };
}

import { Cancelled } from './report.js';
import { whenAborted } from './when-aborted.js';

/** Waits `milliseconds`. @throws Cancelled as soon as the signal fires. */
export function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      listenNoMore();
      resolve();
    }, milliseconds);
    const listenNoMore = whenAborted(signal, () => {
      clearTimeout(timer);
      reject(new Cancelled());
    });
  });
}

/**
 * Milliseconds before try number `attempt` (from 1): `first` doubled each time, at most `longest`,
 * with up to a quarter of jitter so that parallel runs do not stay in step.
 */
export function backoff(
  attempt: number,
  first: number,
  longest: number,
  random: () => number = Math.random,
): number {
  const base = Math.min(longest, first * 2 ** (attempt - 1));
  return Math.round(base * (0.75 + random() / 4));
}

/** How often and how long something is tried again. All times in milliseconds. */
export interface RetryOptions {
  /** At most this many tries in all. */
  tries: number;
  /** No new try starts after this many milliseconds. */
  deadline: number;
  /** The first wait between two tries, and the longest. */
  first: number;
  longest: number;
  signal?: AbortSignal;
  /** Decides from the error whether another try can help. */
  worthwhile: (error: unknown) => boolean;
  /** Told before each wait. */
  onRetry?: (error: unknown, attempt: number, waitMs: number) => void;
}

/**
 * Calls `work` until it succeeds, an error is not worthwhile to retry, or tries or time run out.
 * @throws the last error of `work`; Cancelled when the signal fires during a wait.
 */
export async function retry<T>(options: RetryOptions, work: (attempt: number) => Promise<T>): Promise<T> {
  const started = performance.now();
  for (let attempt = 1; ; attempt++) {
    try {
      return await work(attempt);
    } catch (error) {
      const wait = backoff(attempt, options.first, options.longest);
      const late = performance.now() - started + wait > options.deadline;
      if (attempt >= options.tries || late || options.signal?.aborted || !options.worthwhile(error))
        throw error;
      options.onRetry?.(error, attempt, wait);
      await pause(wait, options.signal);
    }
  }
}

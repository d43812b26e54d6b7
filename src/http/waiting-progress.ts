import { formatDuration } from '../lib/duration.js';
import type { TryResult } from './check.js';

/** Milliseconds between two messages about what is still being waited for. */
const EVERY = 10_000;

/** The checks that are not good yet. */
export interface WaitingChecks {
  /** Told of each try. */
  note(place: string, attempt: number, look: TryResult): void;
  /** True while a check is not good. */
  has(place: string): boolean;
  stop(): void;
}

/** Says now and then which checks are not good yet, and what to do about them, while they are asked on. */
export function tellWaiting(tell: (text: string) => void, every = EVERY): WaitingChecks {
  const started = performance.now();
  const waiting = new Map<string, string>();
  const timer = setInterval(() => {
    const after = formatDuration(performance.now() - started);
    for (const text of waiting.values()) tell(`waiting for health, ${after}: ${text}`);
  }, every);
  timer.unref();
  return {
    note(place, attempt, { ok, detail, next }) {
      if (ok) waiting.delete(place);
      else
        waiting.set(
          place,
          `${place} ${detail ?? 'is not healthy'} (try ${attempt})${next === undefined ? '' : `. ${next}`}`,
        );
    },
    has: (place) => waiting.has(place),
    stop: () => clearInterval(timer),
  };
}

import { Cancelled } from '../lib/report.js';
import { pause } from '../lib/retry.js';
import { whenAborted } from '../lib/when-aborted.js';

/**
 * A queue: `turn` resolves for one caller after the other, each `wait()` milliseconds after the one before; `all` lets
 * everybody go at once. @throws Cancelled (from `turn`) when the signal fires.
 */
export function spacedTurns(wait: () => number, signal: AbortSignal): { turn(): Promise<void>; all(): void } {
  let waiting: (() => void)[] = [];
  let timer: NodeJS.Timeout | undefined;
  const start = (): void => {
    if (timer !== undefined || waiting.length === 0 || signal.aborted) return;
    timer = setTimeout(() => {
      timer = undefined;
      waiting.shift()?.();
      start();
    }, wait());
  };
  whenAborted(signal, () => clearTimeout(timer));
  return {
    turn: () =>
      Promise.race([
        new Promise<void>((resolve) => {
          waiting.push(resolve);
          start();
        }),
        forever(signal),
      ]),
    all() {
      for (const go of waiting) go();
      waiting = [];
    },
  };
}

/** Pauses that can be ended early, each by the object that sleeps. @throws Cancelled (from `sleep`) when the signal fires. */
export function sleeping(signal: AbortSignal): {
  sleep(who: object, milliseconds: number): Promise<void>;
  wake(who: object): void;
} {
  const sleepers = new Map<object, () => void>();
  return {
    async sleep(who, milliseconds) {
      const woken = new Promise<void>((resolve) => sleepers.set(who, resolve));
      await Promise.race([woken, pause(Math.max(0, milliseconds), signal)]);
    },
    wake: (who) => sleepers.get(who)?.(),
  };
}

/** Never resolves. @throws Cancelled once the signal fires. */
export function forever(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    whenAborted(signal, () => reject(new Cancelled()));
  });
}

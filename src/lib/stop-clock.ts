/** A time limit that stands still while it is paused. */
export interface StopClock {
  /** Begins, and goes on after a pause; no effect while it runs. */
  resume(): void;
  pause(): void;
}

/** Calls `over` once it has run for `limit` milliseconds. It begins paused. */
export function stopClock(limit: number, over: () => void): StopClock {
  let left = limit;
  let running: { timer: NodeJS.Timeout; since: number } | undefined;
  return {
    resume() {
      if (running) return;
      running = { timer: setTimeout(over, Math.max(0, left)), since: performance.now() };
    },
    pause() {
      if (!running) return;
      clearTimeout(running.timer);
      left -= performance.now() - running.since;
      running = undefined;
    },
  };
}

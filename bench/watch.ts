/** Visitors who come at a steady rate, and a probe that sees how long nobody was answered. */

import { visitors } from '../__tests__/servers/next-app.js';
import { ask, type LoadResult, type Vps } from '../__tests__/servers/vps.js';

export interface Watched {
  requests: number;
  failed: number;
  /** The longest time in milliseconds without any good answer. */
  gap: number;
  /** What some of the failures were. */
  failures: string[];
}

/** About 8 requests each: a page, what it links to, and the health route. */
const VISITORS_A_SECOND = 7;
/** Milliseconds between two questions of the probe. */
const EVERY = 25;

/** Watches from now on, until `stop`; every connection is a new one. */
export function watch(vps: Vps): { stop(): Promise<Watched> } {
  const load: { stop(): Promise<LoadResult> } = visitors(vps, VISITORS_A_SECOND);
  const open = new Set<Promise<void>>();
  const probed = { requests: 0, failed: 0, failures: new Set<string>() };
  let answered = performance.now();
  let gap = 0;
  const look = async (): Promise<void> => {
    probed.requests++;
    try {
      const { status } = await ask(vps.port, '/api/health');
      if (status !== 200) throw new Error(`status ${status}`);
      gap = Math.max(gap, performance.now() - answered);
      answered = performance.now();
    } catch (error) {
      probed.failed++;
      probed.failures.add(`probe: ${error}`);
    }
  };
  const timer = setInterval(() => {
    const running = look().finally(() => open.delete(running));
    open.add(running);
  }, EVERY);
  return {
    async stop() {
      clearInterval(timer);
      await Promise.all(open);
      const { requests, failed, failures } = await load.stop();
      return {
        requests: requests + probed.requests,
        failed: failed + probed.failed,
        gap,
        failures: [...failures, ...probed.failures],
      };
    },
  };
}

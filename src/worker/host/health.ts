import { given } from '../../base/given.js';
import { Failure, type HealthFact } from '../../base/report.js';
import { LOOPBACK } from '../../web/loopback.js';
import { answers, checkHealth } from '../../web/probe.js';
import { tellWaiting } from '../../web/waiting.js';
import type { HealthRequest } from '../protocol.js';

export interface LoopbackCheck {
  port: number;
  health: HealthRequest;
  /** The commit that must answer. */
  sha?: string;
  /** False for a version that was live before: what the caller expects of the new one does not bind it. */
  expectVersion: boolean;
  signal: AbortSignal;
  /** Told now and then what is still being waited for. */
  tell?: ((text: string) => void) | undefined;
}

/** Asks the application on loopback until every check is good, or the deadline is over. */
export async function askLoopback(check: LoopbackCheck): Promise<{ facts: HealthFact[]; healthy: boolean }> {
  const { expectVersion, basePath, ...health } = check.health;
  const waiting = tellWaiting(check.tell ?? (() => {}));
  try {
    const facts = await checkHealth(
      {
        baseUrl: `http://${LOOPBACK}:${check.port}`,
        from: 'vps',
        ...given({ basePath }),
      },
      {
        ...health,
        ...(check.expectVersion && expectVersion !== undefined ? { expectVersion } : {}),
        ...given({ expectSha: check.sha }),
      },
      { signal: check.signal, onAttempt: waiting.note },
    );
    return { facts, healthy: facts.every(({ ok }) => ok) };
  } finally {
    waiting.stop();
  }
}

/** What is wrong, by the first failed check; `next` where that check does not tell itself what to do. */
export function unhealthy(what: string, facts: readonly HealthFact[], next: string): Failure {
  const sick = facts.find(({ ok }) => !ok);
  const why =
    sick === undefined
      ? 'healthy'
      : `${sick.name}: ${sick.detail ?? (sick.status === null ? 'no answer' : `status ${sick.status}`)}`;
  return new Failure({ message: `${what}: ${why}.`, next: sick?.next ?? next });
}

/** Milliseconds between two questions of the downtime probe, and how long one may take. */
const EVERY = 20;
const LONGEST = 5_000;

export interface DowntimeProbe {
  /** Ends it, once or again, and gives the milliseconds during which the port did not answer. */
  stop(): Promise<number>;
}

/** Asks the port again and again, and adds up the time from each first refused question to the next good answer. */
export function probeDowntime(port: number): DowntimeProbe {
  let running = true;
  let down = 0;
  let downSince: number | undefined;
  const loop = (async () => {
    while (running) {
      const asked = performance.now();
      const good = await answers(`http://${LOOPBACK}:${port}/`, LONGEST);
      if (!good) downSince ??= asked;
      else if (downSince !== undefined) {
        down += performance.now() - downSince;
        downSince = undefined;
      }
      await new Promise((resolve) => setTimeout(resolve, EVERY));
    }
    if (downSince !== undefined) down += performance.now() - downSince;
  })();
  return {
    async stop() {
      running = false;
      await loop;
      return Math.round(down);
    },
  };
}

import { Failure, type HealthFact } from '../base/report.js';
import { answers, checkHealth } from '../web/probe.js';
import type { HealthRequest } from './protocol.js';

export interface LoopbackCheck {
  port: number;
  health: HealthRequest;
  /** The commit that must answer. */
  sha?: string;
  /** False for a version that was live before: what the caller expects of the new one does not bind it. */
  expectVersion: boolean;
  signal: AbortSignal;
}

/** Asks the application on loopback until every check is good, or the deadline is over. */
export async function askLoopback(check: LoopbackCheck): Promise<{ facts: HealthFact[]; healthy: boolean }> {
  const { expectVersion, ...health } = check.health;
  const facts = await checkHealth(
    { baseUrl: `http://127.0.0.1:${check.port}`, from: 'vps' },
    {
      ...health,
      ...(check.expectVersion && expectVersion !== undefined ? { expectVersion } : {}),
      ...(check.sha === undefined ? {} : { expectSha: check.sha }),
    },
    { signal: check.signal },
  );
  return { facts, healthy: facts.every(({ ok }) => ok) };
}

/** The first failed check in words. */
export function sickWords(facts: readonly HealthFact[]): string {
  const sick = facts.find(({ ok }) => !ok);
  if (!sick) return 'healthy';
  return `${sick.name}: ${sick.detail ?? (sick.status === null ? 'no answer' : `status ${sick.status}`)}`;
}

export function unhealthy(what: string, facts: readonly HealthFact[], next: string): Failure {
  return new Failure({ message: `${what}: ${sickWords(facts)}.`, next });
}

/** Milliseconds between two questions of the downtime probe, and how long one may take. */
const EVERY = 20;
const LONGEST = 5_000;

export interface DowntimeProbe {
  /** Milliseconds during which the port did not answer, so far. */
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
      const good = await answers(`http://127.0.0.1:${port}/`, LONGEST);
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

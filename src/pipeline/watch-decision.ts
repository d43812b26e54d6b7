import { checkPlace } from '../http/verdict.js';
import type { HealthFact } from '../lib/report.js';
import type { HostWatch } from '../worker/protocol.js';

/** What looks at a live version mean. Pure: looks in, a verdict and the time of the next look out. */

/** What one look found. */
export interface WatchLook {
  /** One check from each place that was asked and gave a verdict. */
  facts: readonly HealthFact[];
  /** The hosts that could be looked at. */
  hosts: readonly (HostWatch & { host: number; prefix: string })[];
}

export type WatchVerdict =
  | { kind: 'good' }
  /** A check that was good has just failed: no verdict yet. */
  | { kind: 'doubtful'; failing: HealthFact }
  | { kind: 'fallen'; why: string; failing?: HealthFact }
  /** Another run is at work, or has deployed: what is live now is its business. */
  | { kind: 'overtaken'; why: string };

/** Bad answers in a row, and restarts of one program, after which the version counts as fallen. */
const BAD_ANSWERS = 3;
const RESTARTS = 2;
/** Of these a supervisor starts a program no more. */
const GIVEN_UP = new Set(['errored', 'stopped']);

/**
 * Judges all looks so far, the newest last; `passed`: the checks that were good before the watch, by their places;
 * `runId`: the run that watches.
 */
export function judgeWatch(
  looks: readonly WatchLook[],
  passed: ReadonlySet<string>,
  runId: string,
): WatchVerdict {
  const now = looks.at(-1);
  if (now === undefined) return { kind: 'good' };
  return overtakenBy(now, runId) ?? restarted(looks, now) ?? failing(looks, now, passed) ?? { kind: 'good' };
}

function overtakenBy({ hosts }: WatchLook, runId: string): WatchVerdict | undefined {
  for (const { prefix, heldBy, liveRun } of hosts) {
    if (heldBy !== undefined && heldBy !== runId)
      return { kind: 'overtaken', why: `${prefix}run ${heldBy} has begun there` };
    if (liveRun !== undefined && liveRun !== runId)
      return { kind: 'overtaken', why: `${prefix}what run ${liveRun} deployed is live there` };
  }
  return undefined;
}

/** Compares each program with how it was first seen. A host that has not been seen before has nothing to compare with. */
function restarted(looks: readonly WatchLook[], now: WatchLook): WatchVerdict | undefined {
  for (const { host, prefix, programs } of now.hosts) {
    const first = looks.flatMap(({ hosts }) => hosts).find((seen) => seen.host === host)?.programs ?? [];
    for (const { id, restarts, status } of programs) {
      const before = first.find((program) => program.id === id);
      const times = restarts - (before?.restarts ?? restarts);
      if (times >= RESTARTS)
        return { kind: 'fallen', why: `${prefix}PM2 has restarted instance ${id} ${times} times since` };
      if (GIVEN_UP.has(status) && before !== undefined && !GIVEN_UP.has(before.status))
        return { kind: 'fallen', why: `${prefix}instance ${id} is ${status}` };
    }
  }
  return undefined;
}

function failing(
  looks: readonly WatchLook[],
  now: WatchLook,
  passed: ReadonlySet<string>,
): WatchVerdict | undefined {
  let doubtful: HealthFact | undefined;
  for (const fact of now.facts) {
    const place = checkPlace(fact);
    const seen = looks.flatMap(({ facts }) => facts.filter((other) => checkPlace(other) === place));
    // What was bad all along is not blamed on this version.
    if (fact.ok || (!passed.has(place) && !seen.some(({ ok }) => ok))) continue;
    const bad = seen.length - 1 - seen.findLastIndex(({ ok }) => ok);
    if (bad >= BAD_ANSWERS)
      return { kind: 'fallen', why: `${place} failed ${bad} times in a row`, failing: fact };
    doubtful ??= fact;
  }
  return doubtful && { kind: 'doubtful', failing: doubtful };
}

/** How a watch is spaced. Milliseconds. */
export interface WatchPace {
  between: number;
  /** After the first bad answer. */
  atOnce: number;
  /** How often it is told. */
  told: number;
}

export const WATCH_PACE: WatchPace = { between: 30_000, atOnce: 1_000, told: 60_000 };

/** Requests that are kept for the proof of a put-back. */
const KEPT_REQUESTS = 12;

/** True where the application may be asked once more. `left`: undefined where nothing counts. */
export function mayAsk(left: number | undefined): boolean {
  return left === undefined || left > KEPT_REQUESTS;
}

/**
 * Milliseconds until the next look: at once after the first bad answer of a row, else `between`, or longer where the
 * requests would not last. `bad`: bad answers in a row. `remaining`: of the watch.
 */
export function nextLookAfter(
  { bad, left, remaining }: { bad: number; left: number | undefined; remaining: number },
  pace: WatchPace,
): number {
  if (remaining <= 0) return pace.atOnce;
  if (bad === 1) return Math.min(pace.atOnce, remaining);
  const lasting = left === undefined || !mayAsk(left) ? 0 : remaining / (left - KEPT_REQUESTS);
  return Math.min(Math.max(pace.between, lasting), remaining);
}

import { PAGE_INSTEAD } from '../http/judge-answer.js';
import type { RollbackSettings } from '../inputs/settings.js';
import type { HealthFact } from '../lib/report.js';
import type { LiveLook } from '../server/fleet/run-worker.js';

/** The version that still serves, on the schema of the next one. All of it is pure. */

/** A path of the live version that was good before the commit and is broken since. */
export interface LiveHarm {
  path: string;
  /** What it answers now. */
  detail: string;
}

/** Milliseconds after the commit before which nothing counts: pooled connections fail once on a changed schema. */
const GRACE = 500;
/** What is broken gives the same kind of failure so often, over so many milliseconds. */
const ANSWERS = 3;
const LASTING = 3_000;

/** Failures of one kind in a row, with no good answer between. */
interface Streak {
  kind: string;
  from: number;
  count: number;
}

/**
 * What the answers of one host show. `before`: what its live version answered before the commit; what was not good then
 * is not looked at. `looks`: the answers since, in their order.
 */
export function findHarm(before: readonly HealthFact[], looks: readonly LiveLook[]): LiveHarm | undefined {
  const good = new Set(before.filter(({ ok }) => ok).map(({ name }) => name));
  const streaks = new Map<string, Streak>();
  for (const { after, health } of looks)
    for (const fact of health) {
      if (after === undefined || !good.has(fact.name)) continue;
      if (fact.ok) streaks.delete(fact.name);
      const kind = kindOfFailure(fact);
      if (kind === undefined || after < GRACE) continue;
      const last = streaks.get(fact.name);
      const streak =
        last?.kind === kind ? { ...last, count: last.count + 1 } : { kind, from: after, count: 1 };
      streaks.set(fact.name, streak);
      if (streak.count >= ANSWERS && after - streak.from >= LASTING)
        return { path: fact.name, detail: fact.detail ?? `answers ${fact.status}` };
    }
  return undefined;
}

/** `error`: a status of 5xx. `word`: it calls itself unhealthy. No answer, or one that is put off, tells nothing. */
function kindOfFailure({ ok, status, fault, detail }: HealthFact): 'error' | 'word' | undefined {
  if (ok || status === null) return undefined;
  if (status >= 500) return 'error';
  return fault === 'body' && detail?.includes(PAGE_INSTEAD) !== true ? 'word' : undefined;
}

/** What is known of the way back when the live version is broken. */
export interface WayBack extends Pick<RollbackSettings, 'onFailure' | 'database'> {
  /** Every migration of the run has a down file. */
  reversible: boolean;
  /** Why the down files cannot be run now; undefined where they can. */
  obstacle?: string;
}

/** Why the run goes on although the live version is broken; undefined where the down files end the harm sooner. */
export function whyForward({ onFailure, database, reversible, obstacle }: WayBack): string | undefined {
  if (!onFailure) return 'rollback-on-failure is false';
  if (database !== 'down') return `rollback-database is ${database}`;
  if (!reversible) return 'not every migration of this run has a down file';
  return obstacle;
}

import { Failure } from '../lib/report.js';
import type { PhaseRecord } from '../report/phase.js';
import type { Rollout } from '../server/fleet/rollout.js';
import type { ServerWork } from '../server/fleet/server-work.js';
import { redeploySummary } from './host-ends.js';
import type { LiveGuard } from './live-guard.js';
import { deployedCommit } from './prepare.js';

/**
 * Resolves when no host rehearses any more. `until`: tells of the live version that the down files help sooner.
 * @throws a Failure where they do; all hosts are stopped then
 */
export async function rehearsedUnharmed(
  servers: ServerWork,
  rollout: Rollout,
  record: PhaseRecord,
  until?: LiveGuard['until'],
): Promise<void> {
  const rehearsed = rollout.rehearsed(record);
  const harm = await (until ? until(rehearsed) : rehearsed);
  if (!harm) return;
  const stopped = await rollout.stop('the live version breaks on the new schema');
  record.facts.hosts = stopped.map(({ fact }) => fact);
  record.summarise(redeploySummary(stopped, await deployedCommit(servers)));
  throw new Failure([harm, ...stopped.flatMap(({ problems }) => problems)]);
}

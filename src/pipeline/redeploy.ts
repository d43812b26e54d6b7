import type { PhaseReport } from '../lib/report.js';
import { runPhase } from '../report/phase.js';
import { type HostReport, inspectFleet } from '../server/fleet/inspect-fleet.js';
import type { Rollout } from '../server/fleet/rollout.js';
import type { ServerWork } from '../server/fleet/server-work.js';
import type { LiveGuard } from './live-guard.js';
import { concludeHosts, NOT_PREPARED, prepareHosts, refuseHosts } from './prepare.js';
import { rehearsedUnharmed } from './rehearsed-unharmed.js';

/** Mode `redeploy`: brings every host to one exact commit, and touches nothing else. */
export async function redeploy(servers: ServerWork): Promise<PhaseReport> {
  const { settings, log } = servers;
  return runPhase('redeploy', log, settings.vps.ref, async (record) => {
    const looks = await record.step('look', () => lookFirst(servers));
    const rollout = await prepareHosts(servers, looks, 'nothing', record);
    const ready = await rollout.prepared();
    const ends = await (ready ? rollout.cutOver(record) : rollout.stop(NOT_PREPARED));
    await concludeHosts(servers, ends, record);
  });
}

async function lookFirst(servers: ServerWork): Promise<HostReport[]> {
  const looks = await inspectFleet(servers);
  refuseHosts(looks);
  return looks;
}

/**
 * Lets the prepared hosts cut over, one after the other; each host's worker owns the outcome, and puts its old version
 * back by itself. `until`: as `rehearsedUnharmed` takes it; no host cuts over where the live version is harmed.
 */
export async function cutOverHosts(
  servers: ServerWork,
  rollout: Rollout,
  until?: LiveGuard['until'],
): Promise<PhaseReport> {
  const { settings, log } = servers;
  return runPhase('redeploy', log, settings.vps.ref, async (record) => {
    await rehearsedUnharmed(servers, rollout, record, until);
    const ends = await rollout.cutOver(record);
    record.changed();
    await concludeHosts(servers, ends, record);
  });
}

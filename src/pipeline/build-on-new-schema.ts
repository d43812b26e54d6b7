import type { PhaseReport } from '../lib/report.js';
import { runPhase } from '../report/phase.js';
import type { Rollout } from '../server/fleet/rollout.js';
import type { ServerWork } from '../server/fleet/server-work.js';
import type { LiveGuard } from './live-guard.js';
import { concludeHosts, NOT_PREPARED } from './prepare.js';
import { rehearsedUnharmed } from './rehearsed-unharmed.js';

/**
 * With `migrate-before: build`, the second part of `prepare`: the hosts, which have installed, build and rehearse on the
 * new schema. `until`: as `rehearsedUnharmed` takes it.
 */
export async function buildOnNewSchema(
  servers: ServerWork,
  rollout: Rollout,
  until?: LiveGuard['until'],
): Promise<PhaseReport> {
  const { settings, log } = servers;
  return runPhase('prepare', log, settings.vps.ref, async (record) => {
    await rehearsedUnharmed(servers, rollout, record, until);
    if (!rollout.halted()) {
      record.summarise('Built on the new schema; the live version was not touched.');
      return;
    }
    const ends = await rollout.stop(NOT_PREPARED);
    await concludeHosts(servers, ends, record);
  });
}

import { randomUUID } from 'node:crypto';
import type { PhaseRecord } from '../base/phase.js';
import type { HostFact } from '../base/report.js';
import type { Settings } from '../settings/settings.js';
import type { Tools } from '../tools.js';
import type { RunResult } from '../worker/protocol.js';
import type { Host } from './fleet.js';
import { rollbackRequest, type VpsRun } from './requests.js';
import { factOfError, hostFact, runWorker } from './run-worker.js';

/**
 * Brings the code on every host back, all at once: to `rollback-to` where it is given, else by undoing what the
 * named run changed. The worker's steps become steps of `record`. Resolves with one fact per host.
 */
export async function rollbackFleet(
  tools: Tools,
  settings: Settings,
  record: PhaseRecord,
): Promise<HostFact[]> {
  const { fleet, log } = tools;
  if (!fleet || !settings.vps) return [];
  const { to, runId } = settings.rollback;
  const what = to === undefined ? { undo: runId } : { to };
  const request = rollbackRequest(settings as VpsRun, randomUUID(), what);
  const back = async (host: Host): Promise<HostFact> => {
    try {
      return rollbackFact(host.position, await runWorker(fleet, host, request, { log, record }));
    } catch (error) {
      return factOfError(host.position, error, 'rollback-failed');
    }
  };
  return Promise.all(fleet.hosts.map(back));
}

/** A rollback that failed is `rollback-failed`, whatever the deploy before it is called. Pure. */
export function rollbackFact(position: number, result: RunResult): HostFact {
  const fact = hostFact(position, result);
  const failed = result.outcome === 'failed' || result.outcome === 'put-back' || result.outcome === 'broken';
  return failed ? { ...fact, outcome: 'rollback-failed' } : fact;
}

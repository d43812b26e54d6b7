import { Failure, type Problem, problemOf } from '../../lib/report.js';
import type { HostStatus } from '../../worker/protocol.js';
import { askWorker } from '../worker-client.js';
import { statusRequest } from '../worker-requests.js';
import type { ServerWork } from './server-work.js';

/** What one host told, or why it could not be asked. */
export interface StatusOfHost {
  /** Position, from 1. */
  host: number;
  status?: HostStatus;
  problem?: Problem;
  /** How long it was asked. */
  milliseconds?: number;
}

/** Milliseconds; nothing but the host itself is asked. */
const DEADLINE = 60_000;

/** Asks all hosts at once, one round trip each; writes nothing, and never throws for one host. */
export async function statusFleet({ fleet, settings, signal }: ServerWork): Promise<StatusOfHost[]> {
  fleet.connect();
  return Promise.all(
    fleet.hosts.map(async (host): Promise<StatusOfHost> => {
      const startedAt = Date.now();
      const took = (): { milliseconds: number } => ({ milliseconds: Date.now() - startedAt });
      try {
        const answer = await askWorker(fleet, host, statusRequest(settings), { deadline: DEADLINE, signal });
        if (answer.kind === 'status') return { host: host.position, ...took(), status: answer.status };
        throw new Failure({ message: `${host.prefix}the worker answered something else` });
      } catch (error) {
        if (signal.aborted) throw error;
        return { host: host.position, ...took(), problem: problemOf(error) };
      }
    }),
  );
}

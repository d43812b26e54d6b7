import { Failure, type HealthFact } from '../../lib/report.js';
import { askWorker } from '../worker-client.js';
import { probeRequest } from '../worker-requests.js';
import type { ServerWork } from './server-work.js';

/** Milliseconds for connecting and finding the entry, on top of the time that the checks are given. */
const AROUND = 30_000;

/**
 * Asks the application on the loopback of every server, until it is healthy or the health deadline is reached.
 * With several servers the checks carry the server's position. Writes nothing. `once`: a check that was good is not
 * asked again.
 */
export async function probeFleet(
  { fleet, settings, signal }: ServerWork,
  once = false,
): Promise<HealthFact[]> {
  const request = probeRequest(settings, once);
  const deadline = settings.health.deadline + AROUND;
  const facts = await Promise.all(
    fleet.hosts.map(async (host) => {
      const answer = await askWorker(fleet, host, request, { deadline, signal });
      if (answer.kind !== 'probed')
        throw new Failure({ message: `${host.prefix}the worker answered something else` });

      return answer.health.map(
        (fact): HealthFact => ({ ...fact, from: 'vps', name: host.prefix + fact.name }),
      );
    }),
  );
  return facts.flat();
}

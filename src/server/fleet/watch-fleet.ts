import { definedOnly } from '../../lib/defined-only.js';
import { Cancelled, problemOf } from '../../lib/report.js';
import type { HostWatch } from '../../worker/protocol.js';
import { askWorker, onHost } from '../worker-client.js';
import { watchRequest } from '../worker-requests.js';
import type { ServerWork } from './server-work.js';

/** What one look at one host found; no `watched` where it could not be looked at, which says nothing of the application. */
export interface WatchedHost {
  /** Position, from 1. */
  host: number;
  prefix: string;
  watched?: HostWatch;
  why?: string;
}

/** Milliseconds for a look, on top of what the application may take. */
const AROUND = 20_000;

/** Looks at the live version on all hosts at once; `ask`: one request is sent to each. Never throws but for a cancel. */
export async function watchFleet(
  { fleet, settings, signal }: ServerWork,
  ask: boolean,
): Promise<WatchedHost[]> {
  const request = watchRequest(settings, ask);
  const deadline = settings.health.timeout + AROUND;
  return Promise.all(
    fleet.hosts.map(async (host): Promise<WatchedHost> => {
      const own = { host: host.position, prefix: host.prefix };
      try {
        const answer = await askWorker(fleet, host, request, { deadline, signal });
        return { ...own, ...definedOnly({ watched: answer.kind === 'watched' ? answer.look : undefined }) };
      } catch (error) {
        if (error instanceof Cancelled || signal.aborted) throw new Cancelled();
        return { ...own, why: onHost(host, problemOf(error)).message };
      }
    }),
  );
}

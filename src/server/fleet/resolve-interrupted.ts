import { Failure, type HostFact, problemsOf } from '../../lib/report.js';
import { pause } from '../../lib/retry.js';
import type { HostFacts } from '../../worker/protocol.js';
import { exactCommit } from '../checkout/exact-commit.js';
import { askWorker } from '../worker-client.js';
import { cancelSessionRequest, inspectRequest } from '../worker-requests.js';
import type { Host } from './fleet.js';
import type { ServerWork } from './server-work.js';

/** Milliseconds; one look at a host. */
const LOOK = 30_000;
/** Milliseconds between looks at a host whose worker is still at work. */
const AGAIN = 2_000;

/**
 * Brings the workers that another start of the action left behind to an end: cancels what has not cut over, waits for
 * what has, and tells what every host serves then. Never throws for one host.
 */
export async function resolveInterruptedFleet(servers: ServerWork, session: string): Promise<HostFact[]> {
  const { fleet, settings } = servers;
  if (settings.vps.ref === undefined) return [];
  const sha = await exactCommit(settings.vps.ref, settings.workingDirectory);
  const settle = async (host: Host): Promise<HostFact> => {
    try {
      return factAfterwards(host, await afterItsWorkers(servers, host, session), sha);
    } catch (error) {
      return { host: host.position, outcome: 'unknown', detail: problemsOf(error)[0]!.message };
    }
  };
  return Promise.all(fleet.hosts.map(settle));
}

/**
 * What is found on a host when nothing of a session can change it any more. The mark comes before the look: a worker
 * that does not hold the lock then has seen it, or sees it before its cutover.
 */
async function afterItsWorkers(
  { fleet, settings, log, signal }: ServerWork,
  host: Host,
  session: string,
): Promise<HostFacts> {
  const look = { deadline: LOOK, signal };
  await askWorker(fleet, host, cancelSessionRequest(settings, session), look);
  const request = inspectRequest(settings, undefined);
  const deadline = performance.now() + settings.vps.deployTimeout;
  for (let tries = 1; ; tries++) {
    const answer = await askWorker(fleet, host, request, look);
    if (answer.kind !== 'host')
      throw new Failure({ message: `${host.name}: the worker answered something else` });
    if (answer.facts.lock?.holder?.session !== session) return answer.facts;
    if (tries === 1)
      log({
        kind: 'progress',
        text: `${host.prefix}stopping the deploy of this run, or waiting for its cutover`,
      });
    if (performance.now() > deadline)
      throw new Failure({ message: `${host.name}: the deploy of this run is still at work` });
    await pause(AGAIN, signal);
  }
}

/** What a host serves once nothing of this run is at work there any more. Pure. */
function factAfterwards(host: Host, facts: HostFacts, sha: string): HostFact {
  const live = facts.liveSha === undefined ? {} : { 'deployed-sha': facts.liveSha };
  const release = facts.liveRelease === undefined ? {} : { release: facts.liveRelease };
  const serves = facts.liveSha === sha && facts.liveVerified;
  return { host: host.position, outcome: serves ? 'deployed' : 'unchanged', ...live, ...release };
}

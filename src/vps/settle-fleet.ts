import { Failure, type HostFact, problemsOf } from '../base/report.js';
import { pause } from '../base/retry.js';
import type { Settings } from '../settings/settings.js';
import type { Tools } from '../tools.js';
import type { HostFacts } from '../worker/protocol.js';
import { exactCommit } from './exact-commit.js';
import type { Fleet, Host } from './fleet.js';
import { cancelSessionRequest, inspectRequest, type VpsRun } from './requests.js';
import { ask } from './worker-client.js';

/** Milliseconds; one look at a host. */
const LOOK = 30_000;
/** Milliseconds between looks at a host whose worker is still at work. */
const AGAIN = 2_000;

/**
 * Brings the workers that another start of the action left behind to an end: cancels what has not cut over, waits for
 * what has, and tells what every host serves then. Never throws for one host.
 */
export async function settleFleet(tools: Tools, settings: Settings, session: string): Promise<HostFact[]> {
  const { fleet } = tools;
  if (!fleet || settings.vps?.ref === undefined) return [];
  const run = settings as VpsRun;
  const sha = await exactCommit(settings.vps.ref, run.workingDirectory);
  const settle = async (host: Host): Promise<HostFact> => {
    try {
      return factOf(host, await afterItsWorkers(tools, fleet, host, run, session), sha);
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
  tools: Tools,
  fleet: Fleet,
  host: Host,
  run: VpsRun,
  session: string,
): Promise<HostFacts> {
  const look = { deadline: LOOK, signal: tools.signal };
  await ask(fleet, host, cancelSessionRequest(run, session), look);
  const request = inspectRequest(run, undefined);
  const deadline = performance.now() + run.vps.deployTimeout;
  for (let tries = 1; ; tries++) {
    const answer = await ask(fleet, host, request, look);
    if (answer.kind !== 'host')
      throw new Failure({ message: `${host.name}: the worker answered something else` });
    if (answer.facts.lock?.holder?.session !== session) return answer.facts;
    if (tries === 1)
      tools.log({
        kind: 'progress',
        text: `${host.prefix}stopping the deploy of this run, or waiting for its cutover`,
      });
    if (performance.now() > deadline)
      throw new Failure({ message: `${host.name}: the deploy of this run is still at work` });
    await pause(AGAIN, tools.signal);
  }
}

/** What a host serves once nothing of this run is at work there any more. Pure. */
function factOf(host: Host, facts: HostFacts, sha: string): HostFact {
  const live = facts.liveSha === undefined ? {} : { 'deployed-sha': facts.liveSha };
  const release = facts.liveRelease === undefined ? {} : { release: facts.liveRelease };
  const serves = facts.liveSha === sha && facts.liveVerified;
  return { host: host.position, outcome: serves ? 'deployed' : 'unchanged', ...live, ...release };
}

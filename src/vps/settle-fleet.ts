import { Failure, type HostFact, problemsOf } from '../base/report.js';
import { pause } from '../base/retry.js';
import type { Settings } from '../settings/settings.js';
import type { Tools } from '../tools.js';
import type { HostFacts } from '../worker/protocol.js';
import { exactCommit } from './exact-commit.js';
import type { Fleet, Host } from './fleet.js';
import { inspectRequest, type VpsRun } from './requests.js';
import { ask } from './worker-client.js';

/** Milliseconds; one look at a host. */
const LOOK = 30_000;
/** Milliseconds between looks at a host whose worker is still at work. */
const AGAIN = 2_000;

/**
 * Brings the workers that this run left behind to an end: cancels what has not cut over, waits for what has, and
 * tells what every host serves then. Never throws for one host.
 */
export async function settleFleet(tools: Tools, settings: Settings): Promise<HostFact[]> {
  const { fleet } = tools;
  if (!fleet || settings.vps?.ref === undefined) return [];
  const run = settings as VpsRun;
  const sha = await exactCommit(settings.vps.ref, run.workingDirectory);
  const settle = async (host: Host): Promise<HostFact> => {
    try {
      return factOf(host, await afterOurWorker(tools, fleet, host, run), sha);
    } catch (error) {
      return { host: host.position, outcome: 'unknown', detail: problemsOf(error)[0]!.message };
    }
  };
  return Promise.all(fleet.hosts.map(settle));
}

async function afterOurWorker(tools: Tools, fleet: Fleet, host: Host, run: VpsRun): Promise<HostFacts> {
  const request = inspectRequest(run, undefined);
  const deadline = performance.now() + run.vps.deployTimeout;
  let cancelled = false;
  for (;;) {
    const answer = await ask(fleet, host, request, { deadline: LOOK, signal: tools.signal });
    if (answer.kind !== 'host')
      throw new Failure({ message: `${host.name}: the worker answered something else` });
    if (answer.facts.lock?.holder?.runId !== run.run.id) return answer.facts;
    if (!cancelled) {
      cancelled = true;
      tools.log({
        kind: 'progress',
        text: `${host.prefix}stopping the deploy of this run, or waiting for its cutover`,
      });
      await ask(fleet, host, { command: 'cancel', app: request.app, run: request.run }, { deadline: LOOK });
    }
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

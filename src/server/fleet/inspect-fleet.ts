import { definedOnly } from '../../lib/defined-only.js';
import { Failure, type Problem, problemsOf } from '../../lib/report.js';
import type { HostFacts, Undo } from '../../worker/protocol.js';
import { exactCommit } from '../checkout/exact-commit.js';
import { usesLfs } from '../checkout/uses-lfs.js';
import { askWorker } from '../worker-client.js';
import { inspectRequest, withToken } from '../worker-requests.js';
import type { Host } from './fleet.js';
import type { ServerWork } from './server-work.js';

/** What a look at one host found, or why it could not be looked at. */
export interface HostReport {
  /** Position, from 1. */
  host: number;
  name: Host['name'];
  prefix: Host['prefix'];
  facts?: HostFacts;
  /** It has no access of its own to the remote: a fetch there needs the job's token. */
  needsToken?: true;
  problem?: Problem;
}

/** Milliseconds; the look asks the git remote too. */
const LOOK_DEADLINE = 120_000;

/**
 * Looks at all hosts at once, one round trip each, and one more where only the job's token opens the remote; writes
 * nothing, and never throws for one host. `undo`: asks what a rollback would do, instead of what a deploy would.
 */
export async function inspectFleet(
  { fleet, settings, signal }: ServerWork,
  undo?: Undo,
): Promise<HostReport[]> {
  fleet.connect();
  const { ref } = settings.vps;
  const sha =
    ref === undefined || undo !== undefined ? undefined : await exactCommit(ref, settings.workingDirectory);
  const lfs = sha === undefined ? undefined : await usesLfs(sha, settings.workingDirectory);
  const look = async (host: Host): Promise<HostReport> => {
    const { position, name, prefix } = host;
    const own = { host: position, name, prefix };
    try {
      const request = { ...inspectRequest(settings, sha, undo), ...definedOnly({ lfs }) };
      const options = { deadline: LOOK_DEADLINE, signal };
      const answer = await askWorker(fleet, host, request, options);
      if (answer.kind === 'host') return { ...own, facts: answer.facts };
      const opened = { ...request, ...withToken(settings) };
      const second = answer.kind === 'token-needed' ? await askWorker(fleet, host, opened, options) : answer;
      if (second.kind === 'host') return { ...own, facts: second.facts, needsToken: true };
      throw new Failure({ message: `${prefix}the worker answered something else` });
    } catch (error) {
      if (signal.aborted) throw error;
      return { ...own, problem: problemsOf(error)[0]! };
    }
  };
  return Promise.all(fleet.hosts.map(look));
}

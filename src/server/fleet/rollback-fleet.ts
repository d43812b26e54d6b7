import { randomUUID } from 'node:crypto';
import { type HostFact, type Problem, problemsOf } from '../../lib/report.js';
import type { PhaseRecord } from '../../report/phase.js';
import type { RunResult, Undo } from '../../worker/protocol.js';
import { onHost, WorkerDied } from '../worker-client.js';
import { rollbackRequest } from '../worker-requests.js';
import type { Host } from './fleet.js';
import { factOfError, hostFact, runWorker } from './run-worker.js';
import type { ServerWork } from './server-work.js';
import { findWhatServes, servedFact, servedWords } from './what-serves.js';

/**
 * Brings the code on every host back, all at once; `undoOn` says what is to be undone on each. The worker's steps
 * become steps of `record`. Resolves with one fact per host and why it did not go back, where it did not.
 */
export async function rollbackFleet(
  { fleet, settings, log }: ServerWork,
  record: PhaseRecord,
  undoOn: (host: Host) => Undo,
): Promise<HostBack[]> {
  const invocation = randomUUID();
  const back = async (host: Host): Promise<HostBack> => {
    const request = rollbackRequest(settings, invocation, undoOn(host));
    try {
      const result = await runWorker(fleet, host, request, { log, record });
      const problems = result.problems.map((problem) => onHost(host, problem));
      return { fact: rollbackFact(host.position, result), problems };
    } catch (error) {
      const problems = problemsOf(error).map((problem) => onHost(host, problem));
      const fact = factOfError(host.position, error, 'rollback-failed');
      const served = error instanceof WorkerDied ? await findWhatServes(fleet, host, request) : undefined;
      if (!served) return { fact, problems };
      return {
        fact: { ...fact, ...servedFact(served) },
        problems: [...problems, servedWords(host, served)],
      };
    }
  };
  return Promise.all(fleet.hosts.map(back));
}

/** How a rollback went on one host. */
export interface HostBack {
  fact: HostFact;
  problems: Problem[];
}

/** A rollback that failed is `rollback-failed`, whatever the deploy before it is called. Pure. */
export function rollbackFact(position: number, result: RunResult): HostFact {
  const fact = hostFact(position, result);
  const failed = result.outcome === 'failed' || result.outcome === 'put-back' || result.outcome === 'broken';
  return failed ? { ...fact, outcome: 'rollback-failed' } : fact;
}

import { definedOnly } from '../../lib/defined-only.js';
import type { HostFact, Problem } from '../../lib/report.js';
import type { HostFacts, ProbeRequest } from '../../worker/protocol.js';
import { askWorker, type LongRequest } from '../worker-client.js';
import type { Fleet, Host } from './fleet.js';

/** Milliseconds; one look at a host, and one at its application. */
const LOOK = 30_000;
const PROBE = 10_000;

/** What lies on a host after a run whose end is not known, and whether it answers there. */
export interface Served {
  facts: HostFacts;
  answers: boolean;
}

/** Looks at a host whose worker is gone without a result; writes nothing. undefined where it cannot be looked at. */
export async function findWhatServes(
  fleet: Fleet,
  host: Host,
  { app, run, health }: LongRequest,
): Promise<Served | undefined> {
  const { expectVersion: _, ...asked } = health;
  const probe: ProbeRequest = {
    command: 'probe',
    app,
    health: { ...asked, deadline: Math.min(asked.deadline, PROBE) },
    counted: false,
  };
  try {
    const found = await askWorker(
      fleet,
      host,
      { command: 'inspect', app, run, explicit: false, rehearse: false, dirtyCheckout: 'refuse' },
      { deadline: LOOK },
    );
    if (found.kind !== 'host') return undefined;
    const answer = await askWorker(fleet, host, probe, { deadline: LOOK }).catch(() => undefined);
    return { facts: found.facts, answers: answer?.kind === 'probed' && answer.healthy };
  } catch {
    // It is told already why the run has no end; that nothing more is known is said by the outcome.
    return undefined;
  }
}

/** True where the server's journal says that this run brought its commit, and that it was verified. Pure. */
export function broughtByRun({ facts }: Served, sha: string, runId: string): boolean {
  return facts.liveSha === sha && facts.liveVerified && facts.liveRun === runId;
}

/** The same in words. Pure. */
export function servedWords({ prefix }: Pick<Host, 'prefix'>, { facts, answers }: Served): Problem {
  const { liveSha, liveRelease, liveVerified } = facts;
  const what = liveSha === undefined ? 'no version' : liveSha + (liveRelease ? ` (${liveRelease})` : '');
  const proof = liveVerified ? ', which was verified before' : '';
  return {
    message: `${prefix}in place on the server is ${what}${proof}; on loopback it ${answers ? 'answers and is healthy' : 'does not answer as it should'}.`,
  };
}

/** What the outputs tell of it. Pure. */
export function servedFact({ facts }: Served): Pick<HostFact, 'deployed-sha' | 'release'> {
  return definedOnly({ 'deployed-sha': facts.liveSha, release: facts.liveRelease });
}

import { collisionProblem, takenOverWords } from '../lib/collision-words.js';
import { type Problem, problemsOf } from '../lib/report.js';
import { addedFiles } from '../server/checkout/added-files.js';
import type { HostReport } from '../server/fleet/inspect-fleet.js';
import type { ServerWork } from '../server/fleet/server-work.js';
import { askWorker, onHost } from '../server/worker-client.js';
import { collisionsRequest } from '../server/worker-requests.js';

/** Milliseconds for one host. */
const LOOK = 30_000;

/**
 * What the commit would overwrite in the live checkouts, as far as that can be told before anything is fetched there; says
 * what is taken over, and what is not checked.
 */
export async function planCollisions(servers: ServerWork, looks: readonly HostReport[]): Promise<Problem[]> {
  const { fleet, settings, log, signal } = servers;
  const { ref } = settings.vps;
  const ofHosts = looks.map(async (look, index): Promise<Problem[]> => {
    const { facts } = look;
    const host = fleet.hosts[index];
    const from = facts?.liveSha;
    if (ref === undefined || !host || !facts || from === undefined || from === ref) return [];
    if (facts.strategy !== 'in-place' || facts.refusals.length > 0) return [];
    const say = (text: string): void => log({ kind: 'line', text: `          ${look.prefix}${text}` });
    const files = await addedFiles({ from, to: ref }, settings.workingDirectory);
    if (typeof files === 'string') {
      say(`collisions with files on the server: not checked, because ${files}`);
      return [];
    }
    if (files.length === 0) return [];
    try {
      const answer = await askWorker(fleet, host, collisionsRequest(settings, files), {
        deadline: LOOK,
        signal,
      });
      if (answer.kind !== 'collisions') throw new Error('the worker answered something else');
      if (answer.takenOver.length > 0) say(takenOverWords(answer.takenOver));
      const problem = collisionProblem(answer.inTheWay);
      return problem ? [onHost(look, problem)] : [];
    } catch (error) {
      if (signal.aborted) throw error;
      say(`collisions with files on the server: not checked, because ${problemsOf(error)[0]!.message}`);
      return [];
    }
  });
  return (await Promise.all(ofHosts)).flat();
}

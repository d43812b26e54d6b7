import { definedOnly } from '../../lib/defined-only.js';
import { Cancelled, type Problem, problemsOf } from '../../lib/report.js';
import { rehearsalObstacle } from '../build/rehearse.js';
import { isOlder } from '../host/ancestry.js';
import { removePath } from '../host/files.js';
import {
  askRemote,
  fetchCommit,
  fetchSources,
  type GitRepository,
  git,
  hasCommit,
  isAncestor,
  reachRemoteLike,
  TokenNeeded,
} from '../host/git.js';
import { scratchFolder } from '../host/scratch-folder.js';
import { hostProblems } from '../host-files/file-problems.js';
import { dirtyRefusals, dirtyWarnings } from '../host-files/local-changes.js';
import { envRefusals, type HostState, readHostState } from '../host-state/host-state.js';
import { judgeLfs } from '../host-state/lfs.js';
import { askLive, judgeLive, provesNothing } from '../host-state/live-version.js';
import type { HealthRequest, HostFacts, InspectRequest } from '../protocol.js';
import { historyAsFound } from '../state/journal.js';
import { availability } from '../state/releases.js';
import { type DeployDecision, decideDeploy, hostRollbackTarget } from './decide.js';

/** Milliseconds for all that the remote is asked. */
const LONGEST_LOOK = 120_000;

/**
 * Looks at the host and at the commit on its remote; writes nothing that stays.
 * @throws TokenNeeded where only the job's token opens the remote, and the request does not carry it.
 */
export async function inspect(request: InspectRequest, env: NodeJS.ProcessEnv): Promise<HostFacts> {
  const found = await readHostState(request.app, env);
  const { facts } = found;
  if (request.undo !== undefined) {
    facts.wayBack = hostRollbackTarget({
      ...request.undo,
      appName: request.app.appName,
      history: historyAsFound(found.history, facts.liveSha),
      isAvailable: availability(found),
    });
    return facts;
  }
  facts.deployRefusals.push(
    ...envRefusals(found, {
      explicit: request.explicit,
      ...definedOnly({ writes: request.writesEnvFile }),
    }),
    ...dirtyRefusals(facts.dirtyFiles, request.dirtyCheckout),
  );
  facts.warnings.push(...dirtyWarnings(facts.dirtyFiles, request.dirtyCheckout));
  facts.deployRefusals.push(...(await hostProblems(found, request)));
  if (found.entry !== undefined && found.live !== undefined) {
    const standing = await found.supervisor.standing({ folder: found.live, entry: found.entry });
    if (standing) facts.warnings.push(standing);
  }
  const obstacle = rehearsalObstacle(request.rehearse, found.supervisor, found.entry);
  if (obstacle !== undefined) {
    facts.notRehearsedWhy = obstacle;
    await askWhetherItTells(found, obstacle, request.health);
  }
  // A checkout that git cannot read has been complained about; asking further would only say it again.
  const unreadable = facts.layout === 'checkout' && found.checkout === undefined;
  if (request.sha === undefined || facts.git === undefined || unreadable) return facts;
  const from: GitRepository = found.checkout ?? { tools: found.tools, folder: found.tools.home };
  facts.deployRefusals.push(...(await judgeLfs(from, found.checkout, request.lfs)));
  const problem = await lookForCommit(found, { ...request, sha: request.sha });
  facts.shaOnRemote = problem === undefined;
  if (problem) {
    facts.deployRefusals.push(problem);
    return facts;
  }
  const decision = await judgeCommit(found, { ...request, sha: request.sha });
  if (decision.kind === 'refuse') facts.deployRefusals.push(decision.problem);
  if (decision.kind === 'newer-is-live') facts.newerIsLive = true;
  return facts;
}

/** Without a rehearsal the live version must show that the checks can tell something, or be down. */
async function askWhetherItTells(
  found: HostState,
  obstacle: string,
  health: HealthRequest | undefined,
): Promise<void> {
  const { facts } = found;
  if (health === undefined || facts.refusals.length > 0) return;
  const asked = await askLive(found, health, AbortSignal.timeout(LONGEST_LOOK));
  const live = judgeLive(asked ?? []);
  if (live.kind === 'deaf') facts.deployRefusals.push(provesNothing(live.check, obstacle));
  if (live.kind === 'down') facts.notRehearsedWhy = `${obstacle}; live is down: ${live.why}`;
}

/**
 * Asks the remote for the commit. Most commits that are deployed are the end of a branch, which it shows; any other is
 * fetched into a scratch repository, because a fetch into the live one would write there.
 */
async function lookForCommit(
  found: HostState,
  request: InspectRequest & { sha: string },
): Promise<Problem | undefined> {
  const { tools, checkout } = found;
  const { sha } = request;
  if (await isThere(found, sha)) return undefined;
  const signal = AbortSignal.timeout(LONGEST_LOOK);
  const from: GitRepository = checkout ?? { tools, folder: tools.home };
  let folder: string | undefined;
  try {
    const { source, isTip } = await askRemote(from, sha, await fetchSources(from, request), signal);
    if (isTip) return undefined;
    folder = scratchFolder('look');
    const scratch: GitRepository = { tools, folder };
    await git(scratch, 'init', '-q', '--bare');
    await reachRemoteLike(scratch, from);
    await fetchCommit(scratch, sha, [source], signal, 'its existence');
    return undefined;
  } catch (error) {
    if (error instanceof TokenNeeded) throw error;
    return error instanceof Cancelled ? silentRemote() : problemsOf(error)[0];
  } finally {
    if (folder !== undefined) removePath(folder);
  }
}

/** True where the deploy has nothing to fetch. A checkout that becomes releases takes the history of what is live along. */
async function isThere({ checkout, strategy, facts }: HostState, sha: string): Promise<boolean> {
  if (checkout === undefined || !(await hasCommit(checkout, sha))) return false;
  const { liveSha } = facts;
  if (strategy !== 'adopt' || sha === liveSha) return true;
  return liveSha !== undefined && isAncestor(checkout, sha, liveSha);
}

function silentRemote(): Problem {
  return {
    message: `The remote did not answer the server within ${LONGEST_LOOK / 1_000} s.`,
    next: 'Look on the server: git ls-remote origin. A firewall may drop what goes out.',
  };
}

/** What the deploy would say of the commit. */
async function judgeCommit(
  { app, tools, facts, checkout, history }: HostState,
  request: InspectRequest & { sha: string },
): Promise<DeployDecision> {
  const { sha, explicit } = request;
  const { liveSha, liveVerified } = facts;
  const signal = AbortSignal.timeout(LONGEST_LOOK);
  return decideDeploy({
    sha,
    explicit,
    attempt: request.run.attempt,
    ...definedOnly({ liveSha }),
    liveVerified,
    olderThanLive: explicit
      ? 'no'
      : await isOlder({ tools, repository: checkout, sha, liveSha, request, signal }),
    history,
    appName: app.appName,
    runId: request.run.id,
    envChanges: false,
  });
}

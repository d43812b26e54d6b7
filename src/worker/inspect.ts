import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Problem, problemsOf } from '../base/report.js';
import { type DeployDecision, decideDeploy } from './decide.js';
import { remove } from './files.js';
import { fetchCommit, git, gitSays, hasCommit, isAncestor, type Repository } from './git.js';
import type { HostFacts, InspectRequest } from './protocol.js';
import { type Survey, survey } from './survey.js';

/** Looks at the host and at the commit on its remote; writes nothing that stays. */
export async function inspect(request: InspectRequest, env: NodeJS.ProcessEnv): Promise<HostFacts> {
  const found = await survey(request.app, env);
  const { facts } = found;
  if (request.sha === undefined || facts.git === undefined) return facts;
  const problem = await lookForCommit(found, { ...request, sha: request.sha });
  facts.shaOnRemote = problem === undefined;
  if (problem) facts.refusals.push(problem);
  const decision = await judgeCommit(found, { ...request, sha: request.sha });
  if (decision.kind === 'refuse') facts.refusals.push(decision.problem);
  if (decision.kind === 'newer-is-live') facts.newerIsLive = true;
  return facts;
}

/** Asks the remote for the commit, in a scratch repository: a fetch into the live one would write there. */
async function lookForCommit(
  found: Survey,
  request: InspectRequest & { sha: string },
): Promise<Problem | undefined> {
  const live = found.checkout;
  if (live && (await hasCommit(live, request.sha))) return undefined;
  const folder = mkdtempSync(join(tmpdir(), 'muva-look-'));
  const scratch: Repository = { tools: found.tools, folder };
  try {
    await git(scratch, 'init', '-q', '--bare');
    if (live && (await gitSays(live, 'remote', 'get-url', 'origin')))
      await git(scratch, 'remote', 'add', 'origin', await git(live, 'remote', 'get-url', 'origin'));
    await fetchCommit(
      scratch,
      request.sha,
      {
        ...(request.repositoryUrl === undefined ? {} : { url: request.repositoryUrl }),
        ...(request.fetchToken === undefined ? {} : { token: request.fetchToken }),
      },
      AbortSignal.timeout(120_000),
      ['--depth=1', '--filter=tree:0'],
    );
    return undefined;
  } catch (error) {
    return problemsOf(error)[0];
  } finally {
    remove(folder);
  }
}

/** What the deploy would say of the commit, as far as it can be judged without fetching its history. */
async function judgeCommit(
  { facts, checkout, history }: Survey,
  request: InspectRequest & { sha: string },
): Promise<DeployDecision> {
  const known = checkout !== undefined && (await hasCommit(checkout, request.sha));
  return decideDeploy({
    sha: request.sha,
    explicit: request.explicit,
    attempt: request.run.attempt,
    ...(facts.liveSha === undefined ? {} : { liveSha: facts.liveSha }),
    liveVerified: facts.liveVerified,
    olderThanLive:
      known && facts.liveSha !== undefined && (await isAncestor(checkout, request.sha, facts.liveSha)),
    history,
    envChanges: false,
  });
}

import { catchProblem } from '../../lib/catch-problem.js';
import { definedOnly } from '../../lib/defined-only.js';
import { checkEnvText } from '../../lib/env-text.js';
import { Failure, type Problem, problemsOf } from '../../lib/report.js';
import { swapsOf, withEnvFile } from '../build/build-output.js';
import { lookAtCollisions, prepareStage } from '../build/prepare.js';
import { fetchSha, type Stage, stageRepository } from '../build/stage.js';
import { discardStage } from '../build/stage-marks.js';
import { type CutoverResult, cutOver, writeCutover } from '../cutover/cutover.js';
import { planCutover } from '../cutover/cutover-plan.js';
import { reserveForTurn } from '../cutover/reserve-disk-space.js';
import { withPm2Lock } from '../cutover/restart.js';
import { isOlder } from '../host/ancestry.js';
import type { GitRepository } from '../host/git.js';
import { askLoopback } from '../host/loopback-health.js';
import { stayReadable } from '../host/owner.js';
import { envChanges } from '../host-files/env-changes.js';
import { hostProblems } from '../host-files/file-problems.js';
import {
  changedByPeople,
  dirtyRefusals,
  keepLocalChanges,
  keptWords,
  trackAsTheyAre,
} from '../host-files/local-changes.js';
import { withTidyPaths } from '../host-files/paths.js';
import { rescue, rescuedWords } from '../host-files/untracked-files.js';
import { waitForGit } from '../host-files/wait-for-git.js';
import { refuseShutFolders } from '../host-state/folders.js';
import { envRefusals, type HostState } from '../host-state/host-state.js';
import type { DeployRequest, RunResult } from '../protocol.js';
import { historyOf, readJournal, writeJournal } from '../state/journal.js';
import { newReleaseName } from '../state/release-name.js';
import { dropNote, dropRelease } from '../state/releases.js';
import { readState, type StateFolder, writeState } from '../state/state-folder.js';
import { beginRun } from './begin.js';
import { decideDeploy } from './decide.js';
import type { DeployContext } from './deploy-context.js';
import { type LiveLooks, liveLooks } from './live-looks.js';
import { lookAtLive } from './look-at-live.js';
import { prune } from './prune-releases.js';
import { emptyResult, type Reporter } from './reporter.js';

/** One deploy on this host, with the lock held. Returns how it ended; a Failure means that nothing was changed. */
export async function deployOnHost(asked: DeployContext): Promise<RunResult> {
  const context = { ...asked, request: withTidyPaths(asked.request) };
  const { request, reporter, signal } = context;
  const result = emptyResult('failed', reporter.warnings);
  const begun = await beginRun(context);
  const found = await reporter.step('preflight', () => checkedHostState(begun, context), preflightWords);
  if (found.facts.liveSha !== undefined) result.previousSha = found.facts.liveSha;
  stayReadable(found.live);
  const repository = await stageRepository(found, request);
  await reporter.step(
    'fetch',
    () => fetchSha(repository, request, signal),
    () => request.sha.slice(0, 12),
  );
  const decided = await decide(found, repository, context);
  if (decided !== undefined) return { ...result, ...decided };
  await refuseShutFolders(found, repository, request.sha);
  const live = request.looksAtLive ? liveLooks(found, request.health, context) : undefined;
  const adopted = await adoptLive(await lookAtLive(found, context, live !== undefined), context);
  try {
    const stage = await prepareStage(adopted, repository, context, result, live);
    const liveHealth = live?.baseline ?? adopted.liveHealth;
    const looked = { ...adopted, ...definedOnly({ liveHealth }) };
    const cut = await cutOverOnGo(looked, repository, stage, context, live);
    if (cut.outcome === 'deployed') await tidy(adopted, repository, request, reporter);
    if (cut.outcome === 'put-back') await dropStage(adopted, repository, stage, context);
    return { ...result, ...cut, warnings: reporter.warnings };
  } finally {
    live?.end();
  }
}

function preflightWords(found: HostState): string {
  const { facts } = found;
  return [
    found.strategy,
    facts.liveSha === undefined ? 'first deploy' : `live ${facts.liveSha.slice(0, 12)}`,
    ...(facts.entry ? [`${facts.entry.mode} x${facts.entry.instances}`] : []),
  ].join(', ');
}

/** Judges what was found with the lock held: what the action saw before may be old by now. */
async function checkedHostState(
  found: HostState,
  { request, folder, reporter }: DeployContext,
): Promise<HostState> {
  const refusals: Problem[] = [
    ...found.facts.refusals,
    ...found.facts.deployRefusals,
    ...envRefusals(found, {
      explicit: request.explicit,
      ...(request.envFile === undefined ? {} : { writes: request.envFilePath }),
    }),
    ...dirtyRefusals(found.facts.dirtyFiles, request.dirtyCheckout),
    ...(await hostProblems(found, request)),
  ];
  const envFault = request.envFile === undefined ? undefined : checkEnvText(request.envFile);
  if (envFault !== undefined)
    refusals.push({
      message: `env-file ${envFault}.`,
      next: 'Check the secret that env-file comes from: it may be cut, or not set.',
    });
  if (refusals.length > 0) throw new Failure(refusals);
  for (const trap of found.facts.warnings) reporter.warn(trap);
  // Kept again right before they are taken away; but what cannot be kept is to be known before the build.
  if (found.checkout) await keepLocalChanges(found.checkout, found.facts.dirtyFiles, folder);
  return found;
}

/** Ends early where nothing is to be done; undefined means: go on. */
async function decide(
  found: HostState,
  repository: GitRepository,
  { request, reporter, signal }: DeployContext,
): Promise<Partial<RunResult> | undefined> {
  const { liveSha, liveVerified, port } = found.facts;
  const { sha } = request;
  const olderThanLive = request.explicit
    ? 'no'
    : await isOlder({ tools: found.tools, repository, sha, liveSha, request, signal });
  const decision = decideDeploy({
    sha,
    explicit: request.explicit,
    attempt: request.run.attempt,
    ...definedOnly({ liveSha }),
    liveVerified,
    olderThanLive,
    history: found.history,
    appName: request.app.appName,
    runId: request.run.id,
    envChanges: sha === liveSha && (await envChanges(found, request)),
  });
  if (decision.kind === 'refuse') throw new Failure(decision.problem);
  if (decision.kind === 'newer-is-live') {
    reporter.warn({
      message: `A newer commit (${liveSha}) is live already; ${request.sha} was not deployed.`,
    });
    return { outcome: 'newer-is-live' };
  }
  if (decision.kind === 'go') return undefined;
  if (port === undefined) return found.facts.portless && isOnline(found) ? unchanged(found, sha) : undefined;
  const health = { ...request.health, deadline: Math.min(request.health.deadline, 10_000) };
  const asked = await askLoopback({ port, health, sha: request.sha, expectVersion: true, signal });
  if (!asked.healthy) {
    reporter.warn({
      message: 'The commit is live already but does not answer health; it is deployed again.',
    });
    return undefined;
  }
  return { ...unchanged(found, sha), health: asked.facts };
}

function unchanged({ history }: HostState, sha: string): Partial<RunResult> {
  return { outcome: 'unchanged', deployedSha: sha, ...definedOnly({ release: history.live?.release }) };
}

/** What there is to see of a program without a port. */
function isOnline({ entry }: HostState): boolean {
  return entry?.instances.every(({ status }) => status === 'online') === true;
}

/**
 * The live commit becomes a release of the journal where our own deploys did not make it: the first deploy, or
 * changes by hand. It counts as verified if it answers health.
 */
async function adoptLive(found: HostState, { request, reporter, signal }: DeployContext): Promise<HostState> {
  const { liveSha, liveVerified, port } = found.facts;
  if (liveSha === undefined || liveVerified || found.live === undefined) return found;
  const release =
    found.strategy === 'releases'
      ? found.live.slice(found.live.lastIndexOf('/') + 1)
      : newReleaseName(liveSha);
  const healthy =
    (found.facts.portless && isOnline(found)) ||
    (port !== undefined &&
      (
        await askLoopback({
          port,
          health: { ...request.health, deadline: Math.min(request.health.deadline, 10_000) },
          expectVersion: false,
          signal,
        })
      ).healthy);
  if (!healthy) {
    reporter.warn({
      message: `The live commit ${liveSha} does not answer health and was not deployed by this action: it is no target for a rollback.`,
    });
    return found;
  }
  writeJournal(found.state, request.run, {
    event: 'adopted',
    release,
    sha: liveSha,
    app: request.app.appName,
  });
  reporter.progress(`the live commit ${liveSha.slice(0, 12)} answers health: adopted as verified`);
  return { ...found, history: historyOf(readJournal(found.state)) };
}

/** Cuts over once the action and the other applications of the host let it; until then it can be stopped. */
async function cutOverOnGo(
  found: HostState,
  repository: GitRepository,
  stage: Stage,
  context: DeployContext,
  live: LiveLooks | undefined,
): Promise<CutoverResult> {
  let begun = false;
  try {
    // The backup has used some of the room since; without what git needs to turn, no word is waited for.
    if (context.request.cutover !== 'at-once')
      await reserveForTurn(found.tools, planCutover(found, stage, context.request), context.folder);
    await context.hold('rehearsed');
    live?.end();
    return await withPm2Lock({ ...context, ...context.request, supervisor: found.supervisor }, async () => {
      const now = await lookAgain(found, stage, context);
      context.commit();
      const ready = await writeCutover(now.found, now.stage, context);
      begun = true;
      return cutOver(ready, context);
    });
  } catch (error) {
    if (!begun) await discardStage(repository, stage.folder, context.reporter);
    throw error;
  }
}

/**
 * A build takes minutes, and people and the application write meanwhile: what the cutover would take away is looked at
 * once more. @throws a Failure where it must not be; nothing was changed.
 */
async function lookAgain(
  found: HostState,
  stage: Stage,
  { request, folder, reporter, signal }: DeployContext,
): Promise<{ found: HostState; stage: Stage }> {
  await waitForGit(found, signal);
  const problems = await hostProblems(found, request);
  if (problems.length > 0) throw new Failure(problems);
  if (found.strategy !== 'in-place') return { found, stage };
  const paths = withEnvFile(swapsOf(found, request, stage.folder, stage.made), request);
  const tracking = await lookAtCollisions(
    found,
    request,
    { tools: found.tools, folder: stage.folder },
    paths,
  );
  const changed = await changedByPeople(found);
  const byPeople = changed.filter((path) => !tracking?.hostFrom.includes(path));
  const refusals = dirtyRefusals(byPeople, request.dirtyCheckout);
  if (refusals.length > 0) throw new Failure(refusals);
  const untracked = [...(tracking?.inTheWay ?? []), ...(tracking?.hostTo ?? [])];
  // They are kept like any local change.
  await trackAsTheyAre(found.checkout!, untracked);
  const dirtyFiles = [...new Set([...byPeople, ...untracked])];
  const changes = await keepLocalChanges(found.checkout!, dirtyFiles, folder);
  if (changes) reporter.warn(keptWords(changes));
  return {
    found: { ...found, facts: { ...found.facts, dirtyFiles } },
    stage: {
      ...stage,
      paths,
      ...definedOnly({ tracking, changes }),
    },
  };
}

/**
 * A version that was put back is of no use any more, but for what the application wrote there while it was live. What
 * cannot be deleted goes with old releases: the old version serves, whatever becomes of this folder.
 */
async function dropStage(
  found: HostState,
  repository: GitRepository,
  stage: Stage,
  { request, reporter }: DeployContext,
): Promise<void> {
  try {
    const place = await rescue(found, stage.release, request);
    if (place !== undefined) reporter.warn(rescuedWords(stage.release, place));
    await dropRelease(repository, stage.folder);
    dropNote(found.state, stage.release);
  } catch (error) {
    reporter.warn({
      message: `The version that was put back could not be deleted: ${problemsOf(error)[0]!.message}`,
    });
  }
}

function remember(state: StateFolder, { environment, database }: DeployRequest['app']): void {
  if (environment === undefined && database !== 'given') return;
  writeState(state, {
    ...readState(state),
    ...definedOnly({ environment }),
    ...(database === 'given' ? { database: true } : {}),
  });
}

/** After the new version is verified; nothing here can make a good deploy fail. */
async function tidy(
  found: HostState,
  repository: GitRepository,
  request: DeployRequest,
  reporter: Reporter,
): Promise<void> {
  const forgotten = catchProblem(() => remember(found.state, request.app));
  if (forgotten)
    reporter.warn({
      message: `What was deployed here could not be remembered on the server: ${forgotten.message}`,
      next: 'The next deploy cannot tell a wrong environment or a missing database-url by it.',
    });
  try {
    const { gone, rescued } = await prune({ found, repository, request });
    for (const [release, place] of rescued) reporter.warn(rescuedWords(release, place));
    if (gone.length > 0)
      reporter.progress(`deleted ${gone.length} old ${gone.length === 1 ? 'release' : 'releases'}`);
  } catch (error) {
    reporter.warn({ message: `Old releases could not be deleted: ${problemsOf(error)[0]!.message}` });
  }
}

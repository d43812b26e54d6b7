import { catchProblem } from '../../lib/catch-problem.js';
import { definedOnly } from '../../lib/defined-only.js';
import { type HealthFact, type Problem, problemsOf } from '../../lib/report.js';
import { keepOpenPages } from '../build/build-output.js';
import type { Stage } from '../build/stage.js';
import { type DowntimeProbe, probeDowntime } from '../host/downtime.js';
import { git } from '../host/git.js';
import type { HostState, OtherProgram } from '../host-state/host-state.js';
import { heldTo, wasDown } from '../host-state/live-version.js';
import type { RunResult } from '../protocol.js';
import type { DeployContext } from '../run/deploy-context.js';
import type { Reporter } from '../run/reporter.js';
import { writeJournal } from '../state/journal.js';
import { dropKeptEntry, dropPlan, type Plan, refuseOneAndTheSame, writePlan } from '../state/plan.js';
import { dropNote, dropRelease } from '../state/releases.js';
import type { RunningPrograms, Supervisor, Versions } from '../supervisor/supervisor.js';
import { noteReleases, planCutover } from './cutover-plan.js';
import { restartOthers } from './other-programs.js';
import { reserveForTurn } from './reserve-disk-space.js';
import { saveOrWarn } from './restart.js';
import { applyCutoverPlan, manualCommands, takeBack } from './switch.js';
import { type VerifyOptions, verifyRestart } from './verify.js';
import { deployVersions, reversed } from './version-marks.js';

export type CutoverResult = Pick<
  RunResult,
  'outcome' | 'problems' | 'deployedSha' | 'release' | 'downtimeMs' | 'rollbackMs' | 'health'
>;

/** A cutover of which everything is decided and written down, and nothing is switched yet. */
export interface ReadyCutover {
  found: HostState;
  stage: Stage;
  plan: Plan;
  /** What runs now, and by what the two versions can be told apart. */
  before: RunningPrograms;
  versions: Versions;
}

/**
 * Writes down what the cutover will change: whatever cuts it later, the next run reads there what to undo. @throws where
 * that cannot be written, on a full disk say; nothing is switched then, and nothing of it is left.
 */
export async function writeCutover(
  found: HostState,
  stage: Stage,
  { request, folder }: DeployContext,
): Promise<ReadyCutover> {
  const { state } = found;
  const plan = planCutover(found, stage, request);
  refuseOneAndTheSame(plan);
  if (plan.checkout)
    await git(found.checkout!, 'update-ref', `refs/deploys/${plan.checkout.fromSha}`, plan.checkout.fromSha);
  // The place of the checkout among the releases is taken by what the in-place deploy that made it left of its stage.
  if (plan.adopt) await dropRelease(found.checkout!, plan.adopt.release);
  const versions = await deployVersions(found, stage, plan, request.health);
  const before = await found.supervisor.running(stage.port);
  try {
    await reserveForTurn(found.tools, plan, folder);
    await noteReleases(found, stage, plan);
    if (plan.entry) await found.supervisor.keepEntry(plan.entry.from);
    writePlan(state, plan);
    writeJournal(state, request.run, {
      event: 'cutover',
      ...plan.to,
      ...definedOnly({ from: plan.from }),
    });
  } catch (error) {
    catchProblem(() => dropPlan(state));
    catchProblem(() => dropKeptEntry(plan, 'from'));
    catchProblem(() => dropNote(state, stage.release));
    throw error;
  }
  return { found, stage, plan, before, versions };
}

/** The whole switch to a prepared stage; owns the outcome: the new version is verified, or the old one is put back. */
export async function cutOver(ready: ReadyCutover, context: DeployContext): Promise<CutoverResult> {
  const { found, stage, plan, before, versions } = ready;
  const { request, reporter } = context;
  const { state, supervisor, tools } = found;
  reporter.event({ kind: 'state', state: 'cutting-over' });
  const runAs = stage.change?.entry ?? found.entry;
  const longer = supervisor.longerWait(runAs, stage.bootMs, request.health.deadline);
  if (longer !== undefined) reporter.progress(longer.words);
  const probe =
    stage.port === undefined ? undefined : probeDowntime(stage.port, request.health.budget, reporter);
  const restarted: OtherProgram[] = [];
  let health: HealthFact[];
  try {
    await reporter.step('cutover', async () => {
      await applyCutoverPlan(tools, plan);
      await supervisor.restart({
        state,
        ...definedOnly({ wait: longer?.ms, start: stage.start, change: stage.change }),
      });
    });
    reporter.event({ kind: 'state', state: 'verifying' });
    health = await reporter.step('verification', () =>
      verifyVersion(found, context, stage.port, {
        sha: plan.to.sha,
        before,
        versions,
        expectVersion: true,
        health: request.health,
      }),
    );
    await restartOthers({
      found,
      sha: plan.to.sha,
      health: request.health,
      reporter,
      starts: stage.otherStarts,
      onRestart: (program) => restarted.push(program),
    });
  } catch (error) {
    return putBack(found, context, { plan, stage, versions, problems: problemsOf(error), probe, restarted });
  }
  // Only what the new version does can take it back, not what is written or told about it.
  return finishCutover(found, context, plan, health, probe);
}

async function verifyVersion(
  found: HostState,
  { reporter }: DeployContext,
  port: number | undefined,
  version: Pick<VerifyOptions, 'sha' | 'before' | 'versions' | 'expectVersion' | 'health'>,
): Promise<HealthFact[]> {
  return verifyRestart({
    supervisor: found.supervisor,
    port,
    ...version,
    tell: reporter.progress,
    warn: reporter.warn,
  });
}

async function finishCutover(
  found: HostState,
  { request, reporter }: DeployContext,
  plan: Plan,
  health: HealthFact[],
  probe: DowntimeProbe | undefined,
): Promise<CutoverResult> {
  const { state } = found;
  const record = (): void =>
    writeJournal(state, request.run, {
      event: 'verified',
      ...plan.to,
      app: request.app.appName,
      ...definedOnly({ from: plan.from }),
    });
  let unwritten = catchProblem(record);
  // A plan that stays is undone by the next run, unless the journal says that all was well.
  const stays = catchProblem(() => dropPlan(state));
  // Once more, with the room that the plan has had.
  if (unwritten) unwritten = catchProblem(record);
  if (unwritten)
    reporter.warn({
      message: `The new version is live and verified, but that could not be written down on the server: ${unwritten.message}`,
      next: 'Free some space there (df -h; df -i) and deploy again. To go back before that, say rollback-to: previous.',
    });
  if (stays) reporter.warn({ message: `The plan of the cutover could not be deleted: ${stays.message}` });
  await saveOrWarn(
    found,
    reporter,
    (command) =>
      `The new version runs and is verified; run "${command}" on the server so that it survives a reboot.`,
  );
  const downtimeMs = await probe?.stop();
  return {
    outcome: 'deployed',
    problems: [],
    deployedSha: plan.to.sha,
    release: plan.to.release,
    health,
    ...(plan.from === undefined ? {} : definedOnly({ downtimeMs })),
  };
}

const NOTHING_RUNNING: RunningPrograms = { instances: [], programs: new Set() };

/** The new version did not prove itself: the old one is brought back, and proves itself in turn. Never throws. */
async function putBack(
  found: HostState,
  context: DeployContext,
  failed: {
    plan: Plan;
    stage: Stage;
    versions: Versions;
    problems: Problem[];
    probe: DowntimeProbe | undefined;
    /** Those of the other programs that run the new version, or may. */
    restarted: readonly OtherProgram[];
  },
): Promise<CutoverResult> {
  const { plan, stage, problems, probe, restarted } = failed;
  const { request, reporter } = context;
  const { state, supervisor, tools } = found;
  const started = performance.now();
  const result: CutoverResult = { outcome: 'put-back', problems };
  let [why] = problems;
  try {
    reporter.event({ kind: 'state', state: 'putting-back' });
    // What ran until now is only compared with; not to know it is no reason to leave the new version in place.
    const before = await supervisor.running(stage.port).catch(() => NOTHING_RUNNING);
    const { from } = plan;
    const left = found.strategy === 'in-place' ? found.live : stage.folder;
    if (from && left !== undefined) keepOpenPages({ ...found, live: left }, plan.to, from, reporter);
    const health = await reporter.step('put back', async () => {
      await takeBack(tools, plan);
      // A first deploy that failed has nothing to go back to: what it started is taken away again.
      if (from === undefined) {
        for (const { supervisor: other, entry } of restarted) if (entry === undefined) await other.remove();
        return stage.start === undefined ? undefined : supervisor.remove();
      }
      const revived = async (): Promise<HealthFact[]> => {
        await supervisor.restart({ state, ...definedOnly({ kept: plan.entry?.from }) });
        return verifyVersion(found, context, found.facts.port ?? stage.port, {
          sha: from.sha,
          before,
          versions: reversed(failed.versions),
          expectVersion: false,
          health: heldTo(request.health, found.liveHealth),
        });
      };
      return wasDown(found.liveHealth) ? revived().catch(stillDown(reporter)) : revived();
    });
    if (health) result.health = health;
    if (from !== undefined)
      await restartOthers({ found, sha: from.sha, health: request.health, reporter }, restarted);
  } catch (error) {
    [why] = problemsOf(error);
    result.outcome = 'broken';
    result.problems = [...problems, ...problemsOf(error), handWork(plan, supervisor)];
  }
  const unwritten = catchProblem(() => {
    const end = { ...(plan.from ?? plan.to), detail: reporter.clean(why?.message ?? '') };
    if (result.outcome === 'broken') return writeJournal(state, request.run, { event: 'broken', ...end });
    writeJournal(state, request.run, {
      event: 'put-back',
      ...end,
      app: request.app.appName,
      from: plan.to,
    });
    dropPlan(state);
    dropKeptEntry(plan, 'from');
  });
  // The plan stays then: the next run puts back once more, which changes nothing on the disk, and writes it down.
  warnUnwritten(reporter, unwritten);
  result.rollbackMs = Math.round(performance.now() - started);
  Object.assign(result, definedOnly({ downtimeMs: await probe?.stop() }));
  return result;
}

/** What was down before this deploy and is again is no failure of the put-back: it is told. */
function stillDown(reporter: Pick<Reporter, 'warn'>): (error: unknown) => undefined {
  return (error) => {
    const [problem] = problemsOf(error);
    reporter.warn({
      ...problem!,
      message: `The previous version is in place again, and down as it was before this deploy: ${problem!.message}`,
    });
    return undefined;
  };
}

/** What was done stands, though its end is missing on the disk: the plan is still there, and tells the next run. */
export function warnUnwritten(reporter: Pick<Reporter, 'warn'>, why: Problem | undefined): void {
  if (why === undefined) return;
  reporter.warn({
    message: `How this ended could not be written down on the server: ${why.message}`,
    next: 'Free some space there (df -h; df -i). The next run brings the same version in place once more, and writes it down.',
  });
}

/** What a person must do by hand after the old version could not be verified either. */
export function handWork(
  plan: Plan,
  { restartWords, keptEntryWords }: Pick<Supervisor, 'restartWords' | 'keptEntryWords'>,
): Problem {
  const to = plan.task === 'deploy' ? 'from' : 'to';
  const entry = plan.entry?.[to];
  return {
    message:
      'The old version could not be brought back and verified. These commands put it in place by hand:',
    next: manualCommands(plan, to, entry === undefined ? restartWords : keptEntryWords(entry)).join('\n'),
  };
}

import { given } from '../../base/given.js';
import { type HealthFact, type Problem, problemsOf } from '../../base/report.js';
import { tried } from '../../base/tried.js';
import { keepOpenPages } from '../build/output.js';
import type { Stage } from '../build/stage.js';
import type { DeployContext } from '../deploy-context.js';
import { type DowntimeProbe, probeDowntime } from '../host/downtime.js';
import { git } from '../host/git.js';
import type { RunResult } from '../protocol.js';
import { writeJournal } from '../record/journal.js';
import { dropPlan, type Plan, refuseOneAndTheSame, writePlan } from '../record/plan.js';
import { dropNote, dropRelease } from '../record/releases.js';
import type { Running, Versions } from '../supervisor/supervisor.js';
import type { Survey } from '../survey/survey.js';
import type { Teller } from '../teller.js';
import { noteReleases, planCutover } from './cutover-plan.js';
import { saveOrWarn } from './restart.js';
import { applyPlan, manualCommands, takeBack } from './switch.js';
import { holdTurnRoom } from './turn-room.js';
import { type VerifyOptions, verifyRestart } from './verify.js';
import { deployVersions, turned } from './version-marks.js';

export type CutoverResult = Pick<
  RunResult,
  'outcome' | 'problems' | 'deployedSha' | 'release' | 'downtimeMs' | 'rollbackMs' | 'health'
>;

/** A cutover of which everything is decided and written down, and nothing is switched yet. */
export interface ReadyCutover {
  found: Survey;
  stage: Stage;
  plan: Plan;
  /** What runs now, and by what the two versions can be told apart. */
  before: Running;
  versions: Versions;
}

/**
 * Writes down what the cutover will change: whatever cuts it later, the next run reads there what to undo. @throws where
 * that cannot be written, on a full disk say; nothing is switched then, and nothing of it is left.
 */
export async function writeCutover(
  found: Survey,
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
    await holdTurnRoom(found.tools, plan, folder);
    await noteReleases(found, stage, plan);
    writePlan(state, plan);
    writeJournal(state, request.run, {
      event: 'cutover',
      ...plan.to,
      ...given({ from: plan.from }),
    });
  } catch (error) {
    tried(() => dropPlan(state));
    tried(() => dropNote(state, stage.release));
    throw error;
  }
  return { found, stage, plan, before, versions };
}

/** The whole switch to a prepared stage; owns the outcome: the new version is verified, or the old one is put back. */
export async function cutOver(ready: ReadyCutover, context: DeployContext): Promise<CutoverResult> {
  const { found, stage, plan, before, versions } = ready;
  const { request, teller } = context;
  const { state, supervisor, tools } = found;
  teller.event({ kind: 'state', state: 'cutting-over' });
  const longer = supervisor.longerWait(found.entry, stage.bootMs, request.health.deadline);
  if (longer !== undefined) teller.progress(longer.words);
  const probe = probeDowntime(stage.port, request.health.budget, teller);
  let health: HealthFact[];
  try {
    await teller.step('cutover', async () => {
      await applyPlan(tools, plan);
      await supervisor.restart({
        state,
        entry: found.entry,
        ...given({ wait: longer?.ms, start: stage.start }),
      });
    });
    teller.event({ kind: 'state', state: 'verifying' });
    health = await teller.step('verification', () =>
      verifyVersion(found, context, stage.port, { sha: plan.to.sha, before, versions, expectVersion: true }),
    );
  } catch (error) {
    return putBack(found, context, { plan, stage, versions, problems: problemsOf(error), probe });
  }
  // Only what the new version does can take it back, not what is written or told about it.
  return settle(found, context, plan, health, probe);
}

async function verifyVersion(
  found: Survey,
  { request, teller }: DeployContext,
  port: number,
  version: Pick<VerifyOptions, 'sha' | 'before' | 'versions' | 'expectVersion'>,
): Promise<HealthFact[]> {
  return verifyRestart({
    supervisor: found.supervisor,
    port,
    ...version,
    health: request.health,
    tell: teller.progress,
    warn: teller.warn,
  });
}

async function settle(
  found: Survey,
  { request, teller }: DeployContext,
  plan: Plan,
  health: HealthFact[],
  probe: DowntimeProbe,
): Promise<CutoverResult> {
  const { state } = found;
  const record = (): void =>
    writeJournal(state, request.run, {
      event: 'verified',
      ...plan.to,
      app: request.app.appName,
      ...given({ from: plan.from }),
    });
  let unwritten = tried(record);
  // A plan that stays is undone by the next run, unless the journal says that all was well.
  const stays = tried(() => dropPlan(state));
  // Once more, with the room that the plan has had.
  if (unwritten) unwritten = tried(record);
  if (unwritten)
    teller.warn({
      message: `The new version is live and verified, but that could not be written down on the server: ${unwritten.message}`,
      next: 'Free some space there (df -h; df -i) and deploy again. To go back before that, say rollback-to: previous.',
    });
  if (stays) teller.warn({ message: `The plan of the cutover could not be deleted: ${stays.message}` });
  await saveOrWarn(
    found,
    teller,
    (command) =>
      `The new version runs and is verified; run "${command}" on the server so that it survives a reboot.`,
  );
  const downtimeMs = await probe.stop();
  return {
    outcome: 'deployed',
    problems: [],
    deployedSha: plan.to.sha,
    release: plan.to.release,
    health,
    ...(plan.from === undefined ? {} : { downtimeMs }),
  };
}

const NOTHING_RUNNING: Running = { instances: [], programs: new Set() };

/** The new version did not prove itself: the old one is brought back, and proves itself in turn. Never throws. */
async function putBack(
  found: Survey,
  context: DeployContext,
  failed: { plan: Plan; stage: Stage; versions: Versions; problems: Problem[]; probe: DowntimeProbe },
): Promise<CutoverResult> {
  const { plan, stage, problems, probe } = failed;
  const { request, teller } = context;
  const { state, supervisor, tools } = found;
  const started = performance.now();
  const result: CutoverResult = { outcome: 'put-back', problems };
  let [why] = problems;
  try {
    teller.event({ kind: 'state', state: 'putting-back' });
    // What ran until now is only compared with; not to know it is no reason to leave the new version in place.
    const before = await supervisor.running(stage.port).catch(() => NOTHING_RUNNING);
    const { from } = plan;
    const left = found.strategy === 'in-place' ? found.live : stage.folder;
    if (from && left !== undefined) keepOpenPages({ ...found, live: left }, plan.to, from, teller);
    const health = await teller.step('put back', async () => {
      await takeBack(tools, plan);
      // A first deploy that failed has nothing to go back to: what it started is taken away again.
      if (from === undefined) return stage.start === undefined ? undefined : supervisor.remove();
      await supervisor.restart({ state });
      return verifyVersion(found, context, stage.port, {
        sha: from.sha,
        before,
        versions: turned(failed.versions),
        expectVersion: false,
      });
    });
    if (health) result.health = health;
  } catch (error) {
    [why] = problemsOf(error);
    result.outcome = 'broken';
    result.problems = [...problems, ...problemsOf(error), handWork(plan, supervisor.restartWords)];
  }
  const unwritten = tried(() => {
    const end = { ...(plan.from ?? plan.to), detail: teller.clean(why?.message ?? '') };
    if (result.outcome === 'broken') return writeJournal(state, request.run, { event: 'broken', ...end });
    writeJournal(state, request.run, {
      event: 'put-back',
      ...end,
      app: request.app.appName,
      from: plan.to,
    });
    dropPlan(state);
  });
  // The plan stays then: the next run puts back once more, which changes nothing on the disk, and writes it down.
  warnUnwritten(teller, unwritten);
  result.rollbackMs = Math.round(performance.now() - started);
  result.downtimeMs = await probe.stop();
  return result;
}

/** What was done stands, though its end is missing on the disk: the plan is still there, and tells the next run. */
export function warnUnwritten(teller: Pick<Teller, 'warn'>, why: Problem | undefined): void {
  if (why === undefined) return;
  teller.warn({
    message: `How this ended could not be written down on the server: ${why.message}`,
    next: 'Free some space there (df -h; df -i). The next run brings the same version in place once more, and writes it down.',
  });
}

/** What a person must do by hand after the old version could not be verified either. */
export function handWork(plan: Plan, restartCommand: string): Problem {
  return {
    message:
      'The old version could not be brought back and verified. These commands put it in place by hand:',
    next: manualCommands(plan, plan.task === 'deploy' ? 'from' : 'to', restartCommand).join('\n'),
  };
}

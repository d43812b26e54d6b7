import { formatDuration } from '../../base/duration.js';
import { given } from '../../base/given.js';
import { type HealthFact, type Problem, problemsOf } from '../../base/report.js';
import { keepOpenPages } from '../build/output.js';
import type { Stage } from '../build/stage.js';
import type { DeployContext } from '../deploy.js';
import { type DowntimeProbe, probeDowntime } from '../host/downtime.js';
import { git } from '../host/git.js';
import { findEntry } from '../host/pm2.js';
import { call } from '../host/toolbox.js';
import type { RunResult } from '../protocol.js';
import { writeJournal } from '../record/journal.js';
import { dropPlan, type Plan, refuseOneAndTheSame, writePlan } from '../record/plan.js';
import { dropRelease } from '../record/releases.js';
import type { Survey } from '../survey/survey.js';
import { longerListenTimeout, noteReleases, planCutover } from './cutover-plan.js';
import { restart, restartWords, saveOrWarn } from './restart.js';
import { type Running, runningNow } from './restart-proof.js';
import { applyPlan, manualCommands, undoPlan } from './switch.js';
import { type VerifyOptions, verify } from './verify.js';
import { deployVersions, turned, type Versions } from './version-marks.js';

export type CutoverResult = Pick<
  RunResult,
  'outcome' | 'problems' | 'deployedSha' | 'release' | 'downtimeMs' | 'rollbackMs' | 'health'
>;

/** The whole switch to a prepared stage; owns the outcome: the new version is verified, or the old one is put back. */
export async function cutOver(found: Survey, stage: Stage, context: DeployContext): Promise<CutoverResult> {
  const { request, teller } = context;
  const { state, tools } = found;
  const plan = planCutover(found, stage, request);
  refuseOneAndTheSame(plan);
  if (plan.checkout)
    await git(found.checkout!, 'update-ref', `refs/deploys/${plan.checkout.fromSha}`, plan.checkout.fromSha);
  // The place of the checkout among the releases is taken by what the in-place deploy that made it left of its stage.
  if (plan.adopt) await dropRelease(found.checkout!, plan.adopt.release);
  await noteReleases(found, stage, plan);
  const listenTimeout = longerListenTimeout(found.entry, stage.bootMs, request.health.deadline);
  if (listenTimeout !== undefined) teller.progress(slowBoot(stage.bootMs!, listenTimeout));
  const versions = await deployVersions(found, stage, plan, request.health);
  const before = await running(found, stage.port);
  teller.event({ kind: 'state', state: 'cutting-over' });
  writePlan(state, plan);
  writeJournal(state, request.run, {
    event: 'cutover',
    ...plan.to,
    ...given({ from: plan.from }),
  });
  const probe = probeDowntime(stage.port, teller.warn);
  try {
    await teller.step('cutover', async () => {
      await applyPlan(tools, plan);
      await restart({
        tools,
        app: request.app,
        state,
        entry: found.entry,
        ...given({ listenTimeout, start: stage.start }),
      });
    });
    teller.event({ kind: 'state', state: 'verifying' });
    const health = await teller.step('verification', () =>
      verifyVersion(found, context, stage.port, { sha: plan.to.sha, before, versions, expectVersion: true }),
    );
    return await settle(found, context, plan, health, probe);
  } catch (error) {
    return await putBack(found, context, { plan, stage, versions, problems: problemsOf(error), probe });
  } finally {
    await probe.stop();
  }
}

function slowBoot(bootMs: number, listenTimeout: number): string {
  return `the new version took ${formatDuration(bootMs)} until it listened: PM2 waits up to ${formatDuration(listenTimeout)} for it from now on (listen_timeout)`;
}

async function running({ app, tools }: Survey, port: number): Promise<Running> {
  const entry = app.restartCommand === undefined ? await findEntry(tools, app.appName) : undefined;
  return runningNow(app, entry?.instances ?? [], port);
}

async function verifyVersion(
  found: Survey,
  { request, teller }: DeployContext,
  port: number,
  version: Pick<VerifyOptions, 'sha' | 'before' | 'versions' | 'expectVersion'>,
): Promise<HealthFact[]> {
  return verify({
    tools: found.tools,
    ...(request.app.restartCommand === undefined ? { appName: request.app.appName } : {}),
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
  writeJournal(state, request.run, {
    event: 'verified',
    ...plan.to,
    app: request.app.appName,
    ...given({ from: plan.from }),
  });
  dropPlan(state);
  await saveOrWarn(
    found,
    teller,
    'The new version runs and is verified; run "pm2 save" on the server so that it survives a reboot.',
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

/** The new version did not prove itself: the old one is brought back, and proves itself in turn. */
async function putBack(
  found: Survey,
  context: DeployContext,
  failed: { plan: Plan; stage: Stage; versions: Versions; problems: Problem[]; probe: DowntimeProbe },
): Promise<CutoverResult> {
  const { plan, stage, problems, probe } = failed;
  const { request, teller } = context;
  const { state, tools } = found;
  const started = performance.now();
  teller.event({ kind: 'state', state: 'putting-back' });
  const result: CutoverResult = { outcome: 'put-back', problems };
  try {
    const before = await running(found, stage.port);
    const { from } = plan;
    const left = found.strategy === 'in-place' ? found.live : stage.folder;
    if (from && left !== undefined) keepOpenPages({ ...found, live: left }, plan.to, from, teller);
    const health = await teller.step('put back', async () => {
      await undoPlan(tools, plan);
      if (from === undefined) return removeFirstStart(found, stage);
      await restart({ tools, app: request.app, state });
      return verifyVersion(found, context, stage.port, {
        sha: from.sha,
        before,
        versions: turned(failed.versions),
        expectVersion: false,
      });
    });
    if (health) result.health = health;
    writeJournal(state, request.run, {
      event: 'put-back',
      ...(plan.from ?? plan.to),
      app: request.app.appName,
      from: plan.to,
      detail: teller.clean(problems[0]?.message ?? ''),
    });
    dropPlan(state);
  } catch (error) {
    result.outcome = 'broken';
    result.problems = [...problems, ...problemsOf(error), handWork(plan, restartWords(request.app))];
    writeJournal(state, request.run, {
      event: 'broken',
      ...(plan.from ?? plan.to),
      detail: teller.clean(problemsOf(error)[0]!.message),
    });
  }
  result.rollbackMs = Math.round(performance.now() - started);
  result.downtimeMs = await probe.stop();
  return result;
}

/** A first deploy that failed has nothing to go back to: what it started is taken away again. */
async function removeFirstStart({ tools, app }: Survey, stage: Stage): Promise<undefined> {
  if (stage.start) await call(tools, ['pm2', 'delete', app.appName], { timeout: 30_000 });
}

/** What a person must do by hand after the old version could not be verified either. */
export function handWork(plan: Plan, restartCommand: string): Problem {
  return {
    message:
      'The old version could not be brought back and verified. These commands put it in place by hand:',
    next: manualCommands(plan, plan.task === 'deploy' ? 'from' : 'to', restartCommand).join('\n'),
  };
}

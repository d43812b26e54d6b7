import { definedOnly } from '../../lib/defined-only.js';
import { problemsOf } from '../../lib/report.js';
import { clearStages } from '../build/stage-marks.js';
import type { Toolbox } from '../host/toolbox.js';
import type { HostState } from '../host-state/host-state.js';
import type { AppRequest, HealthRequest, RunRequest } from '../protocol.js';
import type { Reporter } from '../run/reporter.js';
import { type JournalEntry, type ReleaseRef, readJournal, writeJournal } from '../state/journal.js';
import { dropKeptEntry, dropPlan, type Plan, readPlan } from '../state/plan.js';
import type { StateFolder } from '../state/state-folder.js';
import type { RunningPrograms, Supervisor } from '../supervisor/supervisor.js';
import { restartOthers } from './other-programs.js';
import { saveOrWarn, withPm2Lock } from './restart.js';
import { bringInPlace, takeBack } from './switch.js';
import { verifyRestart } from './verify.js';
import { cutVersions } from './version-marks.js';

/** What to do about a plan that a cut run left: a deploy is undone, a rollback is finished. */
function decideRepair(plan: Plan, journal: readonly JournalEntry[]): 'finished' | 'undo' | 'finish' {
  const last = journal[journal.length - 1];
  const reached =
    last?.event === 'verified' || last?.event === 'rolled-back'
      ? plan.to
      : last?.event === 'put-back'
        ? plan.from
        : undefined;
  // The run had settled everything, and was cut before it could delete its plan.
  if (last !== undefined && last.run.id === plan.run.id && last.release === reached?.release)
    return 'finished';
  return plan.task === 'deploy' ? 'undo' : 'finish';
}

export interface RepairOptions {
  tools: Toolbox;
  supervisor: Supervisor;
  others: HostState['others'];
  state: StateFolder;
  app: AppRequest;
  run: RunRequest;
  health: HealthRequest;
  port: number | undefined;
  /** Milliseconds. */
  lockWait: number;
  reporter: Reporter;
  signal: AbortSignal;
}

/**
 * Brings back order after a run that was cut, before anything new begins. Says what it found and did.
 * True where the live application may be another one now than before.
 */
export async function repair(options: RepairOptions): Promise<boolean> {
  const { state, reporter } = options;
  const plan = readPlan(state);
  if (!plan) {
    clearStages(options);
    return false;
  }
  const what = decideRepair(plan, readJournal(state));
  if (what === 'finished') {
    dropPlan(state);
    return false;
  }
  await withPm2Lock(options, () =>
    reporter.step(
      'repair',
      () => repairPlan(plan, what, options),
      (live) => `run ${plan.run.id} was cut; ${live?.sha.slice(0, 12) ?? 'nothing'} is in place`,
    ),
  );
  return true;
}

async function repairPlan(
  plan: Plan,
  what: 'undo' | 'finish',
  options: RepairOptions,
): Promise<ReleaseRef | undefined> {
  const { tools, supervisor, state, reporter } = options;
  const live = what === 'undo' ? plan.from : plan.to;
  const before = await supervisor.running(options.port);
  if (what === 'undo') await takeBack(tools, plan);
  else await bringInPlace(tools, plan);
  reporter.warn({ message: whatWasRepaired(plan, what, readJournal(state).at(-1)) });
  if (live) await revive(plan, live, before, options);
  dropPlan(state);
  return live;
}

/** A run that was cut, and one that came to its end without a version that answers, are told apart. */
function whatWasRepaired(plan: Plan, what: 'undo' | 'finish', last: JournalEntry | undefined): string {
  const work = plan.task === 'deploy' ? 'cutover' : 'rollback';
  const ended =
    last?.event === 'broken' && last.run.id === plan.run.id
      ? `Run ${plan.run.id} could not bring any version to answer in its ${work}`
      : `Run ${plan.run.id} was cut in the middle of its ${work}`;
  return `${ended}; it was ${what === 'undo' ? 'undone' : 'finished'} before anything else.`;
}

/** Restarts what is in place again and asks it. Where it does not answer a new deploy may cure it: told, not thrown. */
async function revive(
  plan: Plan,
  live: ReleaseRef,
  before: RunningPrograms,
  { supervisor, others, state, app, run, health, port, reporter }: RepairOptions,
): Promise<void> {
  const from = plan.task === 'rollback' && plan.from ? { from: plan.from } : {};
  try {
    const kept = live === plan.to ? plan.entry?.to : plan.entry?.from;
    await supervisor.restart({ state, ...definedOnly({ kept }) });
    if (port !== undefined)
      await verifyRestart({
        supervisor,
        port,
        sha: live.sha,
        health,
        expectVersion: false,
        before,
        versions: cutVersions({ to: live, from: live === plan.to ? plan.from : plan.to }),
        warn: reporter.warn,
      });
    // Which of them run the other version nobody wrote down.
    await restartOthers({ found: { others, state }, sha: live.sha, health, reporter });
    writeJournal(state, run, {
      event: plan.task === 'deploy' ? 'repaired' : 'rolled-back',
      ...live,
      ...from,
      app: app.appName,
    });
    await saveOrWarn({ supervisor }, reporter);
    dropKeptEntry(plan, live === plan.to ? 'to' : 'from');
  } catch (error) {
    const [problem] = problemsOf(error);
    reporter.warn({ ...problem!, message: `${live.sha} is in place again, but: ${problem!.message}` });
    writeJournal(state, run, { event: 'broken', ...live, detail: reporter.clean(problem!.message) });
  }
}

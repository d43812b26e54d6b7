import { join } from 'node:path';
import { catchProblem } from '../../lib/catch-problem.js';
import { Cancelled, Failure, type Problem, problemsOf } from '../../lib/report.js';
import { sealer } from '../../lib/seal.js';
import { type StopClock, stopClock } from '../../lib/stop-clock.js';
import { freeReserve, holdReserve, refuseFullDisk, withAdvice } from '../host/disk-reserve.js';
import { removePath } from '../host/files.js';
import { holderWords, noteWaiting, withLock } from '../host/lock.js';
import { countedIn } from '../host/loopback-health.js';
import type { DeployRequest, RollbackRequest, RunResult } from '../protocol.js';
import { refuseOtherFormats } from '../state/record-formats.js';
import { claimRun, isCancelled, type RunFolder, runFolderOf } from '../state/run-folder.js';
import { locateStateFolder, openStateFolder, type StateFolder } from '../state/state-folder.js';
import { deployOnHost } from './deploy.js';
import { hold } from './hold.js';
import { pruneRuns } from './prune-runs.js';
import { emptyResult, openReporter, type Reporter } from './reporter.js';
import { rollBack } from './rollback.js';

/** Milliseconds between two looks for a cancel. */
const BETWEEN_LOOKS = 200;

/**
 * A deploy or rollback from its beginning to its result. It runs detached: its only reader is `follow`, and it
 * always ends with an `ended` event, whatever happens. Only where not even that can be written, because the disk is full
 * and its reserve is used up, `follow` sees that it is gone. @throws where it cannot begin: no room, no right to write.
 */
export async function longRun(
  asked: DeployRequest | RollbackRequest,
  key: Buffer,
  env: NodeJS.ProcessEnv,
): Promise<void> {
  const opened = refuseFullDisk(asked.app.appPath, () => openRun(asked, key, env));
  if (!opened) return;
  const { state, folder, reporter } = opened;
  const request = { ...asked, health: countedIn(state.requests, asked.health) };
  reporter.event({ kind: 'started', pid: process.pid, at: Date.now() });
  let result: RunResult;
  try {
    result = await lockedRun(request, env, state, folder, reporter);
  } catch (error) {
    const outcome = error instanceof Cancelled ? 'cancelled' : 'failed';
    result = { ...emptyResult(outcome, reporter.warnings), problems: problemsOf(error) };
  }
  const stays = request.command === 'deploy' ? dropPackedBuild(request) : undefined;
  if (stays) reporter.warn(stays);
  reporter.end({ ...result, problems: result.problems.map(withAdvice) });
  reporter.close();
  catchProblem(freeReserve);
}

/** Makes the run's folder, with its reserve. undefined: the run is under way or has ended already. */
function openRun(
  { app, run, command }: DeployRequest | RollbackRequest,
  key: Buffer,
  env: NodeJS.ProcessEnv,
): { state: StateFolder; folder: RunFolder; reporter: Reporter } | undefined {
  const home = env.HOME ?? '/';
  refuseOtherFormats(locateStateFolder(app.appPath, home));
  const state = openStateFolder(app.appPath, home);
  pruneRuns(state, runFolderOf(state, run, command));
  const claimed = claimRun(state, run, command, key);
  if (!claimed) return undefined;
  const { folder, told } = claimed;
  holdReserve(join(folder.reserve, 'records'));
  return { state, folder, reporter: openReporter(folder, sealer(key, told)) };
}

/** Why the packed build still lies on the server, where it does. It is deleted a day later then. */
function dropPackedBuild({ packedBuild }: DeployRequest): Problem | undefined {
  const why = packedBuild === undefined ? undefined : catchProblem(() => removePath(packedBuild));
  return why && { message: `The packed build could not be deleted on the server: ${why.message}` };
}

async function lockedRun(
  request: DeployRequest | RollbackRequest,
  env: NodeJS.ProcessEnv,
  state: StateFolder,
  folder: RunFolder,
  reporter: Reporter,
): Promise<RunResult> {
  const stop = stopper(() => isCancelled(state, request.run, folder), request.timeout);
  try {
    stop.check();
    return await withLock(
      state,
      request.run,
      {
        wait: request.lockWait,
        signal: stop.signal,
        onWaiting(holder) {
          reporter.event({ kind: 'state', state: 'waiting-for-lock' });
          reporter.progress(`waiting for ${holderWords(holder)} to finish`);
        },
      },
      () => {
        stop.check();
        stop.clock.resume();
        const shared = { env, reporter, signal: stop.signal, commit: stop.commit };
        return request.command === 'deploy'
          ? deployOnHost({
              ...shared,
              request,
              folder,
              hold: (at, live) =>
                hold(at, {
                  ...shared,
                  request,
                  folder,
                  live,
                  clock: stop.clock,
                  tell: (waits) => noteWaiting(state, waits),
                }),
            })
          : rollBack({ ...shared, request, folder });
      },
    );
  } catch (error) {
    throw error instanceof Cancelled && stop.late() ? lateFailure(request.timeout) : error;
  } finally {
    stop.close();
  }
}

function lateFailure(timeout: number): Failure {
  return new Failure({
    message: `The deploy was not prepared within ${Math.round(timeout / 1_000)} s and was stopped. The live version was not touched.`,
    next: 'Raise deploy-timeout, or see in the output what takes so long.',
  });
}

interface Stopper {
  signal: AbortSignal;
  /** Looks whether it was cancelled. @throws Cancelled */
  check(): void;
  /** The time of the run. */
  clock: StopClock;
  commit(): void;
  /** True where the time was over, and nobody cancelled. */
  late(): boolean;
  close(): void;
}

/** Ends the run on a cancel, on SIGTERM and when its time is over; none of them once the cutover has begun. */
function stopper(cancelled: () => boolean, timeout: number): Stopper {
  const controller = new AbortController();
  let committed = false;
  let late = false;
  const stop = (): void => {
    if (!committed) controller.abort();
  };
  const look = (): void => {
    if (cancelled()) stop();
  };
  const check = (): void => {
    look();
    if (controller.signal.aborted) throw new Cancelled();
  };
  const watch = setInterval(look, BETWEEN_LOOKS);
  const clock = stopClock(timeout, () => {
    late = !committed && !controller.signal.aborted;
    stop();
  });
  // The connection that started the worker may go: that is no reason to stop.
  process.on('SIGHUP', () => {});
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  return {
    signal: controller.signal,
    check,
    clock,
    commit() {
      check();
      committed = true;
    },
    late: () => late,
    close() {
      clearInterval(watch);
      clock.pause();
    },
  };
}

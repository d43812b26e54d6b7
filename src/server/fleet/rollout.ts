import { definedOnly } from '../../lib/defined-only.js';
import type { Log } from '../../lib/log.js';
import { Cancelled, type HostFact, type Problem, problemsOf, type Step } from '../../lib/report.js';
import { pause } from '../../lib/retry.js';
import { whenAborted } from '../../lib/when-aborted.js';
import type { DeployRequest, RollbackRequest, RunResult } from '../../worker/protocol.js';
import { onHost, sendSignal, WorkerDied } from '../worker-client.js';
import type { Fleet, Host } from './fleet.js';
import { type Audience, factOfError, hostFact, runWorker } from './run-worker.js';
import { broughtByRun, findWhatServes, servedFact, servedWords } from './what-serves.js';

/** How a deploy went on one host. */
export interface HostEnd {
  host: Host;
  fact: HostFact;
  problems: Problem[];
  result?: RunResult;
  /** The worker is gone for certain, so nothing of this run is at work there any more. */
  died?: boolean;
}

export interface RolloutPlan {
  request: DeployRequest;
  /** Undoes on one host what the deploy did there. */
  undo: RollbackRequest;
  /** What each host alone is told, in their order: where its packed build lies, and the token where it needs that. */
  own: readonly Pick<DeployRequest, 'packedBuild' | 'fetchAccess'>[];
  /** Hosts that cut over at the same time, after the first alone. */
  maxParallel: number;
  signal: AbortSignal;
}

/** A deploy under way on one host. */
interface RunningDeploy {
  host: Host;
  /** Resolves when the host waits for its cutover, or has ended without one. */
  ready: Promise<void>;
  end: Promise<HostEnd>;
  ended?: HostEnd;
  /** It was let go, so a cancel comes too late for it. */
  gone: boolean;
  /** It was told to stop. */
  stopping: boolean;
  /** Its cutover has begun: from here on it finishes, and no word of ours stops it. */
  cuttingOver: boolean;
}

/** Good ends let the other hosts go on; after any other, no further host is changed. */
export function isGoodEnd(end: HostEnd): boolean {
  return (
    end.fact.outcome === 'deployed' ||
    (end.fact.outcome === 'unchanged' && end.result?.outcome !== 'cancelled')
  );
}

/**
 * Brings all hosts to one commit or none. Everything that can fail is done on all of them first; then the first
 * host alone cuts over, and the others after it. Where one fails, those that have cut over are put back.
 * Resolves with one end per host, in their order, whatever happened there; rejects with Cancelled only where a
 * person cancelled before anything was started.
 */
export async function rollOut(fleet: Fleet, plan: RolloutPlan, audience: Audience): Promise<HostEnd[]> {
  if (plan.signal.aborted) throw new Cancelled();
  const several = fleet.hosts.length > 1;
  const request: DeployRequest = { ...plan.request, cutover: several ? 'on-go' : 'at-once' };
  const running = fleet.hosts.map((host, index) =>
    startHost(fleet, host, { ...request, ...plan.own[index] }, audience),
  );
  const stop = (why: string): Promise<void> => stopAll(fleet, running, request, audience, why);
  const listenNoMore = whenAborted(plan.signal, () => void stop('cancelled'));
  try {
    if (several) await cutOverHosts(fleet, running, request, plan, audience, stop);
    const ends = superseded(await Promise.all(running.map((run) => run.end)));
    return ends.every((end) => isGoodEnd(end)) ? [...ends] : await putHostsBack(fleet, ends, plan, audience);
  } finally {
    listenNoMore();
  }
}

/** Where a newer run is live on one host, the others were stopped for that reason and are called so. Pure. */
export function superseded(ends: readonly HostEnd[]): readonly HostEnd[] {
  if (!ends.some((end) => end.fact.outcome === 'skipped')) return ends;
  return ends.map((end) =>
    end.result?.outcome === 'cancelled' ? { ...end, fact: { ...end.fact, outcome: 'skipped' } } : end,
  );
}

function startHost(fleet: Fleet, host: Host, request: DeployRequest, audience: Audience): RunningDeploy {
  let prepared = (): void => {};
  const reached = new Promise<void>((resolve) => {
    prepared = resolve;
  });
  const own: Audience = {
    log: audience.log,
    record: {
      // What a host was doing when it was told to stop did not fail.
      add: (step) =>
        audience.record.add(
          run.stopping && !run.cuttingOver && step.outcome === 'failed' ? stopped(step) : step,
        ),
    },
    onState: (state) => {
      if (state === 'prepared') prepared();
      if (state === 'cutting-over') run.cuttingOver = true;
    },
  };
  const run: RunningDeploy = {
    host,
    gone: false,
    stopping: false,
    cuttingOver: false,
    ready: reached,
    end: work(),
  };
  async function work(): Promise<HostEnd> {
    const found = await hostEndOf(fleet, host, request, own);
    // Being stopped on our own word is nothing to complain about.
    const end = run.stopping && found.result?.outcome === 'cancelled' ? { ...found, problems: [] } : found;
    run.ended = end;
    prepared();
    return end;
  }
  return run;
}

function stopped(step: Step): Step {
  return { ...step, outcome: 'skipped', detail: 'stopped' };
}

async function hostEndOf(
  fleet: Fleet,
  host: Host,
  request: DeployRequest,
  audience: Audience,
): Promise<HostEnd> {
  try {
    const waiting = request.timeout * fleet.hosts.length;
    const result = await runWorker(fleet, host, request, audience, waiting);
    const problems = result.problems.map((problem) => onHost(host, problem));
    return { host, result, problems, fact: hostFact(host.position, result) };
  } catch (error) {
    const died = error instanceof WorkerDied;
    const served = died ? await findWhatServes(fleet, host, request) : undefined;
    const end: HostEnd = {
      host,
      died,
      problems: problemsOf(error),
      fact: factOfError(host.position, error),
    };
    if (!served || !broughtByRun(served, request.sha, request.run.id)) return end;
    // It had done its work, and could not say so.
    audience.log({ kind: 'warning', problem: end.problems[0]! });
    const { detail: _, ...fact } = end.fact;
    return {
      ...end,
      died: false,
      problems: [],
      fact: { ...fact, outcome: 'deployed', ...servedFact(served) },
    };
  }
}

/** Waits for all hosts to be prepared, then lets one go, then the rest. Stops all that still can at the first bad end. */
async function cutOverHosts(
  fleet: Fleet,
  running: RunningDeploy[],
  request: DeployRequest,
  plan: RolloutPlan,
  audience: Audience,
  stop: (why: string) => Promise<void>,
): Promise<void> {
  const halted = (): boolean =>
    plan.signal.aborted || running.some((run) => run.ended !== undefined && !isGoodEnd(run.ended));
  let told = false;
  for (const run of running) {
    void run.end.then(async (end) => {
      if (isGoodEnd(end) || told) return;
      told = true;
      await stop(`${end.host.name} did not succeed`);
    });
  }
  await Promise.all(running.map((run) => run.ready));
  const waiting = running.filter((run) => run.ended === undefined);
  const go = async (run: RunningDeploy): Promise<void> => {
    if (halted() || run.ended) return;
    run.gone = true;
    audience.log({ kind: 'progress', text: `${run.host.name} cuts over` });
    try {
      const answer = await sendSignal(fleet, run.host, 'go', request);
      if (!answer.accepted) audience.log({ kind: 'debug', text: `${run.host.name}: ${answer.detail}` });
    } catch (error) {
      // Whether it took the word or gave up meanwhile is told by its end.
      audience.log({ kind: 'debug', text: problemsOf(error)[0]!.message });
    }
    await run.end;
  };
  const [canary, ...rest] = waiting;
  if (canary) await go(canary);
  const next = async (): Promise<void> => {
    for (let run = rest.shift(); run; run = rest.shift()) await go(run);
  };
  await Promise.all(Array.from({ length: plan.maxParallel }, next));
}

/** Milliseconds between two tries to stop a run. */
const BETWEEN_WORDS = 1_000;

/** Stops every run that has not been let go; one that cuts over already finishes by itself. */
async function stopAll(
  fleet: Fleet,
  running: readonly RunningDeploy[],
  request: DeployRequest,
  { log }: Audience,
  why: string,
): Promise<void> {
  await Promise.all(
    running.map(async (run) => {
      if (run.ended || run.gone) return;
      run.stopping = true;
      const told = await tellToStop(fleet, run, request, log);
      const text = told
        ? `was told to stop: ${why}`
        : 'cuts over already: it finishes, and verifies or puts back by itself';
      // How a run ended is told by its steps, and the word of it may come after the last line of the log.
      if (!run.ended) log({ kind: 'progress', text: `${run.host.name} ${text}` });
    }),
  );
}

/**
 * Tells a run to stop, again and again until it takes the word, ends or cuts over; false without the word. One that is
 * just being started is not known yet, a server may be out of reach for a while, and a run that does not hear that it is
 * to stop would wait for its cutover as long as it is followed.
 */
async function tellToStop(
  fleet: Fleet,
  run: RunningDeploy,
  request: DeployRequest,
  log: Log,
): Promise<boolean> {
  let lost = false;
  while (!run.ended && !run.cuttingOver) {
    try {
      const { accepted } = await sendSignal(fleet, run.host, 'cancel', request);
      if (accepted) return true;
    } catch (error) {
      const { message } = problemsOf(error)[0]!;
      if (!lost)
        log({ kind: 'progress', text: `${run.host.name} could not be told to stop yet: ${message}` });
      lost = true;
    }
    await pause(BETWEEN_WORDS);
  }
  return false;
}

/**
 * Undoes the cutover on the hosts that did succeed, and on those whose worker died on the way. A host that is only
 * out of reach is left alone: its worker may be bringing the deploy to a good end.
 */
async function putHostsBack(
  fleet: Fleet,
  ends: readonly HostEnd[],
  plan: RolloutPlan,
  audience: Audience,
): Promise<HostEnd[]> {
  return Promise.all(
    ends.map(async (end) => {
      if (end.fact.outcome !== 'deployed' && !end.died) return end;
      audience.log({ kind: 'progress', text: `${end.host.name} is put back` });
      const started = Date.now();
      try {
        const result = await runWorker(fleet, end.host, plan.undo, audience);
        return afterUndo(end, result, Date.now() - started);
      } catch (error) {
        const served = end.died ? await findWhatServes(fleet, end.host, plan.undo) : undefined;
        return {
          ...end,
          fact: {
            ...factOfError(end.host.position, error, 'rollback-failed'),
            ...(served ? servedFact(served) : {}),
          },
          problems: [
            ...end.problems,
            ...(served ? [servedWords(end.host, served)] : []),
            ...problemsOf(error),
          ],
        };
      }
    }),
  );
}

/** What a host's end is called once it was put back. Pure. */
export function afterUndo(end: HostEnd, undone: RunResult, milliseconds: number): HostEnd {
  const { detail: _first, ...before } = end.fact;
  const live = undone.deployedSha ?? before['previous-sha'];
  const fact: HostFact = {
    ...before,
    ...definedOnly({ 'deployed-sha': live, release: undone.release }),
    outcome: outcomeAfterUndo(undone),
    'rollback-ms': undone.rollbackMs ?? milliseconds,
  };
  return {
    ...end,
    result: undone,
    fact,
    problems: [...end.problems, ...undone.problems.map((p) => onHost(end.host, p))],
  };
}

function outcomeAfterUndo(undone: RunResult): HostFact['outcome'] {
  // Nothing to undo: the run had died before its cutover, and the old version serves.
  if (undone.outcome === 'unchanged') return 'failed';
  return undone.outcome === 'rolled-back' ? 'rolled-back' : 'rollback-failed';
}

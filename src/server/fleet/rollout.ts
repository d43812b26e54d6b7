import { definedOnly } from '../../lib/defined-only.js';
import type { Log } from '../../lib/log.js';
import { Cancelled, Failure, type HostFact, type Problem, problemsOf, type Step } from '../../lib/report.js';
import { pause } from '../../lib/retry.js';
import { whenAborted } from '../../lib/when-aborted.js';
import type { DeployRequest, RollbackRequest, RunResult } from '../../worker/protocol.js';
import { onHost, sendSignal, WorkerDied } from '../worker-client.js';
import type { Fleet, Host } from './fleet.js';
import {
  type Audience,
  factOfError,
  hostFact,
  type LiveLook,
  type RunState,
  runWorker,
} from './run-worker.js';
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
  own: readonly Pick<DeployRequest, 'packedBuild' | 'fetchAccess' | 'backup'>[];
  /** Hosts that cut over at the same time, after the first alone. */
  maxParallel: number;
  signal: AbortSignal;
  /** Told how the live version of a host is, before the database is changed and from then on. */
  onLive?: (host: Host, look: LiveLook) => void;
}

/** A deploy under way on one host. */
interface RunningDeploy {
  host: Host;
  state?: RunState;
  /** Resolves with the next answer of the live version there that came before the database was changed. */
  baseline: ReturnType<typeof reached>;
  /** Resolves when the host waits for a word, cuts over, or has ended without. */
  prepared: Promise<void>;
  /** Resolves when the host waits for its cutover, cuts over, or has ended without. */
  rehearsed: Promise<void>;
  end: Promise<HostEnd>;
  ended?: HostEnd;
  /** It was let go, so a cancel comes too late for it. */
  gone: boolean;
  /** It was told to stop. */
  stopping: boolean;
  /** Its cutover has begun: from here on it finishes, and no word of ours stops it. */
  cuttingOver: boolean;
}

/** Where the steps of all hosts are told. */
type StepRecord = Audience['record'];

/**
 * One deploy of all hosts, in parts: the caller does between them what needs every host prepared. Each part is called
 * once, in this order; `stop` at any time.
 */
export interface Rollout {
  /**
   * Resolves when no host is building any more: true where all wait (or cut over, or had nothing to do), false where one
   * will not, and the others were told to stop for that.
   */
  prepared(): Promise<boolean>;
  /**
   * Asks every host, on a connection that is there, whether it still waits, and what its live version answers now.
   * @throws a Failure where one does not
   */
  confirm(): Promise<void>;
  /** Fires when a host can no longer be counted on. */
  readonly broken: AbortSignal;
  /** Lets the hosts go on to their rehearsal that wait for that; the database is as the new version needs it. */
  rehearse(): void;
  /** True where a host did not end well, or the run is cancelled: no further host is changed. */
  halted(): boolean;
  /** Resolves when no host rehearses any more; steps told from now on belong to `record`. */
  rehearsed(record: StepRecord): Promise<void>;
  /**
   * Lets the first host cut over alone, and the others after it. Where one fails, those that have cut over are put back.
   * Resolves with one end per host, in their order, whatever happened there.
   */
  cutOver(record: StepRecord): Promise<HostEnd[]>;
  /** Stops every host that has not been let go; resolves as `cutOver` does. */
  stop(why: string): Promise<HostEnd[]>;
}

/** Good ends let the other hosts go on; after any other, no further host is changed. */
export function isGoodEnd(end: HostEnd): boolean {
  return (
    end.fact.outcome === 'deployed' ||
    (end.fact.outcome === 'unchanged' && end.result?.outcome !== 'cancelled')
  );
}

/**
 * Starts the deploy on all hosts. Everything that can fail is done on all of them first.
 * @throws Cancelled where a person cancelled before anything was started.
 */
export function beginRollout(fleet: Fleet, plan: RolloutPlan, { log, record }: Audience): Rollout {
  if (plan.signal.aborted) throw new Cancelled();
  const several = fleet.hosts.length > 1;
  const request: DeployRequest = { ...plan.request, ...(several ? {} : { goesAlone: true }) };
  const steps = stepsByPhase(record);
  const audience: Audience = { log, record: steps };
  const running = fleet.hosts.map((host, index) =>
    startHost(fleet, host, { ...request, ...plan.own[index] }, plan, { log, steps }),
  );
  const stop = (why: string): Promise<void> => stopAll(fleet, running, request, log, why);
  const listenNoMore = whenAborted(plan.signal, () => void stop('cancelled'));
  const broken = new AbortController();
  for (const run of running)
    void run.end.then((end) => {
      if (isGoodEnd(end) || broken.signal.aborted) return;
      broken.abort();
      void stop(`${end.host.name} did not succeed`);
    });
  const halted = (): boolean =>
    plan.signal.aborted || running.some((run) => run.ended !== undefined && !isGoodEnd(run.ended));
  let ended: Promise<HostEnd[]> | undefined;
  const finish = (): Promise<HostEnd[]> => {
    ended ??= (async () => {
      const ends = superseded(await Promise.all(running.map((run) => run.end)));
      listenNoMore();
      return ends.every(isGoodEnd) ? [...ends] : putHostsBack(fleet, ends, plan, audience);
    })();
    return ended;
  };
  return {
    broken: broken.signal,
    halted,
    async prepared() {
      await Promise.all(running.map((run) => run.prepared));
      if (halted()) return false;
      steps.close();
      return true;
    },
    async confirm() {
      const problems = await Promise.all(running.map((run) => absence(fleet, run, request)));
      if (problems.some((found) => found.length > 0)) throw new Failure(problems.flat());
    },
    rehearse() {
      for (const run of running)
        if (awaitsDatabase(run))
          void tell(fleet, run, 'rehearse', request, log, () => awaitsDatabase(run) && !halted());
    },
    async rehearsed(into) {
      steps.open(into);
      await Promise.all(running.map((run) => run.rehearsed));
    },
    async cutOver(into) {
      await this.rehearsed(into);
      if (request.cutover !== 'at-once') await letGo(fleet, running, request, plan, log, halted);
      return finish();
    },
    async stop(why) {
      await stop(why);
      return finish();
    },
  };
}

/** Passes steps on to the phase that is open; those told between two phases belong to the next. */
function stepsByPhase(first: StepRecord): StepRecord & {
  /** A step of a host that is prepared: it belongs to the phase after the open one. */
  later(step: Step): void;
  close(): void;
  open(record: StepRecord): void;
} {
  let current: StepRecord | undefined = first;
  let cuttingOver = false;
  const waiting: Step[] = [];
  return {
    add(step) {
      if (current) current.add(step);
      else waiting.push(step);
    },
    later(step) {
      if (cuttingOver) current?.add(step);
      else waiting.push(step);
    },
    close() {
      current = undefined;
    },
    open(record) {
      current = record;
      cuttingOver = true;
      for (const step of waiting.splice(0)) record.add(step);
    },
  };
}

/** Milliseconds that the live version of a host is waited for; it has five seconds there. */
const BASELINE = 8_000;

/** Why a host cannot be counted on; empty where it waits, or had nothing to do. */
async function absence(fleet: Fleet, run: RunningDeploy, request: DeployRequest): Promise<Problem[]> {
  const { host } = run;
  if (run.ended) return isGoodEnd(run.ended) ? [] : [notWaiting(host), ...run.ended.problems];
  try {
    run.baseline = reached();
    const { accepted } = await sendSignal(fleet, host, request.looksAtLive ? 'look' : 'ask', request);
    if (accepted && awaitsDatabase(run) && request.looksAtLive)
      await Promise.race([run.baseline.promise, run.end, pause(BASELINE)]);
    if (run.ended) return absence(fleet, run, request);
    return accepted && isWaiting(run) ? [] : [notWaiting(host)];
  } catch (error) {
    return [notWaiting(host), ...problemsOf(error)];
  }
}

function isWaiting(run: RunningDeploy): boolean {
  return awaitsDatabase(run) || run.state === 'rehearsed';
}

/** It waits for the database to be changed. */
function awaitsDatabase({ state }: RunningDeploy): boolean {
  return state === 'installed' || state === 'built';
}

function notWaiting({ name }: Host): Problem {
  return {
    message: `${name} no longer waits with its prepared version, so nothing is written to the database`,
    next: 'Start the workflow again.',
  };
}

/** Where a newer run is live on one host, the others were stopped for that reason and are called so. Pure. */
export function superseded(ends: readonly HostEnd[]): readonly HostEnd[] {
  if (!ends.some((end) => end.fact.outcome === 'skipped')) return ends;
  return ends.map((end) =>
    end.result?.outcome === 'cancelled' ? { ...end, fact: { ...end.fact, outcome: 'skipped' } } : end,
  );
}

function startHost(
  fleet: Fleet,
  host: Host,
  request: DeployRequest,
  plan: RolloutPlan,
  { log, steps }: { log: Log; steps: ReturnType<typeof stepsByPhase> },
): RunningDeploy {
  const prepared = reached();
  const rehearsed = reached();
  let waits = false;
  const own: Audience = {
    log,
    record: {
      add: (told) => {
        // What a host was doing when it was told to stop did not fail.
        const step = run.stopping && !run.cuttingOver && told.outcome === 'failed' ? stopped(told) : told;
        if (waits) steps.later(step);
        else steps.add(step);
      },
    },
    onLive: (look) => {
      if (look.after === undefined) run.baseline.now();
      plan.onLive?.(host, look);
    },
    onState: (state) => {
      run.state = state;
      if (isWaiting(run)) void keepHeard(fleet, run, request);
      run.cuttingOver ||= state === 'cutting-over';
      if (!isWaiting(run) && state !== 'cutting-over') return;
      waits = true;
      prepared.now();
      if (!awaitsDatabase(run)) rehearsed.now();
    },
  };
  const run: RunningDeploy = {
    host,
    gone: false,
    stopping: false,
    cuttingOver: false,
    baseline: reached(),
    prepared: prepared.promise,
    rehearsed: rehearsed.promise,
    end: work(),
  };
  async function work(): Promise<HostEnd> {
    const found = await hostEndOf(fleet, host, request, own);
    // Being stopped on our own word is nothing to complain about.
    const end = run.stopping && found.result?.outcome === 'cancelled' ? { ...found, problems: [] } : found;
    run.ended = end;
    prepared.now();
    rehearsed.now();
    return end;
  }
  return run;
}

/** How often in its lease a host that waits hears of us. */
const WORDS_A_LEASE = 4;

/**
 * Lets a host know, for as long as it waits in this state, that the action is there: that it streams tells it nothing,
 * for it notices late that a connection leads nowhere.
 */
async function keepHeard(fleet: Fleet, run: RunningDeploy, request: DeployRequest): Promise<void> {
  const { state } = run;
  const over = new AbortController();
  void run.end.then(() => over.abort());
  const waits = (): boolean => run.state === state && !over.signal.aborted;
  while (waits()) {
    try {
      await pause(request.goLease / WORDS_A_LEASE, over.signal);
      if (waits()) await sendSignal(fleet, run.host, 'ask', request);
    } catch {
      // A server that is out of reach is told by those who follow it.
    }
  }
}

function reached(): { promise: Promise<void>; now: () => void } {
  let now = (): void => {};
  const promise = new Promise<void>((resolve) => {
    now = resolve;
  });
  return { promise, now };
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
    const result = await runWorker(fleet, host, request, audience);
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

/** Lets one of the waiting hosts go, then the rest, until one has not ended well. */
async function letGo(
  fleet: Fleet,
  running: readonly RunningDeploy[],
  request: DeployRequest,
  plan: RolloutPlan,
  log: Log,
  halted: () => boolean,
): Promise<void> {
  const go = async (run: RunningDeploy): Promise<void> => {
    if (halted() || run.ended) return;
    run.gone = true;
    log({ kind: 'progress', text: `${run.host.name} cuts over` });
    await tell(fleet, run, 'go', request, log, () => !run.cuttingOver);
    await run.end;
  };
  const [canary, ...rest] = running.filter((run) => run.ended === undefined);
  if (canary) await go(canary);
  const next = async (): Promise<void> => {
    for (let run = rest.shift(); run; run = rest.shift()) await go(run);
  };
  await Promise.all(Array.from({ length: plan.maxParallel }, next));
}

/** Stops every run that has not been let go; one that cuts over already finishes by itself. */
async function stopAll(
  fleet: Fleet,
  running: readonly RunningDeploy[],
  request: DeployRequest,
  log: Log,
  why: string,
): Promise<void> {
  await Promise.all(
    running.map(async (run) => {
      if (run.ended || run.gone || run.stopping) return;
      run.stopping = true;
      const told = await tell(fleet, run, 'cancel', request, log, () => !run.cuttingOver);
      const text = told
        ? `was told to stop: ${why}`
        : 'cuts over already: it finishes, and verifies or puts back by itself';
      // How a run ended is told by its steps, and the word of it may come after the last line of the log.
      if (!run.ended) log({ kind: 'progress', text: `${run.host.name} ${text}` });
    }),
  );
}

/** Milliseconds between two tries to say a word. */
const BETWEEN_WORDS = 1_000;

const TOLD_TO: Readonly<Record<'rehearse' | 'go' | 'cancel', string>> = {
  rehearse: 'rehearse',
  go: 'cut over',
  cancel: 'stop',
};

/**
 * Says a word to a run, again and again until it takes it, ends or no longer needs it; false without the word. One that
 * is just being started is not known yet, a server may be out of reach for a while, and a run that does not hear its word
 * would wait for it as long as it is followed.
 */
async function tell(
  fleet: Fleet,
  run: RunningDeploy,
  word: 'rehearse' | 'go' | 'cancel',
  request: DeployRequest,
  log: Log,
  needed: () => boolean,
): Promise<boolean> {
  let lost = false;
  while (!run.ended && needed()) {
    try {
      const { accepted } = await sendSignal(fleet, run.host, word, request);
      if (accepted) return true;
    } catch (error) {
      const { message } = problemsOf(error)[0]!;
      if (!lost)
        log({
          kind: 'progress',
          text: `${run.host.name} could not be told to ${TOLD_TO[word]} yet: ${message}`,
        });
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

import { given } from '../base/given.js';
import { Failure, type Problem, problemsOf } from '../base/report.js';
import { pause, retry } from '../base/retry.js';
import {
  type CancelSessionRequest,
  type DeployRequest,
  type InspectRequest,
  type ProbeRequest,
  parseWorkerLine,
  type RollbackRequest,
  type RunResult,
  type SignalRequest,
  type WorkerEvent,
  type WorkerLine,
} from '../worker/protocol.js';
import type { ExecOptions } from './exec.js';
import { exitProblem, isKnownEnd, notRunProblem } from './exit-status.js';
import { asFailure, type Fleet, type Host } from './fleet.js';
import { lineReader } from './lines.js';
import { detachedWorker, RUN_NODE, streamedWorker } from './remote-command.js';
import { isWorthRetrying, SshError } from './ssh-error.js';

/** A request that runs detached: it goes on when the connection does not. */
export type LongRequest = DeployRequest | RollbackRequest;

/** `follow` sends a heartbeat every 5 seconds; a connection that is silent for four of them is dead. */
const SILENCE = 20_000;
/** Milliseconds for a start, a go or a cancel; each takes well under a second of work. */
const SHORT = 60_000;

/** Lines kept of what a login says that does not come from the worker. */
const KEPT_LINES = 3;

/** Runs a program in the server's Node and returns the last of the worker's lines that `onLine` did not take. */
async function converse(
  host: Host,
  program: string,
  options: ExecOptions,
  onLine: (line: WorkerLine) => boolean = () => false,
): Promise<WorkerLine | undefined> {
  let answer: WorkerLine | undefined;
  // The shell text prints an empty line in front of Node: without one, and without a word of the worker, it never ran.
  let ran = false;
  const others: string[] = [];
  const result = await host.exec(RUN_NODE, {
    ...options,
    stdin: program,
    onStdout: lineReader((text) => {
      const said = parseWorkerLine(text);
      ran ||= said !== undefined || text === '';
      if (said === undefined) {
        if (text.trim() !== '') others.push(text.slice(0, 200));
        if (others.length > KEPT_LINES) others.shift();
      } else if (!onLine(said)) answer = said;
    }),
  });
  if (answer?.kind === 'refused') throw new Failure(answer.problems.map((problem) => onHost(host, problem)));
  if (answer !== undefined) return answer;
  const ended = { ...result, stdout: others.join('\n') };
  if (!ran && !isKnownEnd(ended)) throw new Failure(notRunProblem(host.name, ended));
  if (ended.code !== 0) throw new Failure(exitProblem(host.name, ended));
  return undefined;
}

/** A problem that happened on a server, with the server's position in front where there are several; once. */
export function onHost({ name, prefix }: Pick<Host, 'name' | 'prefix'>, problem: Problem): Problem {
  const said = problem.message.startsWith(prefix) || problem.message.startsWith(`${name} `);
  return said ? problem : { ...problem, message: prefix + problem.message };
}

/**
 * One question, one answer; nothing is left on the server. All of them may be asked again, so a lost connection
 * is repaired by asking again. Throws a Failure with the host's position.
 */
export async function ask(
  fleet: Fleet,
  host: Host,
  request: InspectRequest | ProbeRequest | SignalRequest | CancelSessionRequest,
  options: { deadline: number; signal?: AbortSignal },
): Promise<WorkerLine> {
  const program = streamedWorker(await fleet.worker(), request);
  try {
    const answer = await repeated(options.signal, () => converse(host, program, options));
    if (answer) return answer;
  } catch (error) {
    throw asFailure(error);
  }
  throw new Failure({ message: `${host.prefix}the worker ended without an answer` });
}

function repeated<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  return retry(
    {
      tries: 3,
      deadline: SHORT,
      first: 500,
      longest: 2_000,
      ...given({ signal }),
      // Connecting has been repeated already; what is left is a connection that broke meanwhile.
      worthwhile: (error) => error instanceof SshError && error.kind === 'lost',
    },
    work,
  );
}

/**
 * Starts a run that goes on by itself. Starting it twice is safe: the second worker leaves the first alone.
 * A Failure with the outcome `unknown` means that a worker may be running all the same.
 */
export async function start(fleet: Fleet, host: Host, request: LongRequest): Promise<void> {
  const program = detachedWorker(await fleet.worker(), request);
  let answer: WorkerLine | undefined;
  let mayRun = false;
  try {
    answer = await repeated(undefined, async () => {
      try {
        return await converse(host, program, { deadline: SHORT });
      } catch (error) {
        mayRun ||= error instanceof SshError && (error.kind === 'lost' || error.kind === 'deadline');
        throw error;
      }
    });
  } catch (error) {
    throw asFailure(error, mayRun ? 'unknown' : 'failed');
  }
  if (answer?.kind !== 'started')
    throw new Failure(
      { message: `${host.prefix}the server did not say whether the worker was started` },
      'unknown',
    );
}

/** Lets a prepared deploy cut over, or stops one that has not cut over yet; the run may have gone past either. */
export async function send(
  fleet: Fleet,
  host: Host,
  command: 'go' | 'cancel',
  request: LongRequest,
): Promise<{ accepted: boolean; detail: string }> {
  const { app, run, command: task } = request;
  const answer = await ask(fleet, host, { command, app, run, task }, { deadline: SHORT });
  if (answer.kind === 'signalled') return answer;
  throw new Failure({ message: `${host.prefix}the worker answered something else` });
}

/** The worker ended without a result; what it left half done is repaired by the next run on that host. */
export class WorkerDied extends Failure {
  constructor(problem: Problem) {
    super(problem, 'unknown');
    this.name = 'WorkerDied';
  }
}

export interface FollowOptions {
  onEvent: (event: WorkerEvent) => void;
  /** Told each time that nothing is heard any more, before it is tried again. */
  onLost: (problem: Problem) => void;
  /** Milliseconds for the whole run, with its waiting. */
  deadline: number;
}

/**
 * Tells the events of a started run until it has ended, over as many connections as it takes, each event once.
 * Throws a Failure with the outcome `unknown` where the server stays away or the worker ended without a result:
 * whatever goes wrong with the telling, the run itself goes on.
 */
export async function follow(
  fleet: Fleet,
  host: Host,
  request: LongRequest,
  options: FollowOptions,
): Promise<RunResult> {
  const bundle = await fleet.worker();
  const until = performance.now() + options.deadline;
  let heard = performance.now();
  let offset = 0;
  let result: RunResult | undefined;
  const onLine = (said: WorkerLine): boolean => {
    heard = performance.now();
    if (said.kind === 'heartbeat') return true;
    if (said.kind !== 'event') return false;
    offset = said.offset;
    if (said.event.kind === 'ended') result = said.event.result;
    options.onEvent(said.event);
    return true;
  };
  const { app, run, command: task } = request;
  for (;;) {
    const left = until - performance.now();
    if (left <= 0) throw overdue(host);
    let lost: unknown = new Failure({ message: `${host.prefix}the worker stopped telling` });
    try {
      const program = streamedWorker(bundle, { command: 'follow', app, run, task, offset });
      const last = await converse(host, program, { silence: SILENCE, deadline: left }, onLine);
      if (last?.kind === 'died') throw new WorkerDied(onHost(host, last.problem));
    } catch (error) {
      lost = error;
    }
    // The result may have come just before the connection went: nothing is unknown then.
    if (result) return result;
    if (lost instanceof WorkerDied) throw lost;
    const final = !(lost instanceof Failure) && !isWorthRetrying(lost);
    if (final || performance.now() - heard > fleet.reconnectFor)
      throw new Failure(problemsOfLoss(lost), 'unknown');
    options.onLost(problemsOfLoss(lost)[0]!);
    await pause(250);
  }
}

function problemsOfLoss(error: unknown): Problem[] {
  return error instanceof SshError ? [error.problem] : problemsOf(error);
}

function overdue(host: Host): Failure {
  return new Failure(
    {
      message: `${host.prefix}the run did not end within its time`,
      next: 'It may still go on there. Run the job again: it waits for the other run, and looks at what it left.',
    },
    'unknown',
  );
}

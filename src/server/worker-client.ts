import { textStart } from '../lib/cut-text.js';
import { definedOnly } from '../lib/defined-only.js';
import { Failure, type Problem } from '../lib/report.js';
import { pause, retry } from '../lib/retry.js';
import { stopClock } from '../lib/stop-clock.js';
import type {
  CancelSessionRequest,
  CollisionsRequest,
  DeployRequest,
  InspectRequest,
  ProbeRequest,
  RollbackRequest,
  RunResult,
  SignalRequest,
  StatusRequest,
  WatchRequest,
  WorkerEvent,
  WorkerLine,
} from '../worker/protocol.js';
import type { Fleet, Host } from './fleet/fleet.js';
import { type RunEvents, runEvents, TamperedRecord } from './run-events.js';
import type { ExecOptions } from './ssh/exec.js';
import { exitProblem, isKnownEnd, notRunProblem } from './ssh/exit-status.js';
import { lineReader } from './ssh/line-reader.js';
import { asFailure, isWorthRetrying, SshError, sshProblems } from './ssh/ssh-error.js';
import { detachedWorker, RUN_NODE, streamedWorker } from './worker-command.js';
import { parseWorkerLine } from './worker-messages.js';

/** A request that runs detached: it goes on when the connection does not. */
export type LongRequest = DeployRequest | RollbackRequest;

/** `followRun` sends a heartbeat every 5 seconds; a connection that is silent for four of them is dead. */
const SILENCE = 20_000;
/** Milliseconds for a start or a word; each takes well under a second of work. */
const SHORT = 60_000;

/** Conversations in a row that ended well and told nothing before that is taken for the last word. */
const MOST_SILENT = 5;

/** Messages of a follower that are none of the worker's before it is given up. */
const MOST_WRONG = 1_000;

/** Lines kept of what a login says that does not come from the worker. */
const KEPT_LINES = 3;

/**
 * Runs a program in the server's Node and returns the last of the worker's lines that `onLine` did not take. `onWrong`
 * is told of those that are not what a worker says.
 */
async function converse(
  host: Host,
  program: string,
  options: ExecOptions,
  onLine: (line: WorkerLine) => boolean = () => false,
  onWrong: (why: string) => void = () => {},
): Promise<WorkerLine | undefined> {
  let answer: WorkerLine | undefined;
  // The shell text prints an empty line in front of Node: without one, and without a word of the worker, it never ran.
  let ran = false;
  let wrong: string | undefined;
  const others: string[] = [];
  const result = await host.exec(RUN_NODE, {
    ...options,
    stdin: program,
    onStdout: lineReader((text) => {
      const said = parseWorkerLine(text);
      ran ||= said !== undefined || text === '';
      if (said === undefined) {
        if (text.trim() !== '') others.push(textStart(text, 200));
        if (others.length > KEPT_LINES) others.shift();
      } else if ('wrong' in said) {
        wrong ??= said.wrong;
        onWrong(said.wrong);
      } else if (!onLine(said.value)) answer = said.value;
    }),
  });
  if (answer?.kind === 'refused') throw new Failure(answer.problems.map((problem) => onHost(host, problem)));
  if (answer !== undefined) return answer;
  const ended = { ...result, stdout: others.join('\n') };
  if (!ran && !isKnownEnd(ended)) throw new Failure(notRunProblem(host.name, ended));
  if (ended.code !== 0) throw new Failure(exitProblem(host.name, ended));
  if (wrong !== undefined) throw new NotUnderstood(host, wrong);
  return undefined;
}

/** The only answer was none of those that there are. */
class NotUnderstood extends Failure {
  constructor(host: Host, wrong: string) {
    super({
      message: `${host.prefix}the answer of the worker is not understood (${wrong})`,
      next: 'Look at what the login of the deploy user runs (its profile, its Node), and run the job again.',
    });
    this.name = 'NotUnderstood';
  }
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
export async function askWorker(
  fleet: Fleet,
  host: Host,
  request:
    | InspectRequest
    | StatusRequest
    | CollisionsRequest
    | ProbeRequest
    | WatchRequest
    | SignalRequest
    | CancelSessionRequest,
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
      ...definedOnly({ signal }),
      // Connecting has been repeated already; what is left is a connection that broke meanwhile.
      worthwhile: (error) => error instanceof SshError && error.kind === 'lost',
    },
    work,
  );
}

/**
 * Starts a run that goes on by itself, and seals what it tells with `key`. Starting it twice is safe: the second worker leaves the first alone.
 * A Failure with the outcome `unknown` means that a worker may be running all the same.
 */
export async function startRun(fleet: Fleet, host: Host, request: LongRequest, key: Buffer): Promise<void> {
  const program = detachedWorker(await fleet.worker(), request, key);
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

/** Says one word to a run, which may have gone past it; `ask` only asks whether its worker is there. */
export async function sendSignal(
  fleet: Fleet,
  host: Host,
  command: SignalRequest['command'],
  request: LongRequest,
): Promise<{ accepted: boolean; detail: string }> {
  const { app, run, command: task } = request;
  const answer = await askWorker(fleet, host, { command, app, run, task }, { deadline: SHORT });
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
  /** What the run was started with. */
  key: Buffer;
  onEvent: (event: WorkerEvent) => void;
  /** Told each time that nothing is heard any more, before it is tried again. */
  onLost: (problem: Problem) => void;
  /** Told once of each kind of message that is none, or not the worker's. */
  onDropped: (problem: Problem) => void;
  /** Milliseconds for the run without its waiting, for the lock and for a word of ours: that ends by itself or by us. */
  deadline: number;
}

/** States in which a run waits. */
const UNTIMED: readonly string[] = ['waiting-for-lock', 'installed', 'built', 'rehearsed'];

/** What was heard of a run so far, over all connections. */
interface FollowedRun {
  /** When, last. */
  at: number;
  /** Bytes of its record that have been read. */
  offset: number;
  /** Connections in a row that ended well and told no event. */
  silent: number;
  /** Messages that are none. */
  wrong: number;
  result?: RunResult;
  /** Why nothing more is believed, or waited for. */
  broken?: unknown;
  /** Fires when there is nothing more to be heard. */
  readonly over: AbortController;
}

/**
 * Tells the events of a started run until it has ended, over as many connections as it takes, each event once.
 * Throws a Failure with the outcome `unknown` where the server stays away, the worker ended without a result, or its
 * record was tampered with: whatever goes wrong with the telling, the run itself goes on.
 */
export async function followRun(
  fleet: Fleet,
  host: Host,
  request: LongRequest,
  options: FollowOptions,
): Promise<RunResult> {
  const bundle = await fleet.worker();
  const { app, run, command: task } = request;
  const over = new AbortController();
  const heard: FollowedRun = { at: performance.now(), offset: 0, silent: 0, wrong: 0, over };
  const clock = stopClock(options.deadline, () => {
    heard.broken ??= overdue(host);
    over.abort();
  });
  const onEvent = (event: WorkerEvent): void => {
    if (event.kind === 'state' && UNTIMED.includes(event.state)) clock.pause();
    else if (event.kind === 'state') clock.resume();
    options.onEvent(event);
  };
  const { key, onDropped } = options;
  const events = runEvents({ key, prefix: host.prefix, onDropped });
  clock.resume();
  try {
    for (;;) {
      let lost: unknown = new Failure({ message: `${host.prefix}the worker stopped telling` });
      try {
        const program = streamedWorker(bundle, { command: 'follow', app, run, task, offset: heard.offset });
        await listen(host, program, events, heard, { ...options, onEvent });
        heard.silent += 1;
      } catch (error) {
        if (error instanceof NotUnderstood) heard.silent += 1;
        lost = error;
      }
      // The result may have come just before the connection went: nothing is unknown then.
      if (heard.result) return heard.result;
      if (heard.broken !== undefined) throw heard.broken;
      if (lost instanceof WorkerDied) throw lost;
      const final = (!(lost instanceof Failure) && !isWorthRetrying(lost)) || heard.silent >= MOST_SILENT;
      if (final || performance.now() - heard.at > fleet.reconnectFor)
        throw new Failure(sshProblems(lost), 'unknown');
      options.onLost(sshProblems(lost)[0]!);
      await pause(250);
    }
  } finally {
    clock.pause();
  }
}

/** Hears over one connection, until it ends or there is nothing more to be heard. */
async function listen(
  host: Host,
  program: string,
  events: RunEvents,
  heard: FollowedRun,
  { onEvent, onDropped }: FollowOptions,
): Promise<void> {
  const { over } = heard;
  const breakOff = (why: unknown): void => {
    heard.broken ??= why;
    over.abort();
  };
  const onLine = (said: WorkerLine): boolean => {
    heard.at = performance.now();
    if (said.kind === 'heartbeat') return true;
    if (said.kind !== 'event') return false;
    // What comes after the end is nobody's: the server streams until the worker's process is gone.
    if (over.signal.aborted) return true;
    heard.offset = said.offset;
    try {
      const event = events.read(said.line);
      if (event === undefined) return true;
      heard.silent = 0;
      onEvent(event);
      if (event.kind !== 'ended') return true;
      heard.result = event.result;
      over.abort();
    } catch (error) {
      breakOff(error);
    }
    return true;
  };
  const onWrong = (why: string): void => {
    heard.wrong += 1;
    if (heard.wrong === 1) onDropped(new NotUnderstood(host, why).problems[0]!);
    if (heard.wrong > MOST_WRONG)
      breakOff(new TamperedRecord(host.prefix, 'the server sends more than the worker says'));
  };
  const options = { silence: SILENCE, signal: over.signal };
  const last = await converse(host, program, options, onLine, onWrong);
  if (last?.kind === 'gone') throw new WorkerDied(onHost(host, last.problem));
  if (last?.kind === 'cut-off')
    breakOff(
      new TamperedRecord(host.prefix, 'the record of the run on the server was cut off or taken away'),
    );
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

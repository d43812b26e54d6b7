import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { formatDuration } from '../../lib/duration.js';
import { tellsOfMissing } from '../../lib/missing-schema.js';
import { Cancelled, Failure, type HealthFact } from '../../lib/report.js';
import { pause } from '../../lib/retry.js';
import { whenAborted } from '../../lib/when-aborted.js';
import { askLoopback, unhealthy } from '../host/loopback-health.js';
import { connects, SPEAKS_TLS, speaksTls } from '../host/port.js';
import { collectOutput, endGroup, lastLines, type OpenOutput, whenEnded } from '../host/run-program.js';
import type { Toolbox } from '../host/toolbox.js';
import type { HealthRequest } from '../protocol.js';
import { type Entry, withPort } from '../supervisor/entry.js';
import type { Supervisor } from '../supervisor/supervisor.js';

/** How the new build is started beside the live one. */
export interface RehearsalCommand {
  words: string[];
  cwd: string;
  env: Record<string, string>;
}

/** Why a new version is not rehearsed; undefined where it is. */
export function rehearsalObstacle(
  rehearse: boolean,
  supervisor: Pick<Supervisor, 'rehearsalObstacle'>,
  entry: Pick<Entry, 'args' | 'env' | 'portless'> | undefined,
): string | undefined {
  return rehearse ? supervisor.rehearsalObstacle(entry) : 'rehearse is false';
}

/**
 * The entry's own script, arguments and environment, with the live folder replaced by the stage and the port by a
 * spare one.
 */
export function rehearsalCommand(
  entry: Entry,
  from: { live: string[]; stage: string; port: number; node: string },
): RehearsalCommand {
  const args = withPort(entry.args, from.port);
  const place = (text: string): string => {
    for (const live of from.live)
      if (text === live || text.startsWith(`${live}/`)) return from.stage + text.slice(live.length);
    return text;
  };
  const script = place(entry.script);
  const interpreter =
    entry.interpreter === 'none' ? [] : entry.interpreter === 'node' ? [from.node] : [entry.interpreter];
  return {
    words: [...interpreter, ...(interpreter.length === 0 ? [] : entry.nodeArgs), script, ...args.map(place)],
    cwd: place(entry.cwd),
    env: { ...entry.env, PORT: String(from.port), REHEARSAL: '1', NODE_APP_INSTANCE: '0' },
  };
}

/** A port on which nobody listens now, on any address of the host. */
export function sparePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}

export interface RehearsalOptions {
  tools: Toolbox;
  command: RehearsalCommand;
  port: number;
  sha: string;
  health: HealthRequest;
  /** Takes all that the new version prints. */
  log: OpenOutput;
  /** Told now and then what is still being waited for. */
  tell: (text: string) => void;
  signal: AbortSignal;
}

export interface Rehearsal {
  facts: HealthFact[];
  /** Milliseconds from its start until it listened. */
  bootMs: number;
}

/** Starts the new build on the spare port and asks it what the live one will be asked; always ends it again. */
export function rehearse(options: RehearsalOptions): Promise<Rehearsal> {
  const { port, sha, health, tell } = options;
  return whileStarted(options, async ({ listening, signal, said }) => {
    const asked = await askLoopback({ port, health, sha, expectVersion: true, signal, tell });
    if (!asked.healthy)
      throw unhealthyRehearsal(asked.facts, said(), (await speaksTls(port, LONGEST_LOOK)) ? TLS : undefined);
    return { facts: asked.facts, bootMs: await listening };
  });
}

/**
 * Starts the new build on the spare port only to see that it listens: the database is still as the live version needs it,
 * so nothing is asked. Says what came of it. @throws a Failure where it ends or does not listen, unless what it prints
 * tells of a table or column that is missing.
 */
export async function tryStart(options: RehearsalOptions): Promise<string> {
  const { port, health } = options;
  const late = AbortSignal.timeout(health.deadline);
  let printed = (): string => '';
  try {
    const bootMs = await whileStarted(options, async ({ listening, signal, said }) => {
      printed = said;
      const either = AbortSignal.any([signal, late]);
      const listens = await Promise.race([listening, aborted(either)]);
      if (typeof listens === 'number' && !either.aborted) return listens;
      if (signal.aborted) throw new Cancelled();
      throw new Failure({
        message: `The new version does not listen on port ${port} ${formatDuration(health.deadline)} after its start.\n${said()}`,
        next: 'Nothing was changed. Raise health-deadline, or say rehearse: false.',
      });
    });
    return `listens on port ${port} after ${formatDuration(bootMs)}`;
  } catch (error) {
    if (error instanceof Cancelled || !tellsOfMissing(printed())) throw error;
    return 'misses a table or column: it is started again when the migrations are committed';
  }
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => void whenAborted(signal, () => resolve(undefined)));
}

/** A new build that runs beside the live one. */
interface StartedBuild {
  /** Milliseconds from its start until it listened. */
  listening: Promise<number>;
  /** Fires when it has ended, or the deploy is stopped. */
  signal: AbortSignal;
  /** The last lines that it has printed. */
  said: () => string;
}

/** Starts the new build on the spare port for as long as `work` takes; always ends it again. */
async function whileStarted<T>(
  options: RehearsalOptions,
  work: (started: StartedBuild) => Promise<T>,
): Promise<T> {
  const { command, port, signal } = options;
  const child = spawn(command.words[0]!, command.words.slice(1), {
    cwd: command.cwd,
    env: { ...options.tools.env, ...command.env },
    // PM2 gives one to all that it starts, and programs tell it there that they are ready (wait_ready).
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    detached: true,
  });
  const { stdout, stderr } = child;
  if (stdout === null || stderr === null) throw new Error('a program was started without its pipes');
  const heard = collectOutput({ stdout, stderr }, options.log);
  const said = (): string => lastLines(heard.tail(), 12);
  const stopAsking = new AbortController();
  const listening = listensAfter(port, stopAsking.signal);
  const listenNoMore = whenAborted(signal, () => stopAsking.abort());
  let ended: string | undefined;
  const exited = new Promise<void>((resolve) => {
    const note = (why: string): void => {
      ended ??= why;
      stopAsking.abort();
      resolve();
    };
    child.once('error', (error) => note(`could not be started: ${error.message}`));
    whenEnded(child, (code, by) => note(by === null ? `ended with ${code}` : `was ended by ${by}`));
  });
  try {
    return await work({ listening, signal: stopAsking.signal, said });
  } catch (error) {
    if (error instanceof Cancelled && !signal.aborted && ended !== undefined)
      throw new Failure({
        message: `The new version ${ended} while it was rehearsed on port ${port}.\n${said()}`,
        next: `The live version was not touched. ${
          secondPort(said()) ?? 'Start the build on your machine with the same environment.'
        }`,
      });
    throw error;
  } finally {
    listenNoMore();
    stopAsking.abort();
    if (child.pid !== undefined && ended === undefined) {
      await endGroup(child.pid, 3_000, 'SIGINT');
      await exited;
    }
    heard.end();
  }
}

/** Milliseconds between two looks whether the port is open, and that one may take. */
const BETWEEN_LOOKS = 50;
const LONGEST_LOOK = 1_000;

/** Milliseconds from now until a port is open, or until nobody wants to know any more. */
async function listensAfter(port: number, signal: AbortSignal): Promise<number> {
  const started = performance.now();
  while (!signal.aborted && !(await connects(port, LONGEST_LOOK))) await pause(BETWEEN_LOOKS);
  return Math.round(performance.now() - started);
}

/** What to do where the new version wants a port besides its own, which the live version has. */
export function secondPort(said: string): string | undefined {
  if (!/EADDRINUSE|address already in use/i.test(said)) return undefined;
  return 'It wants another port too, which the live version has: let it leave that out where REHEARSAL=1 is set, or say rehearse: false.';
}

const TLS = `It ${SPEAKS_TLS}: leave TLS to the web server in front of it, at least where REHEARSAL=1 is set and on loopback.`;

function unhealthyRehearsal(facts: HealthFact[], said: string, knownWhy: string | undefined): Failure {
  const failure = unhealthy(
    'The new version is not healthy on its spare port',
    facts,
    secondPort(said) ?? 'See the output of the rehearsal.',
  );
  const [problem] = failure.problems;
  return new Failure({
    ...problem!,
    message: said === '' ? problem!.message : `${problem!.message}\n${said}`,
    next: `The live version was not touched. ${knownWhy ?? problem!.next}`,
  });
}

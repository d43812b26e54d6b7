import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { Cancelled, Failure, type HealthFact } from '../../lib/report.js';
import { pause } from '../../lib/retry.js';
import { whenAborted } from '../../lib/when-aborted.js';
import { askLoopback, unhealthy } from '../host/loopback-health.js';
import { connects } from '../host/port.js';
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
  entry: Pick<Entry, 'args' | 'env'> | undefined,
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
export async function rehearse(options: RehearsalOptions): Promise<Rehearsal> {
  const { command, port, sha, health, signal } = options;
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
    const asked = await askLoopback({
      port,
      health,
      sha,
      expectVersion: true,
      signal: stopAsking.signal,
      tell: options.tell,
    });
    if (!asked.healthy) throw unhealthyRehearsal(asked.facts, said());
    return { facts: asked.facts, bootMs: await listening };
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

function unhealthyRehearsal(facts: HealthFact[], said: string): Failure {
  const failure = unhealthy(
    'The new version is not healthy on its spare port',
    facts,
    secondPort(said) ?? 'See the output of the rehearsal.',
  );
  const [problem] = failure.problems;
  return new Failure({
    ...problem!,
    message: said === '' ? problem!.message : `${problem!.message}\n${said}`,
    next: `The live version was not touched. ${problem!.next}`,
  });
}

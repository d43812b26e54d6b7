import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { textEnd } from '../../lib/cut-text.js';
import { formatDuration } from '../../lib/duration.js';
import { Cancelled, Failure } from '../../lib/report.js';
import { whenAborted } from '../../lib/when-aborted.js';
import { type LineTaker, NO_REDACTION, wholeLines } from '../../lib/whole-lines.js';

/** How a program of the host ended. */
export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** Everything it wrote to stdout, at most MOST_KEPT bytes. */
  stdout: string;
  /** The last lines of stdout and stderr, in the order in which they came; for a message. */
  tail: string;
}

/** Called once for each pipe of a program, so that lines of the one never cut lines of the other. */
export type OpenOutput = () => LineTaker;

export interface CallOptions {
  cwd: string;
  env: NodeJS.ProcessEnv;
  signal?: AbortSignal;
  /** Milliseconds; then it is stopped and the call fails. */
  timeout?: number;
  output?: OpenOutput;
  /** What it reads from its stdin; without it that is empty. */
  input?: string;
}

const MOST_KEPT = 16 * 1_048_576;
const TAIL = 8_192;
/** Milliseconds between asking a program to end and ending it. */
const GRACE = 5_000;
/** Milliseconds that the last words of an ended program may take. */
const LAST_WORDS = 300;

/**
 * Runs a program in a process group of its own, so that a cancel reaches what it started, and waits for its end: where it
 * was stopped, for the end of the whole group, which may else go on writing into a folder that is deleted next.
 * @throws Cancelled where the signal fired; a Failure on timeout or where the program does not exist.
 */
export function runToEnd(words: readonly string[], options: CallOptions): Promise<Ended> {
  const [file, ...args] = words as [string, ...string[]];
  return new Promise((resolve, reject) => {
    if (options.signal?.aborted) return reject(new Cancelled());
    const child = spawn(file, args, {
      cwd: options.cwd,
      env: options.env,
      stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      detached: true,
    }) as ChildProcessByStdio<Writable | null, Readable, Readable>;
    // A program may end before it has read all.
    child.stdin?.on('error', () => {}).end(options.input);
    let stdout = '';
    let why: Error | undefined;
    let ending: Promise<void> | undefined;
    const heard = collectOutput(child, options.output);
    child.stdout.on('data', (text: string) => {
      if (stdout.length < MOST_KEPT) stdout += text;
    });
    const stop = (reason: Error): void => {
      why ??= reason;
      if (child.pid !== undefined) ending ??= endGroup(child.pid, GRACE);
    };
    const listenNoMore = whenAborted(options.signal, () => stop(new Cancelled()));
    const { timeout } = options;
    const late = (after: number): void =>
      stop(new Failure({ message: `${file} did not end in ${formatDuration(after)}` }));
    const timer = timeout === undefined ? undefined : setTimeout(late, timeout, timeout);
    let settled = false;
    const settle = (code: number | null, signal: NodeJS.Signals | null): void => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      listenNoMore();
      heard.end();
      if (why) void Promise.resolve(ending).then(() => reject(why));
      else resolve({ code, signal, stdout, tail: heard.tail() });
    };
    child.once('error', (error) => {
      why ??= new Failure({ message: `${file} could not be started: ${error.message}` });
      settle(null, null);
    });
    whenEnded(child, settle);
  });
}

/** What is heard of a program that runs. */
export interface CapturedOutput {
  /** The last lines that it said. */
  tail(): string;
  /** Passes on what it said last without ending the line, and listens no more. */
  end(): void;
}

/** Listens to both pipes of a program. */
export function collectOutput(
  child: Readonly<Record<'stdout' | 'stderr', Readable>>,
  open: OpenOutput = () => wholeLines(NO_REDACTION, () => {}),
): CapturedOutput {
  let tail = '';
  const keep = (text: string): void => {
    tail = textEnd(tail + text, TAIL);
  };
  const pipes = [child.stdout, child.stderr].map((pipe) => {
    const told = open();
    const kept = wholeLines(NO_REDACTION, keep);
    pipe.setEncoding('utf8').on('data', (text: string) => {
      told.take(text);
      kept.take(text);
    });
    return { pipe, told, kept };
  });
  return {
    tail() {
      for (const { kept } of pipes) kept.finish();
      return tail;
    },
    end() {
      for (const { pipe, told } of pipes) {
        told.finish();
        pipe.destroy();
      }
    },
  };
}

/**
 * Calls `ended` when a program has ended and said all it had to say. A daemon that it left behind (PM2's) may hold its
 * pipes open for ever: that is waited for a moment only, and where they close later, `ended` is called once more.
 */
export function whenEnded(
  child: ChildProcess,
  ended: (code: number | null, signal: NodeJS.Signals | null) => void,
): void {
  let lastWords: NodeJS.Timeout | undefined;
  child.once('exit', (code, signal) => {
    lastWords = setTimeout(ended, LAST_WORDS, code, signal);
  });
  child.once('close', (code, signal) => {
    clearTimeout(lastWords);
    ended(code, signal);
  });
}

/** Runs a program whose failure is unexpected; resolves to its stdout. */
export async function mustRun(words: readonly string[], options: CallOptions): Promise<string> {
  const ended = await runToEnd(words, options);
  if (ended.code === 0) return ended.stdout;
  throw new Failure({
    message: `${words.slice(0, 3).join(' ')} ${explainEnd(ended)}: ${lastLines(ended.tail, 3)}`,
    ...(ended.code === null ? {} : { code: String(ended.code) }),
  });
}

/** Why a program ended, in words: a kill by the kernel, a missing program and an ordinary failure differ. */
export function explainEnd({ code, signal }: Pick<Ended, 'code' | 'signal'>): string {
  if (signal === 'SIGKILL' || code === 137) return 'was killed (SIGKILL): most likely the memory ran out';
  if (signal !== null) return `was ended by ${signal}`;
  if (code === 127) return 'ended with 127: a program was not found';
  return `ended with ${code}`;
}

/** The last lines of an output that say something. */
export function lastLines(text: string, count: number): string {
  return text
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line) => line.trim() !== '')
    .slice(-count)
    .join('\n');
}

/** Asks a process group to end, and ends it after `grace` milliseconds. Resolves when it is gone. */
export async function endGroup(
  leader: number,
  grace: number,
  first: NodeJS.Signals = 'SIGTERM',
): Promise<void> {
  signalGroup(leader, first);
  const end = performance.now() + grace;
  while (groupLives(leader)) {
    if (performance.now() > end) signalGroup(leader, 'SIGKILL');
    await new Promise((resolve) => setTimeout(resolve, 50));
    if (performance.now() > end + 2_000) return;
  }
}

function signalGroup(leader: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-leader, signal);
  } catch {
    // Gone already.
  }
}

function groupLives(leader: number): boolean {
  try {
    process.kill(-leader, 0);
    return true;
  } catch {
    return false;
  }
}

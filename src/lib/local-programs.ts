import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';

/** The one place that starts programs of this machine: git, tar, pg_dump. */

/**
 * What they are told of the environment. A job has its secrets there (DATABASE_URL, VPS_SSH_KEY, tokens of GitHub's own
 * and of other steps), under names that nobody can list: so it is said what they need, and not what they must not see.
 */
const NEEDED: readonly string[] = [
  'PATH',
  'HOME',
  'USER',
  'LOGNAME',
  'TMPDIR',
  'LD_LIBRARY_PATH',
  'LANG',
  'LC_CTYPE',
  // Where git finds its settings, such as the folders that it may work in.
  'XDG_CONFIG_HOME',
  'GIT_CONFIG_GLOBAL',
  'GIT_CONFIG_SYSTEM',
  'GIT_CONFIG_NOSYSTEM',
];

/**
 * The environment of a program: what it needs of `env`, and what is given to it alone. Characters are those of this
 * machine; messages are in English, because they are read here. Pure.
 */
export function programEnvironment(
  env: NodeJS.ProcessEnv,
  own: Readonly<Record<string, string>> = {},
): Record<string, string> {
  const needed = NEEDED.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]]));
  return {
    ...(Object.fromEntries(needed) as Record<string, string>),
    // It would overrule the language of messages as well.
    ...(env.LC_ALL ? { LC_CTYPE: env.LC_ALL } : {}),
    LC_MESSAGES: 'C',
    ...own,
  };
}

export interface LocalProgramOptions {
  cwd?: string;
  /** For this program alone, beside what all are told. */
  env?: Readonly<Record<string, string>>;
  /** Ends it; the child then tells the error `AbortError`. */
  signal?: AbortSignal;
  /** Milliseconds; then it is ended. */
  timeout?: number;
}

/** Starts a program with nothing to read. */
export function startProgram(
  words: readonly [file: string, ...args: string[]],
  { env, ...options }: LocalProgramOptions = {},
): ChildProcessByStdio<null, Readable, Readable> {
  const [file, ...args] = words;
  return spawn(file, args, {
    ...options,
    env: programEnvironment(process.env, env),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** How a program ended; `code` is null where a signal ended it. */
export interface ProgramEnd {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs a program to its end. Rejects where it could not be started, or was ended by `signal`. */
export async function runProgram(
  words: readonly [file: string, ...args: string[]],
  options: LocalProgramOptions = {},
): Promise<ProgramEnd> {
  const child = startProgram(words, options);
  const said = [child.stdout, child.stderr].map((pipe) => {
    const chunks: Buffer[] = [];
    pipe.on('data', (chunk: Buffer) => chunks.push(chunk));
    return () => Buffer.concat(chunks).toString();
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout: said[0]!(), stderr: said[1]!() };
}

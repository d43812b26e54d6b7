import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { type RunOptions, type RunResult, runAction } from './runner.js';

/** The bundle under test: the committed one, or another build of it named by DIST. */
const dist = resolve(process.env.DIST ?? 'dist');

/** An empty checkout for one test file. */
export function temporaryFolder(): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'doors-test-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** Runs the bundle as `uses: muva/deploy-action` does, main and post. */
export function runBundle(options: Omit<RunOptions, 'root'>): Promise<RunResult> {
  return runAction({
    root: process.cwd(),
    entry: join(dist, 'index.js'),
    postEntry: join(dist, 'post.js'),
    ...options,
  });
}

export interface Terminal {
  exitCode: number | null;
  signal: NodeJS.Signals | null;
  /** What it wrote, to standard output and to standard error. */
  text: string;
  /** The part of it that went to standard error. */
  errors: string;
}

export interface TerminalOptions {
  env?: Record<string, string>;
  cwd: string;
  /** Sends SIGINT, as Ctrl-C does, once this answers true; asked after each line. */
  interruptAfter?: (text: string) => boolean;
  /** Takes both outputs away and sends SIGHUP, as a terminal that is closed does, once this answers true. */
  hangUpAfter?: (text: string) => boolean;
  /** Words for Node, before the script. */
  node?: readonly string[];
  /** Code that runs before the bundle, in its process. */
  preload?: string;
}

/** Runs `muva-deploy ...` in an environment that holds nothing of GitHub's. */
export async function runTerminal(args: readonly string[], options: TerminalOptions): Promise<Terminal> {
  const preload = options.preload === undefined ? [] : preloadFlags(options.cwd, options.preload);
  const child = spawn(
    process.execPath,
    [...preload, ...(options.node ?? []), join(dist, 'cli.js'), ...args],
    {
      cwd: options.cwd,
      env: {
        PATH: process.env.PATH ?? '',
        HOME: process.env.HOME ?? '',
        TMPDIR: options.cwd,
        ...options.env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  const lines: string[] = [];
  const errors: string[] = [];
  const drained = [child.stdout, child.stderr].map(
    (stream) =>
      new Promise<void>((done) => {
        createInterface({ input: stream }).on('line', (line) => {
          lines.push(line);
          if (stream === child.stderr) errors.push(line);
          if (options.interruptAfter?.(lines.join('\n'))) child.kill('SIGINT');
          if (!options.hangUpAfter?.(lines.join('\n'))) return;
          child.stdout.destroy();
          child.stderr.destroy();
          child.kill('SIGHUP');
        });
        // After the last line, and also where we took the output away.
        stream.once('close', done);
      }),
  );
  const [exitCode, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((done) => {
    child.once('exit', (code, by) => done([code, by]));
  });
  await Promise.all(drained);
  return { exitCode, signal, text: lines.join('\n'), errors: errors.join('\n') };
}

/** `--require` of a file with this code. */
export function preloadFlags(folder: string, code: string): string[] {
  const file = join(folder, 'preload.cjs');
  writeFileSync(file, code);
  return ['--require', file];
}

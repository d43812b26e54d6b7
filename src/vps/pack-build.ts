import { execFile } from 'node:child_process';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Cancelled, Failure, problemsOf } from '../base/report.js';
import { localGit } from './local-git.js';

/** What `build-on: runner` sends: the build that earlier steps of this job made in the checkout. */
export interface PackedBuild {
  /** A gzipped tar in the folder that was given. */
  file: string;
  bytes: number;
  /** Top-level paths inside. */
  paths: string[];
}

export interface PackOptions {
  workingDirectory: string;
  /** The commit that is deployed; the checkout must be at it. */
  sha: string;
  /** `build-output`; empty: everything that git ignores there. */
  buildOutput: readonly string[];
  sharedPaths: readonly string[];
  /** Where the archive is written. */
  folder: string;
  signal: AbortSignal;
}

/** Caches that only speed up the next build, and are often larger than the build. */
const CACHES = ['.next/cache', 'node_modules/.cache', '.turbo', '.pnpm-store'];

/** Packs the build of this job. Throws a Failure where the checkout holds another commit or no build. */
export async function packBuild(options: PackOptions): Promise<PackedBuild> {
  const { workingDirectory, sha, folder } = options;
  const head = (await git(['rev-parse', 'HEAD'], workingDirectory)).trim();
  if (head !== sha) {
    throw new Failure({
      message: `build-on: runner packs the build of this job, and the checkout is at ${head.slice(0, 12)}, not at ${sha.slice(0, 12)}`,
      next: 'Check out the commit that is deployed (actions/checkout with the same ref), build it, then run this step.',
    });
  }
  const words = ['ls-files', '--others', '--ignored', '--exclude-standard', '--directory', '-z'];
  const ignored = (await git(words, workingDirectory)).split('\0');
  const paths = pathsToPack(ignored, options.buildOutput, options.sharedPaths);
  for (const path of options.buildOutput) await mustExist(workingDirectory, path);
  if (paths.length === 0) {
    throw new Failure({
      message: 'build-on: runner found no build in the checkout: git ignores nothing that is there',
      next: 'Install and build in a step before this one, or name what the build makes in build-output.',
    });
  }
  const file = join(folder, 'build.tgz');
  const excluded = CACHES.map((path) => `--exclude=${path}`);
  await pack(['-czf', file, ...excluded, '--', ...paths], workingDirectory, options.signal);
  return { file, bytes: (await stat(file)).size, paths };
}

/** What of the ignored paths is packed: the named output and node_modules, or all but what belongs to the host. Pure. */
export function pathsToPack(
  ignored: readonly string[],
  buildOutput: readonly string[],
  sharedPaths: readonly string[],
): string[] {
  const present = ignored.map((path) => path.replace(/\/$/, '')).filter((path) => path !== '');
  if (buildOutput.length > 0) {
    const modules = present.filter((path) => path.split('/').pop() === 'node_modules');
    return [...new Set([...buildOutput, ...modules])];
  }
  const ofTheHost = (path: string): boolean =>
    /^\.env($|\.)/.test(path.split('/').pop()!) ||
    sharedPaths.some((shared) => path === shared || path.startsWith(`${shared}/`)) ||
    CACHES.includes(path);
  return present.filter((path) => !ofTheHost(path));
}

async function mustExist(workingDirectory: string, path: string): Promise<void> {
  try {
    await stat(join(workingDirectory, path));
  } catch {
    throw new Failure({
      message: `build-output names ${path}, which is not in the checkout`,
      next: 'Build in a step before this one.',
    });
  }
}

/** Stdout of a git command that is expected to succeed. */
async function git(words: string[], workingDirectory: string): Promise<string> {
  const { code, stdout, stderr } = await localGit(words, workingDirectory);
  if (code === 0) return stdout;
  throw new Failure({
    message: `git ${words[0]} failed: ${lastLine(stderr)}`,
    code: String(code),
  });
}

/** Packs in a program that a cancel ends: a build of some gigabytes takes its time. */
async function pack(words: readonly string[], cwd: string, signal: AbortSignal): Promise<void> {
  try {
    await promisify(execFile)('tar', words, { cwd, signal });
  } catch (error) {
    if (signal.aborted) throw new Cancelled();
    const { code, stderr } = error as { code?: number | string; stderr?: string };
    throw new Failure({
      message: `tar failed: ${lastLine(stderr ?? '') || problemsOf(error)[0]!.message}`,
      ...(code === undefined ? {} : { code: String(code) }),
      next: 'Look at the room of this machine, and at what is named in build-output.',
    });
  }
}

function lastLine(text: string): string {
  return text.trim().split('\n').pop() ?? '';
}

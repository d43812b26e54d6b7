import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../base/report.js';

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
}

/** Caches that only speed up the next build, and are often larger than the build. */
const CACHES = ['.next/cache', 'node_modules/.cache', '.turbo', '.pnpm-store'];

/** Packs the build of this job. Throws a Failure where the checkout holds another commit or no build. */
export async function packBuild(options: PackOptions): Promise<PackedBuild> {
  const { workingDirectory, sha, folder } = options;
  const head = (await run('git', ['rev-parse', 'HEAD'], workingDirectory)).trim();
  if (head !== sha) {
    throw new Failure({
      message: `build-on: runner packs the build of this job, and the checkout is at ${head.slice(0, 12)}, not at ${sha.slice(0, 12)}`,
      next: 'Check out the commit that is deployed (actions/checkout with the same ref), build it, then run this step.',
    });
  }
  const words = ['ls-files', '--others', '--ignored', '--exclude-standard', '--directory', '-z'];
  const ignored = (await run('git', words, workingDirectory)).split('\0');
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
  await run('tar', ['-czf', file, ...excluded, '--', ...paths], workingDirectory);
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

/** Runs a local program and returns its stdout; a failure says what it said. */
async function run(program: string, words: string[], cwd: string): Promise<string> {
  const { getExecOutput } = await import('@actions/exec');
  const ended = await getExecOutput(program, words, { cwd, silent: true, ignoreReturnCode: true });
  if (ended.exitCode === 0) return ended.stdout;
  throw new Failure({
    message: `${program} ${words[0]} failed: ${ended.stderr.trim().split('\n').pop()}`,
    code: String(ended.exitCode),
  });
}

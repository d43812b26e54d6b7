import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isSentOutput } from '../../lib/build-output-names.js';
import { formatBytes } from '../../lib/bytes.js';
import { type ProgramEnd, runProgram } from '../../lib/local-programs.js';
import { Cancelled, Failure, problemsOf } from '../../lib/report.js';
import { shortenList } from '../../lib/shorten-list.js';
import { localGit } from './local-git.js';

/** What `build-on: runner` sends: the build that earlier steps of this job made in the checkout. */
export interface PackedBuild {
  /** A gzipped tar in the folder that was given. */
  file: string;
  bytes: number;
  /** Top-level paths inside. */
  paths: string[];
  /** Ignored paths that were not packed, because nothing says that the build made them. */
  leftOut: string[];
}

export interface PackOptions {
  workingDirectory: string;
  /** The commit that is deployed; the checkout must be at it. */
  sha: string;
  /** `build-output`; empty: what builds are known to make. */
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
  const head = (await checkoutGit(['rev-parse', 'HEAD'], workingDirectory)).trim();
  if (head !== sha) {
    throw new Failure({
      message: `build-on: runner packs the build of this job, and the checkout is at ${head.slice(0, 12)}, not at ${sha.slice(0, 12)}`,
      next: 'Check out the commit that is deployed (actions/checkout with the same ref), build it, then run this step.',
    });
  }
  const words = ['ls-files', '--others', '--ignored', '--exclude-standard', '--directory', '-z'];
  const ignored = (await checkoutGit(words, workingDirectory)).split('\0');
  const { paths, leftOut } = pathsToPack(ignored, options.buildOutput, options.sharedPaths);
  for (const path of options.buildOutput) await mustExist(workingDirectory, path);
  if (paths.length === 0) {
    throw new Failure({
      message: `build-on: runner found no build in the checkout${leftOut.length > 0 ? `; git ignores only ${shortenList(leftOut)}` : ''}`,
      next: 'Install and build in a step before this one, or name what the build makes in build-output.',
    });
  }
  const file = join(folder, 'build.tgz');
  const excluded = CACHES.map((path) => `--exclude=${path}`);
  await pack(['-czf', file, ...excluded, '--', ...paths], workingDirectory, options.signal);
  return { file, bytes: (await stat(file)).size, paths, leftOut };
}

/**
 * What of the ignored paths is packed: the named output and node_modules, or what builds are known to make; never what
 * belongs to the host. A checkout holds other ignored files too: credentials that earlier steps of the job left there
 * (`gha-creds-*.json`, `.npmrc`, keys), logs, reports. Without names of what a build makes they would all go to the
 * server. `leftOut`: what a person may miss there. Pure.
 */
export function pathsToPack(
  ignored: readonly string[],
  buildOutput: readonly string[],
  sharedPaths: readonly string[],
): { paths: string[]; leftOut: string[] } {
  const listed = ignored.map((path) => path.replace(/\/$/, '')).filter((path) => path !== '');
  // git names a folder of which all is ignored beside what is in it: only the latter says what each thing is.
  const present = listed.filter((path) => !listed.some((other) => other.startsWith(`${path}/`)));
  if (buildOutput.length > 0) {
    const modules = present.filter((path) => path.split('/').pop() === 'node_modules');
    return { paths: [...new Set([...buildOutput, ...modules])], leftOut: [] };
  }
  const ofTheHost = (path: string): boolean =>
    /^\.env($|\.)/.test(path.split('/').pop()!) ||
    sharedPaths.some((shared) => path === shared || path.startsWith(`${shared}/`)) ||
    CACHES.includes(path);
  const rest = present.filter((path) => !ofTheHost(path));
  return { paths: rest.filter(isSentOutput), leftOut: rest.filter((path) => !isSentOutput(path)) };
}

/** `12 MB: .next, node_modules; not sent: .npmrc, reports`, so that nothing is missed without a word. */
export function describePacked({ bytes, paths, leftOut }: Omit<PackedBuild, 'file'>): string {
  const packed = `${formatBytes(bytes)}: ${paths.join(', ')}`;
  return leftOut.length === 0
    ? packed
    : `${packed}; not sent: ${shortenList(leftOut, 8)} (name in build-output what the application needs)`;
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
async function checkoutGit(words: string[], workingDirectory: string): Promise<string> {
  const { code, stdout, stderr } = await localGit(words, workingDirectory);
  if (code === 0) return stdout;
  throw new Failure({
    message: `git ${words[0]} failed: ${lastLine(stderr)}`,
    code: String(code),
  });
}

/** Packs in a program that a cancel ends: a build of some gigabytes takes its time. */
async function pack(words: readonly string[], cwd: string, signal: AbortSignal): Promise<void> {
  let ended: ProgramEnd;
  try {
    ended = await runProgram(['tar', ...words], { cwd, signal });
  } catch (error) {
    if (signal.aborted) throw new Cancelled();
    throw tarFailed(problemsOf(error)[0]!.message);
  }
  if (ended.code !== 0) throw tarFailed(lastLine(ended.stderr), ended.code);
}

function tarFailed(why: string, code: number | null = null): Failure {
  return new Failure({
    message: `tar failed: ${why || 'it was ended by a signal'}`,
    ...(code === null ? {} : { code: String(code) }),
    next: 'Look at the room of this machine, and at what is named in build-output.',
  });
}

function lastLine(text: string): string {
  return text.trim().split('\n').pop() ?? '';
}

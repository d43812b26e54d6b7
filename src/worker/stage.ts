import { linkSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';
import { Failure, type Problem } from '../base/report.js';
import { carryEnvFiles, findEnvFiles, judgeEnvText } from './env-files.js';
import { isFolder, present, writeAtomically } from './files.js';
import { fetchCommit, git, gitSays, headOf, type Repository, untrackedPaths } from './git.js';
import { type Recipe, recipeOf } from './install-and-build.js';
import { explainEnd, lastLines, run } from './program.js';
import type { DeployRequest } from './protocol.js';
import { readProject, type Survey } from './survey.js';
import type { Teller } from './teller.js';

/** A release that is built, but not live. */
export interface Stage {
  release: string;
  sha: string;
  folder: string;
  /** Everything that install and build made, and the env file: what moves into the checkout at the cutover. */
  paths: string[];
  envFiles: string[];
  carriedChunks: string[];
}

/** The repository whose objects a stage is checked out from: the live checkout, or the bare one of the releases. */
export async function stageRepository(found: Survey, request: DeployRequest): Promise<Repository> {
  if (found.strategy === 'in-place') return found.checkout!;
  const bare: Repository = { tools: found.tools, folder: found.state.repository };
  if (isFolder(bare.folder)) return bare;
  mkdirSync(bare.folder, { recursive: true });
  await git(bare, 'init', '-q', '--bare');
  const live = found.checkout;
  const origin =
    request.repositoryUrl ??
    (live && (await gitSays(live, 'remote', 'get-url', 'origin'))
      ? await git(live, 'remote', 'get-url', 'origin')
      : undefined);
  if (origin === undefined)
    throw new Failure({
      message: 'The server has no repository to fetch from yet.',
      next: 'Give repository-url.',
    });
  await git(bare, 'remote', 'add', 'origin', origin);
  // The live history too, so that "older than the live commit" can be judged.
  if (live) await git(bare, 'fetch', '-q', '--no-tags', live.folder, '+HEAD:refs/deploys/live');
  return bare;
}

export async function fetchSha(
  repository: Repository,
  request: DeployRequest,
  signal: AbortSignal,
): Promise<void> {
  await fetchCommit(
    repository,
    request.sha,
    {
      ...(request.repositoryUrl === undefined ? {} : { url: request.repositoryUrl }),
      ...(request.fetchToken === undefined ? {} : { token: request.fetchToken }),
    },
    signal,
  );
}

/** Checks the commit out beside the live application, and brings the host's own files into it. */
export async function checkOutStage(
  found: Survey,
  repository: Repository,
  request: DeployRequest,
  folder: string,
): Promise<string[]> {
  await git(repository, 'worktree', 'prune');
  await git(repository, 'worktree', 'add', '-q', '--detach', '--force', folder, request.sha);
  const stage: Repository = { tools: found.tools, folder };
  if ((await headOf(stage)) !== request.sha)
    throw new Failure({ message: `The stage holds another commit than ${request.sha}.` });
  const tracked = new Set((await git(stage, 'ls-files', '-z')).split('\0'));
  const envFiles =
    found.live === undefined ? [] : findEnvFiles(found.live).filter((path) => !tracked.has(path));
  if (found.live !== undefined) carryEnvFiles(found.live, folder, envFiles);
  if (request.envFile !== undefined) {
    const why = judgeEnvText(request.envFile);
    if (why !== undefined)
      throw new Failure({
        message: `env-file ${why}.`,
        next: 'Check the secret that env-file comes from: it may be cut, or not set.',
      });
    writeAtomically(join(folder, request.envFilePath), request.envFile);
    if (!envFiles.includes(request.envFilePath)) envFiles.push(request.envFilePath);
  }
  linkShared(found, request.sharedPaths, folder);
  return envFiles;
}

/** Lets the stage see the files that all releases share. */
function linkShared(found: Survey, paths: readonly string[], folder: string): void {
  for (const path of paths) {
    const home = found.strategy === 'in-place' ? join(found.live!, path) : join(found.state.shared, path);
    const link = join(folder, path);
    if (present(link) || !present(home)) continue;
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(home, link);
  }
}

export interface BuildOptions {
  tools: Survey['tools'];
  request: DeployRequest;
  folder: string;
  teller: Teller;
  signal: AbortSignal;
}

/** Decides how the commit is installed and built, and refuses before anything is run. */
export function decideRecipe({ tools, request, folder }: BuildOptions): Recipe {
  const recipe = recipeOf(readProject(folder), {
    install: request.installCommand,
    build: request.buildCommand,
  });
  if (recipe.refusal) throw new Failure(recipe.refusal);
  const manager = recipe.packageManager;
  const needed = request.installCommand === undefined || request.buildCommand === undefined;
  if (manager !== undefined && needed && tools.find(manager) === undefined)
    throw new Failure({
      message: `${manager} is not found on the server, and the commit is locked with it.`,
      next:
        tools.find('corepack') === undefined
          ? `Install it: npm install --global ${manager}`
          : `Run once on the server: corepack enable ${manager}`,
    });
  return recipe;
}

/** Runs one command of the project in the stage; its failure names the command and shows its last lines. */
export async function runInStage(
  what: 'install' | 'build',
  command: string,
  options: BuildOptions,
): Promise<string> {
  const { tools, request, folder, teller, signal } = options;
  const env: NodeJS.ProcessEnv = {
    ...tools.env,
    DEPLOY_SHA: request.sha,
    // Without a terminal a package manager must not ask; a build treats CI differently, so it is not told.
    ...(what === 'install' ? { CI: 'true' } : {}),
  };
  const ended = await run(['/bin/sh', '-c', command], {
    cwd: folder,
    env,
    signal,
    onOutput: teller.output(what),
  });
  if (ended.code === 0) return command;
  throw new Failure({
    message: `${command} ${explainEnd(ended)}.\n${lastLines(ended.tail, 12)}`,
    ...(ended.code === null ? {} : { code: String(ended.code) }),
    next: failureAdvice(what, ended),
  });
}

function failureAdvice(
  what: string,
  ended: { code: number | null; signal: string | null; tail: string },
): string {
  if (ended.signal === 'SIGKILL' || ended.code === 137)
    return 'Add swap or memory to the server, or build in the job with build-on: runner.';
  if (
    /frozen-lockfile|ERR_PNPM_OUTDATED_LOCKFILE|npm ci.*in sync|lockfile would have been modified/i.test(
      ended.tail,
    )
  )
    return 'The lock file does not fit package.json: run the install on your machine and commit the lock file.';
  return `The live version was not touched. Run the ${what} on your machine at this commit, and see the output above.`;
}

/**
 * Finds what install and build made: everything in the stage that git does not track, without what the host
 * brought. The stage was fresh, so there is nothing old among it.
 */
export async function findOutput(found: Survey, request: DeployRequest, folder: string): Promise<string[]> {
  const stage: Repository = { tools: found.tools, folder };
  const brought = new Set([...findEnvFiles(folder), ...request.sharedPaths, 'REVISION']);
  const untracked = (await untrackedPaths(stage)).map((path) => path.replace(/\/$/, ''));
  const shared = (path: string): boolean =>
    request.sharedPaths.some((kept) => kept === path || kept.startsWith(`${path}${sep}`));
  const made = untracked.filter((path) => !brought.has(path) && !shared(path));
  const named = request.buildOutput.filter(
    (path) => !made.some((known) => known === path || path.startsWith(`${known}/`)),
  );
  for (const path of named) if (!present(join(folder, path))) throw new Failure(silentBuild(path));
  return made;
}

/** Exit code 0 is no proof: a build that died silently leaves nothing, or not the thing that the server starts. */
export function silentBuild(missing: string): Problem {
  return {
    message: `The build ended with 0, but ${missing} was not made.`,
    next: 'A build that runs out of memory can end like this: add swap, or build in the job with build-on: runner. If it is another output, name it in build-output.',
  };
}

/** What a build must have made, from what the live version has. Pure: names in, missing names out. */
export function missingOutput(made: readonly string[], before: readonly string[], next: boolean): string[] {
  const usual = ['.next', 'dist', 'build', 'out', '.output', '.nuxt', '.svelte-kit', 'lib'];
  const wanted = new Set(before.filter((path) => usual.includes(path)));
  if (next) wanted.add('.next');
  return [...wanted].filter((path) => !made.includes(path));
}

/** Folders of a build whose file names hold a hash, so that old and new files can lie side by side. */
const CHUNK_FOLDERS = [
  '.next/static',
  'dist/assets',
  'dist/static',
  'dist/client/assets',
  'dist/_astro',
  'build/static',
  'build/client/assets',
  '.output/public/_nuxt',
  'public/build',
];

/**
 * Links the static files of the live version into the new one, so that pages which were loaded before the cutover
 * still find theirs. Files that the live version itself took over are left behind: one generation is enough.
 */
export function carryChunks(live: string, folder: string, notOwn: readonly string[]): string[] {
  const skip = new Set(notOwn);
  const carried: string[] = [];
  for (const root of CHUNK_FOLDERS) {
    if (!isFolder(join(live, root)) || !isFolder(join(folder, root))) continue;
    for (const file of filesBelow(join(live, root))) {
      const path = join(root, file);
      const target = join(folder, path);
      if (skip.has(path) || present(target)) continue;
      mkdirSync(dirname(target), { recursive: true });
      linkSync(join(live, path), target);
      carried.push(path);
    }
  }
  return carried;
}

function filesBelow(root: string, below = ''): string[] {
  return readdirSync(join(root, below), { withFileTypes: true }).flatMap((item) => {
    const path = join(below, item.name);
    return item.isDirectory() ? filesBelow(root, path) : item.isFile() ? [path] : [];
  });
}

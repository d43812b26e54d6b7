import { mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { isInside } from '../../lib/paths.js';
import { Failure, type Problem } from '../../lib/report.js';
import { quote } from '../../lib/shell.js';
import { isFile, isFolder, readText, removePath, writeAtomically } from '../host/files.js';
import {
  fetchCommit,
  fetchSources,
  type GitRepository,
  git,
  headOf,
  originOf,
  reachRemoteLike,
} from '../host/git.js';
import { closeFoldersLike, giveRights, openLike } from '../host/permissions.js';
import { explainEnd, runToEnd } from '../host/run-program.js';
import { classifyPath } from '../host-files/classify.js';
import { carryEnvFiles, findEnvFiles, lessOpenWords } from '../host-files/env-files.js';
import { linkedPaths, linkShared, makeSharedFolders, refuseDetour } from '../host-files/shared-paths.js';
import type { Tracking } from '../host-files/tracking.js';
import type { HostState } from '../host-state/host-state.js';
import { readProject } from '../host-state/project-files.js';
import type { DeployRequest } from '../protocol.js';
import type { Reporter } from '../run/reporter.js';
import type { LocalChanges } from '../state/plan.js';
import type { EntryChange, FirstStart } from '../supervisor/supervisor.js';
import { type Recipe, recipeOf } from './build-commands.js';
import { firstError } from './first-error.js';
import { markStage } from './stage-marks.js';

/** A release that is built, but not live. */
export interface Stage {
  release: string;
  sha: string;
  folder: string;
  /** What install and build made, and the env file. */
  made: string[];
  /** Of these what moves into the checkout at the cutover; elsewhere all. */
  paths: string[];
  /** Tracked files as the build changed them. */
  rebuilt: string[];
  /** In-place: the files that only one of the two commits tracks. */
  tracking?: Tracking;
  /** In-place: changes that people made to the live version, which the cutover takes away. */
  changes?: LocalChanges;
  envFiles: string[];
  carriedChunks: string[];
  /** Where the application answers on loopback; undefined where it has no port. */
  port?: number;
  /** Milliseconds that the new version took until it listened, where it was rehearsed. */
  bootMs?: number;
  /** How the application is started where it has no entry yet. */
  start?: FirstStart;
  /** The same of the other programs of the checkout, by their names. */
  otherStarts?: ReadonlyMap<string, FirstStart>;
  /** How it is run from this version on, where that changes. */
  change?: EntryChange;
}

/** The repository whose objects a stage is checked out from: the live checkout, or the bare one of the releases. */
export async function stageRepository(found: HostState, request: DeployRequest): Promise<GitRepository> {
  if (found.strategy === 'in-place') return found.checkout!;
  const bare: GitRepository = { tools: found.tools, folder: found.state.repository };
  if (isFolder(bare.folder)) return bare;
  const live = found.checkout;
  const origin = request.repositoryUrl ?? (live && (await originOf(live))) ?? request.jobRepositoryUrl;
  if (origin === undefined)
    throw new Failure({
      message: 'The server has no repository to fetch from yet.',
      next: 'Give repository-url.',
    });
  // Complete before it has its name: what a killed worker left half made is never taken for the whole.
  const half: GitRepository = { tools: found.tools, folder: `${bare.folder}.half` };
  removePath(half.folder);
  mkdirSync(half.folder, { mode: 0o700 });
  await git(half, 'init', '-q', '--bare');
  await git(half, 'remote', 'add', 'origin', origin);
  if (live) {
    await reachRemoteLike(half, live);
    // The live history too, so that "older than the live commit" can be judged; a shallow clone has only a part of it.
    await git(half, 'fetch', '-q', '--no-tags', '--update-shallow', live.folder, '+HEAD:refs/deploys/live');
  }
  renameSync(half.folder, bare.folder);
  return bare;
}

export async function fetchSha(
  repository: GitRepository,
  request: DeployRequest,
  signal: AbortSignal,
): Promise<void> {
  const sources = await fetchSources(repository, request);
  await fetchCommit(repository, request.sha, sources, signal);
}

/** Checks the commit out beside the live application. */
export async function checkOutStage(
  found: HostState,
  repository: GitRepository,
  request: DeployRequest,
  folder: string,
): Promise<GitRepository> {
  markStage(found.state, folder);
  // Before anything is in it: git checks out into a folder that is empty. Among the releases nobody else may write.
  mkdirSync(folder, { mode: found.live === undefined ? 0o755 : 0o700 });
  if (found.live !== undefined) await openLike(found.tools, found.live, folder);
  await git(repository, 'worktree', 'prune');
  await git(repository, 'worktree', 'add', '-q', '--detach', '--force', folder, request.sha);
  const stage: GitRepository = { tools: found.tools, folder };
  if ((await headOf(stage)) !== request.sha)
    throw new Failure({ message: `The stage holds another commit than ${request.sha}.` });
  return stage;
}

/** Brings the host's own files into the stage; resolves to its environment files. */
export async function bringHostFiles(
  found: HostState,
  request: DeployRequest,
  stage: GitRepository,
  reporter: Pick<Reporter, 'progress' | 'warn'>,
): Promise<string[]> {
  const { folder } = stage;
  const { live, tools } = found;
  const tracked = new Set((await git(stage, 'ls-files', '-z')).split('\0'));
  const envFiles =
    live === undefined
      ? []
      : findEnvFiles(live).filter((path) => classifyPath(path, { tracked }) !== 'tracked');
  if (live !== undefined) {
    const lessOpen = await carryEnvFiles(tools, live, folder, envFiles);
    for (const file of lessOpen.filter(
      ({ path }) => path !== request.envFilePath || request.envFile === undefined,
    ))
      reporter.warn(lessOpenWords(file));
  }
  if (request.envFile !== undefined) {
    if (found.strategy === 'in-place' && tracked.has(request.envFilePath))
      throw new Failure(trackedEnvFile(request.envFilePath));
    refuseDetour(folder, request.envFilePath, 'env-file-path');
    if (live !== undefined) await closeFoldersLike(tools, live, folder, request.envFilePath);
    const written = join(folder, request.envFilePath);
    writeAtomically(written, request.envFile);
    // Nobody chose the mode of a file that git made.
    const replaced =
      live === undefined || tracked.has(request.envFilePath) ? undefined : join(live, request.envFilePath);
    if (replaced !== undefined && isFile(replaced)) {
      const lost = await giveRights(tools, replaced, written);
      if (lost.length > 0) reporter.warn(lessOpenWords({ path: request.envFilePath, lost }));
    }
    if (!envFiles.includes(request.envFilePath)) envFiles.push(request.envFilePath);
  }
  const inside = linkedInPlace(found, request).find((path) =>
    [...tracked].some((file) => isInside(file, path)),
  );
  if (inside !== undefined)
    throw new Failure({
      message: `The commit tracks files in the shared path ${inside}, which lies inside of what is built.`,
      next: `Take them out of git: git rm -r --cached ${quote(inside)}`,
    });
  await makeSharedFolders(found, request);
  for (const home of linkShared(found, request, folder))
    reporter.progress(
      `shared-paths: ${home} is not there yet; the application makes that file itself. For a folder: mkdir -p ${quote(home)}`,
    );
  return envFiles;
}

/** Among releases a symlink takes the place of what the commit has there; in a checkout git would take it back. */
function linkedInPlace(found: HostState, request: DeployRequest): string[] {
  return found.strategy === 'in-place' ? linkedPaths(found, request) : [];
}

/** The checkout would have the file of the commit again as soon as git turns to it. */
function trackedEnvFile(path: string): Problem {
  return {
    message: `env-file would be written to ${path}, which the commit tracks.`,
    next: `Take it out of git (git rm --cached ${quote(path)}, and a line in .gitignore), or use another env-file-path.`,
  };
}

export interface BuildOptions {
  tools: HostState['tools'];
  request: DeployRequest;
  folder: string;
  reporter: Reporter;
  signal: AbortSignal;
}

/** Decides how the commit is installed and built, and refuses before anything is run. */
export function decideRecipe({ tools, request, folder }: BuildOptions): Recipe {
  if (readText(join(folder, '.gitmodules'))?.includes('[submodule'))
    throw new Failure({
      message: 'The commit has git submodules, and a deploy brings only its own files to the server.',
      next: 'Build in the job, where actions/checkout fetches them with submodules: true (build-on: runner), or take them into the repository.',
    });
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
  const { tools, request, folder, reporter, signal } = options;
  const env: NodeJS.ProcessEnv = {
    ...tools.env,
    DEPLOY_SHA: request.sha,
    // Without a terminal a package manager must not ask; a build treats CI differently, so it is not told. With
    // NODE_ENV=production in the session it would leave out the dependencies that the build needs.
    ...(what === 'install' ? { CI: 'true', NODE_ENV: undefined } : {}),
  };
  const ended = await runToEnd(['/bin/sh', '-c', command], {
    cwd: folder,
    env,
    signal,
    output: reporter.output(what),
  });
  if (ended.code === 0) return command;
  throw new Failure({
    message: `${command} ${explainEnd(ended)}.\n${firstError(ended.tail)}`,
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

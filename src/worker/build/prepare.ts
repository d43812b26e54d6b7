import { join } from 'node:path';
import { isInstalled } from '../../lib/build-output-names.js';
import { collisionProblem, takenOverWords } from '../../lib/collision-words.js';
import { definedOnly } from '../../lib/defined-only.js';
import { Failure } from '../../lib/report.js';
import { backupRoomProblem, lastBackup } from '../host/backup-room.js';
import { present, writeAtomically } from '../host/files.js';
import { freeSpace } from '../host/free-space.js';
import type { GitRepository } from '../host/git.js';
import { inheritRights } from '../host/inherit-rights.js';
import { must } from '../host/toolbox.js';
import { inTheWayOf } from '../host-files/collisions.js';
import { rebuiltFiles } from '../host-files/rebuilt-files.js';
import { linkShared } from '../host-files/shared-paths.js';
import { lookAtTracking, type Tracking } from '../host-files/tracking.js';
import type { HostState } from '../host-state/host-state.js';
import { pointersIn } from '../host-state/lfs.js';
import { readProject } from '../host-state/project-files.js';
import { BACKUPS, type DeployRequest, type RunResult } from '../protocol.js';
import type { DeployContext } from '../run/deploy-context.js';
import type { Held } from '../run/hold.js';
import type { LiveLooks } from '../run/live-looks.js';
import type { Reporter } from '../run/reporter.js';
import { currentLink } from '../state/layout.js';
import { newReleaseName } from '../state/release-name.js';
import { readNote, releaseFolder } from '../state/releases.js';
import { portOf } from '../supervisor/entry.js';
import type { EntryChange, FirstStart } from '../supervisor/supervisor.js';
import { withBuildCache } from './build-cache.js';
import { recipeOf } from './build-commands.js';
import { type BuildOutput, carryChunks, checkOutput, findOutput, withEnvFile } from './build-output.js';
import { withMissingFiles } from './missing-files.js';
import {
  type RehearsalOptions,
  rehearsalCommand,
  rehearsalObstacle,
  rehearse,
  sparePort,
  tryStart,
} from './rehearse.js';
import { bringHostFiles, checkOutStage, decideRecipe, runInStage, type Stage } from './stage.js';
import { discardStage } from './stage-marks.js';

/** Everything that can fail: checkout, install, build, rehearsal, all beside the live application; where the database is changed in between, on the word of the action. */
export async function prepareStage(
  found: HostState,
  repository: GitRepository,
  context: DeployContext,
  result: RunResult,
  live?: LiveLooks,
): Promise<Stage> {
  const { request, reporter } = context;
  reporter.event({ kind: 'state', state: 'preparing' });
  const release = newReleaseName(request.sha);
  const folder = releaseFolder(found.releases, release);
  try {
    // The backup comes while the database is waited for, and room for it is needed once.
    const waitsAt = request.cutover === 'builds-later' ? 'installed' : 'built';
    const forDatabase = async (at: Held): Promise<void> => {
      if (at !== waitsAt) return;
      refuseBackup(found, request);
      await context.hold(at, live);
    };
    const installed = (): Promise<void> => forDatabase('installed');
    const stage = await build(found, repository, context, { release, folder, installed });
    await tryStage(found, stage, context);
    await forDatabase('built');
    const bootMs = await rehearseStage(found, stage, context, result);
    return bootMs === undefined ? stage : { ...stage, bootMs };
  } catch (error) {
    const told = await withMissingFiles(error, found, request, folder);
    await discardStage(repository, folder, reporter);
    throw told;
  }
}

async function build(
  found: HostState,
  repository: GitRepository,
  context: DeployContext,
  { release, folder, installed }: { release: string; folder: string; installed: () => Promise<void> },
): Promise<Stage> {
  const { request, reporter } = context;
  const stage = await reporter.step('stage', () => checkOutStage(found, repository, request, folder));
  const pointers = await pointersIn(stage);
  if (pointers !== undefined) throw new Failure(pointers);
  const early = await lookAtCollisions(found, request, stage, []);
  if (early && early.takenOver.length > 0) reporter.progress(takenOverWords(early.takenOver));
  writeAtomically(join(folder, 'REVISION'), `${request.sha}\n`, 0o644);
  let envFiles: string[] = [];
  const bring = async (): Promise<void> => {
    envFiles = await bringHostFiles(found, request, stage, reporter);
  };
  let made: BuildOutput;
  if (request.packedBuild === undefined) {
    await bring();
    made = await installAndBuild(found, context, folder, installed);
  } else
    made = await reporter.step(
      'unpack',
      async () => {
        await unpack(found, context, request.packedBuild!, folder);
        // Only now: an archive must not write through the symlinks of the host.
        await bring();
        return checkOutput(found, request, folder);
      },
      listed,
    );
  const rebuilt = await rebuiltFiles(stage, request.sharedPaths);
  const paths = withEnvFile(made.paths, request);
  const tracking = await lookAtCollisions(found, request, stage, paths);
  const notOwn = found.history.live
    ? (readNote(found.state, found.history.live.release)?.carriedChunks ?? [])
    : [];
  const carriedChunks = found.live === undefined ? [] : carryChunks(found.live, folder, notOwn);
  if (found.live !== undefined) await inheritFrom(found.live, stage, made.paths, reporter);
  const start = found.entry === undefined ? await decideFirstStart(found, context, folder) : undefined;
  const change = await decideEntryChange(found, context, folder);
  const port = isPortless(found)
    ? undefined
    : (portAfter(change, context) ?? found.facts.port ?? (start && portOf(start.entry)));
  if (port === undefined && !isPortless(found))
    throw new Failure({
      message:
        'The port of the application is not known: it stands neither in PORT nor in -p / --port of its start.',
      next: `Give health-port. A program without a port: "app-name: ${request.app.appName} none".`,
    });
  return {
    release,
    sha: request.sha,
    folder,
    made: made.all,
    paths,
    rebuilt,
    ...definedOnly({ tracking }),
    envFiles,
    carriedChunks,
    ...definedOnly({ port, start, change }),
    otherStarts: await startsOfOthers(found, context, folder),
  };
}

/** How those of the other programs are started that do not run yet. */
async function startsOfOthers(
  { others }: HostState,
  { reporter }: DeployContext,
  folder: string,
): Promise<Map<string, FirstStart>> {
  const starts = new Map<string, FirstStart>();
  for (const { name, supervisor, entry } of others) {
    if (entry !== undefined) continue;
    const start = await supervisor.firstStart({ folder, packageManager: 'npm', reporter });
    if (start) starts.set(name, start);
  }
  return starts;
}

/** How the application is run from this build on; undefined where that stays as it is. */
async function decideEntryChange(
  { supervisor, entry, live, facts }: HostState,
  { reporter }: DeployContext,
  folder: string,
): Promise<EntryChange | undefined> {
  // A version without a name could not be given its entry back.
  if (entry === undefined || live === undefined || facts.liveSha === undefined) return undefined;
  const change = await supervisor.follow({ folder, reporter }, { folder: live, entry });
  if (change) reporter.progress(change.words);
  return change;
}

/** True for a program that nobody can ask. */
function isPortless({ app, entry }: HostState): boolean {
  return app.portless !== undefined || entry?.portless === true;
}

/** Where the application listens by a changed entry, as far as that says it and nobody else does. */
function portAfter(change: EntryChange | undefined, { request }: DeployContext): number | undefined {
  return change === undefined || request.app.healthPort !== undefined ? undefined : portOf(change.entry);
}

/** Whoever could read what is replaced, a web server by its group say, can read what comes. */
async function inheritFrom(
  live: string,
  { tools, folder }: GitRepository,
  paths: readonly string[],
  reporter: Pick<Reporter, 'warn'>,
): Promise<void> {
  for (const path of paths) {
    const [from, to] = [join(live, path), join(folder, path)];
    // Packages are hard links into a store, which others share.
    if (isInstalled(path) || !present(from) || !present(to)) continue;
    const lost = await inheritRights(tools, from, to);
    if (lost.length > 0)
      reporter.warn({
        message: `The new ${path} could not be given ${lost.join(' and ')}: a web server that reads it by that may be refused.`,
        next: 'Add the user of the SSH connection to that group, or install the package acl on the server.',
      });
  }
}

/** How the application is started that is not run yet; undefined where its supervisor need not know. */
async function decideFirstStart(
  { supervisor }: HostState,
  { request, reporter }: DeployContext,
  folder: string,
): Promise<FirstStart | undefined> {
  const project = readProject(folder);
  const { packageManager = 'npm' } = recipeOf(project, {});
  return supervisor.firstStart({
    folder,
    ...definedOnly({ startCommand: request.startCommand, scripts: project.packageJson?.scripts }),
    packageManager,
    reporter,
  });
}

const listed = ({ paths }: BuildOutput): string => paths.join(', ');

/** Installs and builds in the stage, and waits between the two for `installed`; resolves to what this made. */
async function installAndBuild(
  found: HostState,
  { request, reporter, signal }: DeployContext,
  folder: string,
  installed: () => Promise<void>,
): Promise<BuildOutput> {
  const options = { tools: found.tools, request, folder, reporter, signal };
  const { install, build } = decideRecipe(options);
  // An install or a build may begin with an empty folder, and take the symlinks of shared paths away with the old one.
  const inStage = async (what: 'install' | 'build', command: string): Promise<void> => {
    await runInStage(what, command, options);
    linkShared(found, request, folder);
  };
  if (install !== undefined)
    await reporter.step(
      'install',
      () => inStage('install', install),
      () => install,
    );
  await installed();
  if (build === undefined) return findOutput(found, request, folder);
  return reporter.step(
    'build',
    () =>
      withBuildCache(
        { ...found, live: found.live, stage: { tools: found.tools, folder }, request, reporter, signal },
        () => inStage('build', build),
        () => checkOutput(found, request, folder),
      ),
    (made) => `${build}: ${listed(made)}`,
  );
}

/** Puts the build that was made in the job into the stage; nothing is installed or built here. */
async function unpack(
  found: HostState,
  { signal, reporter }: DeployContext,
  file: string,
  folder: string,
): Promise<void> {
  await must(found.tools, ['tar', '-xzf', file, '--no-same-owner', '-C', folder], {
    signal,
    output: reporter.output('unpack'),
  });
}

/**
 * Finds the files that the new commit and the live one do not both track. @throws a Failure where the new one brings
 * files that lie on the server already: git would overwrite them. What a package manager wrote is kept as a patch.
 */
export async function lookAtCollisions(
  found: HostState,
  request: DeployRequest,
  stage: GitRepository,
  swapped: readonly string[],
): Promise<Tracking | undefined> {
  const { liveSha } = found.facts;
  if (found.strategy !== 'in-place' || liveSha === undefined) return undefined;
  const tracking = await lookAtTracking(found.checkout!, {
    from: liveSha,
    to: request.sha,
    shared: request.sharedPaths,
    swapped,
    takenBefore: (found.history.live && readNote(found.state, found.history.live.release)?.takenOver) ?? [],
    rules: stage,
  });
  const problem = collisionProblem(inTheWayOf(tracking));
  if (problem !== undefined) throw new Failure(problem);
  return tracking;
}

/** How the new version is started beside the live one; undefined, with a word why, where it is not. */
async function rehearsalOf(
  found: HostState,
  stage: Stage,
  { request, reporter, signal }: DeployContext,
  tell: (text: string) => void,
): Promise<RehearsalOptions | undefined> {
  const entry = stage.change?.entry ?? found.entry ?? stage.start?.entry;
  const obstacle = rehearsalObstacle(request.rehearse, found.supervisor, entry);
  if (obstacle !== undefined || entry === undefined) {
    tell(`not rehearsed: ${obstacle ?? 'nothing tells how the application is started'}`);
    return undefined;
  }
  const port = await sparePort();
  const { appPath } = request.app;
  // The symlink before the folder that it lies in.
  const live = [currentLink(appPath), appPath, ...(found.live === undefined ? [] : [found.live])];
  const command = rehearsalCommand(entry, {
    live,
    stage: stage.folder,
    port,
    node: found.tools.find('node')!,
  });
  const { tools } = found;
  const { sha, health } = request;
  return { tools, command, port, sha, health, log: reporter.logged, tell: reporter.progress, signal };
}

/** @throws a Failure where the backup, which comes next, would not find room beside what was built. */
function refuseBackup({ state, app }: HostState, { backup }: DeployRequest): void {
  if (backup === undefined) return;
  const last = lastBackup(join(state.path, BACKUPS), backup.what);
  const problem = backupRoomProblem(backup, last, freeSpace(app.appPath).freeBytes);
  if (problem !== undefined) throw new Failure(problem);
}

/** Before the migrations are committed: a version that cannot even start need not wait for them. */
async function tryStage(found: HostState, stage: Stage, context: DeployContext): Promise<void> {
  if (context.request.cutover !== 'step-by-step') return;
  // Why it cannot be started is told where it would be rehearsed.
  const options = await rehearsalOf(found, stage, context, () => {});
  if (options)
    await context.reporter.step(
      'start',
      () => tryStart(options),
      (said) => said,
    );
}

/** Resolves to the milliseconds that the new version took until it listened; undefined where it was not rehearsed. */
async function rehearseStage(
  found: HostState,
  stage: Stage,
  context: DeployContext,
  result: RunResult,
): Promise<number | undefined> {
  result.rehearsed = false;
  const options = await rehearsalOf(found, stage, context, context.reporter.progress);
  if (!options) return undefined;
  const { bootMs } = await context.reporter.step(
    'rehearsal',
    () => rehearse(options),
    ({ facts }) => `healthy on port ${options.port}: ${facts.map(({ name }) => name).join(', ')}`,
  );
  result.rehearsed = true;
  return bootMs;
}

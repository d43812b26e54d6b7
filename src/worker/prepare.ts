import { join } from 'node:path';
import { Failure } from '../base/report.js';
import type { DeployContext } from './deploy.js';
import { present, writeAtomically } from './files.js';
import { firstStart } from './first-start.js';
import { git, type Repository } from './git.js';
import { releaseName } from './layout.js';
import { carryChunks, checkOutput, findOutput } from './output.js';
import { portOf } from './pm2.js';
import type { RunResult } from './protocol.js';
import { dropRelease } from './prune.js';
import { rehearsalCommand, rehearsalObstacle, rehearse, sparePort } from './rehearse.js';
import { readNote, releaseFolder } from './releases.js';
import { checkOutStage, decideRecipe, runInStage, type Stage } from './stage.js';
import type { Survey } from './survey.js';
import { must } from './toolbox.js';

/** Everything that can fail: checkout, install, build, rehearsal, all beside the live application. */
export async function prepare(
  found: Survey,
  repository: Repository,
  context: DeployContext,
  result: RunResult,
): Promise<Stage> {
  const { request, teller } = context;
  teller.event({ kind: 'state', state: 'preparing' });
  const release = releaseName(request.sha, new Date());
  const folder = releaseFolder(found.releases, release);
  try {
    const stage = await build(found, repository, context, { release, folder });
    const bootMs = await rehearseStage(found, stage, context, result);
    return bootMs === undefined ? stage : { ...stage, bootMs };
  } catch (error) {
    await dropRelease(repository, folder);
    throw error;
  }
}

async function build(
  found: Survey,
  repository: Repository,
  context: DeployContext,
  { release, folder }: { release: string; folder: string },
): Promise<Stage> {
  const { request, teller } = context;
  await refuseCollisions(found, repository, request.sha);
  const envFiles = await teller.step('stage', () => checkOutStage(found, repository, request, folder));
  writeAtomically(join(folder, 'REVISION'), `${request.sha}\n`, 0o644);
  const made =
    request.packedBuild === undefined
      ? await installAndBuild(found, context, folder)
      : await teller.step('unpack', () => unpack(found, context, request.packedBuild!, folder), listed);
  const notOwn = found.history.live
    ? (readNote(found.state, found.history.live.release)?.carriedChunks ?? [])
    : [];
  const carriedChunks = found.live === undefined ? [] : carryChunks(found.live, folder, notOwn);
  const env = request.envFile === undefined ? [] : [request.envFilePath];
  const start =
    found.entry === undefined && request.app.restartCommand === undefined
      ? await firstStart(found, request, folder, teller)
      : undefined;
  const port = found.facts.port ?? (start && portOf(start.entry));
  if (port === undefined)
    throw new Failure({
      message:
        'The port of the application is not known: it stands neither in PORT nor in -p / --port of its start.',
      next: 'Give health-port.',
    });
  const paths = [...made, ...env];
  const stage = { release, sha: request.sha, folder, paths, envFiles, carriedChunks, port };
  return start === undefined ? stage : { ...stage, start };
}

const said = (command: string): string => command;
const listed = (paths: string[]): string => paths.join(', ');

/** Installs and builds in the stage; resolves to the paths that this made. */
async function installAndBuild(
  found: Survey,
  { request, teller, signal }: DeployContext,
  folder: string,
): Promise<string[]> {
  const options = { tools: found.tools, request, folder, teller, signal };
  const { install, build } = decideRecipe(options);
  if (install !== undefined)
    await teller.step('install', () => runInStage('install', install, options), said);
  if (build === undefined) return findOutput(found, request, folder);
  return teller.step(
    'build',
    async () => {
      await runInStage('build', build, options);
      return checkOutput(found, request, folder);
    },
    (paths) => `${build}: ${listed(paths)}`,
  );
}

/** Puts the build that was made in the job into the stage; nothing is installed or built here. */
async function unpack(
  found: Survey,
  { request, teller, signal }: DeployContext,
  file: string,
  folder: string,
): Promise<string[]> {
  await must(found.tools, ['tar', '-xzf', file, '--no-same-owner', '-C', folder], {
    signal,
    output: teller.output('unpack'),
  });
  return checkOutput(found, request, folder);
}

/** `git reset --hard` would silently overwrite untracked files that the new commit tracks. */
async function refuseCollisions(found: Survey, repository: Repository, sha: string): Promise<void> {
  const { liveSha } = found.facts;
  if (found.strategy !== 'in-place' || liveSha === undefined) return;
  const added = await git(
    repository,
    'diff',
    '--name-only',
    '--no-renames',
    '--diff-filter=A',
    '-z',
    liveSha,
    sha,
  );
  const inTheWay = added.split('\0').filter((path) => path !== '' && present(join(found.live!, path)));
  if (inTheWay.length === 0) return;
  throw new Failure({
    message: `The commit brings files that lie untracked on the server: ${inTheWay.slice(0, 5).join(', ')}.`,
    next: 'Move them away on the server, or list them in shared-paths if they belong to the host.',
  });
}

/** Resolves to the milliseconds that the new version took until it listened; undefined where it was not rehearsed. */
async function rehearseStage(
  found: Survey,
  stage: Stage,
  { request, teller, signal }: DeployContext,
  result: RunResult,
): Promise<number | undefined> {
  result.rehearsed = false;
  const entry = found.entry ?? stage.start?.entry;
  const obstacle = rehearsalObstacle({ ...request.app, rehearse: request.rehearse }, entry);
  if (obstacle !== undefined || entry === undefined) {
    teller.progress(`not rehearsed: ${obstacle ?? 'the application has no PM2 entry'}`);
    return undefined;
  }
  const port = await sparePort();
  const live = [request.app.appPath, ...(found.live === undefined ? [] : [found.live])];
  const command = rehearsalCommand(entry, {
    live,
    stage: stage.folder,
    port,
    node: found.tools.find('node')!,
  });
  const { tools } = found;
  const { bootMs } = await teller.step(
    'rehearsal',
    () =>
      rehearse({
        tools,
        command,
        port,
        sha: request.sha,
        health: request.health,
        log: teller.logged,
        tell: teller.progress,
        signal,
      }),
    ({ facts }) => `healthy on port ${port}: ${facts.map(({ name }) => name).join(', ')}`,
  );
  result.rehearsed = true;
  return bootMs;
}

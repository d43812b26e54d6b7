import { requestBudget } from '../inputs/request-budget.js';
import type { Run, Settings, VpsSettings } from '../inputs/settings.js';
import { definedOnly } from '../lib/defined-only.js';
import type {
  AppRequest,
  CancelSessionRequest,
  CollisionsRequest,
  CommittedFile,
  DeployRequest,
  FetchRequest,
  HealthRequest,
  InspectRequest,
  ProbeRequest,
  RollbackRequest,
  RunRequest,
  StatusRequest,
  Undo,
  WatchRequest,
} from '../worker/protocol.js';

/** Settings in the words of the worker. Pure: no value is looked up or made up here. */

/** Settings with the server given for certain. */
export type VpsRun = Settings & { readonly vps: VpsSettings };

function appRequest(settings: VpsRun): AppRequest {
  const { vps, environment, adoptEnvironment } = settings;
  const database = databaseOf(settings);
  return {
    appPath: vps.appPath,
    appName: vps.appName,
    strategy: vps.strategy,
    ...definedOnly({ environment }),
    adoptEnvironment,
    ...definedOnly({ database, restartCommand: vps.restartCommand, healthPort: vps.healthPort }),
    ecosystem: vps.ecosystem,
    ...definedOnly({
      portless: vps.portless ? 'named' : settings.health.from === 'none' ? 'health-from' : undefined,
    } as const),
    ...(vps.otherPrograms.length === 0 ? {} : { others: [...vps.otherPrograms] }),
  };
}

/** Only a whole deploy, or the plan of one, says anything about the database. */
function databaseOf({ mode, database, skip }: VpsRun): AppRequest['database'] {
  if ((mode !== 'deploy' && mode !== 'plan') || skip.includes('database')) return undefined;
  return database ? 'given' : 'missing';
}

function runRequest({ id, attempt, session, url, actor }: Run, invocation?: string): RunRequest {
  return {
    id,
    attempt,
    ...definedOnly({ invocation, session, url, actor }),
  };
}

function healthRequest(settings: VpsRun): HealthRequest {
  const { url, paths, timeout, deadline, successes, checkAssets, expectVersion } = settings.health;
  const known = url === undefined ? undefined : new URL(url);
  const basePath = known?.pathname.replace(/\/+$/, '') ?? '';
  return {
    paths: [...paths],
    ...(basePath === '' ? {} : { basePath }),
    ...definedOnly({ publicOrigin: known?.origin }),
    timeout,
    deadline,
    successes,
    checkAssets,
    ...definedOnly({ expectVersion }),
    budget: requestBudget(settings, 'server'),
  };
}

/** Where a server fetches the commit from, also where it has no origin. */
function fetchRequest({ vps, run }: VpsRun): FetchRequest {
  const { repository, serverUrl } = run;
  return {
    ...definedOnly({ repositoryUrl: vps.repositoryUrl }),
    ...(repository === undefined ? {} : { jobRepositoryUrl: `${serverUrl}/${repository}.git` }),
  };
}

/**
 * The job's token, for a server that said that it has no access of its own. It opens the whole repository for as long
 * as the job runs, so no other server is sent it, and no request that fetches nothing.
 */
export function withToken({ run, githubToken }: VpsRun): Pick<FetchRequest, 'fetchAccess'> {
  return githubToken && run.repository
    ? { fetchAccess: { server: run.serverUrl, token: githubToken.reveal() } }
    : {};
}

/** Says that there is a token, and who issued it, to a server that may have to ask for it. */
function tokenOnRequest(settings: VpsRun): Pick<FetchRequest, 'fetchAccess'> {
  const { fetchAccess } = withToken(settings);
  return fetchAccess === undefined ? {} : { fetchAccess: { server: fetchAccess.server } };
}

/** `undo`: asks what a rollback would do, instead of what a deploy would. */
export function inspectRequest(settings: VpsRun, sha: string | undefined, undo?: Undo): InspectRequest {
  return {
    command: 'inspect',
    app: appRequest(settings),
    run: runRequest(settings.run),
    ...(sha === undefined ? {} : { sha, ...fetchRequest(settings), ...tokenOnRequest(settings) }),
    explicit: settings.vps.refExplicit,
    rehearse: settings.vps.rehearse,
    health: healthRequest(settings),
    dirtyCheckout: settings.vps.dirtyCheckout,
    ...(settings.vps.envFile === undefined ? {} : { writesEnvFile: settings.vps.envFilePath }),
    sharedPaths: [...settings.vps.sharedPaths],
    buildOutput: [...settings.vps.buildOutput],
    envFilePath: settings.vps.envFilePath,
    ...definedOnly({ undo }),
  };
}

/** Asks what the files of a commit would meet in the live checkout. */
export function collisionsRequest(settings: VpsRun, files: CommittedFile[]): CollisionsRequest {
  return { command: 'collisions', app: appRequest(settings), files };
}

/** Without the environment: another one that is remembered is told, and refuses nothing. */
export function statusRequest(settings: VpsRun): StatusRequest {
  const { environment: _, ...app } = appRequest(settings);
  return { command: 'status', app };
}

/** `once`: a check that was good is not asked again. */
export function probeRequest(settings: VpsRun, once = false): ProbeRequest {
  const health = healthRequest(settings);
  return {
    command: 'probe',
    app: appRequest(settings),
    health: once ? { ...health, once } : health,
    // The mode `health` writes nothing on a host.
    counted: settings.mode !== 'health',
  };
}

/** `ask`: the application is asked once too. */
export function watchRequest(settings: VpsRun, ask: boolean): WatchRequest {
  // What an answer says of its version is known from the journal: another run may have brought another one meanwhile.
  const { expectVersion: _, ...health } = healthRequest(settings);
  return {
    command: 'watch',
    app: appRequest(settings),
    health: ask ? health : { ...health, paths: [] },
  };
}

/** `session`: the start of the action whose workers are to stop. */
export function cancelSessionRequest(settings: VpsRun, session: string): CancelSessionRequest {
  return {
    command: 'cancel-session',
    app: appRequest(settings),
    run: { ...runRequest(settings.run), session },
  };
}

export interface DeployDetails {
  /** Full commit SHA. */
  sha: string;
  /** The same for all hosts of one phase. */
  invocation: string;
  cutover: DeployRequest['cutover'];
  /** Milliseconds. */
  goLease: number;
  /** The live version is asked while the database changes. */
  looksAtLive: boolean;
}

export function deployRequest(settings: VpsRun, details: DeployDetails): DeployRequest {
  const { vps } = settings;
  const { sha, invocation, cutover, goLease, looksAtLive } = details;
  return {
    command: 'deploy',
    app: appRequest(settings),
    run: runRequest(settings.run, invocation),
    sha,
    explicit: vps.refExplicit,
    ...fetchRequest(settings),
    ...definedOnly({
      installCommand: vps.installCommand,
      buildCommand: vps.buildCommand,
      startCommand: vps.startCommand,
    }),
    buildOutput: [...vps.buildOutput],
    buildCache: vps.buildCache,
    ...(vps.envFile === undefined ? {} : { envFile: vps.envFile.reveal() }),
    envFilePath: vps.envFilePath,
    sharedPaths: [...vps.sharedPaths],
    keepReleases: vps.keepReleases,
    rehearse: vps.rehearse,
    dirtyCheckout: vps.dirtyCheckout,
    health: healthRequest(settings),
    lockWait: vps.lockWait,
    timeout: vps.deployTimeout,
    cutover,
    goLease,
    ...(looksAtLive ? { looksAtLive } : {}),
  };
}

export function rollbackRequest(settings: VpsRun, invocation: string, undo: Undo): RollbackRequest {
  return {
    command: 'rollback',
    app: appRequest(settings),
    run: runRequest(settings.run, invocation),
    ...undo,
    health: healthRequest(settings),
    lockWait: settings.vps.lockWait,
    timeout: settings.vps.deployTimeout,
  };
}

import type { HealthFact, Problem, Step } from '../base/report.js';

/**
 * What the action and the worker say to each other. The worker is a bundle of its own that runs on the VPS;
 * the action streams it there, hands it one request as JSON over stdin, and reads JSON lines back.
 * Types and plain values only: both bundles import this file.
 */

/** The application as the action knows it; everything else the worker finds out on the host. */
export interface AppRequest {
  appPath: string;
  appName: string;
  strategy: 'auto' | 'in-place' | 'releases' | 'adopt';
  environment?: string;
  adoptEnvironment: boolean;
  restartCommand?: string;
  healthPort?: number;
}

export interface RunRequest {
  id: string;
  attempt: number;
  url?: string;
  actor?: string;
}

export interface HealthRequest {
  paths: string[];
  /** Milliseconds. */
  timeout: number;
  deadline: number;
  successes: number;
  checkAssets: boolean;
  expectVersion?: string;
  maxLatency?: number;
}

export interface DeployRequest {
  command: 'deploy';
  app: AppRequest;
  run: RunRequest;
  /** Full commit SHA. */
  sha: string;
  /** A person named this commit: it may be older than the live one or marked bad. */
  explicit: boolean;
  /** Where to fetch from, when not the origin that the host already has. */
  repositoryUrl?: string;
  /** The job's token for that one fetch; over stdin, never stored, never in argv. */
  fetchToken?: string;
  installCommand?: string;
  buildCommand?: string;
  startCommand?: string;
  buildOutput: string[];
  envFile?: string;
  envFilePath: string;
  sharedPaths: string[];
  keepReleases: number;
  rehearse: boolean;
  dirtyCheckout: 'refuse' | 'stash';
  health: HealthRequest;
  /** Milliseconds to wait for another run's lock. */
  lockWait: number;
  /** Milliseconds for the whole deploy on this host. */
  timeout: number;
  /**
   * `at-once`: cut over as soon as everything is prepared. `on-go`: stop at the state `prepared`, wait for the
   * command `go`, and abort by itself when the action has not been heard of for `goLease` milliseconds.
   */
  cutover: 'at-once' | 'on-go';
  goLease: number;
  /** A packed build streamed by `build-on: runner` lies at this path on the host. */
  packedBuild?: string;
}

export interface RollbackRequest {
  command: 'rollback';
  app: AppRequest;
  run: RunRequest;
  /** Undo what this run changed; a no-op when it did not cut over or is undone already. */
  undoRun?: string;
  /** `previous` (further back each time it is asked), a commit, or a release. */
  to?: string;
  health: HealthRequest;
  lockWait: number;
  timeout: number;
}

/** Looks only; writes nothing. */
export interface InspectRequest {
  command: 'inspect';
  app: AppRequest;
  run: RunRequest;
  /** Checked to exist on the remote, when given. */
  sha?: string;
  repositoryUrl?: string;
  fetchToken?: string;
  explicit: boolean;
}

/** Asks the application on loopback; writes nothing. */
export interface ProbeRequest {
  command: 'probe';
  app: AppRequest;
  health: HealthRequest;
}

/** Streams the events of a run from byte `offset` of its journal file until the run has ended. */
export interface FollowRequest {
  command: 'follow';
  app: AppRequest;
  run: RunRequest;
  task: 'deploy' | 'rollback';
  offset: number;
}

/** Lets a prepared deploy cut over, or stops one that has not cut over yet. */
export interface SignalRequest {
  command: 'go' | 'cancel';
  app: AppRequest;
  run: RunRequest;
}

export type WorkerRequest =
  | DeployRequest
  | RollbackRequest
  | InspectRequest
  | ProbeRequest
  | FollowRequest
  | SignalRequest;

/** One JSON line from the worker. `offset` is the byte after this line, from which a reconnect goes on. */
export type WorkerEvent =
  | { kind: 'started'; pid: number; at: number }
  | { kind: 'progress'; text: string }
  | { kind: 'step'; step: Step }
  /** A chunk of a program's output; untrusted text, already bounded. */
  | { kind: 'output'; source: string; text: string }
  | { kind: 'warning'; problem: Problem }
  | {
      kind: 'state';
      state: 'waiting-for-lock' | 'preparing' | 'prepared' | 'cutting-over' | 'verifying' | 'putting-back';
    }
  | { kind: 'ended'; result: RunResult };

/** How a deploy or rollback ended on one host. */
export interface RunResult {
  /**
   * `deployed`: the new version is verified. `unchanged`: nothing had to be done. `put-back`: the cutover failed
   * and the old version is verified again. `failed`: failed before the live application was touched.
   * `broken`: failed, and the old version could not be verified either. `cancelled`: stopped before the cutover.
   */
  outcome:
    | 'deployed'
    | 'unchanged'
    | 'rolled-back'
    | 'put-back'
    | 'failed'
    | 'broken'
    | 'cancelled'
    | 'newer-is-live';
  previousSha?: string;
  deployedSha?: string;
  release?: string;
  /** Milliseconds during which loopback did not answer, measured by a probe during the cutover. */
  downtimeMs?: number;
  rollbackMs?: number;
  rehearsed?: boolean;
  notRehearsedWhy?: string;
  health?: HealthFact[];
  problems: Problem[];
  warnings: Problem[];
}

/** What a look at the host found; the decisions about it are made by the action and by the worker alike. */
export interface HostFacts {
  /** Versions found, undefined where missing. */
  node?: string;
  git?: string;
  pm2?: string;
  packageManager?: { name: string; version?: string };
  layout: 'checkout' | 'releases' | 'absent' | 'other';
  strategy: 'in-place' | 'releases' | 'adopt';
  stateFolder?: string;
  /** The environment that deployed here last. */
  environment?: string;
  liveSha?: string;
  liveRelease?: string;
  liveVerified: boolean;
  /** The last verified release that a rollback would go to. */
  rollbackTarget?: { sha: string; release?: string };
  shaOnRemote?: boolean;
  dirtyFiles: string[];
  freeBytes: number;
  freeInodes?: number;
  memoryBytes: number;
  port?: number;
  entry?: { mode: 'cluster' | 'fork'; instances: number; status: string; script: string };
  lock?: { holder?: { runId: string; url?: string; since: number; pid: number } };
  /** What would make a deploy be refused. */
  refusals: Problem[];
  /** Traps that do not stop a deploy, each with its fix. */
  warnings: Problem[];
}

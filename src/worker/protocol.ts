import type { WorkEvent } from '../lib/log.js';
import type { HealthFact, Problem } from '../lib/report.js';
import type { RequestBudget } from '../lib/request-budget.js';

/**
 * What the action and the worker say to each other. The worker is a bundle of its own that runs on the VPS.
 * Types and plain values only: both bundles import this file.
 *
 * Short commands (inspect, status, collisions, probe, watch, follow, rehearse, go, cancel, ask, look, cancel-session) run while the connection is open: `node -` reads, over
 * stdin, one line `globalThis.MUVA_REQUEST = {...};` and then the bundle (both inside one function, so that a text
 * that was cut on the way is a syntax error and runs nothing), and answers on stdout with lines that
 * start with LINE_MARK; everything else there is noise of the host (a login message, a profile).
 * Exit code 0: answered. 3: could not be carried out; a line of kind `refused` says why. Others: it crashed.
 *
 * Long commands (deploy, rollback) run detached: `node worker.js --waiting <file>`, without a terminal, in a
 * session of their own. Their stdin is a pipe that brings one line with the run's key, in hexadecimal digits, and then
 * the request as JSON: both are in no file, argument or environment of the server, and the key is made by the action
 * for this one start. The worker deletes the file, which is empty, as soon as it has read them, and then the action
 * removes the folder with worker.js and whatever the worker printed so far: a worker that needs its own file or its
 * output later keeps them in its run folder. They tell what happens only through the events of their run folder, which `follow` streams.
 * That file lies open to every program of the same user, the build among them; so each line is sealed under the key
 * (see base/seal.ts), `follow` passes the lines on as they are, and the action believes those that it can open, in
 * their order. Whoever has no key (the post step, another attempt) looks at the host instead of reading events. Started
 * again for a run that is under way or has ended (same id, attempt, task and invocation), the worker leaves it
 * alone and exits with 0, so a start whose answer was lost can be repeated.
 */

/** The application as the action knows it; everything else the worker finds out on the host. */
export interface AppRequest {
  appPath: string;
  appName: string;
  strategy: 'auto' | 'in-place' | 'releases' | 'adopt';
  environment?: string;
  adoptEnvironment: boolean;
  /**
   * Whether the run changes a database together with this application. `missing`: it should, but is given none and was
   * not told to leave it out. Absent: not asked.
   */
  database?: 'given' | 'missing';
  restartCommand?: string;
  healthPort?: number;
  /** It has no port, and is judged by its supervisor alone: its name says so, or `health-from` does for the whole run. */
  portless?: 'named' | 'health-from';
  /** Other programs of the same checkout, restarted after this one and judged by their supervisor alone. */
  others?: string[];
  /** Whether PM2's entry follows the ecosystem file of the commit; default `auto`. */
  ecosystem?: 'follow' | 'keep' | 'auto';
}

export interface RunRequest {
  id: string;
  attempt: number;
  /**
   * Tells two phases of one workflow run and attempt apart (a deploy, a rollback and a deploy again): made up once
   * by each phase, the same in its start, follow and words. Letters, digits, `-` and `_` only.
   */
  invocation?: string;
  /**
   * One start of the action: what it starts carries the same, whatever the phase, and its post step carries another.
   * Letters, digits, `-` and `_` only. Absent: a `cancel-session` cannot reach it.
   */
  session?: string;
  url?: string;
  actor?: string;
}

export interface HealthRequest {
  paths: string[];
  /** The path of the public URL below which the application is reached (`/shop`); absent where it is the root. */
  basePath?: string;
  /** The origin of the public URL (`https://shop.example`); absent where none is known. */
  publicOrigin?: string;
  /** Milliseconds. */
  timeout: number;
  deadline: number;
  successes: number;
  /** A check that was good is not asked again: for the look before a deploy. */
  once?: boolean;
  checkAssets: boolean;
  expectVersion?: string;
  /** Names of checks that are left out: what the version that comes back never passed. */
  except?: string[];
  /** What may be asked of the application on this host; `ledger`, the file that counts it, is the worker's own. */
  budget?: RequestBudget & { readonly ledger?: string };
}

/** Where the host fetches the commit from. */
export interface FetchRequest {
  /** Named by a person; default: the origin that the host already has. */
  repositoryUrl?: string;
  /** The job's own repository, for a host that has no origin yet. */
  jobRepositoryUrl?: string;
  /**
   * The job's token, for the one fetch of a host that has no access of its own, and the server that issued it
   * (`https://github.com`): no other is shown it. Over stdin, never stored, never in argv. A look is first asked without
   * it, and answers `token-needed` where the host cannot do without; a deploy has it then alone.
   */
  fetchAccess?: { server: string; token?: string };
}

export interface DeployRequest extends FetchRequest {
  command: 'deploy';
  app: AppRequest;
  run: RunRequest;
  /** Full commit SHA. */
  sha: string;
  /** A person named this commit: it may be older than the live one or marked bad. */
  explicit: boolean;
  installCommand?: string;
  buildCommand?: string;
  startCommand?: string;
  buildOutput: string[];
  /** Whether the caches of the build before are copied into this one; default: on. */
  buildCache?: 'on' | 'off';
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
   * Where the worker stops and waits for the action's word. `at-once`: nowhere. `on-go`: at the state `rehearsed`, for
   * `go`. `step-by-step`: before that at `built`, for `rehearse`, because the database is changed in between.
   * `builds-later`: the same, but at `installed`, because the build reads what is changed.
   */
  cutover: 'at-once' | 'on-go' | 'step-by-step' | 'builds-later';
  /** Milliseconds without a sign of the action after which a worker that waits no longer does: it drops its stage. */
  goLease: number;
  /** The live version is asked, before the database is changed and from then on until the cutover. */
  looksAtLive?: true;
  /**
   * A backup will come into the state folder of this host: `bytes`, where nothing like it lies there yet. Room for it is
   * part of what must be there before the database is changed.
   */
  backup?: { what: 'schema' | 'full'; bytes: number };
  /** It is the only host: once rehearsed it goes forward without the action, instead of dropping its stage. */
  goesAlone?: true;
  /**
   * A packed build of `build-on: runner` lies at this path on the host: a gzipped tar of what install and build made
   * in the job (node_modules too), by paths from the application's root. It is unpacked over the checked-out stage
   * instead of installing and building there, and removed by the worker in every case.
   */
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

/** What is to be undone: what a run changed; or everything since `previous`, a commit or a release. */
export type Undo = { undoRun: string } | { to: string };

/** A file of a commit: its mode as git has it (`100644`, `100755`), and the hash of its content. */
export interface CommittedFile {
  path: string;
  mode: string;
  id: string;
}

/** Asks what a commit that the host need not have would meet in its live checkout. Writes and fetches nothing. */
export interface CollisionsRequest {
  command: 'collisions';
  app: AppRequest;
  /** The files that it adds to the live commit, or all that it has. */
  files: CommittedFile[];
}

/** Looks only; writes nothing. */
export interface InspectRequest extends FetchRequest {
  command: 'inspect';
  app: AppRequest;
  run: RunRequest;
  /** Checked to exist on the remote, when given. */
  sha?: string;
  /** Whether that commit keeps files in Git LFS, as far as the checkout of the job shows. */
  lfs?: boolean;
  explicit: boolean;
  rehearse: boolean;
  /** As the deploy will ask: where the next version is not rehearsed, the live one is asked whether this can tell anything. */
  health?: HealthRequest;
  dirtyCheckout: DeployRequest['dirtyCheckout'];
  /** The environment file that the run will write; absent where it is given none. */
  writesEnvFile?: string;
  /** As the deploy will be given them; default: none. */
  sharedPaths?: string[];
  buildOutput?: string[];
  envFilePath?: string;
  /** Asks what a rollback would do, instead of what a deploy would. */
  undo?: Undo;
}

/** Asks what is live and what was before; writes nothing, and refuses nothing that a person wants to know on a bad day. */
export interface StatusRequest {
  command: 'status';
  app: AppRequest;
}

/** What `status` found on a host. Milliseconds since the epoch. */
export interface HostStatus {
  environment?: string;
  liveSha?: string;
  liveRelease?: string;
  /** When and by which run it came; absent for what was not brought by this action. */
  liveSince?: number;
  liveRun?: string;
  liveVerified: boolean;
  /** What the supervisor says of the application. */
  process?: string;
  /** A run that ended in the middle of a cutover. */
  cutRun?: string;
  lock?: { runId: string; url?: string; since: number };
  /** Releases that a rollback can reach, newest first. */
  reachable: { release: string; sha: string }[];
  /** Newest first. */
  backups: { name: string; bytes: number; at: number }[];
  freeBytes: number;
  /** Newest first. */
  runs: PastHostRun[];
  /** Why not everything could be looked at. */
  problems: Problem[];
}

/** One deploy or rollback on a host, as its folder and the journal tell it. */
export interface PastHostRun {
  runId: string;
  attempt: number;
  task: 'deploy' | 'rollback';
  /** As in RunResult; `at-work`, or `cut` where it came to no end. */
  outcome: string;
  at: number;
  milliseconds?: number;
  sha?: string;
  url?: string;
}

/**
 * Asks the application on loopback. Writes nothing, unless it is part of a run that writes on the host anyway: then its
 * requests are `counted` with those of the deploy.
 */
export interface ProbeRequest {
  command: 'probe';
  app: AppRequest;
  health: HealthRequest;
  counted: boolean;
}

/** One light look at what is live, while a run watches it. Holds no lock, and writes nothing but its one request. */
export interface WatchRequest {
  command: 'watch';
  app: AppRequest;
  /** The last path is asked once; none where there is none. */
  health: HealthRequest;
}

/** An instance of the application or of another program of its checkout, as its supervisor knows it. */
export interface WatchedProgram {
  /** Of all that the supervisor runs. */
  id: number;
  restarts: number;
  status: string;
  bytes?: number;
}

/** What such a look found. */
export interface HostWatch {
  /** The run that brought what is live. */
  liveRun?: string;
  /** The run that holds the application's lock now. */
  heldBy?: string;
  programs: WatchedProgram[];
  /** The one check; none where it was not asked, or its answer is no verdict. */
  health: HealthFact[];
  /** Requests that this deploy may still send there. */
  requestsLeft?: number;
}

/**
 * Streams the events of a run from byte `offset` of its events file until its worker is gone.
 * That it is asked for shows the worker that the action is there (see `goLease`), and so does each word; that it streams
 * does not, for a connection that leads nowhere any more is noticed late.
 */
export interface FollowRequest {
  command: 'follow';
  app: AppRequest;
  run: RunRequest;
  task: 'deploy' | 'rollback';
  offset: number;
}

/**
 * Stops all that one start of the action has begun on this host and that has not cut over: also what still waits for
 * the lock, and what is only being started and comes later. What has cut over finishes.
 */
export interface CancelSessionRequest {
  command: 'cancel-session';
  app: AppRequest;
  run: RunRequest & { session: string };
}

/**
 * One word to one run. `rehearse` and `go` let it go on where it waits for that word: at `built`, at `rehearsed`; in any
 * other state they are none. `cancel` stops what has not cut over yet; after that it changes nothing, and the run
 * finishes. `ask` changes nothing: the answer says whether the worker is there. `look` asks that too, and where it waits at
 * `built` the worker tells how the live version is (event `live`). How it ended is told by `follow` alone.
 */
export interface SignalRequest {
  command: 'rehearse' | 'go' | 'cancel' | 'ask' | 'look';
  app: AppRequest;
  run: RunRequest;
  /** Default `deploy`. */
  task?: 'deploy' | 'rollback';
}

export type WorkerRequest =
  | DeployRequest
  | RollbackRequest
  | InspectRequest
  | CollisionsRequest
  | StatusRequest
  | ProbeRequest
  | WatchRequest
  | FollowRequest
  | SignalRequest
  | CancelSessionRequest;

/** The folder of the backups, in the state folder of a host. */
export const BACKUPS = 'backups';

/** Starts each line that a short command prints for the action. */
export const LINE_MARK = 'muva-worker ';

/** What a short command answers: LINE_MARK, then one of these as JSON, then a newline. */
export type WorkerLine =
  /** The one answer to `inspect`. */
  | { kind: 'host'; facts: HostFacts }
  /** The other answer to `inspect`: only the job's token opens the remote, and the request does not carry it. */
  | { kind: 'token-needed' }
  /**
   * The one answer to `collisions`: paths that the commit must not overwrite, and those that are as it has them. The first
   * of them, where they are many.
   */
  | { kind: 'collisions'; inTheWay: string[]; takenOver: string[] }
  /** The one answer to `status`. */
  | { kind: 'status'; status: HostStatus }
  /** A detached worker has been started and has read its request. */
  | { kind: 'started'; pid: number }
  /** The one answer to `probe`. */
  | { kind: 'probed'; health: HealthFact[]; healthy: boolean }
  /** The one answer to `watch`. */
  | { kind: 'watched'; look: HostWatch }
  /** From `follow`: a line of the events as it lies there. `offset` is the byte after it, from which a reconnect goes on. */
  | { kind: 'event'; offset: number; line: string }
  /** From `follow`, every 5 seconds: the connection and the worker are alive. */
  | { kind: 'heartbeat' }
  /**
   * From `follow`, last: the worker is gone, and so there will be no more events; where it told no result, this is why
   * (killed, or the server was restarted). The next deploy or rollback repairs what it left half done, and says so.
   */
  | { kind: 'gone'; problem: Problem }
  /** From `follow`, last: the events are shorter than they were, or gone. Whether the worker goes on is not known. */
  | { kind: 'cut-off' }
  /**
   * The one answer to a word; not accepted where the run has ended or (cancel) cuts over already. And to
   * `cancel-session`, which is always accepted.
   */
  | { kind: 'signalled'; accepted: boolean; detail: string }
  /** The command could not be carried out; nothing was changed. */
  | { kind: 'refused'; problems: Problem[] };

/** One thing that happened during a deploy or rollback, in the order of happening. */
export type WorkerEvent =
  /** Told as on the runner; of a program's output a bounded part. */
  | WorkEvent
  | { kind: 'started'; pid: number; at: number }
  | {
      kind: 'state';
      /** `installed`, `built` and `rehearsed` are told where the worker waits there for a word, and nowhere else. */
      state:
        | 'waiting-for-lock'
        | 'preparing'
        | 'installed'
        | 'built'
        | 'rehearsed'
        | 'cutting-over'
        | 'verifying'
        | 'putting-back';
    }
  /**
   * What the live version answered: `after` so many milliseconds since the word that the database is changed, and before
   * that without it. Nothing where it cannot be asked.
   */
  | { kind: 'live'; after?: number; health: HealthFact[] }
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
  health?: HealthFact[];
  problems: Problem[];
  warnings: Problem[];
}

/**
 * What a rollback would do on a host. `runs`: the workflow runs that it takes back, or that are ahead of what is live
 * already. `forward`: the release came after the live one, so it is no rollback target.
 */
export type HostRollbackTarget =
  | { kind: 'go'; to: { sha: string; release: string }; forward: boolean; runs: string[] }
  | { kind: 'nothing'; why: string; runs: string[]; overtakenBy?: string }
  | { kind: 'refused'; problem: Problem };

/** What a look at the host found; the decisions about it are made by the action and by the worker alike. */
export interface HostFacts {
  /** Versions found, undefined where missing. */
  node?: string;
  git?: string;
  pm2?: string;
  layout: 'checkout' | 'releases' | 'absent' | 'other';
  strategy: 'in-place' | 'releases' | 'adopt';
  /** Where the deploy's own folder is, or will be made by the first write. */
  stateFolder?: string;
  /** The environment that deployed here last. */
  environment?: string;
  liveSha?: string;
  liveRelease?: string;
  /** The workflow run that brought what is live; absent where it was found here. */
  liveRun?: string;
  liveVerified: boolean;
  /** The commit asked about is older than the live one and never was live: a newer run came first. */
  newerIsLive?: true;
  /** The answer to `undo`. */
  wayBack?: HostRollbackTarget;
  shaOnRemote?: boolean;
  dirtyFiles: string[];
  freeBytes: number;
  freeInodes?: number;
  memoryBytes: number;
  port?: number;
  /** The application has no port: its supervisor alone judges it. */
  portless?: true;
  entry?: { mode: 'cluster' | 'fork'; instances: number; status: string; script: string };
  lock?: { holder?: { runId: string; session?: string; url?: string; since: number; pid: number } };
  /** Why the new version would go live without having been started beside the live one; absent where it is rehearsed. */
  notRehearsedWhy?: string;
  /** What makes every change impossible. */
  refusals: Problem[];
  /** What would make a deploy be refused, and does not hinder a rollback: nothing is built or installed there. */
  deployRefusals: Problem[];
  /** Traps that do not stop a deploy, each with its fix. */
  warnings: Problem[];
}

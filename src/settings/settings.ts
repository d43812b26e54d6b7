import type { DatabaseAddress, DatabaseConnection } from '../base/database-address.js';
import type { Problem } from '../base/report.js';
import type { Secret } from '../base/secret.js';
import type { FunctionName, QualifiedName } from '../base/sql-names.js';
import type { InputName } from './inputs.js';
import type { HostAddress } from './names.js';

export const MODES = ['plan', 'migrate', 'verify', 'redeploy', 'health', 'rollback', 'deploy'] as const;
export type Mode = (typeof MODES)[number];

export const PARTS = ['database', 'vps', 'health'] as const;
export type Part = (typeof PARTS)[number];

/** What is wrong with one input, or worth knowing of it. */
export interface InputProblem extends Problem {
  readonly input: InputName;
}

/** Who runs: the workflow run's identity, under which everything this run changes is recorded. */
export interface Run {
  /** GITHUB_RUN_ID, or a made-up one from a terminal. */
  readonly id: string;
  readonly attempt: number;
  /** One start of the action, by a random name: the post step of the same action is another. */
  readonly session?: string;
  /** Where a person can look at the run; undefined from a terminal. */
  readonly url?: string;
  /** owner/name. */
  readonly repository?: string;
  readonly serverUrl: string;
  /** The commit that the workflow was started for. */
  readonly sha?: string;
  readonly actor?: string;
  readonly event?: string;
  /** The branch or tag (`refs/heads/main`) whose newest commit `sha` was when GitHub started the run. */
  readonly branchOrTag?: string;
  /** The pull request's number, where the event has one. */
  readonly pullRequest?: number;
  /** The newest commit of the pull request; `sha` is then the merge of it that GitHub made. */
  readonly pullRequestHead?: string;
  /** What of the event says whose code it brings; absent where it carries neither. */
  readonly headOf?: 'pull request' | 'workflow run';
  /** That code is of another repository, or of one that has been deleted. */
  readonly fork: boolean;
}

/** What the parser needs to know of the world around it; looked up by the door, so that parsing stays pure. */
export interface Surroundings {
  readonly run: Run;
  /** From a terminal: a rollback needs `run-id` or `rollback-to`. */
  readonly terminal: boolean;
  /** The folder that relative paths start from. */
  readonly workspace: string;
  /** True where the folder, relative to the workspace, holds a file that looks like a migration. */
  readonly holdsMigrations: (folder: string) => boolean;
}

/** What holds for the migration files themselves, also where no database may be asked (a pull request of a fork). */
export interface FileSettings {
  readonly migrationsDir: string;
  readonly transaction: 'all' | 'each';
  readonly destructiveChanges: 'allow' | 'warn' | 'refuse';
  readonly irreversibleMigrations: 'allow' | 'refuse';
}

export interface DatabaseSettings extends FileSettings {
  readonly connection: DatabaseConnection;
  readonly includeAll: boolean;
  readonly missingMigrations: 'refuse' | 'warn';
  readonly editedMigrations: 'warn' | 'refuse' | 'allow';
  readonly baseline?: string;
  /** Milliseconds. */
  readonly lockTimeout: number;
  /** Milliseconds. */
  readonly statementTimeout: number;
  /** Milliseconds that another run's lock on this database is waited for. */
  readonly lockWait: number;
  readonly backup: 'off' | 'schema' | 'full';
  readonly backupTo: 'vps' | 'runner';
  readonly afterHealth: boolean;
  readonly requiredTables: readonly QualifiedName[];
  readonly requiredFunctions: readonly FunctionName[];
  readonly rls: 'required' | 'all' | 'off';
  readonly rowCounts: 'estimate' | 'exact' | 'off';
  readonly drift: 'warn' | 'fail' | 'off';
  readonly shadow?: DatabaseAddress;
  readonly allowDataLoss: boolean;
}

export interface SshSettings {
  readonly hosts: readonly (HostAddress & { readonly port: number; readonly user: string })[];
  readonly privateKey: Secret;
  readonly passphrase?: Secret;
  readonly knownHosts?: string;
  /** `SHA256:...` or `host SHA256:...`, without padding. */
  readonly fingerprints: readonly string[];
  readonly jump?: HostAddress & { readonly port: number; readonly user: string };
}

export interface VpsSettings {
  readonly ssh: SshSettings;
  readonly appPath: string;
  readonly appName: string;
  readonly strategy: 'auto' | 'in-place' | 'releases' | 'adopt';
  readonly buildOn: 'vps' | 'runner';
  readonly rehearse: boolean;
  readonly dirtyCheckout: 'refuse' | 'stash';
  /** Milliseconds. */
  readonly lockWait: number;
  readonly ref?: string;
  /** True where a person named the commit; only then may a deploy go back in history or to a bad commit. */
  readonly refExplicit: boolean;
  readonly buildOutput: readonly string[];
  readonly repositoryUrl?: string;
  readonly installCommand?: string;
  readonly buildCommand?: string;
  readonly startCommand?: string;
  readonly restartCommand?: string;
  readonly envFile?: Secret;
  readonly envFilePath: string;
  readonly sharedPaths: readonly string[];
  readonly keepReleases: number;
  readonly maxParallel: number;
  /** Milliseconds, per host. */
  readonly deployTimeout: number;
  readonly healthPort?: number;
}

export interface HealthSettings {
  readonly url?: string;
  readonly paths: readonly string[];
  readonly from: 'runner' | 'vps' | 'both';
  /** Milliseconds, per request. */
  readonly timeout: number;
  /** Milliseconds: keep trying until then. */
  readonly deadline: number;
  /** Milliseconds. */
  readonly maxLatency?: number;
  readonly successes: number;
  readonly checkAssets: boolean;
  readonly expectVersion?: string;
  /** The project's REST endpoint, asked where a service key is given. */
  readonly rest?: { readonly url: string; readonly key: Secret };
}

export interface RollbackSettings {
  readonly onFailure: boolean;
  readonly database: 'down' | 'records' | 'keep';
  /** Only in mode rollback: what a deploy undoes when it fails is what it changed. */
  readonly steps?: number;
  /** `previous`, a commit, or a release; only in mode rollback. */
  readonly to?: string;
  /** The run whose changes are undone. */
  readonly runId: string;
}

export interface Common {
  readonly run: Run;
  /** What is worth knowing of the inputs and no reason to refuse the run; told when it begins. */
  readonly warnings: readonly Problem[];
  readonly environment?: string;
  readonly adoptEnvironment: boolean;
  /** Absolute. */
  readonly workingDirectory: string;
  readonly skip: readonly Part[];
  readonly githubToken?: Secret;
  readonly githubDeployment: boolean;
  readonly comment: 'auto' | 'off';
  readonly files: FileSettings;
  readonly health: HealthSettings;
  readonly rollback: RollbackSettings;
}

/**
 * What a run was asked to do. A mode that cannot work without a part has that part for certain, and one that does not
 * use a part never has it: what is wrong with it is then no reason to refuse the run.
 */
export type Settings = Common &
  (
    | { readonly mode: 'verify'; readonly database: DatabaseSettings; readonly vps?: undefined }
    | { readonly mode: 'migrate'; readonly database: DatabaseSettings; readonly vps?: VpsSettings }
    | { readonly mode: 'redeploy'; readonly database?: undefined; readonly vps: VpsSettings }
    | {
        readonly mode: 'plan' | 'health' | 'rollback' | 'deploy';
        readonly database?: DatabaseSettings;
        readonly vps?: VpsSettings;
      }
  );

export type ParsedSettings =
  | { settings: Settings; problems: [] }
  | { settings?: undefined; problems: InputProblem[] };

import type { DatabaseAddress, DatabaseConnection } from '../lib/database-address.js';
import type { Problem } from '../lib/report.js';
import type { Secret } from '../lib/secret.js';
import type { FunctionName, QualifiedName } from '../lib/sql-names.js';
import type { HostAddress } from './checks/names.js';
import type { InputName, InputValue } from './input-sources.js';
import type { Part } from './modes.js';

export { MODES, type Mode, PARTS, type Part } from './modes.js';

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

/** What the parser needs to know of the world around it; looked up by the entry point, so that parsing stays pure. */
export interface InputContext {
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
  readonly migrationsDir: InputValue<'migrations-dir'>;
  readonly downDir?: InputValue<'down-dir'>;
  readonly transaction: InputValue<'transaction'>;
  readonly destructiveChanges: InputValue<'destructive-changes'>;
  readonly irreversibleMigrations: InputValue<'irreversible-migrations'>;
  /** Folders and .sql files, from the working directory. */
  readonly verifySql: InputValue<'verify-sql'>;
}

export interface DatabaseSettings extends FileSettings {
  readonly connection: DatabaseConnection;
  readonly migrateBefore: InputValue<'migrate-before'>;
  readonly includeAll: InputValue<'include-all'>;
  readonly missingMigrations: InputValue<'missing-migrations'>;
  readonly editedMigrations: InputValue<'edited-migrations'>;
  readonly baseline?: InputValue<'baseline'>;
  /** Milliseconds. */
  readonly lockTimeout: InputValue<'lock-timeout'>;
  /** Milliseconds. */
  readonly statementTimeout: InputValue<'statement-timeout'>;
  /** Milliseconds that another run's lock on this database is waited for. */
  readonly lockWait: InputValue<'lock-wait'>;
  readonly backup: InputValue<'backup'>;
  readonly backupPlatformData: InputValue<'backup-platform-data'>;
  readonly backupTo: InputValue<'backup-to'>;
  readonly afterHealth: InputValue<'after-health'>;
  readonly requiredTables: readonly QualifiedName[];
  readonly requiredFunctions: readonly FunctionName[];
  readonly rls: InputValue<'rls'>;
  readonly rlsExcept: readonly QualifiedName[];
  readonly rowCounts: InputValue<'row-counts'>;
  readonly drift: InputValue<'drift'>;
  readonly shadow?: DatabaseAddress;
  readonly shadowBase: InputValue<'shadow-base'>;
  readonly allowDataLoss: InputValue<'allow-data-loss'>;
}

export interface SshSettings {
  readonly hosts: readonly (HostAddress & { readonly port: number; readonly user: string })[];
  readonly privateKey: Secret;
  readonly passphrase?: InputValue<'ssh-passphrase'>;
  readonly knownHosts?: string;
  /** `SHA256:...` or `host SHA256:...`, without padding. */
  readonly fingerprints: readonly string[];
  readonly jump?: HostAddress & { readonly port: number; readonly user: string };
}

export interface VpsSettings {
  readonly ssh: SshSettings;
  readonly appPath: string;
  readonly appName: string;
  /** True where its name says that it has no port. */
  readonly portless: boolean;
  /** The other programs of the checkout that are restarted with it, in this order. */
  readonly otherPrograms: readonly string[];
  readonly strategy: InputValue<'strategy'>;
  readonly buildOn: InputValue<'build-on'>;
  readonly rehearse: InputValue<'rehearse'>;
  readonly dirtyCheckout: InputValue<'dirty-checkout'>;
  /** Milliseconds. */
  readonly lockWait: InputValue<'lock-wait'>;
  readonly ref?: string;
  /** True where a person named the commit; only then may a deploy go back in history or to a bad commit. */
  readonly refExplicit: boolean;
  readonly buildOutput: readonly string[];
  readonly buildCache: InputValue<'build-cache'>;
  readonly repositoryUrl?: InputValue<'repository-url'>;
  readonly installCommand?: InputValue<'install-command'>;
  readonly buildCommand?: InputValue<'build-command'>;
  readonly startCommand?: InputValue<'start-command'>;
  readonly ecosystem: InputValue<'ecosystem'>;
  readonly restartCommand?: InputValue<'restart-command'>;
  readonly envFile?: InputValue<'env-file'>;
  readonly envFilePath: string;
  readonly sharedPaths: readonly string[];
  readonly keepReleases: InputValue<'keep-releases'>;
  readonly maxParallel: InputValue<'max-parallel'>;
  /** Milliseconds, per host. */
  readonly deployTimeout: InputValue<'deploy-timeout'>;
  readonly healthPort?: InputValue<'health-port'>;
}

export interface HealthSettings {
  /** The application's own. */
  readonly url?: string;
  /** Further URLs by which it is asked from outside. */
  readonly moreUrls: readonly string[];
  readonly paths: readonly string[];
  readonly from: InputValue<'health-from'>;
  /** Milliseconds, per request. */
  readonly timeout: InputValue<'health-timeout'>;
  /** Milliseconds: keep trying until then. */
  readonly deadline: InputValue<'health-deadline'>;
  /** Milliseconds. */
  readonly maxLatency?: InputValue<'health-max-latency'>;
  readonly successes: InputValue<'health-successes'>;
  readonly checkAssets: InputValue<'check-assets'>;
  readonly expectVersion?: InputValue<'expect-version'>;
  /** Milliseconds that the new version is watched for after health has passed; 0: not. */
  readonly watch: InputValue<'watch'>;
  /** The project's REST endpoint, asked where a service key is given. */
  readonly rest?: { readonly url: string; readonly key: Secret };
}

export interface RollbackSettings {
  readonly onFailure: InputValue<'rollback-on-failure'>;
  readonly database: InputValue<'rollback-database'>;
  /** Only in mode rollback: what a deploy undoes when it fails is what it changed. */
  readonly steps?: InputValue<'rollback-steps'>;
  /** `previous`, a commit, or a release; only in mode rollback. */
  readonly to?: InputValue<'rollback-to'>;
  /** The run whose changes are undone. */
  readonly runId: string;
}

export interface Common {
  readonly run: Run;
  /** What is worth knowing of the inputs and no reason to refuse the run; told when it begins. */
  readonly warnings: readonly Problem[];
  readonly environment?: InputValue<'environment'>;
  readonly adoptEnvironment: InputValue<'adopt-environment'>;
  /** Absolute. */
  readonly workingDirectory: string;
  readonly skip: readonly Part[];
  readonly language: InputValue<'language'>;
  readonly githubToken?: InputValue<'github-token'>;
  readonly githubDeployment: boolean;
  readonly comment: InputValue<'comment'>;
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
        readonly mode: 'plan' | 'health' | 'rollback' | 'deploy' | 'status';
        readonly database?: DatabaseSettings;
        readonly vps?: VpsSettings;
      }
  );

export type ParsedSettings =
  | { settings: Settings; problems: [] }
  | { settings?: undefined; problems: InputProblem[] };

import type { Problem } from '../base/report.js';
import { Secret } from '../base/secret.js';
import { type DatabaseAddress, isLoopback, parseDatabaseUrl } from './database-url.js';
import { INPUT_NAMES, type InputName, inputRule, type ReadInput } from './inputs.js';
import {
  type Complaint,
  checkEnvironmentName,
  checkGitRef,
  checkProcessName,
  checkRelativePath,
  checkRemotePath,
  checkUserName,
  type HostAddress,
  parseHostAddress,
  parseQualifiedName,
  type QualifiedName,
} from './names.js';
import { type InputReader, inputReader, nearest, splitList } from './readers.js';

export const MODES = ['plan', 'migrate', 'verify', 'redeploy', 'health', 'rollback', 'deploy'] as const;
export type Mode = (typeof MODES)[number];

export const PARTS = ['database', 'vps', 'health'] as const;
export type Part = (typeof PARTS)[number];

/** Who runs: the workflow run's identity, under which everything this run changes is recorded. */
export interface Run {
  /** GITHUB_RUN_ID, or a made-up one from a terminal. */
  readonly id: string;
  readonly attempt: number;
  /** Where a person can look at the run; undefined from a terminal. */
  readonly url?: string;
  /** owner/name. */
  readonly repository?: string;
  readonly serverUrl: string;
  /** The commit that the workflow was started for. */
  readonly sha?: string;
  readonly actor?: string;
  readonly event?: string;
  /** The pull request's number, where the event has one. */
  readonly pullRequest?: number;
  /** A pull request from another repository: no secrets, a read-only token. */
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

export type DatabaseConnection =
  | { readonly kind: 'url'; readonly address: DatabaseAddress; readonly caCertificate?: string }
  | {
      readonly kind: 'management-api';
      readonly projectRef: string;
      readonly accessToken: Secret;
      readonly apiUrl: string;
      readonly caCertificate?: string;
    };

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
  readonly backup: 'off' | 'schema' | 'full';
  readonly backupTo: 'vps' | 'runner';
  readonly afterHealth: boolean;
  readonly requiredTables: readonly QualifiedName[];
  readonly requiredFunctions: readonly QualifiedName[];
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
  /** Lines as given: `SHA256:...` or `host SHA256:...`. */
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
  readonly steps?: number;
  /** `previous`, a commit, or a release. */
  readonly to?: string;
  /** The run whose changes are undone. */
  readonly runId: string;
}

interface Common {
  readonly run: Run;
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

/** What a run was asked to do. A mode that cannot work without a part has that part for certain. */
export type Settings = Common &
  (
    | { readonly mode: 'migrate' | 'verify'; readonly database: DatabaseSettings; readonly vps?: VpsSettings }
    | { readonly mode: 'redeploy'; readonly database?: DatabaseSettings; readonly vps: VpsSettings }
    | {
        readonly mode: 'plan' | 'health' | 'rollback' | 'deploy';
        readonly database?: DatabaseSettings;
        readonly vps?: VpsSettings;
      }
  );

export type ParsedSettings =
  | { settings: Settings; problems: [] }
  | { settings?: undefined; problems: Problem[] };

/** Every secret value as given, for masking; read before anything else happens. */
export function secretInputs(read: ReadInput): string[] {
  const values: string[] = [];
  for (const name of INPUT_NAMES) {
    if (!inputRule(name).secret) continue;
    const value = read(name);
    if (value.trim() === '') continue;
    values.push(value);
    if (name === 'database-url' || name === 'shadow-database-url') values.push(...urlSecrets(value));
  }
  return values;
}

/** The password inside a URL, raw and decoded, also where the URL is wrong: it must not be seen either way. */
function urlSecrets(url: string): string[] {
  const credentials = /^[a-z]+:\/\/([^@]*(?:@.*)?)@/i.exec(url.trim())?.[1];
  if (credentials === undefined) return [];
  const password = credentials.slice(credentials.indexOf(':') + 1);
  const forms = credentials.includes(':') ? [credentials, password] : [];
  try {
    forms.push(decodeURIComponent(password));
  } catch {
    // A stray % is complained about by the URL parser; the raw form is masked all the same.
  }
  return forms.filter((form) => form !== '');
}

/** Turns raw strings into typed settings. All problems are returned at once; nothing is connected to or written. */
export function parseSettings(read: ReadInput, around: Surroundings): ParsedSettings {
  const reader = inputReader(read);
  const mode = readMode(reader);
  const skip = readSkip(reader);
  const environment = checked(reader, 'environment', checkEnvironmentName);
  const workingDirectory = reader.text('working-directory');
  complainAbout(reader, 'working-directory', checkWorkingDirectory(workingDirectory));

  const files = readFiles(reader);
  const database = skip.includes('database') ? undefined : readDatabase(reader, read, skip, files);
  const vps = skip.includes('vps') ? undefined : readVps(reader, read, around);
  const health = readHealth(reader, read);
  const rollback = readRollback(reader, mode, around);
  const token = read('github-token');

  const common: Common = {
    run: around.run,
    ...(environment === undefined ? {} : { environment }),
    adoptEnvironment: reader.boolean('adopt-environment'),
    workingDirectory: workingDirectory.startsWith('/')
      ? workingDirectory
      : joinPath(around.workspace, workingDirectory),
    skip,
    ...(token === '' ? {} : { githubToken: new Secret(token) }),
    githubDeployment: reader.choice('github-deployment', ['off', 'on']) === 'on',
    comment: reader.choice('comment', ['auto', 'off']),
    files,
    health,
    rollback,
  };
  complainAboutEmptyConnections(reader, read, mode, skip, { database, vps, health }, around);
  complainAboutFork(reader, mode, around.run);
  if (reader.problems.length > 0) return { problems: reader.problems };
  const parts = { ...(database ? { database } : {}), ...(vps ? { vps } : {}) };
  return { settings: { ...common, mode, ...parts } as Settings, problems: [] };
}

function readMode(reader: InputReader): Mode {
  const value = reader.text('mode');
  const found = MODES.find((mode) => mode === value);
  if (found) return found;
  const near = nearest(value, MODES);
  reader.complain(
    'mode',
    `${JSON.stringify(value)} is not a mode`,
    `${near ? `Did you mean "${near}"? ` : ''}The modes are: ${MODES.join(', ')}.`,
  );
  return 'plan';
}

function readSkip(reader: InputReader): Part[] {
  const parts: Part[] = [];
  for (const item of reader.list('skip')) {
    const part = PARTS.find((known) => known === item);
    if (part) parts.push(part);
    else
      reader.complain('skip', `${JSON.stringify(item)} is not a part`, `The parts are: ${PARTS.join(', ')}.`);
  }
  return parts;
}

function readFiles(reader: InputReader): FileSettings {
  const migrationsDir = reader.text('migrations-dir');
  complainAbout(reader, 'migrations-dir', checkRelativePath(migrationsDir));
  return {
    migrationsDir,
    transaction: reader.choice('transaction', ['all', 'each']),
    destructiveChanges: reader.choice('destructive-changes', ['allow', 'warn', 'refuse']),
    irreversibleMigrations: reader.choice('irreversible-migrations', ['allow', 'refuse']),
  };
}

function readDatabase(
  reader: InputReader,
  read: ReadInput,
  skip: readonly Part[],
  files: FileSettings,
): DatabaseSettings | undefined {
  const connection = readConnection(reader, read);
  const baseline = reader.optional('baseline');
  if (baseline !== undefined && !/^\d+$/.test(baseline)) {
    reader.complain(
      'baseline',
      'is not a version',
      'Use the digits at the start of a migration file name, such as 20250101000000.',
    );
  }
  const shadow = readShadow(reader, read);
  const backupTo = read('backup-to') === '' ? undefined : reader.choice('backup-to', ['vps', 'runner']);
  const hasVps = !skip.includes('vps') && read('ssh-host') !== '';
  const rest = {
    ...files,
    includeAll: reader.boolean('include-all'),
    missingMigrations: reader.choice('missing-migrations', ['refuse', 'warn']),
    editedMigrations: reader.choice('edited-migrations', ['warn', 'refuse', 'allow']),
    ...(baseline === undefined ? {} : { baseline }),
    lockTimeout: reader.duration('lock-timeout'),
    statementTimeout: reader.duration('statement-timeout'),
    backup: reader.choice('backup', ['off', 'schema', 'full']),
    backupTo: backupTo ?? (hasVps ? 'vps' : 'runner'),
    afterHealth: reader.boolean('after-health'),
    requiredTables: readNames(reader, 'required-tables'),
    requiredFunctions: readNames(reader, 'required-functions'),
    rls: reader.choice('rls', ['required', 'all', 'off']),
    rowCounts: reader.choice('row-counts', ['estimate', 'exact', 'off']),
    drift: reader.choice('drift', ['warn', 'fail', 'off']),
    ...(shadow === undefined ? {} : { shadow }),
    allowDataLoss: reader.boolean('allow-data-loss'),
  } as const;
  if (backupTo === 'vps' && !hasVps)
    reader.complain(
      'backup-to',
      '"vps" needs a server, and ssh-host is empty',
      'Give ssh-host, or use backup-to: runner.',
    );
  return connection === undefined ? undefined : { connection, ...rest };
}

function readConnection(reader: InputReader, read: ReadInput): DatabaseConnection | undefined {
  const ca = read('database-ca-cert').trim();
  if (ca !== '' && !ca.includes('-----BEGIN CERTIFICATE-----')) {
    reader.complain(
      'database-ca-cert',
      'is not a PEM certificate',
      'It starts with -----BEGIN CERTIFICATE-----.',
    );
  }
  const certificate = ca === '' ? {} : { caCertificate: ca };
  const url = read('database-url');
  if (url !== '') {
    const parsed = parseDatabaseUrl(url);
    if ('wrong' in parsed) {
      reader.complain('database-url', parsed.wrong, parsed.right);
      return undefined;
    }
    if (parsed.address.plaintext && !parsed.address.loopback) {
      reader.complain(
        'database-url',
        'asks for sslmode=disable',
        'Remove sslmode: TLS is always verified off this machine.',
      );
    }
    return { kind: 'url', address: parsed.address, ...certificate };
  }
  const projectRef = reader.text('supabase-project-ref');
  const accessToken = read('supabase-access-token');
  if (projectRef === '' || accessToken === '') return undefined;
  complainAbout(reader, 'supabase-project-ref', checkProjectRef(projectRef));
  const apiUrl = reader.text('supabase-api-url').replace(/\/+$/, '');
  complainAbout(reader, 'supabase-api-url', checkWebUrl(apiUrl, true));
  return { kind: 'management-api', projectRef, accessToken: new Secret(accessToken), apiUrl, ...certificate };
}

function readShadow(reader: InputReader, read: ReadInput): DatabaseAddress | undefined {
  const url = read('shadow-database-url');
  if (url === '') return undefined;
  const parsed = parseDatabaseUrl(url);
  if ('address' in parsed) return parsed.address;
  reader.complain('shadow-database-url', parsed.wrong, parsed.right);
  return undefined;
}

function readNames(reader: InputReader, input: 'required-tables' | 'required-functions'): QualifiedName[] {
  const names: QualifiedName[] = [];
  for (const item of reader.list(input)) {
    const parsed = parseQualifiedName(item);
    if ('wrong' in parsed) reader.complain(input, parsed.wrong, parsed.right);
    else names.push(parsed);
  }
  return names;
}

function readVps(reader: InputReader, read: ReadInput, around: Surroundings): VpsSettings | undefined {
  const ssh = readSsh(reader, read);
  const appPath = reader.text('app-path').replace(/(?<=.)\/+$/, '');
  const appName = reader.text('app-name');
  if (appPath !== '') complainAbout(reader, 'app-path', checkRemotePath(appPath));
  if (appName !== '') complainAbout(reader, 'app-name', checkProcessName(appName));
  if (ssh && appPath === '')
    reader.complain(
      'app-path',
      'is empty',
      'Give the absolute path of the application on the server, such as /var/www/app.',
    );
  const restartCommand = reader.optional('restart-command');
  if (ssh && appName === '' && restartCommand === undefined) {
    reader.complain(
      'app-name',
      'is empty',
      'Give the name that `pm2 list` shows for the application, or a restart-command.',
    );
  }
  const given = checked(reader, 'ref', checkGitRef);
  const ref = given ?? around.run.sha;
  const sharedPaths = reader.list('shared-paths');
  const buildOutput = reader.list('build-output');
  for (const path of sharedPaths) complainAbout(reader, 'shared-paths', checkRelativePath(path));
  for (const path of buildOutput) complainAbout(reader, 'build-output', checkRelativePath(path));
  const envFilePath = reader.text('env-file-path');
  complainAbout(reader, 'env-file-path', checkRelativePath(envFilePath));
  const envFile = read('env-file');
  if (envFile.includes('\0'))
    reader.complain('env-file', 'holds a NUL byte', 'Give the text of a .env file.');
  const repositoryUrl = reader.optional('repository-url');
  if (repositoryUrl !== undefined) complainAbout(reader, 'repository-url', checkRepositoryUrl(repositoryUrl));
  const optional = <K extends string>(key: K, value: string | undefined): { [P in K]?: string } =>
    value === undefined ? {} : ({ [key]: value } as { [P in K]: string });
  const healthPort = reader.optionalInteger('health-port', 1, 65_535);
  const rest = {
    appPath,
    appName: appName === '' ? (appPath.split('/').pop() ?? '') : appName,
    strategy: reader.choice('strategy', ['auto', 'in-place', 'releases', 'adopt']),
    buildOn: reader.choice('build-on', ['vps', 'runner']),
    rehearse: reader.boolean('rehearse'),
    dirtyCheckout: reader.choice('dirty-checkout', ['refuse', 'stash']),
    lockWait: reader.duration('lock-wait'),
    ...optional('ref', ref),
    refExplicit: given !== undefined,
    buildOutput,
    ...optional('repositoryUrl', repositoryUrl),
    ...optional('installCommand', reader.optional('install-command')),
    ...optional('buildCommand', reader.optional('build-command')),
    ...optional('startCommand', reader.optional('start-command')),
    ...optional('restartCommand', restartCommand),
    ...(envFile.trim() === '' ? {} : { envFile: new Secret(envFile) }),
    envFilePath,
    sharedPaths,
    keepReleases: reader.integer('keep-releases', 2, 1_000),
    maxParallel: reader.integer('max-parallel', 1, 100),
    deployTimeout: reader.duration('deploy-timeout'),
    ...(healthPort === undefined ? {} : { healthPort }),
  } as const;
  return ssh === undefined ? undefined : { ssh, ...rest };
}

function readSsh(reader: InputReader, read: ReadInput): SshSettings | undefined {
  const port = reader.integer('ssh-port', 1, 65_535);
  const user = reader.text('ssh-user');
  if (user !== '') complainAbout(reader, 'ssh-user', checkUserName(user));
  const items = reader.list('ssh-host');
  const hosts: (HostAddress & { port: number; user: string })[] = [];
  items.forEach((item, index) => {
    const parsed = parseHostAddress(item);
    // Host names are often secrets, so a complaint names the position and not the text.
    if ('wrong' in parsed) reader.complain('ssh-host', `entry ${index + 1} ${parsed.wrong}`, parsed.right);
    else if ((parsed.user ?? user) === '')
      reader.complain(
        'ssh-user',
        `is empty, and entry ${index + 1} of ssh-host names no user`,
        'Give the login name on the server, such as deploy.',
      );
    else hosts.push({ host: parsed.host, port: parsed.port ?? port, user: parsed.user ?? user });
  });
  if (items.length === 0) return undefined;
  const privateKey = read('ssh-private-key');
  if (privateKey.trim() === '')
    reader.complain(
      'ssh-private-key',
      'is empty: secret not set, or not available to forks',
      'Set the secret with the private key of the deploy user.',
    );
  const knownHosts = read('ssh-known-hosts').trim();
  const fingerprints = splitList(read('ssh-fingerprint'));
  for (const line of fingerprints) {
    if (!/^(\S+\s+)?SHA256:[A-Za-z0-9+/]{43}=?$/.test(line)) {
      reader.complain(
        'ssh-fingerprint',
        `${JSON.stringify(line.slice(0, 80))} is not a SHA256 fingerprint`,
        'Run on the server: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub',
      );
    }
  }
  if (knownHosts === '' && fingerprints.length === 0) {
    reader.complain(
      'ssh-fingerprint',
      'is empty, and so is ssh-known-hosts: the server could not be told from an impostor',
      'Run on the server: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub  and put the SHA256:... part into ssh-fingerprint.',
    );
  }
  const jump = readJump(reader, user, port);
  const passphrase = read('ssh-passphrase');
  return {
    hosts,
    privateKey: new Secret(privateKey),
    ...(passphrase === '' ? {} : { passphrase: new Secret(passphrase) }),
    ...(knownHosts === '' ? {} : { knownHosts }),
    fingerprints,
    ...(jump === undefined ? {} : { jump }),
  };
}

function readJump(reader: InputReader, user: string, port: number): SshSettings['jump'] {
  const text = reader.optional('ssh-jump');
  if (text === undefined) return undefined;
  const parsed = parseHostAddress(text);
  if ('wrong' in parsed) {
    reader.complain('ssh-jump', parsed.wrong, parsed.right);
    return undefined;
  }
  return { host: parsed.host, port: parsed.port ?? port, user: parsed.user ?? user };
}

function readHealth(reader: InputReader, read: ReadInput): HealthSettings {
  const url = reader.optional('health-url')?.replace(/\/+$/, '');
  if (url !== undefined) complainAbout(reader, 'health-url', checkWebUrl(url, false) ?? checkBaseUrl(url));
  const paths = [...new Set(reader.list('health-paths'))];
  if (paths.length === 0)
    reader.complain('health-paths', 'names no path', 'Give at least one, such as /api/health.');
  for (const path of paths) {
    if (!path.startsWith('/') || /\s/.test(path))
      reader.complain(
        'health-paths',
        `${JSON.stringify(path)} is not a path`,
        'Paths start with a slash, such as /api/health.',
      );
  }
  const maxLatency = reader.optionalDuration('health-max-latency');
  const expectVersion = reader.optional('expect-version');
  const key = read('supabase-service-role-key');
  const projectRef = reader.text('supabase-project-ref');
  const apiUrl = reader.text('supabase-api-url');
  // The service key is sent there: never in plaintext off this machine, whatever the database is reached by.
  const sendsKey = key !== '' && projectRef !== '';
  const complained = (name: InputName): boolean =>
    reader.problems.some(({ message }) => message.startsWith(`${name}:`));
  if (sendsKey && !complained('supabase-api-url'))
    complainAbout(reader, 'supabase-api-url', checkWebUrl(apiUrl, true));
  if (sendsKey && !complained('supabase-project-ref'))
    complainAbout(reader, 'supabase-project-ref', checkProjectRef(projectRef));
  return {
    ...(url === undefined ? {} : { url }),
    paths,
    from: reader.choice('health-from', ['both', 'runner', 'vps']),
    timeout: reader.duration('health-timeout'),
    deadline: reader.duration('health-deadline'),
    ...(maxLatency === undefined ? {} : { maxLatency }),
    successes: reader.integer('health-successes', 1, 100),
    checkAssets: reader.boolean('check-assets'),
    ...(expectVersion === undefined ? {} : { expectVersion }),
    ...(sendsKey ? { rest: { url: restUrl(projectRef, apiUrl), key: new Secret(key) } } : {}),
  };
}

/** The project's REST endpoint; with another API URL (self-hosted, a test double) it is served under that one. */
function restUrl(projectRef: string, apiUrl: string): string {
  const base = apiUrl.replace(/\/+$/, '');
  return base === 'https://api.supabase.com'
    ? `https://${projectRef}.supabase.co/rest/v1/`
    : `${base}/rest/v1/`;
}

function readRollback(reader: InputReader, mode: Mode, around: Surroundings): RollbackSettings {
  const to = reader.optional('rollback-to');
  if (to !== undefined) complainAbout(reader, 'rollback-to', checkGitRef(to));
  const runId = reader.optional('run-id');
  if (runId !== undefined && !/^[\p{L}\p{N}._-]{1,100}$/u.test(runId)) {
    reader.complain('run-id', 'is not a run id', 'Use the number in the URL of the workflow run.');
  }
  const steps = reader.optionalInteger('rollback-steps', 1, 10_000);
  if (
    mode === 'rollback' &&
    around.terminal &&
    runId === undefined &&
    to === undefined &&
    steps === undefined
  ) {
    reader.complain(
      'run-id',
      'is empty, and so is rollback-to: from a terminal nothing says what to undo',
      'Give --run-id <workflow run>, or --rollback-to previous.',
    );
  }
  return {
    onFailure: reader.boolean('rollback-on-failure'),
    database: reader.choice('rollback-database', ['down', 'records', 'keep']),
    ...(steps === undefined ? {} : { steps }),
    ...(to === undefined ? {} : { to }),
    runId: mode === 'rollback' ? (runId ?? around.run.id) : around.run.id,
  };
}

/**
 * A secret that is not set arrives as an empty string. It must never switch a part off silently: where anything
 * points to a part and its connection is empty, the run is refused, unless `skip` lists the part.
 */
function complainAboutEmptyConnections(
  reader: InputReader,
  read: ReadInput,
  mode: Mode,
  skip: readonly Part[],
  parts: { database: DatabaseSettings | undefined; vps: VpsSettings | undefined; health: HealthSettings },
  around: Surroundings,
): void {
  const whole = mode === 'deploy' || mode === 'plan';
  const unset = 'is empty: secret not set, or not available to forks';
  const complained = (...names: InputName[]): boolean =>
    reader.problems.some((problem) => names.some((name) => problem.message.startsWith(`${name}:`)));

  if (!parts.database && !skip.includes('database') && !complained('database-url', 'supabase-project-ref')) {
    const ref = read('supabase-project-ref') !== '';
    const token = read('supabase-access-token') !== '';
    const half: InputName =
      ref && !token ? 'supabase-access-token' : token && !ref ? 'supabase-project-ref' : 'database-url';
    const dir = read('migrations-dir');
    const folder = joinPath(read('working-directory'), dir);
    const points = !whole
      ? undefined
      : read('required-tables') !== '' || read('required-functions') !== ''
        ? 'required-tables or required-functions is set'
        : half !== 'database-url'
          ? 'the other half of the Management API pair is set'
          : checkRelativePath(dir) === undefined && around.holdsMigrations(folder)
            ? `${dir} holds migrations`
            : undefined;
    if (mode === 'migrate' || mode === 'verify') {
      reader.complain(
        half,
        unset,
        `Mode ${mode} needs a database: set database-url, or supabase-project-ref and supabase-access-token.`,
      );
    } else if (points !== undefined) {
      reader.complain(half, unset, `${capital(points)}. Set the secret, or say skip: database.`);
    }
  }
  if (!parts.vps && !skip.includes('vps') && !complained('ssh-host', 'ssh-user')) {
    const points =
      read('app-path') !== ''
        ? 'app-path is set'
        : read('app-name') !== ''
          ? 'app-name is set'
          : read('ssh-private-key').trim() !== ''
            ? 'ssh-private-key is set'
            : undefined;
    if (mode === 'redeploy')
      reader.complain(
        'ssh-host',
        unset,
        'Mode redeploy needs a server: set ssh-host, ssh-user, ssh-private-key and ssh-fingerprint.',
      );
    else if (whole && points !== undefined)
      reader.complain('ssh-host', unset, `${capital(points)}. Set the secret, or say skip: vps.`);
  }
  const url = parts.health.url !== undefined;
  if (mode === 'redeploy' && skip.includes('vps'))
    reader.complain('skip', '"vps" leaves nothing of mode redeploy', 'Remove it from skip.');
  if ((mode === 'migrate' || mode === 'verify') && skip.includes('database'))
    reader.complain('skip', `"database" leaves nothing of mode ${mode}`, 'Remove it from skip.');
  const none = !parts.database && !parts.vps;
  if (reader.problems.length > 0) return;
  const filesOnly = mode === 'plan' && skip.includes('database');
  if (none && !filesOnly && (mode === 'deploy' || mode === 'plan' || mode === 'rollback')) {
    reader.complain(
      'database-url',
      'is empty, and so is ssh-host: there is nothing to work on',
      'Give a database, a server, or both.',
    );
  }
  if (none && !url && mode === 'health')
    reader.complain(
      'health-url',
      'is empty, and so are database-url and ssh-host: there is nothing to ask',
      'Give at least one of them.',
    );
  if (mode === 'redeploy' || (mode === 'deploy' && parts.vps)) {
    if (parts.vps && parts.vps.ref === undefined)
      reader.complain(
        'ref',
        'is empty and GITHUB_SHA is not set: no commit to deploy',
        'Give the full commit SHA.',
      );
  }
}

/** Code from a fork must not reach the database or the server: only plan may run there. */
function complainAboutFork(reader: InputReader, mode: Mode, run: Run): void {
  if (mode === 'plan' || mode === 'health' || mode === 'verify') return;
  if (run.event === 'pull_request_target') {
    reader.complain(
      'mode',
      `"${mode}" is refused on pull_request_target: it would run foreign code with your secrets`,
      'Use pull_request with mode: plan, and deploy on push.',
    );
  } else if (run.fork && run.event === 'pull_request') {
    reader.complain(
      'mode',
      `"${mode}" is refused on a pull request from a fork`,
      'Use mode: plan there, and deploy on push.',
    );
  }
}

function checked(
  reader: InputReader,
  name: InputName,
  check: (value: string) => Complaint,
): string | undefined {
  const value = reader.optional(name);
  if (value !== undefined) complainAbout(reader, name, check(value));
  return value;
}

function complainAbout(reader: InputReader, name: InputName, complaint: Complaint): void {
  if (complaint) reader.complain(name, complaint.wrong, complaint.right);
}

function checkWorkingDirectory(path: string): Complaint {
  return path.startsWith('/') ? undefined : checkRelativePath(path);
}

function checkWebUrl(text: string, secure: boolean): Complaint {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return { wrong: 'is not a URL', right: 'It starts with https://.' };
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    return { wrong: 'is not an http or https URL', right: 'It starts with https://.' };
  if (url.username !== '' || url.password !== '')
    return { wrong: 'holds a user or password', right: 'Give the URL without credentials.' };
  if (secure && url.protocol === 'http:' && !isLoopback(url.hostname.replace(/^\[|\]$/g, '')))
    return { wrong: 'is not encrypted', right: 'Use https://; http:// is for this machine only.' };
  return undefined;
}

function checkProjectRef(text: string): Complaint {
  return /^[a-z0-9]{20}$/.test(text)
    ? undefined
    : {
        wrong: 'is not a project reference',
        right: 'It is the 20 letters in your project URL: https://<project-ref>.supabase.co.',
      };
}

/** The health paths are added to this URL, so nothing may follow its path. */
function checkBaseUrl(text: string): Complaint {
  const { search, hash } = new URL(text);
  return search === '' && hash === ''
    ? undefined
    : {
        wrong: 'holds a query or a fragment',
        right: 'Give the base URL, such as https://example.com; the paths go into health-paths.',
      };
}

function checkRepositoryUrl(text: string): Complaint {
  const right = 'Use https://host/owner/name.git, git@host:owner/name.git or ssh://...';
  if (/^-/.test(text)) return { wrong: 'starts with a dash and would be read as an option', right };
  if (/^ext::|^fd::/.test(text)) return { wrong: 'names a transport that runs commands', right };
  if (/^https?:\/\/[^/]*@/.test(text))
    return {
      wrong: 'holds credentials',
      right:
        'Give the URL without them: the job token is used for that one fetch, or the key that the server has.',
    };
  if (!/^(https?:\/\/|ssh:\/\/|git@|file:\/\/|\/)[^\s'"`$;&|<>\\]+$/.test(text))
    return { wrong: 'is not a repository URL', right };
  return undefined;
}

function joinPath(folder: string, path: string): string {
  if (folder === '.' || folder === '') return path;
  return path === '.' || path === '' ? folder : `${folder.replace(/\/+$/, '')}/${path}`;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

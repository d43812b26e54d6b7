import type { Secret } from '../lib/secret.js';
import {
  anySecret,
  anyText,
  boolean,
  calls,
  choice,
  choices,
  databaseUrl,
  duration,
  durationUpTo,
  envFile,
  type InputKind,
  integer,
  key,
  list,
  path,
  paths,
  type SecretKind,
  text,
} from './kinds.js';
import { MODES, PARTS } from './modes.js';

/**
 * Every input of the action, once. What follows from it: action.yml's inputs and the tables of the README (written by
 * `npm run docs`), `muva-deploy --help` and its flags, the types of the settings, how each input is read, and what is
 * masked. Inputs stand in the order in which documents list them, by the part that they belong to.
 */

/** What is said of an input beside its kind. */
interface About {
  /** One line for documents and `--help`. */
  readonly description: string;
  /**
   * Environment variables that can stand in for it, the first that is set. Such an input has no default in action.yml:
   * the runner would hand that default over as if a person had set it. Its default is applied by `withEnvironment`.
   */
  readonly env?: readonly string[];
  /** What GitHub evaluates for it where a workflow gives nothing, such as `github.token`. */
  readonly expression?: string;
  /** Text that is kept byte for byte; all other inputs are trimmed. */
  readonly verbatim?: true;
}

export interface Input<Value> extends InputKind<Value>, About {
  readonly env: readonly string[];
  /** The value as text where nothing is given; empty where there is none. */
  readonly fallback: string;
  /** The value is masked before anything else happens and kept in a Secret. */
  readonly secret?: true;
}

/** An input that always has a value. */
function input<Value>(kind: InputKind<Value>, about: About & { readonly fallback: string }): Input<Value> {
  return { ...kind, env: [], ...about };
}

/** An input without a default: undefined where nothing is given. */
function optional<Value>({ kind, read }: InputKind<Value>, about: About): Input<Value | undefined> {
  return {
    kind,
    read: (field) => (field.value === '' ? undefined : read(field)),
    fallback: '',
    env: [],
    ...about,
  };
}

/** A list without a default: empty where nothing is given. */
function optionalList<Item>(kind: InputKind<Item[]>, about: About): Input<Item[]> {
  return { ...kind, fallback: '', env: [], ...about };
}

/** A secret can always come from the environment: a flag would be seen in the process list. */
function secret(
  kind: SecretKind,
  about: About & { readonly env: readonly [string, ...string[]] },
): Input<Secret | undefined> {
  return { ...kind, fallback: '', secret: true, ...about };
}

const RUN = {
  mode: input(choice(MODES, 'mode'), {
    fallback: 'deploy',
    description:
      'What to do: plan, migrate, verify, redeploy, health, rollback, deploy (all of them, with rollback on failure), or status (what is live, and the last deploys; reads only).',
  }),
  skip: optionalList(choices(PARTS, 'part'), {
    description: 'Parts left out on purpose: database, vps, health.',
  }),
  'run-id': optional(text, {
    env: ['GITHUB_RUN_ID'],
    description:
      "The workflow run whose changes rollback undoes; this run's by default. From a terminal, this or rollback-to is required.",
  }),
  environment: optional(text, {
    description:
      'The name, such as staging or production, used in locks, the summary and the GitHub Deployment.',
  }),
  'adopt-environment': input(boolean, {
    fallback: 'false',
    description:
      'A database or host remembers the environment that deployed to it; another name is refused unless this is true.',
  }),
  'working-directory': input(path, {
    fallback: '.',
    description: 'Folder of the project in the checkout; migrations-dir starts there.',
  }),
  language: input(choice(['en', 'es'], 'language'), {
    fallback: 'en',
    description:
      'Language of the job summary and the plan comment: en, or es. Outputs, the log and the report file stay as they are.',
  }),
  'github-token': secret(key, {
    env: ['GITHUB_TOKEN'],
    expression: 'github.token',
    description: 'For GitHub Deployments, the plan comment, and the one fetch of a private repository.',
  }),
};

const DATABASE = {
  'database-url': secret(databaseUrl, {
    env: ['DATABASE_URL'],
    description: 'Postgres URL: direct, session pooler or transaction pooler.',
  }),
  'database-ca-cert': optional(anyText, {
    env: ['DATABASE_CA_CERT'],
    verbatim: true,
    description:
      'PEM certificate of the authority that signs the database server; TLS is always verified off loopback.',
  }),
  'supabase-project-ref': optional(text, {
    env: ['SUPABASE_PROJECT_REF', 'SUPABASE_STAGING_PROJECT_ID'],
    description:
      'With supabase-access-token, where no database-url is given: a session of the pooler with a temporary login, or else the Management API, carries the SQL.',
  }),
  'supabase-access-token': secret(key, {
    env: ['SUPABASE_ACCESS_TOKEN'],
    description: 'Personal access token for the Management API.',
  }),
  'supabase-service-role-key': secret(key, {
    env: ['SUPABASE_SERVICE_ROLE_KEY'],
    description:
      'With it, health also asks the REST endpoint of the project that supabase-project-ref or database-url names.',
  }),
  'supabase-api-url': input(text, {
    fallback: 'https://api.supabase.com',
    env: ['SUPABASE_API_URL'],
    description: 'The Management API; https://api.supabase.com unless self-hosted.',
  }),
  'migrations-dir': input(path, {
    fallback: 'supabase/migrations',
    description: 'Folder with the migration files, <version>_<name>.sql.',
  }),
  'down-dir': optional(path, {
    description:
      'The only folder of down files. By default beside the migrations, and in the folder down beside migrations-dir, into which the Supabase CLI does not look.',
  }),
  transaction: input(choice(['all', 'each']), {
    fallback: 'all',
    description:
      'all: every pending file and the verification commit together, split only where Postgres forces it, where a file commits by itself, and between NOT VALID and VALIDATE; each: one transaction per file.',
  }),
  'migrate-before': input(choice(['cutover', 'build']), {
    fallback: 'cutover',
    description:
      'cutover: migrations are committed when every host is prepared; build: when they have installed and before they build, for builds that read the new schema.',
  }),
  'include-all': input(boolean, {
    fallback: 'false',
    description: 'Also apply files that are older than the newest applied one.',
  }),
  'missing-migrations': input(choice(['refuse', 'warn']), {
    fallback: 'refuse',
    description: 'A version recorded in the database that has no file: refuse or warn.',
  }),
  'edited-migrations': input(choice(['warn', 'refuse', 'allow']), {
    fallback: 'warn',
    description: 'An applied file that has changed since: warn, refuse or allow.',
  }),
  'destructive-changes': input(choice(['allow', 'warn', 'refuse']), {
    fallback: 'warn',
    description:
      'Statements that delete data in pending files, and EXECUTE of what cannot be read beforehand: allow, warn or refuse.',
  }),
  baseline: optional(text, {
    description:
      'Version up to which an existing database counts as applied; once that version is recorded, this does nothing.',
  }),
  'lock-timeout': input(duration, {
    fallback: '5s',
    description: 'How long one try waits for a database lock; retried with backoff.',
  }),
  'statement-timeout': input(duration, {
    fallback: '10m',
    description: 'How long one file may run; where it cannot be run as a whole, each of its parts.',
  }),
  backup: input(choice(['off', 'schema', 'full']), {
    fallback: 'off',
    description:
      "Before the first write: off, or pg_dump of the project's schemas (schema), with their rows (full); not through a transaction pooler. Without database-url a restore point.",
  }),
  'backup-platform-data': input(choice(['off', 'on']), {
    fallback: 'off',
    description:
      "on: a full dump holds auth's and storage's rows too, password hashes among them; to a server only where backup-to says vps.",
  }),
  'backup-to': optional(choice(['vps', 'runner']), {
    description:
      "vps: the app's state folder there; runner: lost with the job unless the workflow keeps it. By default vps where there is one.",
  }),
  'after-health': input(boolean, {
    fallback: 'false',
    description:
      'In mode migrate: also apply the files marked "-- deploy: after-health". A deploy applies them by itself.',
  }),
  'required-tables': optionalList(list, {
    description: 'Tables that must exist; public unless qualified.',
  }),
  'required-functions': optionalList(calls, {
    description:
      'Functions that must exist; public unless qualified. With types, price(integer, text), exactly that one.',
  }),
  rls: input(choice(['required', 'all', 'off']), {
    fallback: 'required',
    description:
      'required: each required table has row level security and a policy; all: every table in public; off.',
  }),
  'rls-except': optionalList(list, {
    description: 'Tables that rls does not judge, by name; public unless qualified.',
  }),
  'verify-sql': optionalList(paths, {
    description:
      'A folder, or a list of .sql files, each one SELECT whose rows are faults of the schema. Run with the verification, read only; of the rows only their number and a column named problem are told.',
  }),
  'row-counts': input(choice(['estimate', 'exact', 'off']), {
    fallback: 'estimate',
    description: 'Rows told per table: estimate, exact or off.',
  }),
  drift: input(choice(['warn', 'fail', 'off']), {
    fallback: 'warn',
    description: 'The schema changed since the last deploy by other hands: warn, fail or off.',
  }),
};

const SERVER = {
  'ssh-host': optionalList(list, {
    env: ['VPS_HOST'],
    description: 'One or more servers, one per line; user@host:port allowed.',
  }),
  'ssh-port': input(integer(1, 65_535), {
    fallback: '22',
    env: ['VPS_PORT'],
    description: 'Port of the servers that name none; 22 by default.',
  }),
  'ssh-user': optional(text, {
    env: ['VPS_USER'],
    description: 'Login name on the servers that name none.',
  }),
  'ssh-private-key': secret(anySecret, {
    env: ['VPS_SSH_KEY'],
    verbatim: true,
    description: 'Private key of the login, PEM or OpenSSH.',
  }),
  'ssh-passphrase': secret(anySecret, {
    env: ['VPS_SSH_PASSPHRASE'],
    verbatim: true,
    description: 'Passphrase of the private key.',
  }),
  'ssh-known-hosts': optional(anyText, {
    env: ['VPS_KNOWN_HOSTS'],
    verbatim: true,
    description: 'known_hosts lines. This or ssh-fingerprint is required, for the jump host too.',
  }),
  'ssh-jump': optional(text, {
    env: ['VPS_JUMP'],
    description: 'user@host:port to go through, with the same key.',
  }),
  'ssh-fingerprint': optional(anyText, {
    env: ['VPS_FINGERPRINT'],
    description:
      'SHA256:... of the host key, one or more, or the lines that ssh-keygen -l prints; with several hosts or a jump host "host SHA256:..." per line.',
  }),
  'app-path': optional(path, {
    description: 'Folder of the application on the server, absolute.',
  }),
  'app-name': optional(text, {
    description:
      'PM2 process name; several programs of one checkout, one per line, the one with the port first; "NAME none": one without a port.',
  }),
  strategy: input(choice(['auto', 'in-place', 'releases', 'adopt']), {
    fallback: 'auto',
    description:
      'auto, in-place (staged outside, swapped in by rename), releases (releases/ and a current symlink) or adopt (turns a checkout into releases, once).',
  }),
  'build-on': input(choice(['vps', 'runner']), {
    fallback: 'vps',
    description:
      'vps, or runner: the build made in this job is packed and streamed, nothing is installed or built on the server.',
  }),
  rehearse: input(boolean, {
    fallback: 'true',
    description:
      'Start the new build once beside the live one, on a spare port with its real settings and REHEARSAL=1, and check it before the cutover.',
  }),
  'dirty-checkout': input(choice(['refuse', 'stash']), {
    fallback: 'refuse',
    description:
      "Tracked local changes on the server: refuse, or stash (kept as a patch beside the run's log, and back with a rollback to that version).",
  }),
  'lock-wait': input(duration, {
    fallback: '10m',
    description: "How long to wait for another run's deploy of the same app or database.",
  }),
  ref: optional(text, {
    description:
      "The exact commit to deploy: a full SHA, or a branch, tag or short SHA that means one thing; the workflow's commit by default. Only a ref given here may go back to an older or bad commit.",
  }),
  'build-output': optionalList(paths, {
    description:
      'All that the build makes, such as .next or dist. By default what the build created and git does not know; refused where that may be data of the server. build-on: runner cannot know it: it sends the usual folders (.next, dist, build, node_modules) and says what it leaves out.',
  }),
  'build-cache': input(choice(['on', 'off']), {
    fallback: 'on',
    description:
      'on: caches of the build before (.next/cache, node_modules/.cache, ...) are copied into each new build on the server, and no release carries them; off.',
  }),
  'repository-url': optional(text, {
    description: 'Where the server fetches from; the origin that it already has by default.',
  }),
  'install-command': optional(text, {
    description: 'Replaces the install command found from the lock file.',
  }),
  'build-command': optional(text, {
    description: 'Replaces the build command found in package.json.',
  }),
  'start-command': optional(text, {
    description:
      "How PM2 starts the app where it has no entry yet; the repository's ecosystem file or package.json's start by default.",
  }),
  ecosystem: input(choice(['auto', 'follow', 'keep']), {
    fallback: 'auto',
    description:
      "How PM2's entry follows the commit's ecosystem file: auto (where the entry is what the live commit's file says), follow, or keep.",
  }),
  'restart-command': optional(text, {
    description: 'Replaces PM2 where another supervisor runs the app.',
  }),
  'env-file': secret(envFile, {
    env: ['DEPLOY_ENV_FILE'],
    verbatim: true,
    description:
      "The whole environment file, written to env-file-path (0600) before the build: what stands only in the server's file is gone from the new version. A rollback puts the previous file back.",
  }),
  'env-file-path': input(path, {
    fallback: '.env.local',
    description: 'Where env-file is written, inside the application.',
  }),
  'shared-paths': optionalList(paths, {
    description:
      'Files and folders of the server that every version uses: uploads, a database file, .next/cache.',
  }),
  'keep-releases': input(integer(2, 1_000), {
    fallback: '5',
    description: 'Releases, and backups, kept on the server: at least 2.',
  }),
  'max-parallel': input(integer(1, 100), {
    fallback: '1',
    description: 'Hosts deployed at a time.',
  }),
  'deploy-timeout': input(duration, {
    fallback: '15m',
    description: 'How long the deploy may take on each host.',
  }),
};

const HEALTH = {
  'health-url': optionalList(list, {
    env: ['STAGING_URL', 'HEALTH_URL'],
    description:
      "Public base URL of the application; its origin counts as the application's own, also on the server. Several, one per line (tenants' subdomains): each is asked from outside, the first one is the application's.",
  }),
  'health-paths': input(paths, {
    fallback: '/,/api/health',
    description:
      'Paths that must answer with a status from 200 to 299, and not with JSON whose status says otherwise; the last one is the health answer. Without /api/health: health-paths: /.',
  }),
  'health-from': input(choice(['both', 'runner', 'vps', 'none']), {
    fallback: 'both',
    description:
      'runner (the public URL), vps (loopback, over SSH), or both: good inside and bad outside is an edge fault and rolls nothing back. none: judged by PM2 alone, for programs without a port.',
  }),
  'health-port': optional(integer(1, 65_535), {
    description: "Port on the server for health-from vps; PM2's by default.",
  }),
  'health-timeout': input(duration, {
    fallback: '5s',
    description: 'Per request.',
  }),
  'health-deadline': input(duration, {
    fallback: '60s',
    description: 'Keep trying until then.',
  }),
  'health-max-latency': optional(duration, {
    description: 'Slower than this is the verdict slow: a warning, no rollback.',
  }),
  'health-successes': input(integer(1, 100), {
    fallback: '2',
    description: 'Consecutive good answers required of every check.',
  }),
  'check-assets': input(boolean, {
    fallback: 'true',
    description: 'Scripts and styles that the page links to must answer 200; of many, a few are asked for.',
  }),
  watch: input(durationUpTo(30 * 60_000, '30m'), {
    fallback: '0s',
    description:
      'In deploy: after health has passed, the new version is asked on for this long (to 30m), and put back when it falls.',
  }),
  'expect-version': optional(text, {
    description: 'Text that must be in the answer of the last health path, such as a commit or a build id.',
  }),
};

const ROLLBACK = {
  'irreversible-migrations': input(choice(['allow', 'refuse']), {
    fallback: 'allow',
    description: 'allow, or refuse: every pending file must have a down file.',
  }),
  'shadow-database-url': secret(databaseUrl, {
    env: ['SHADOW_DATABASE_URL'],
    description:
      'An empty scratch database of another server: plan proves there that up and down files fit, and measures what pending statements lock and rewrite.',
  }),
  'shadow-base': input(choice(['files', 'database']), {
    fallback: 'files',
    description:
      "What is measured there starts from the applied files, or from the database's own schema, which pg_dump of its major copies.",
  }),
  'allow-data-loss': input(boolean, {
    fallback: 'false',
    description:
      'A down file may always drop what the same run created; anything else that holds data is refused unless this is true.',
  }),
  'rollback-on-failure': input(boolean, {
    fallback: 'true',
    description: 'In deploy: undo what this run changed when it fails.',
  }),
  'rollback-database': input(choice(['down', 'records', 'keep']), {
    fallback: 'down',
    description:
      'down: run the down file where there is one; records: only delete the history rows; keep: leave the schema.',
  }),
  'rollback-steps': optional(integer(1, 10_000), {
    description:
      'In mode rollback: the newest N applied migrations by their down files, all of them or none; the code stays.',
  }),
  'rollback-to': optional(text, {
    description:
      'In mode rollback: previous, a commit or a release that was live and verified; what came after it goes back too.',
  }),
};

const GITHUB = {
  'github-deployment': input(choice(['off', 'on']), {
    fallback: 'off',
    description:
      'on: create a GitHub Deployment and its statuses, after mode: rollback for the commit that is live again; leave it off where the job has environment:, which makes one itself.',
  }),
  comment: input(choice(['auto', 'off']), {
    fallback: 'auto',
    description: 'auto: plan on a pull request keeps one comment up to date; off.',
  }),
};

/** The inputs by the part that they belong to, with the heading of each. */
export const INPUT_PARTS: readonly {
  readonly title: string;
  readonly inputs: Readonly<Record<string, Input<unknown>>>;
}[] = [
  { title: 'Run', inputs: RUN },
  { title: 'Database', inputs: DATABASE },
  { title: 'Server and application', inputs: SERVER },
  { title: 'Health', inputs: HEALTH },
  { title: 'Rollback', inputs: ROLLBACK },
  { title: 'GitHub', inputs: GITHUB },
];

export const TABLE = { ...RUN, ...DATABASE, ...SERVER, ...HEALTH, ...ROLLBACK, ...GITHUB };

/** What most workflows give: the documents list these before all others. */
export const FIRST_INPUTS: readonly (keyof typeof TABLE)[] = [
  'environment',
  'database-url',
  'required-tables',
  'rls',
  'backup',
  'baseline',
  'ssh-host',
  'ssh-user',
  'ssh-private-key',
  'ssh-fingerprint',
  'app-path',
  'app-name',
  'env-file',
  'health-url',
  'health-paths',
];

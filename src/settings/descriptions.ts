import type { InputName } from './inputs.js';

/** One line on each input: action.yml says the same (a test compares them), and so does `muva-deploy --help`. */
export const INPUT_SAYS: Readonly<Record<InputName, string>> = {
  mode: 'What to do: plan, migrate, verify, redeploy, health, rollback, or deploy (all of them, with rollback on failure).',
  skip: 'Parts left out on purpose: database, vps, health.',
  'run-id':
    "The workflow run whose changes rollback undoes; this run's by default. From a terminal, this or rollback-to is required.",
  environment:
    'The name, such as staging or production, used in locks, the summary and the GitHub Deployment.',
  'adopt-environment':
    'A database or host remembers the environment that deployed to it; another name is refused unless this is true.',
  'working-directory': 'Folder of the project in the checkout; migrations-dir starts there.',
  'github-token': 'For GitHub Deployments, the plan comment, and the one fetch of a private repository.',
  'database-url': 'Postgres URL: direct, session pooler or transaction pooler.',
  'database-ca-cert':
    'PEM certificate of the authority that signs the database server; TLS is always verified off loopback.',
  'supabase-project-ref':
    'With supabase-access-token, where no database-url is given: a session of the pooler with a temporary login, or else the Management API, carries the SQL.',
  'supabase-access-token': 'Personal access token for the Management API.',
  'supabase-service-role-key':
    'With it, health also asks the REST endpoint of the project that supabase-project-ref or database-url names.',
  'supabase-api-url': 'The Management API; https://api.supabase.com unless self-hosted.',
  'migrations-dir': 'Folder with the migration files, <version>_<name>.sql.',
  transaction:
    'all: every pending file and the verification commit together, split only where Postgres forces it; each: one transaction per file.',
  'include-all': 'Also apply files that are older than the newest applied one.',
  'missing-migrations': 'A version recorded in the database that has no file: refuse or warn.',
  'edited-migrations': 'An applied file that has changed since: warn, refuse or allow.',
  'destructive-changes': 'Statements that drop data in pending files: allow, warn or refuse.',
  baseline:
    'Version up to which an existing database counts as applied; once that version is recorded, this does nothing.',
  'lock-timeout': 'How long one try waits for a database lock; retried with backoff.',
  'statement-timeout': 'How long one file may run; where it cannot be run as a whole, each of its parts.',
  backup:
    'Before the first write: off, or pg_dump of the schema or of all (full); not through a transaction pooler. Without database-url a restore point.',
  'backup-to':
    "vps: the app's state folder there; runner: lost with the job unless the workflow keeps it. By default vps where there is one.",
  'after-health':
    'In mode migrate: also apply the files marked "-- deploy: after-health". A deploy applies them by itself.',
  'required-tables': 'Tables that must exist; public unless qualified.',
  'required-functions':
    'Functions that must exist; public unless qualified. With types, price(integer, text), exactly that one.',
  rls: 'required: each required table has row level security and a policy; all: every table in public; off.',
  'row-counts': 'Rows told per table: estimate, exact or off.',
  drift: 'The schema changed since the last deploy by other hands: warn, fail or off.',
  'ssh-host': 'One or more servers, one per line; user@host:port allowed.',
  'ssh-port': 'Port of the servers that name none; 22 by default.',
  'ssh-user': 'Login name on the servers that name none.',
  'ssh-private-key': 'Private key of the login, PEM or OpenSSH.',
  'ssh-passphrase': 'Passphrase of the private key.',
  'ssh-known-hosts': 'known_hosts lines. This or ssh-fingerprint is required, for the jump host too.',
  'ssh-jump': 'user@host:port to go through, with the same key.',
  'ssh-fingerprint':
    'SHA256:... of the host key, one or more, or the lines that ssh-keygen -l prints; with several hosts or a jump host "host SHA256:..." per line.',
  'app-path': 'Folder of the application on the server, absolute.',
  'app-name': 'PM2 process name.',
  strategy:
    'auto, in-place (staged outside, swapped in by rename), releases (releases/ and a current symlink) or adopt (turns a checkout into releases, once).',
  'build-on':
    'vps, or runner: the build made in this job is packed and streamed, nothing is installed or built on the server.',
  rehearse:
    'Start the new build once beside the live one, on a spare port with its real settings and REHEARSAL=1, and check it before the cutover.',
  'dirty-checkout':
    "Tracked local changes on the server: refuse, or stash (kept as a patch beside the run's log, and back with a rollback to that version).",
  'lock-wait': "How long to wait for another run's deploy of the same app or database.",
  ref: "The exact commit to deploy: a full SHA, or a branch, tag or short SHA that means one thing; the workflow's commit by default. Only a ref given here may go back to an older or bad commit.",
  'build-output':
    'All that the build makes, such as .next or dist. By default what the build created and git does not know; refused where that may be data of the server. build-on: runner cannot know it: it sends the usual folders (.next, dist, build, node_modules) and says what it leaves out.',
  'repository-url': 'Where the server fetches from; the origin that it already has by default.',
  'install-command': 'Replaces the install command found from the lock file.',
  'build-command': 'Replaces the build command found in package.json.',
  'start-command':
    "How PM2 starts the app where it has no entry yet; the repository's ecosystem file or package.json's start by default.",
  'restart-command': 'Replaces PM2 where another supervisor runs the app.',
  'env-file':
    "The whole environment file, written to env-file-path (0600) before the build: what stands only in the server's file is gone from the new version. A rollback puts the previous file back.",
  'env-file-path': 'Where env-file is written, inside the application.',
  'shared-paths':
    'Files and folders of the server that every version uses: uploads, a database file, .next/cache.',
  'keep-releases': 'Releases, and backups, kept on the server: at least 2.',
  'max-parallel': 'Hosts deployed at a time.',
  'deploy-timeout': 'How long the deploy may take on each host.',
  'health-url':
    "Public base URL of the application; its origin counts as the application's own, also on the server.",
  'health-paths':
    'Paths that must answer with a status from 200 to 299, and not with JSON whose status says otherwise; the last one is the health answer. Without /api/health: health-paths: /.',
  'health-from':
    'runner (the public URL), vps (loopback, over SSH), or both: good inside and bad outside is an edge fault and rolls nothing back.',
  'health-port': "Port on the server for health-from vps; PM2's by default.",
  'health-timeout': 'Per request.',
  'health-deadline': 'Keep trying until then.',
  'health-max-latency': 'Slower than this is the verdict slow: a warning, no rollback.',
  'health-successes': 'Consecutive good answers required of every check.',
  'check-assets': 'Scripts and styles that the page links to must answer 200; of many, a few are asked for.',
  'expect-version':
    'Text that must be in the answer of the last health path, such as a commit or a build id.',
  'irreversible-migrations': 'allow, or refuse: every pending file must have a down file.',
  'shadow-database-url': 'An empty scratch database: plan proves there that up and down files fit.',
  'allow-data-loss':
    'A down file may always drop what the same run created; anything else that holds data is refused unless this is true.',
  'rollback-on-failure': 'In deploy: undo what this run changed when it fails.',
  'rollback-database':
    'down: run the down file where there is one; records: only delete the history rows; keep: leave the schema.',
  'rollback-steps':
    'In mode rollback: the newest N applied migrations by their down files, all of them or none; the code stays.',
  'rollback-to':
    'In mode rollback: previous, a commit or a release that was live and verified; what came after it goes back too.',
  'github-deployment':
    'on: create a GitHub Deployment and its statuses, after mode: rollback for the commit that is live again; leave it off where the job has environment:, which makes one itself.',
  comment: 'auto: plan on a pull request keeps one comment up to date; off.',
};

/**
 * `npm run demo`: three deploys of examples/app through the bundle, as GitHub would start it, against a real
 * PostgreSQL, a real SSH server, a real git origin, PM2 and pnpm, all on this machine and gone afterwards.
 * v1 is the first deploy, v2 brings a migration, v3 becomes unhealthy after the cutover and is put back.
 * `--keep <folder>` says where the job summaries go (default: build/demo); `--ssh embedded` does without the
 * machine's own sshd.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { Origin } from '../__tests__/servers/origin.js';
import { query } from '../__tests__/servers/postgres.js';
import { type RunResult, runAction } from '../__tests__/servers/runner.js';
import { pushVersion, type Stage, withCheckout, withStage } from '../__tests__/servers/stage.js';

/** What one deploy must have ended with; the demo fails on anything else. */
interface Expected {
  version: 'v1' | 'v2' | 'v3';
  outcome: 'success' | 'rolled-back';
  served: 'v1' | 'v2';
  migrations: string[];
}

const STORY: (Expected & { title: string; overlay?: string })[] = [
  {
    version: 'v1',
    title: 'v1: the first deploy, to an empty database and an empty server',
    outcome: 'success',
    served: 'v1',
    migrations: ['20250101000000', '20250108000000'],
  },
  {
    version: 'v2',
    title: 'v2: brings a migration',
    overlay: 'examples/changes/v2',
    outcome: 'success',
    served: 'v2',
    migrations: ['20250101000000', '20250108000000', '20250201000000'],
  },
  {
    version: 'v3',
    title: 'v3: brings a migration too, passes its rehearsal, and is unhealthy once it is live',
    overlay: 'examples/changes/v3',
    outcome: 'rolled-back',
    served: 'v2',
    migrations: ['20250101000000', '20250108000000', '20250201000000'],
  },
];

const say = (text: string): void => void process.stdout.write(`${text}\n`);

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { keep: { type: 'string' }, ssh: { type: 'string' } } });
  if (values.ssh !== undefined && values.ssh !== 'openssh' && values.ssh !== 'embedded')
    throw new Error('--ssh takes openssh or embedded');
  const summaries = resolve(values.keep ?? 'build/demo');
  if (!existsSync('dist/index.js')) throw new Error('dist/index.js is missing; make it with: npm run bundle');
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (!interrupted.signal.aborted) say(`\n${signal}: stopping everything that the demo started`);
      process.exitCode = 128 + constants.signals[signal];
      interrupted.abort(new Error('it was interrupted'));
    });
  }
  const startedAt = Date.now();
  await withStage(
    { signal: interrupted.signal, ...(values.ssh ? { ssh: values.ssh } : {}) },
    async (stage) => {
      introduce(stage);
      mkdirSync(summaries, { recursive: true });
      for (const [index, act] of STORY.entries()) {
        interrupted.signal.throwIfAborted();
        say(`\n== ${act.title}`);
        const sha =
          act.overlay === undefined
            ? stage.origin.head()
            : pushVersion(stage.origin, act.version, act.overlay);
        const run = await deploy(stage, sha, 1001 + index, interrupted.signal);
        interrupted.signal.throwIfAborted();
        const file = join(summaries, `${act.version}.md`);
        writeFileSync(file, run.summary);
        if (act.outcome !== 'success')
          say(`\n-- the job summary, without its timeline and details\n\n${short(run.summary)}\n`);
        await check(stage, run, act);
        say(`job summary: ${relative('.', file)}`);
      }
    },
  );
  say(`\nThe demo did what it should, in ${Math.round((Date.now() - startedAt) / 1000)} s.`);
  say('v3 was put back by itself, code and database; v2 was served and healthy to the end.');
}

function introduce({ postgres, origin, vps, sshd }: Stage): void {
  const version = (name: string): string =>
    (JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8')) as { version: string }).version;
  say('What this demo deploys to; all of it is real, on 127.0.0.1, and gone afterwards:');
  say(`  database    PostgreSQL ${postgres.version} from npm, port ${postgres.port}`);
  say(
    sshd.kind === 'openssh'
      ? `  SSH server  OpenSSH's sshd of this machine, port ${sshd.port}`
      : `  SSH server  the one of the npm package ssh2, port ${sshd.port} (in place of an sshd of this machine)`,
  );
  say(`  server      PM2 ${version('pm2')} and pnpm ${version('pnpm')} from npm, in ${vps.root}`);
  say(`  git origin  ${origin.url}`);
}

/** One run of the workflow: a fresh checkout of the commit, and the action with the inputs of examples/staging.yml. */
async function deploy(stage: Stage, sha: string, runId: number, signal: AbortSignal): Promise<RunResult> {
  const { databaseUrl, origin, vps, sshd } = stage;
  return withCheckout(origin, sha, (workspace) =>
    runAction({
      root: resolve('.'),
      workspace,
      secrets: [databaseUrl, sshd.privateKey],
      env: { GITHUB_RUN_ID: String(runId), GITHUB_SHA: sha, GITHUB_REPOSITORY: 'octocat/guesthouse' },
      inputs: {
        environment: 'staging',
        'database-url': databaseUrl,
        'required-tables': 'rooms\nbookings',
        'ssh-host': sshd.host,
        'ssh-port': String(sshd.port),
        'ssh-user': sshd.user,
        'ssh-private-key': sshd.privateKey,
        'ssh-fingerprint': sshd.fingerprint,
        'repository-url': origin.url,
        'app-path': vps.appPath,
        'app-name': 'guesthouse',
        'health-url': `http://127.0.0.1:${vps.port}`,
        // Nobody wants to watch a sick application for a whole minute.
        'health-deadline': '10s',
      },
      cancelAfter: signal,
      force: true,
      onLine: tell,
    }),
  );
}

/** What of a job summary can be read as plain text. */
function short(summary: string): string {
  return summary
    .replaceAll(/^```mermaid[\s\S]*?^```\n|^<details>[\s\S]*?^<\/details>\n/gm, '')
    .replaceAll(/\n{3,}/g, '\n\n')
    .trim();
}

/** A line of the log as GitHub shows it: commands are not text, and groups and annotations have marks of their own. */
function tell(line: string): void {
  if (/^::(add-mask|stop-commands|\*\*\*)::/.test(line) || line === '##[endgroup]') return;
  const marked = /^##\[(\w+)\]([\s\S]*)$/.exec(line);
  const text = !marked ? line : marked[1] === 'group' ? `> ${marked[2]}` : `${marked[1]}: ${marked[2]}`;
  say(text.replaceAll(/^/gm, '  '));
}

/** Asks the application and the database themselves, and compares with what the story says. */
async function check(stage: Stage, run: RunResult, expected: Expected): Promise<void> {
  const served = await stage.vps.served();
  say(`served: ${served?.version ?? 'nothing'}`);
  const found = await lookAtDatabase(stage.databaseUrl);
  const v2Live = expected.served === 'v2';
  const compared: [what: string, is: unknown, right: unknown][] = [
    ['exit code', run.exitCode, expected.outcome === 'success' ? 0 : 1],
    ['outcome', run.outputs.outcome, expected.outcome],
    ['rolled-back', run.outputs['rolled-back'], String(expected.outcome === 'rolled-back')],
    ['version served', served?.version, expected.served],
    ['commit served', served?.commit, commitOf(stage.origin, expected.served)],
    ['recorded migrations', found.versions.join(' '), expected.migrations.join(' ')],
    ["v2's view", found.prices, v2Live],
    ["v3's table", found.payments, false],
  ];
  const wrong = compared.filter(([, is, right]) => is !== right);
  for (const [what, found, right] of wrong)
    say(`WRONG ${what}: ${String(found)} instead of ${String(right)}`);
  if (wrong.length > 0) throw new Error(`${expected.version} did not end as it should`);
  say(`outcome: ${run.outputs.outcome}; in the database: ${found.versions.length} migrations`);
}

interface DatabaseFound {
  versions: string[];
  /** The view that v2 brings. */
  prices: boolean;
  /** The table that v3 brings. */
  payments: boolean;
}

async function lookAtDatabase(url: string): Promise<DatabaseFound> {
  const [found] = await query<{ history: boolean; prices: boolean; payments: boolean }>(
    url,
    `select to_regclass('supabase_migrations.schema_migrations') is not null as history,
            to_regclass('public.cheapest_rooms') is not null as prices,
            to_regclass('public.payments') is not null as payments`,
  );
  if (!found?.history)
    return { versions: [], prices: found?.prices ?? false, payments: found?.payments ?? false };
  const rows = await query<{ version: string }>(
    url,
    'select version from supabase_migrations.schema_migrations order by version',
  );
  return { versions: rows.map((row) => row.version), prices: found.prices, payments: found.payments };
}

function commitOf(origin: Origin, version: string): string {
  return version === 'v1'
    ? origin.git('rev-list', '--max-parents=0', 'HEAD')
    : origin.git('log', '--format=%H', '--fixed-strings', `--grep=${version}`, '-1');
}

main().catch((error: unknown) => {
  say(`\nThe demo did not get to its end: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode ||= 1;
});

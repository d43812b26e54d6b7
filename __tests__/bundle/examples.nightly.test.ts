/**
 * Every workflow in examples/ is run step by step, as GitHub would run it, against a server that has the
 * application as an ordinary checkout under PM2. Only what names a place in the world is replaced.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { parse } from 'yaml';
import { choosePgDump } from '../../src/database/backup/pg-dump.js';
import { withHttpServer } from '../servers/http.js';
import { query } from '../servers/postgres.js';
import { type RunResult, runAction } from '../servers/runner.js';
import { pushVersion, type Stage, withCheckout, withStage } from '../servers/stage.js';

interface Step {
  id?: string;
  name?: string;
  if?: string;
  uses?: string;
  run?: string;
  with?: Record<string, string>;
  env?: Record<string, string>;
}

interface Job {
  env?: Record<string, string>;
  steps?: Step[];
  uses?: string;
  with?: Record<string, string>;
}

/** Values of `${{ }}` expressions by their path, such as `secrets.DATABASE_URL`. */
type Values = Record<string, string>;

/** What ran: the results of the action's steps in order; a skipped step is not in it. */
type Ran = { name: string; result: RunResult }[];

/** Fills in expressions: paths and texts with `==`, `&&`, `||` and parentheses, which mean the same in JavaScript. */
function fill(text: string, values: Values): string {
  return text.replaceAll(/\$\{\{ (.*?) \}\}/g, (_, expression: string) => {
    const code = expression.replaceAll(/'[^']*'|[a-z][\w.-]*/gi, (word) =>
      word.startsWith("'") ? word : `value(${JSON.stringify(word)})`,
    );
    const evaluate = new Function('value', `return ${code}`) as (value: (path: string) => string) => unknown;
    return String(evaluate((path) => values[path] ?? ''));
  });
}

function filled(entries: Record<string, string> | undefined, values: Values): Record<string, string> {
  return Object.fromEntries(
    Object.entries(entries ?? {}).map(([name, text]) => [name, fill(String(text), values)]),
  );
}

function workflow(path: string, replaced: Record<string, string>): Job {
  let text = readFileSync(path, 'utf8');
  for (const [from, to] of Object.entries(replaced)) {
    assert.ok(text.includes(from), `${path} holds no ${from}`);
    text = text.replaceAll(from, to);
  }
  const { jobs } = parse(text, { schema: 'failsafe' }) as { jobs: Record<string, Job> };
  const job = Object.values(jobs)[0]!;
  assert.equal(Object.keys(jobs).length, 1);
  return job;
}

/** Runs a job's steps on a checkout of `sha`: later steps only after success, unless they say otherwise. */
async function runJob(stage: Stage, job: Job, sha: string, runId: number, more: Values = {}): Promise<Ran> {
  const values: Values = {
    'secrets.DATABASE_URL': stage.databaseUrl,
    'secrets.PLAN_DATABASE_URL': stage.databaseUrl,
    'secrets.VPS_SSH_KEY': stage.sshd.privateKey,
    'vars.VPS_HOST': `${stage.sshd.host}:${stage.sshd.port}`,
    'vars.VPS_USER': stage.sshd.user,
    'vars.VPS_FINGERPRINT': stage.sshd.fingerprint,
    'vars.VPS_KNOWN_HOSTS': stage.sshd.knownHosts,
    'vars.HEALTH_URL': `http://127.0.0.1:${stage.vps.port}`,
    'github.sha': sha,
    ...more,
  };
  const ran: Ran = [];
  let failed = false;
  await withCheckout(stage.origin, sha, async (workspace) => {
    for (const step of job.steps ?? []) {
      const wanted = step.if === 'always()' || (step.if === 'failure()') === failed;
      if (!wanted) continue;
      if (step.run !== undefined)
        await promisify(execFile)('bash', ['-ec', step.run], {
          env: { ...process.env, ...filled(step.env, values) },
        });
      if (!step.uses?.startsWith('muva/deploy-action@')) continue;
      const result = await runAction({
        root: resolve('.'),
        workspace,
        env: { GITHUB_RUN_ID: String(runId), GITHUB_SHA: sha, ...filled(job.env, values) },
        inputs: filled(step.with, values),
        secrets: [stage.databaseUrl, stage.sshd.privateKey],
      });
      for (const [name, value] of Object.entries(result.outputs))
        values[`steps.${step.id}.outputs.${name}`] = value;
      if (result.conclusion !== 'success') failed = true;
      ran.push({ name: step.name ?? step.with?.mode ?? 'deploy', result });
    }
  });
  return ran;
}

/** The application as most servers have it: cloned, built and started by hand. */
async function installByHand({ vps, origin }: Stage): Promise<void> {
  const { code, stdout, stderr } = await vps.run(
    `git clone -q '${origin.url}' '${vps.appPath}' && cd '${vps.appPath}' && pnpm install --frozen-lockfile && pnpm build && pm2 start ecosystem.config.js && pm2 save`,
  );
  assert.equal(code, 0, stdout + stderr);
}

const conclusions = (ran: Ran): string[] => ran.map(({ name, result }) => `${name}: ${result.conclusion}`);
const logs = (ran: Ran): string => ran.map(({ result }) => result.log).join('\n');

test('the examples for staging, run one after the other', { timeout: 300_000 }, async (t) => {
  await withStage({}, async (stage) => {
    const { vps, origin } = stage;
    await installByHand(stage);
    const place = { '/var/www/guesthouse': vps.appPath };
    const v1 = origin.head();

    await t.test('plan.yml says what is pending and writes nothing', async () => {
      const ran = await runJob(stage, workflow('examples/plan.yml', {}), v1, 1);
      assert.deepEqual(conclusions(ran), ['plan: success'], logs(ran));
      assert.equal(ran[0]!.result.outputs.pending, '["20250101000000","20250108000000"]');
      const [found] = await query<{ history: string | null }>(
        stage.databaseUrl,
        "select to_regclass('supabase_migrations.schema_migrations')::text as history",
      );
      assert.equal(found?.history, null);
    });

    const strangers: Values[] = [
      { 'github.event.pull_request.head.repo.fork': 'true' },
      { 'github.actor': 'dependabot[bot]' },
    ];
    for (const who of strangers)
      await t.test(`plan.yml looks at the files alone for ${Object.entries(who)[0]!.join(' ')}`, async () => {
        const ran = await runJob(stage, workflow('examples/plan.yml', {}), v1, 2, {
          ...who,
          'secrets.PLAN_DATABASE_URL': '',
        });
        assert.deepEqual(conclusions(ran), ['plan: success'], logs(ran));
        assert.match(logs(ran), /2 files.*no database was asked/);
      });

    await t.test('staging.yml deploys onto the existing checkout', async () => {
      const ran = await runJob(stage, workflow('examples/staging.yml', place), v1, 3);
      assert.deepEqual(conclusions(ran), ['deploy: success'], logs(ran));
      assert.equal((await vps.served())?.commit, v1);
    });

    const v2 = pushVersion(origin, 'v2', 'examples/changes/v2');
    await t.test('steps.yml deploys in four steps and needs no rollback', async () => {
      const ran = await runJob(stage, workflow('examples/steps.yml', place), v2, 4);
      assert.equal(ran.length, 4, logs(ran));
      assert.ok(
        ran.every(({ result }) => result.conclusion === 'success'),
        logs(ran),
      );
      assert.equal((await vps.served())?.commit, v2);
    });

    const v3 = pushVersion(origin, 'v3', 'examples/changes/v3');
    await t.test('steps.yml puts a sick version back in its last step', async () => {
      const job = workflow('examples/steps.yml', {
        ...place,
        'mode: redeploy': 'mode: redeploy\n          health-deadline: 5s',
      });
      const ran = await runJob(stage, job, v3, 5);
      assert.deepEqual(
        ran.map(({ result }) => result.conclusion),
        ['success', 'success', 'failure', 'success'],
        logs(ran),
      );
      assert.equal(ran[3]!.name, 'Put back what this run changed');
      assert.equal((await vps.served())?.commit, v2);
      assert.equal(ran[3]!.result.outputs.reverted, '["20250301000000"]');
    });

    await t.test('rollback.yml goes back to the previous release', async () => {
      const job = workflow('examples/rollback.yml', { ...place, production: 'staging' });
      const ran = await runJob(stage, job, v3, 6, { 'inputs.to': 'previous' });
      assert.deepEqual(conclusions(ran), ['rollback: success'], logs(ran));
      assert.equal((await vps.served())?.commit, v1);
    });
  });
});

test('the examples for production and for many applications', { timeout: 300_000 }, async (t) => {
  await withStage({ postgres: 15 }, async (stage) => {
    const { vps, origin } = stage;
    await installByHand(stage);
    const place = { '/var/www/guesthouse': vps.appPath };

    await t.test('production.yml makes a backup first, and tells the chat', async () => {
      const job = workflow('examples/production.yml', place);
      // This machine's own pg_dump fits the database; what the step runs is what a message advises.
      const [install] = job.steps!.splice(1, 1);
      const advice = choosePgDump([], 17) as { next: string };
      for (const line of install!.run!.trim().split('\n')) assert.ok(advice.next.includes(line), line);
      const heard: string[] = [];
      const chat = withHttpServer(
        async (request, response) => {
          heard.push(await text(request));
          response.end();
        },
        async ({ url }) => runJob(stage, job, origin.head(), 1, { 'secrets.CHAT_WEBHOOK': url }),
      );
      const ran = await chat;
      assert.deepEqual(conclusions(ran), ['deploy: success'], logs(ran));
      assert.notEqual(ran[0]!.result.outputs['backup-path'], '');
      assert.equal(heard.length, 1);
      assert.match(
        (JSON.parse(heard[0]!) as { text: string }).text,
        /^Production: success\. Live: \w{40}\. /,
      );
    });

    const v2 = pushVersion(origin, 'v2', 'examples/changes/v2');
    await t.test('many-applications.yml calls the reusable workflow', async () => {
      const caller = workflow('examples/many-applications.yml', {
        ...place,
        'environment: staging': 'environment: production',
      });
      assert.equal(caller.uses, 'muva/deploy-action/.github/workflows/deploy.yml@v1');
      const inputs = Object.fromEntries(
        Object.entries(caller.with ?? {}).map(([name, value]) => [`inputs.${name}`, value]),
      );
      const ran = await runJob(stage, workflow('.github/workflows/deploy.yml', {}), v2, 2, inputs);
      assert.deepEqual(conclusions(ran), ['deploy: success'], logs(ran));
      assert.equal((await vps.served())?.commit, v2);
    });

    await t.test('several-hosts.yml, with the one host that this machine is', async () => {
      const { host, port, user } = stage.sshd;
      const next = origin.commit({}, 'Nothing new');
      const job = workflow('examples/several-hosts.yml', {
        ...place,
        'deploy@web-1.example.com': `${user}@${host}:${port}`,
        '            deploy@web-2.example.com\n': '',
        '            deploy@web-3.example.com:2222\n': '',
      });
      const ran = await runJob(stage, job, next, 3);
      assert.deepEqual(conclusions(ran), ['deploy: success'], logs(ran));
      assert.equal((await vps.served())?.commit, next);
    });
  });
});

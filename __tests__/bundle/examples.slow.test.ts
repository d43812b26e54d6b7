/**
 * Every workflow in examples/ is run step by step, as GitHub would run it, against a server that has the
 * application as an ordinary checkout under PM2. Only what names a place in the world is replaced.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
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

/** The expressions that the examples use: a path, or `path && 'text' || 'text'`. */
function fill(text: string, values: Values): string {
  return text.replaceAll(/\$\{\{ (.*?) \}\}/g, (_, expression: string) => {
    const choice = /^(\S+) && '([^']*)' \|\| '([^']*)'$/.exec(expression);
    const value = (path: string): string => values[path] ?? '';
    if (choice) return value(choice[1]!) === 'true' ? choice[2]! : choice[3]!;
    assert.match(expression, /^[\w.-]+$/, `the test cannot read the expression ${expression}`);
    return value(expression);
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
        execFileSync('bash', ['-ec', step.run], { env: { ...process.env, ...filled(step.env, values) } });
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
      const ran = await runJob(stage, workflow('examples/plan.yml', place), v1, 1, {
        'github.event.pull_request.head.sha': v1,
      });
      assert.deepEqual(conclusions(ran), ['plan: success'], logs(ran));
      assert.equal(ran[0]!.result.outputs.pending, '["20250101000000","20250108000000"]');
      const [found] = await query<{ history: string | null }>(
        stage.databaseUrl,
        "select to_regclass('supabase_migrations.schema_migrations')::text as history",
      );
      assert.equal(found?.history, null);
    });

    await t.test('plan.yml looks at the files alone for a fork', async () => {
      const without = Object.fromEntries(
        ['DATABASE_URL', 'VPS_SSH_KEY'].map((name) => [`secrets.${name}`, '']),
      );
      const ran = await runJob(stage, workflow('examples/plan.yml', place), v1, 2, {
        ...without,
        'vars.VPS_HOST': '',
        'github.event.pull_request.head.repo.fork': 'true',
        'github.event.pull_request.head.sha': v1,
      });
      assert.deepEqual(conclusions(ran), ['plan: success'], logs(ran));
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

    await t.test('production.yml makes a backup first', async () => {
      const ran = await runJob(stage, workflow('examples/production.yml', place), origin.head(), 1);
      assert.deepEqual(conclusions(ran), ['deploy: success'], logs(ran));
      assert.notEqual(ran[0]!.result.outputs['backup-path'], '');
    });

    const v2 = pushVersion(origin, 'v2', 'examples/changes/v2');
    await t.test('many-applications.yml calls the reusable workflow', async () => {
      const caller = workflow('examples/many-applications.yml', {
        ...place,
        'environment: staging': 'environment: production',
      });
      assert.equal(caller.uses, 'muva/deploy-action/.github/workflows/deploy.yml@v1');
      const inputs = Object.fromEntries(
        Object.entries({ backup: 'off', ...caller.with }).map(([name, value]) => [`inputs.${name}`, value]),
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

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import type { LogEntry } from '../../src/base/log.js';
import type { Outcome, Problem } from '../../src/base/report.js';
import { Secret } from '../../src/base/secret.js';
import { updateComment, wantsComment } from '../../src/github/comment.js';
import { closeDeployment, openDeployment } from '../../src/github/deployment.js';
import { type InputName, inputRule } from '../../src/settings/inputs.js';
import { parseSettings } from '../../src/settings/parse.js';
import type { Run, Settings } from '../../src/settings/settings.js';
import { type Fault, type GitHubApi, startGitHubApi } from '../servers/github-api.js';

const TOKEN = 'ghs_test0123456789';
let api: GitHubApi;
before(async () => {
  api = await startGitHubApi(TOKEN);
  process.env.GITHUB_API_URL = api.url;
});
after(() => api.close());
afterEach(() => {
  api.fail(undefined);
  api.deployments.length = 0;
  api.comments.length = 0;
  api.requests.length = 0;
});

const run: Run = {
  id: '1001',
  attempt: 1,
  url: 'https://github.com/octocat/hotel/actions/runs/1001',
  repository: 'octocat/hotel',
  serverUrl: 'https://github.com',
  sha: 'a'.repeat(40),
  event: 'pull_request',
  pullRequest: 7,
  fork: false,
};

function settings(inputs: Partial<Record<InputName, string>>, as: Run = run): Settings {
  const parsed = parseSettings((name) => inputs[name] ?? inputRule(name).fallback, {
    run: as,
    terminal: false,
    workspace: '/nowhere',
    holdsMigrations: () => false,
  });
  assert.deepEqual(parsed.problems, []);
  return parsed.settings!;
}

const health = {
  mode: 'deploy',
  environment: 'staging',
  'health-url': 'https://app.example',
  'database-url': 'postgresql://u:p@127.0.0.1:5432/x',
} as const;

/** Runs work with a log of its own; what it warned about. */
async function warningsOf(
  work: (options: Parameters<typeof openDeployment>[0]) => Promise<unknown>,
  deadline = 3_000,
): Promise<Problem[]> {
  const entries: LogEntry[] = [];
  await work({ run, token: new Secret(TOKEN), log: (entry) => entries.push(entry), deadline });
  return entries.flatMap((entry) => (entry.kind === 'warning' ? [entry.problem] : []));
}

describe('GitHub Deployments', () => {
  test('is created in progress, waits for no other check, and ends with the outcome and its links', async () => {
    const states: Record<string, string> = {};
    const outcomes: Outcome[] = [
      'success',
      'failure',
      'rolled-back',
      'rollback-failed',
      'cancelled',
      'unknown',
      'skipped',
    ];
    for (const outcome of outcomes) {
      const warnings = await warningsOf(async (options) => {
        const id = await openDeployment(options, settings(health));
        await closeDeployment(options, settings(health), id!, outcome);
      });
      assert.deepEqual(warnings, []);
      const deployment = api.deployments.at(-1)!;
      assert.deepEqual(deployment.required_contexts, []);
      assert.deepEqual([deployment.ref, deployment.environment], [run.sha, 'staging']);
      assert.equal(deployment.statuses[0]?.state, 'in_progress');
      states[outcome] = deployment.statuses[1]!.state;
      assert.equal(deployment.statuses[1]?.environment_url, 'https://app.example');
      assert.equal(deployment.statuses[1]?.log_url, run.url);
    }
    assert.deepEqual(states, {
      success: 'success',
      failure: 'failure',
      'rolled-back': 'failure',
      'rollback-failed': 'error',
      cancelled: 'error',
      unknown: 'error',
      skipped: 'inactive',
    });
  });

  const faults: [fault: Fault, expected: RegExp, next: RegExp | undefined, requests: number][] = [
    [
      'forbidden',
      /^GitHub Deployment not created: Resource not accessible by integration$/,
      /deployments: write/,
      1,
    ],
    ['secondary-rate-limit', /secondary rate limit/, undefined, 1],
    ['rate-limit', /API rate limit exceeded/, undefined, 1],
    ['not-found', /Not Found/, undefined, 1],
    ['outage', /Server Error/, undefined, 3],
    ['hang', /did not answer within 3 s/, undefined, 1],
  ];
  for (const [fault, expected, next, requests] of faults) {
    test(`row 123: ${fault} is a warning and nothing more`, async () => {
      api.fail(fault);
      const warnings = await warningsOf((options) => openDeployment(options, settings(health)));
      assert.equal(warnings.length, 1);
      assert.match(warnings[0]!.message, expected);
      if (next) assert.match(warnings[0]!.next ?? '', next);
      else assert.equal(warnings[0]!.next, undefined);
      assert.equal(api.requests.length, requests);
    });
  }

  for (const fault of ['outage', 'cut'] as const) {
    test(`row 123: a short ${fault} is tried again`, async () => {
      api.fail(fault, 1);
      assert.deepEqual(await warningsOf((options) => openDeployment(options, settings(health))), []);
      assert.equal(api.deployments.length, 1);
    });
  }

  test('row 122: without a token or a repository it says so', async () => {
    const said = async (change: object): Promise<string | undefined> =>
      (await warningsOf((options) => openDeployment({ ...options, ...change }, settings(health))))[0]
        ?.message;
    assert.equal(await said({ token: undefined }), 'GitHub Deployment not created: github-token is empty');
    assert.equal(
      await said({ run: { ...run, repository: undefined } }),
      'GitHub Deployment not created: GITHUB_REPOSITORY is not set',
    );
    assert.match((await said({ token: new Secret('wrong') })) ?? '', /Bad credentials/);
  });
});

describe('the plan comment', () => {
  const plan = settings({ ...health, mode: 'plan' });

  test('is one comment, updated, found also behind many others, and never mistaken for a quote of it', async () => {
    for (let id = 1; id <= 130; id++)
      api.comments.push({ id, body: `> <!-- muva-deploy plan staging -->\nperson ${id}` });
    await warningsOf((options) => updateComment(options, plan, 'first'));
    await warningsOf((options) => updateComment(options, plan, 'second'));
    assert.equal(api.comments.length, 131);
    assert.equal(api.comments.at(-1)?.body, '<!-- muva-deploy plan staging -->\nsecond');
    const other = settings({ ...health, mode: 'plan', environment: 'production' });
    await warningsOf((options) => updateComment(options, other, 'another environment'));
    assert.equal(api.comments.length, 132);
  });

  test('row 122: a token that may not comment is a warning that names the permission', async () => {
    api.fail('forbidden');
    const [warning] = await warningsOf((options) => updateComment(options, plan, 'x'));
    assert.match(warning?.message ?? '', /^Plan comment not written: Resource not accessible/);
    assert.match(warning?.next ?? '', /pull-requests: write/);
  });

  test('row 122: on a fork nothing is asked of the API', async () => {
    const fork = settings({ ...health, mode: 'plan' }, { ...run, fork: true });
    assert.deepEqual(await warningsOf((options) => updateComment(options, fork, 'x')), []);
    assert.deepEqual(api.requests, []);
  });

  test('is wanted only by plan, on a pull request, with comment: auto', () => {
    assert.equal(wantsComment(plan), true);
    assert.equal(wantsComment(settings({ ...health, mode: 'plan', comment: 'off' })), false);
    assert.equal(wantsComment(settings(health)), false);
    const { pullRequest: _, ...push } = run;
    assert.equal(wantsComment(settings({ ...health, mode: 'plan' }, push)), false);
  });
});

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { commentPlan, updateComment, wantsComment } from '../../src/github/comment.js';
import {
  closeDeployment,
  deploymentOutcome,
  liveAgain,
  openDeployment,
  phaseTeller,
} from '../../src/github/deployment.js';
import { type InputName, inputRule } from '../../src/inputs/input-sources.js';
import { parseSettings } from '../../src/inputs/read.js';
import type { Run, Settings } from '../../src/inputs/settings.js';
import type { LogEntry } from '../../src/lib/log.js';
import type { HostFact, Outcome, Problem, Report } from '../../src/lib/report.js';
import { Secret } from '../../src/lib/secret.js';
import { type Fault, type GitHubApi, JOB_USER, startGitHubApi, stateOf } from '../servers/github-api.js';
import { until } from '../servers/until.js';

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
  deadline = 20_000,
): Promise<Problem[]> {
  const entries: LogEntry[] = [];
  await work({ run, token: new Secret(TOKEN), log: (entry) => entries.push(entry), deadline });
  return entries.flatMap((entry) => (entry.kind === 'warning' ? [entry.problem] : []));
}

const descriptions = (): (string | undefined)[] =>
  (api.deployments.at(-1)?.statuses ?? []).map(({ description }) => description);

describe('GitHub Deployments', () => {
  test('the phase that a run is in stands in the description, and nothing comes after the end', async () => {
    const warnings = await warningsOf(async (options) => {
      const id = await openDeployment(options, settings(health));
      const phases = phaseTeller(options, settings(health), id!);
      phases.tell('plan');
      phases.tell('backup');
      phases.tell('prepare');
      await until('the last to be told', () => descriptions().includes('phase prepare'));
      await phases.end();
      await closeDeployment(options, settings(health), id!, 'success');
    });
    assert.deepEqual(warnings, []);
    assert.deepEqual(descriptions(), ['deploying', 'phase plan', 'phase prepare', 'success']);
    const { statuses } = api.deployments.at(-1)!;
    assert.deepEqual(
      statuses.map(({ state }) => state),
      ['in_progress', 'in_progress', 'in_progress', 'success'],
    );
  });

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

  for (const environment of ['staging', 'production'])
    test(`in ${environment} exactly one is active: the newest that was good`, async () => {
      const wanted = settings({ ...health, environment });
      for (const outcome of ['failure', 'success', 'rolled-back', 'success', 'success', 'failure'] as const) {
        const warnings = await warningsOf(async (options) => {
          const id = await openDeployment(options, wanted);
          await closeDeployment(options, wanted, id!, outcome);
        });
        assert.deepEqual(warnings, []);
      }
      assert.deepEqual(api.deployments.map(stateOf), [
        'failure',
        'inactive',
        'failure',
        'inactive',
        'success',
        'failure',
      ]);
    });

  test('of another environment stay as they are', async () => {
    for (const environment of ['production', 'staging', 'production'])
      await warningsOf(async (options) => {
        const id = await openDeployment(options, settings({ ...health, environment }));
        await closeDeployment(options, settings({ ...health, environment }), id!, 'success');
      });
    assert.deepEqual(api.deployments.map(stateOf), ['inactive', 'success', 'success']);
  });

  describe('after a rollback that was asked for', () => {
    const back = 'c'.repeat(40);
    const ended = (mode: string, outcome: Outcome, host?: HostFact['outcome']): Report => ({
      mode,
      outcome,
      phases: [],
      problems: [],
      warnings: [],
      facts: { deployedSha: back, hosts: host ? [{ host: 1, outcome: host, 'deployed-sha': back }] : [] },
      startedAt: 0,
      milliseconds: 0,
    });
    const cases: [title: string, report: Report, live: string | undefined][] = [
      ['the commit that is live again', ended('rollback', 'success', 'rolled-back'), back],
      ['none where the code stayed', ended('rollback', 'success', 'unchanged'), undefined],
      ['none where only the database went back', ended('rollback', 'success'), undefined],
      ['none where it failed', ended('rollback', 'rollback-failed', 'rolled-back'), undefined],
      ['none after a deploy, which has its own', ended('deploy', 'rolled-back', 'rolled-back'), undefined],
    ];
    for (const [title, report, live] of cases)
      test(`a deployment: ${title}`, () => assert.equal(liveAgain(report), live));

    test('the deployment names that commit, not the one of the workflow', async () => {
      await warningsOf((options) => openDeployment(options, settings(health), back));
      assert.equal(api.deployments[0]?.ref, back);
    });
  });

  test('row 174: a run that was ended in its watch has deployed; one that was ended before has not', () => {
    const ended = (phase: 'health' | 'watch'): Parameters<typeof deploymentOutcome>[0] => ({
      outcome: 'cancelled',
      phases: [
        {
          ...{ phase, outcome: 'failed', startedAt: 0, milliseconds: 1 },
          ...{ steps: [], problems: [], facts: {} },
          cancelled: true,
        },
      ],
    });
    assert.deepEqual(
      [deploymentOutcome(ended('watch')), deploymentOutcome(ended('health'))],
      ['success', 'cancelled'],
    );
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
      // Only the one that waits for it is worth a short one: a busy machine takes its time for the others.
      const deadline = fault === 'hang' ? 3_000 : 20_000;
      const warnings = await warningsOf((options) => openDeployment(options, settings(health)), deadline);
      assert.equal(warnings.length, 1);
      assert.match(warnings[0]!.message, expected);
      if (next) assert.match(warnings[0]!.next ?? '', next);
      else assert.equal(warnings[0]!.next, undefined);
      assert.equal(api.requests.length, requests);
    });
  }

  test('row 123: where no answer came, no status is told', async () => {
    api.fail('cut');
    const [warning] = await warningsOf((options) => openDeployment(options, settings(health)));
    assert.match(warning?.message ?? '', /^GitHub Deployment not created: .+/);
    assert.equal(warning?.code, undefined);
    assert.equal(api.requests.length, 3);
  });

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
  const places = { workspace: '/nowhere', project: '.' };
  const plan = settings({ ...health, mode: 'plan' });

  test('is one comment, updated, found also behind many others, and never mistaken for a quote of it', async () => {
    const user = { id: 7, login: 'somebody' };
    for (let id = 1; id <= 130; id++) api.comments.push({ id, body: `person ${id}`, user });
    await warningsOf((options) => updateComment(options, plan, places, 'first'));
    const [mark, text] = api.comments[130]!.body.split('\n');
    assert.match(mark!, /^<!-- muva-deploy plan [0-9a-f]{20} -->$/);
    assert.equal(text, 'first');
    api.comments.unshift({ id: 131, body: `> ${mark}\nus, quoted`, user: JOB_USER });
    await warningsOf((options) => updateComment(options, plan, places, 'second'));
    assert.equal(api.comments.length, 132);
    assert.equal(api.comments.at(-1)?.body, `${mark}\nsecond`);
  });

  test("row 152: somebody else's comment with our first line is left alone, also before and after our own", async () => {
    const other = { id: 1, login: 'stranger' };
    await warningsOf((options) => updateComment(options, plan, places, 'first'));
    const [ours] = api.comments;
    const mark = ours!.body.split('\n')[0]!;
    const forged = [other, { id: 2, login: 'other-app[bot]' }, null].map((user, index) => ({
      id: index + 1,
      body: `${mark}\nforged ${index}`,
      user,
    }));
    const texts = forged.map(({ body }) => body);
    api.comments.unshift(forged[0]!, forged[1]!);
    api.comments.push(forged[2]!);
    assert.deepEqual(await warningsOf((options) => updateComment(options, plan, places, 'second')), []);
    assert.equal(ours!.body, `${mark}\nsecond`);
    // Without one of our own a new one is made.
    api.comments.splice(api.comments.indexOf(ours!), 1);
    assert.deepEqual(await warningsOf((options) => updateComment(options, plan, places, 'third')), []);
    assert.equal(api.comments.at(-1)!.body, `${mark}\nthird`);
    assert.deepEqual(api.comments.at(-1)!.user, JOB_USER);
    assert.deepEqual(
      forged.map(({ body }) => body),
      texts,
    );
  });

  test('is another one for every application and environment of a pull request, and the same in every run', async () => {
    const server = {
      'ssh-host': 'vps.example',
      'ssh-user': 'deploy',
      'ssh-private-key': 'key',
      'ssh-fingerprint': `SHA256:${'A'.repeat(43)}`,
      'app-path': '/srv/shop',
      'app-name': 'shop',
    };
    const mode = 'plan';
    const all: [inputs: Partial<Record<InputName, string>>, project: string][] = [
      [{ ...health, mode }, '.'],
      [{ ...health, mode, environment: 'production' }, '.'],
      [{ ...health, mode, environment: '' }, '.'],
      [{ ...health, mode, environment: '测试' }, '.'],
      [{ ...health, mode, environment: '生产' }, '.'],
      [{ ...health, mode, 'working-directory': 'apps/shop' }, 'apps/shop'],
      [{ ...health, mode, 'working-directory': 'apps/admin' }, 'apps/admin'],
      [{ ...health, mode, 'migrations-dir': 'apps/admin/migrations' }, '.'],
      [{ ...health, ...server, mode }, '.'],
      [{ ...health, ...server, mode, 'app-name': 'admin' }, '.'],
      [{ ...health, ...server, mode, 'app-path': '/srv/admin' }, '.'],
    ];
    for (const workspace of ['/nowhere', '/somewhere/else'])
      for (const [inputs, project] of all)
        await warningsOf((options) => updateComment(options, settings(inputs), { workspace, project }, 'x'));
    assert.equal(api.comments.length, all.length);
    await warningsOf((options) =>
      updateComment(options, settings(all[5]![0]), { workspace: '/nowhere', project: './apps/shop/' }, 'x'),
    );
    assert.equal(api.comments.length, all.length);
  });

  test('names environment, application, commit and run, because it stays when the next commit comes', async () => {
    const head = 'd'.repeat(40);
    const pull = settings({ ...health, mode: 'plan' }, { ...run, pullRequestHead: head });
    const report: Report = {
      mode: 'plan',
      environment: 'staging',
      outcome: 'success',
      phases: [],
      problems: [],
      warnings: [],
      facts: {},
      startedAt: 0,
      milliseconds: 1,
    };
    await warningsOf((options) =>
      commentPlan(options, pull, report, { workspace: '/nowhere', project: 'apps/shop' }),
    );
    const [, heading, , origin] = api.comments[0]!.body.split('\n');
    assert.equal(heading, '## ✅ plan for staging succeeded');
    assert.match(origin!, /^<code>apps\/shop<\/code> · commit /);
    assert.ok(origin!.includes(`href="https://github.com/octocat/hotel/commit/${head}"`), origin);
    assert.ok(origin!.includes(`href="${run.url}"`), origin);
  });

  test('row 122: a token that may not comment is a warning that names the permission', async () => {
    api.fail('forbidden');
    const [warning] = await warningsOf((options) => updateComment(options, plan, places, 'x'));
    assert.match(warning?.message ?? '', /^Plan comment not written: Resource not accessible/);
    assert.match(warning?.next ?? '', /pull-requests: write/);
  });

  test('row 122: on a fork nothing is asked of the API', async () => {
    const fork = settings({ ...health, mode: 'plan' }, { ...run, fork: true });
    assert.deepEqual(await warningsOf((options) => updateComment(options, fork, places, 'x')), []);
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

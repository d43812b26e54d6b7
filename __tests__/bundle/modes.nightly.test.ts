import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { runBundle, runTerminal } from '../servers/entry-points.js';
import { type GitHubApi, startGitHubApi, stateOf } from '../servers/github-api.js';
import { query } from '../servers/postgres.js';
import type { RunResult } from '../servers/runner.js';
import { pushVersion, type Stage, withCheckout, withStage } from '../servers/stage.js';
import { stageInputs } from '../servers/stage-inputs.js';

const TOKEN = 'ghs_0123456789abcdefghijklmnopqrstuvwxyz';

/** Every mode through the bundle, one after the other, as a workflow with separate steps would call them. */
describe(`the bundle on Node ${process.versions.node}`, () => {
  let stage: Stage;
  let api: GitHubApi;
  let leave: () => void = () => {};
  let left: Promise<void>;
  let v1 = '';
  let overtaken = '';
  let v2 = '';

  before(async () => {
    api = await startGitHubApi(TOKEN);
    await new Promise<void>((ready, failed) => {
      left = withStage({}, async (opened) => {
        stage = opened;
        ready();
        await new Promise<void>((done) => {
          leave = done;
        });
      });
      left.catch(failed);
    });
  });
  after(async () => {
    leave();
    await Promise.all([left, api.close()]);
  });

  const inputs = (): Record<string, string> =>
    stageInputs(stage, { environment: 'staging', 'required-tables': 'rooms', 'health-deadline': '15s' });

  function start(
    mode: string,
    sha: string,
    runId: number,
    more: Record<string, string> = {},
  ): Promise<RunResult> {
    return withCheckout(stage.origin, sha, (workspace) =>
      runBundle({
        workspace,
        secrets: [stage.databaseUrl, stage.sshd.privateKey],
        token: TOKEN,
        env: {
          GITHUB_RUN_ID: String(runId),
          GITHUB_SHA: sha,
          GITHUB_REPOSITORY: 'octocat/guesthouse',
          GITHUB_API_URL: api.url,
        },
        inputs: { ...inputs(), mode, ...more },
      }),
    );
  }

  async function succeeds(
    mode: string,
    sha: string,
    runId: number,
    more?: Record<string, string>,
  ): Promise<RunResult> {
    const run = await start(mode, sha, runId, more);
    assert.equal(run.exitCode, 0, run.log);
    return run;
  }

  const served = async (): Promise<string | undefined> => (await stage.vps.served())?.version;
  const tables = async (): Promise<string[]> =>
    (
      await query<{ name: string }>(
        stage.databaseUrl,
        "select table_name as name from information_schema.tables where table_schema = 'public' order by 1",
      )
    ).map((row) => row.name);

  test('plan says what would be done and writes nothing', async () => {
    const run = await succeeds('plan', stage.origin.head(), 1);
    assert.deepEqual(JSON.parse(run.outputs.pending!), ['20250101000000', '20250108000000']);
    assert.deepEqual(await tables(), []);
    assert.equal(await served(), undefined);
  });

  test('deploy brings database and code', async () => {
    const run = await succeeds('deploy', stage.origin.head(), 2);
    assert.equal(run.outputs.outcome, 'success');
    assert.deepEqual(JSON.parse(run.outputs.applied!), ['20250101000000', '20250108000000']);
    assert.equal(run.outputs['deployed-sha'], stage.origin.head());
    assert.equal(run.outputs.healthy, 'true');
    assert.equal(await served(), 'v1');
    // Plan and worker see the same traps of PM2; a person is told of each once.
    const warnings = run.log.split('\n').filter((line) => line.startsWith('warning: '));
    assert.ok(warnings.length > 0, run.log);
    assert.deepEqual(warnings, [...new Set(warnings)], run.log);
    for (const warning of warnings)
      assert.equal(
        run.annotations.filter((each) => warning.endsWith(each.message.split('\n')[0]!)).length,
        1,
      );
  });

  test('row 7: what database and server remember of that deploy points to a part whose connection is empty', async () => {
    const head = stage.origin.head();
    const server = ['ssh-host', 'ssh-port', 'ssh-user', 'ssh-private-key', 'ssh-fingerprint'];
    const noServer = Object.fromEntries(
      [...server, 'app-path', 'app-name', 'repository-url'].map((name) => [name, '']),
    );
    const noDatabase = { 'database-url': '', 'required-tables': '', 'migrations-dir': 'none' };
    for (const [mode, inputs, input, part] of [
      ['plan', noServer, 'ssh-host', 'vps'],
      ['deploy', noServer, 'ssh-host', 'vps'],
      ['plan', noDatabase, 'database-url', 'database'],
      ['deploy', noDatabase, 'database-url', 'database'],
    ] as const) {
      const refused = await start(mode, head, 21, inputs);
      assert.equal(refused.exitCode, 1, refused.log);
      assert.match(refused.log, new RegExp(`${input}: is empty: secret not set`));
      assert.match(refused.log, new RegExp(`say skip: ${part}`));
      await succeeds('plan', head, 22, { ...inputs, skip: part });
    }
    assert.equal(await served(), 'v1');
  });

  test('verify and health look and write nothing', async () => {
    const verified = await succeeds('verify', stage.origin.head(), 3);
    assert.equal(verified.outputs.verified, 'true');
    const healthy = await succeeds('health', stage.origin.head(), 3);
    assert.equal(healthy.outputs.verdict, 'ok');
    assert.ok(
      (JSON.parse(healthy.outputs.health!) as { 'latency-ms': number }[]).every(
        (check) => check['latency-ms'] >= 0,
      ),
    );
  });

  test('migrate, redeploy and rollback as separate steps of one run', async () => {
    v1 = stage.origin.head();
    overtaken = stage.origin.commit({ 'NOTES.md': 'between two versions\n' }, 'Between');
    v2 = pushVersion(stage.origin, 'v2', 'examples/changes/v2');
    const migrated = await succeeds('migrate', v2, 4);
    assert.deepEqual(JSON.parse(migrated.outputs.applied!), ['20250201000000']);
    assert.equal(await served(), 'v1');
    const on = { 'github-deployment': 'on' };
    const deployed = await succeeds('redeploy', v2, 4, on);
    assert.deepEqual([deployed.outputs['previous-sha'], deployed.outputs['deployed-sha']], [v1, v2]);
    assert.equal(await served(), 'v2');

    const back = await succeeds('rollback', v2, 4, on);
    assert.deepEqual([back.outputs.outcome, back.outputs['rolled-back']], ['success', 'true']);
    assert.deepEqual(JSON.parse(back.outputs.reverted!), ['20250201000000']);
    assert.equal(await served(), 'v1');
    assert.deepEqual(
      api.deployments.map((each) => [each.ref, stateOf(each)]),
      [
        [v2, 'inactive'],
        [v1, 'success'],
      ],
    );
    assert.equal(back.outputs['deployment-id'], String(api.deployments[1]!.id));

    const again = await succeeds('rollback', v2, 4, on);
    assert.equal(api.deployments.length, 2, 'nothing was put back, so nothing is deployed');
    assert.deepEqual([again.outputs.outcome, again.outputs['rolled-back']], ['success', 'false']);
    assert.equal(await served(), 'v1');
  });

  test('a rerun of the same run changes nothing', async () => {
    const rerun = await succeeds('deploy', v1, 2, {});
    assert.equal(rerun.outputs.outcome, 'success');
    assert.deepEqual(JSON.parse(rerun.outputs.applied!), []);
    assert.equal(await served(), 'v1');
  });

  test('row 118: a run that was overtaken is skipped, although the database is ahead of its files', async () => {
    await succeeds('deploy', v2, 5, { ref: v2 });
    assert.equal(await served(), 'v2');
    const late = await succeeds('deploy', overtaken, 6);
    assert.equal(late.outputs.outcome, 'skipped');
    assert.match(late.log, /A newer commit is live already/);
    assert.match(late.log, /^ {2}skipped migrations +a newer run is live already$/m);
    assert.doesNotMatch(late.log, /^ {2}failed /m);
    assert.equal(await served(), 'v2');
  });

  test('the terminal answers the same', async () => {
    await withCheckout(stage.origin, stage.origin.head(), async (cwd) => {
      const flags = Object.entries(inputs()).filter(
        ([name]) => !['database-url', 'ssh-private-key'].includes(name),
      );
      const env = { DATABASE_URL: stage.databaseUrl, VPS_SSH_KEY: stage.sshd.privateKey };
      const looked = await runTerminal(['health', ...flags.map(([name, value]) => `--${name}=${value}`)], {
        cwd,
        env,
      });
      assert.equal(looked.exitCode, 0, looked.text);
      assert.match(looked.text, /verdict ok/);
    });
  });
});

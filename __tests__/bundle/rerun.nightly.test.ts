import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { runBundle, temporaryFolder } from '../servers/entry-points.js';
import { appFiles, appVersion } from '../servers/fixture-app.js';
import { type Origin, startOrigin } from '../servers/origin.js';
import type { RunOptions, RunResult } from '../servers/runner.js';
import { type Sshd, startSshd } from '../servers/sshd.js';
import { commandsOn, startVps, type Vps } from '../servers/vps.js';

/** Runs, re-runs and cancels of a workflow on one server, through the bundle as GitHub starts it. */
const folder = temporaryFolder();
const commits: Record<string, string> = {};
let origin: Origin;
let vps: Vps;
let sshd: Sshd;
before(async () => {
  origin = startOrigin(appFiles('v1'));
  commits.v1 = origin.head();
  vps = await startVps(origin);
  sshd = await startSshd({ home: vps.home, environment: vps.env });
  for (const version of ['v2', 'v3', 'v4', 'v5', 'v6', 'v7', 'v8'])
    commits[version] = origin.commit(appVersion(version), version);
});
after(async () => {
  folder.remove();
  await sshd?.stop();
  await vps?.stop();
  origin?.stop();
});

interface Which {
  run: number;
  attempt?: number;
  inputs?: Record<string, string>;
}

function redeploy(version: string, which: Which, more: Partial<RunOptions> = {}): Promise<RunResult> {
  return runBundle({
    workspace: folder.path,
    secrets: [sshd.privateKey],
    env: {
      GITHUB_RUN_ID: String(which.run),
      GITHUB_RUN_ATTEMPT: String(which.attempt ?? 1),
      GITHUB_SHA: commits[version]!,
    },
    inputs: {
      mode: 'redeploy',
      environment: 'staging',
      'ssh-host': sshd.host,
      'ssh-port': String(sshd.port),
      'ssh-user': sshd.user,
      'ssh-private-key': sshd.privateKey,
      'ssh-fingerprint': sshd.fingerprint,
      'app-path': vps.appPath,
      'app-name': vps.appName,
      'health-deadline': '15s',
      'health-successes': '1',
      ...which.inputs,
    },
    ...more,
  });
}

const served = async (): Promise<string | undefined> => (await vps.served())?.version;

describe('runs and re-runs', { timeout: 240_000 }, () => {
  test('a first run deploys its commit', async () => {
    const result = await redeploy('v3', { run: 3 });
    assert.equal(result.exitCode, 0, result.log);
    assert.deepEqual([result.outputs.outcome, result.outputs['deployed-sha']], ['success', commits.v3]);
    assert.equal(await served(), 'v3');
  });

  test('row 116: a later attempt of the same run changes nothing and succeeds', async () => {
    const before = await vps.served();
    const result = await redeploy('v3', { run: 3, attempt: 2 });
    assert.equal(result.exitCode, 0, result.log);
    assert.equal(result.outputs.outcome, 'success');
    assert.equal((await vps.served())?.pid, before?.pid, 'the application was not restarted');
  });

  test('row 118: an older run that comes late ends as skipped, with 0 and a warning', async () => {
    const result = await redeploy('v2', { run: 2 });
    assert.equal(result.exitCode, 0, result.log);
    assert.equal(result.outputs.outcome, 'skipped', result.log);
    assert.ok(
      result.annotations.some(({ level }) => level === 'warning'),
      JSON.stringify(result.annotations),
    );
    assert.match(result.summary, /^## ⏭️ /);
    assert.equal(await served(), 'v3');
  });

  test('row 117: a re-run of an old run is refused as a downgrade, and told what to do', async () => {
    const result = await redeploy('v1', { run: 1, attempt: 2 });
    assert.equal(result.exitCode, 1);
    assert.equal(result.outputs.outcome, 'failure', result.log);
    assert.match(result.log, /older than the live commit/);
    assert.match(result.log, /next: To go back use mode: rollback/);
    assert.equal(await served(), 'v3');
  });

  test('row 117: a person who names the commit may go back', async () => {
    const result = await redeploy('v1', { run: 4, inputs: { ref: commits.v1! } });
    assert.equal(result.exitCode, 0, result.log);
    assert.equal(await served(), 'v1');
  });

  test('row 119: two runs on one server take turns', async () => {
    const both = await Promise.all([redeploy('v4', { run: 5 }), redeploy('v5', { run: 6 })]);
    const logs = both.map((result) => result.log).join('\n=====\n');
    assert.equal(both[1].exitCode, 0, logs);
    assert.ok(['success', 'skipped'].includes(both[0].outputs.outcome ?? ''), logs);
    assert.match(logs, /lock/i);
    assert.equal(await served(), 'v5');
  });
});

describe('cancel of a redeploy', { timeout: 240_000 }, () => {
  test('row 114: during the build: within 6 s, the live version untouched', async () => {
    let at = 0;
    const result = await redeploy(
      'v6',
      { run: 7, inputs: { 'build-command': 'echo building-now && sleep 60' } },
      {
        cancelAfter: (log) => {
          if (!log.includes('building-now')) return false;
          at ||= performance.now();
          return true;
        },
      },
    );
    const took = performance.now() - at - (result.post?.milliseconds ?? 0);
    assert.ok(took < 6_000, `${took} ms`);
    assert.deepEqual([result.exitCode, result.outputs.outcome], [1, 'cancelled'], result.log);
    assert.equal(await served(), 'v5', result.post?.log);
    assert.ok(!commandsOn(vps).includes('sleep 60'), 'the build itself was stopped');
    assert.match(result.log, /^redeploy was cancelled\. On the server the live version was not touched\.$/m);
    const [, afterTheEnd = ''] = result.log.split(/^report: .*$/m);
    assert.doesNotMatch(afterTheEnd, /^ {2}\.\.\./m, 'after the last word nothing more is told');
  });

  test('row 114: during the cutover: one version serves in the end, and what is said is what serves', async () => {
    const result = await redeploy(
      'v6',
      { run: 8 },
      { cancelAfter: (log) => /passed {2}rehearsal/.test(log) },
    );
    const told = `${result.log}\n=== post\n${result.post?.log}`;
    assert.equal(result.conclusion, 'cancelled', told);
    const version = await served();
    assert.ok(version === 'v5' || version === 'v6', String(version));
    const last = result.post?.log ? result.post.log : result.log;
    assert.match(last, new RegExp(commits[version]!.slice(0, 7)), told);
  });

  test('row 115: killed during the build without post, the next run resolves it and deploys', async () => {
    const killed = await redeploy(
      'v7',
      { run: 9, inputs: { 'build-command': 'echo building-now && sleep 15' } },
      { cancelAfter: (log) => log.includes('building-now'), force: true },
    );
    assert.deepEqual([killed.signal, killed.outputs], ['SIGKILL', {}]);
    const next = await redeploy('v8', { run: 10, inputs: { 'lock-wait': '2m' } });
    assert.equal(next.exitCode, 0, next.log);
    assert.equal(await served(), 'v8');
  });
});

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { after, describe, test } from 'node:test';
import { temporaryFolder } from '../servers/entry-points.js';
import { type Stage, withStage } from '../servers/stage.js';

/** Where the reports of the runs go. */
const folder = temporaryFolder();
after(() => folder.remove());

/** Lines after which the action is killed: one in every phase of a redeploy. */
const MOMENTS = [
  /^redeploy /,
  / passed +fetch /,
  / passed +stage /,
  / passed +install /,
  / passed +build /,
  / passed +rehearsal /,
  / passed +cutover /,
  / passed +verification /,
];

describe('the action killed by SIGKILL', { timeout: 600_000 }, () => {
  test('row 85, row 115: whenever it happens, one whole version is served and the next run goes on', async () => {
    await withStage({}, async (stage) => {
      await deployed(stage, stage.origin.head());
      const load = stage.vps.load(20);
      for (const [index, moment] of MOMENTS.entries()) {
        const version = `${index + 2}.0.0`;
        const before = await stage.vps.served();
        const sha = stage.origin.commit({ 'package.json': manifest(stage, version) }, version);
        const action = start(stage, sha, 100 + index);
        await untilLine(action, moment);
        action.kill('SIGKILL');
        const served = await stage.vps.served();
        assert.ok(
          served && [before?.commit, sha].includes(served.commit),
          `${moment}: ${JSON.stringify(served)}`,
        );

        // It waits for the worker that the killed action left behind, and finds what that one did.
        await deployed(stage, sha, 200 + index);
        assert.equal((await stage.vps.served())?.commit, sha, String(moment));
      }
      const { requests, failed, failures } = await load.stop();
      assert.equal(failed, 0, `${failed} of ${requests} requests failed: ${failures.join('; ')}`);
    });
  });
});

function manifest(stage: Stage, version: string): string {
  const current = JSON.parse(stage.origin.git('show', 'HEAD:package.json')) as Record<string, unknown>;
  return `${JSON.stringify({ ...current, version }, null, 2)}\n`;
}

async function deployed(stage: Stage, sha: string, runId = 1): Promise<void> {
  const action = start(stage, sha, runId);
  const lines: string[] = [];
  createInterface({ input: action.stdout! }).on('line', (line) => lines.push(line));
  const [code] = (await once(action, 'exit')) as [number | null];
  assert.equal(code, 0, lines.join('\n'));
}

/** `muva-deploy redeploy` in a process of its own; secrets through the environment. */
function start({ sshd, origin, vps }: Stage, sha: string, runId: number): ChildProcess {
  const flags = {
    environment: 'staging',
    'ssh-host': sshd.host,
    'ssh-port': String(sshd.port),
    'ssh-user': sshd.user,
    'ssh-fingerprint': sshd.fingerprint,
    'repository-url': origin.url,
    'app-path': vps.appPath,
    'app-name': 'guesthouse',
    'health-deadline': '20s',
    'lock-wait': '2m',
  };
  return spawn(
    process.execPath,
    [
      resolve('dist/cli.js'),
      'redeploy',
      ...Object.entries(flags).map(([name, value]) => `--${name}=${value}`),
    ],
    {
      env: {
        PATH: process.env.PATH ?? '',
        HOME: process.env.HOME ?? '',
        TMPDIR: folder.path,
        VPS_SSH_KEY: sshd.privateKey,
        GITHUB_SHA: sha,
        GITHUB_RUN_ID: String(runId),
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
}

async function untilLine(action: ChildProcess, wanted: RegExp): Promise<void> {
  const lines: string[] = [];
  for await (const line of createInterface({ input: action.stdout! })) {
    lines.push(line);
    if (wanted.test(line)) return;
  }
  assert.fail(`no line like ${wanted} came:\n${lines.join('\n')}`);
}

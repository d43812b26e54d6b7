import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { makeFleet, type Reachable } from '../servers/deployment.js';
import { runBundle } from '../servers/entry-points.js';
import { appFiles, appVersion } from '../servers/fixture-app.js';
import { type Origin, startOrigin } from '../servers/origin.js';
import type { RunResult } from '../servers/runner.js';
import { withCheckout } from '../servers/stage.js';
import { startVps, type Vps } from '../servers/vps.js';

const HOSTS = 20;
/** Hosts that cut over at the same time. */
const PARALLEL = 5;
/** The one that goes wrong. */
const UNLUCKY = 13;

interface HostOutput {
  host: number;
  outcome: string;
  'deployed-sha'?: string;
  'downtime-ms'?: number;
}

/**
 * One run of the bundle on twenty servers: each has an sshd, a PM2 daemon, a checkout and an application of its own,
 * and the commit is built, rehearsed and switched on each of them.
 */
describe(`one run on ${HOSTS} servers`, { timeout: 20 * 60_000 }, () => {
  let folder: string;
  let origin: Origin;
  const boxes: Vps[] = [];
  let servers: Reachable[] = [];
  let first: string;
  let runs = 8_000;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'muva-many-'));
    // Anything that goes wrong on one server alone is told by that server's own environment file.
    origin = startOrigin({ ...appFiles('v0'), ...AS_THE_SERVER_SAYS });
    first = origin.head();
    await inTurns(Array.from({ length: HOSTS }), 4, async () => {
      boxes.push(await startVps(origin, { listenTimeout: 30_000 }));
    });
    servers = await makeFleet(boxes);
  });
  after(async () => {
    if (servers.length === 0) await Promise.all(boxes.map((vps) => vps.stop()));
    await Promise.all(servers.map((server) => server.stop()));
    origin?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  interface Run {
    result: RunResult;
    hosts: HostOutput[];
    runId: number;
    /** Connections that each server was asked for. */
    connections: number[];
  }

  async function act(
    context: TestContext,
    mode: string,
    sha: string,
    more: { inputs?: Record<string, string>; runId?: number } = {},
  ): Promise<Run> {
    const runId = more.runId ?? ++runs;
    const memory = join(folder, `${runId}-${mode}.memory`);
    const made = servers.map(({ wire }) => wire.connections());
    const result = await withCheckout(origin, sha, (workspace) =>
      runBundle({
        workspace,
        env: {
          GITHUB_RUN_ID: String(runId),
          GITHUB_SHA: sha,
          NODE_OPTIONS: `--require=${memoryTold(folder)}`,
          MEMORY_FILE: memory,
        },
        inputs: {
          mode,
          environment: 'production',
          'ssh-host': servers.map(({ wire }) => `${wire.host}:${wire.port}`).join('\n'),
          'ssh-user': servers[0]!.sshd.user,
          'ssh-private-key': servers[0]!.sshd.privateKey,
          'ssh-fingerprint': servers
            .map(({ wire, sshd }) => `${wire.host}:${wire.port} ${sshd.fingerprint}`)
            .join('\n'),
          'app-path': boxes[0]!.appPath,
          'app-name': boxes[0]!.appName,
          'max-parallel': String(PARALLEL),
          'health-from': 'vps',
          'health-deadline': '60s',
          ...more.inputs,
        },
      }),
    );
    // With so many servers only the log tells which of them behaved otherwise.
    context.after(() => {
      // Node has it since 20.12; its types do not know it.
      if (!(context as { passed?: boolean }).passed) context.diagnostic(result.log);
    });
    const connections = servers.map(({ wire }, index) => wire.connections() - made[index]!);
    const megabytes = Math.max(...readFileSync(memory, 'utf8').trim().split('\n').map(Number)) / 1_024;
    context.diagnostic(
      `${mode}: ${(result.milliseconds / 1_000).toFixed(1)} s for ${HOSTS} servers on this machine, ` +
        `${Math.round(megabytes)} MB of memory, at most ${Math.max(...connections)} connection(s) to a server`,
    );
    assert.ok(megabytes < 400, `the action took ${megabytes} MB`);
    assert.doesNotMatch(result.log, /MaxListeners|Warning: Possible/);
    return { result, hosts: JSON.parse(result.outputs.hosts || '[]') as HostOutput[], runId, connections };
  }

  const served = async (): Promise<(string | undefined)[]> =>
    Promise.all(boxes.map(async (vps) => (await vps.served())?.version));
  const everywhere = <T>(value: T): T[] => boxes.map(() => value);
  const pids = async (): Promise<(number | undefined)[]> =>
    Promise.all(boxes.map(async (vps) => (await vps.served())?.pid));

  let live: string;
  let liveRun: number;

  test('brings one commit to all of them, over one connection each, without a lost request', async (context) => {
    live = origin.commit(appVersion('v1'));
    const load = boxes.map((vps) => vps.load(2));
    const { result, hosts, connections, runId } = await act(context, 'deploy', live);
    const seen = await Promise.all(load.map((one) => one.stop()));
    liveRun = runId;
    assert.equal(result.exitCode, 0, result.log);
    assert.deepEqual(
      hosts.map((host) => [host.host, host.outcome, host['deployed-sha']]),
      boxes.map((_, index) => [index + 1, 'deployed', live]),
    );
    assert.deepEqual(await served(), everywhere('v1'));
    assert.deepEqual(connections, everywhere(1));
    assert.deepEqual(
      seen.flatMap((one) => one.failures),
      [],
    );
    assert.deepEqual(overlaps(result.log), { aloneFirst: true, most: PARALLEL });
  });

  test(`host ${UNLUCKY} fails its build: no server is touched, and the report names it`, async (context) => {
    const sha = origin.commit(appVersion('v2'));
    const running = await pids();
    const restore = told(boxes[UNLUCKY - 1]!, 'FAIL=build');
    const { result, hosts } = await act(context, 'deploy', sha).finally(restore);
    assert.equal(result.exitCode, 1, result.log);
    assert.equal(result.outputs['failed-step'], `host ${UNLUCKY}: build`);
    assert.deepEqual(
      hosts.map(({ outcome }) => outcome),
      boxes.map((_, index) => (index + 1 === UNLUCKY ? 'failed' : 'unchanged')),
    );
    assert.match(result.annotations[0]!.message, new RegExp(`: host ${UNLUCKY}: `));
    assert.deepEqual(await pids(), running);
  });

  test(`host ${UNLUCKY} fails after its cutover: those that were switched are put back`, async (context) => {
    const sha = origin.commit(appVersion('v3'));
    const running = await pids();
    const restore = told(boxes[UNLUCKY - 1]!, 'FAIL=live');
    const { result, hosts } = await act(context, 'deploy', sha, {
      inputs: { 'health-deadline': '30s', 'max-parallel': '1' },
    }).finally(restore);
    assert.equal(result.exitCode, 1, result.log);
    assert.equal(result.outputs.outcome, 'rolled-back');
    assert.deepEqual(
      hosts.map(({ outcome }) => outcome),
      boxes.map((_, index) => (index + 1 <= UNLUCKY ? 'rolled-back' : 'unchanged')),
    );
    assert.match(result.annotations[0]!.message, new RegExp(`: host ${UNLUCKY}: `));
    assert.deepEqual(await served(), everywhere('v1'));
    // A server that was never let go runs the very same program.
    assert.deepEqual((await pids()).slice(UNLUCKY), running.slice(UNLUCKY));
  });

  test(`host ${UNLUCKY} is down: nothing is begun, and the report names it`, async (context) => {
    const sha = origin.commit(appVersion('v4'));
    const running = await pids();
    servers[UNLUCKY - 1]!.wire.refuse(true);
    const { result } = await act(context, 'deploy', sha).finally(() =>
      servers[UNLUCKY - 1]!.wire.refuse(false),
    );
    assert.equal(result.exitCode, 1, result.log);
    assert.match(result.annotations[0]!.message, new RegExp(`: host ${UNLUCKY} closed the connection`));
    assert.doesNotMatch(result.log, /: build/);
    assert.deepEqual(await pids(), running);
  });

  test('a rollback of that run brings all of them back without a lost request', async (context) => {
    const load = boxes.map((vps) => vps.load(2));
    const { result, hosts } = await act(context, 'rollback', live, { runId: liveRun });
    const seen = await Promise.all(load.map((one) => one.stop()));
    assert.equal(result.exitCode, 0, result.log);
    assert.deepEqual(
      hosts.map((host) => [host.outcome, host['deployed-sha']]),
      everywhere(['rolled-back', first]),
    );
    assert.deepEqual(await served(), everywhere('v0'));
    assert.deepEqual(
      seen.flatMap((one) => one.failures),
      [],
    );
  });
});

/** The application builds and starts unless the environment file of its server says otherwise. */
const AS_THE_SERVER_SAYS = {
  'build.js': `
const told = require('node:fs').existsSync('.env.local') ? require('node:fs').readFileSync('.env.local', 'utf8') : '';
if (told.includes('FAIL=build')) { console.error('the disk of this server is odd'); process.exit(1); }
${appFiles('any')['build.js']}`,
  'server.js': `
const file = require('node:path').join(__dirname, '.env.local');
const told = require('node:fs').existsSync(file) ? require('node:fs').readFileSync(file, 'utf8') : '';
if (told.includes('FAIL=live') && !process.env.REHEARSAL && require('node:fs').readFileSync(require('node:path').join(__dirname, 'version.txt'), 'utf8').trim() !== 'v1') process.exit(1);
${appFiles('any')['server.js']}`,
};

/** Writes the environment file of one server; returns what removes it. */
function told(vps: Vps, line: string): () => void {
  const file = join(vps.appPath, '.env.local');
  writeFileSync(file, `${line}\n`);
  return () => unlinkSync(file);
}

/** A file that makes a Node process write its greatest memory, in kB, to MEMORY_FILE when it ends. */
function memoryTold(folder: string): string {
  const file = join(folder, 'memory.cjs');
  writeFileSync(
    file,
    `process.on('exit', () => require('node:fs').appendFileSync(process.env.MEMORY_FILE, process.resourceUsage().maxRSS + '\\n'));\n`,
  );
  return file;
}

/** From the log of a run: was the first server switched alone, and how many were under way together at most. */
function overlaps(log: string): { aloneFirst: boolean; most: number } {
  const under = new Set<string>();
  const order: string[] = [];
  let most = 0;
  for (const line of log.split('\n')) {
    const begun = /(host \d+) cuts over/.exec(line)?.[1];
    const ended = /(host \d+): verification/.exec(line)?.[1];
    if (begun) under.add(begun);
    if (ended) under.delete(ended);
    if (begun ?? ended) order.push(begun ? 'begun' : 'ended');
    most = Math.max(most, under.size);
  }
  return { aloneFirst: order[0] === 'begun' && order[1] === 'ended', most };
}

/** Does `work` for every item, at most `atOnce` at a time. */
async function inTurns<T>(items: T[], atOnce: number, work: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  const next = async (): Promise<void> => {
    while (left.length > 0) await work(left.shift()!);
  };
  await Promise.all(Array.from({ length: atOnce }, next));
}

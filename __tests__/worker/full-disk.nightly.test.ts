import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { appendFileSync, existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { DeployRequest, RollbackRequest } from '../../src/worker/protocol.js';
import { type Disk, mountDisk } from '../servers/disk.js';
import { appFiles, appVersion } from '../servers/fixture-app.js';
import { type Origin, startOrigin } from '../servers/origin.js';
import { until } from '../servers/until.js';
import { startVps, type Vps } from '../servers/vps.js';
import {
  ask,
  deployRequest,
  type Followed,
  followRun,
  inspectHost,
  refusalsOf,
  rollbackRequest,
  runWorker,
  startWorker,
} from '../servers/worker.js';

/** More than what a run holds for its records: git needs it to turn the checkout, and on the way back as well. */
const LARGE = 2 * 1_024 * 1_024;
const large = (version: string): Record<string, string> => ({
  'large.txt': `${version} `.repeat(LARGE / (version.length + 1)),
});
/** Goes on saying things after the disk is full. */
const TALKATIVE =
  'pnpm build && node -e "setInterval(() => console.log(\'x\'.repeat(2000)), 5); setTimeout(() => process.exit(0), 3000)"';

/** A moment of a deploy, by what it has just told, with more for its request. */
const MOMENTS: [mark: string, more?: Partial<DeployRequest>][] = [
  ['"name":"preflight"'],
  ['"name":"fetch"'],
  ['building v', { buildCommand: TALKATIVE }],
  ['"name":"build"'],
  ['"name":"rehearsal"'],
  ['"rehearsed"', { cutover: 'on-go', goLease: 60_000 }],
  ['"cutting-over"'],
  ['"verifying"'],
  ['"name":"verification"'],
];

describe('a server whose disk runs full', () => {
  let disk: Disk;
  let origin: Origin;
  let vps: Vps;
  let state: string;
  let versions = 1;
  before(async () => {
    disk = mountDisk();
    origin = startOrigin({ ...appFiles('v1'), ...large('v1') });
    vps = await startVps(origin, { disk: disk.path });
    state = join(vps.root, 'var/www/.app.deploy');
  });
  after(async () => {
    disk?.free();
    await vps?.stop();
    origin?.stop();
    disk?.stop();
  });

  type Request = DeployRequest | RollbackRequest;
  const runFolder = ({ command, run }: Request): string =>
    join(state, 'runs', `${run.id}.${run.attempt}.${command}`);
  const next = (): { version: string; sha: string } => {
    const version = `v${++versions}`;
    return { version, sha: origin.commit({ ...appVersion(version), ...large(version) }) };
  };
  const hasTold = (request: Request, mark: string): Promise<true> => {
    const events = join(runFolder(request), 'events.jsonl');
    return until(
      mark,
      () => (existsSync(events) && readFileSync(events, 'utf8').includes(mark)) || undefined,
      60_000,
    );
  };

  /** What serves is whole: one version answers, and all of it lies in the checkout. */
  async function assertServes(version: string): Promise<void> {
    assert.equal((await vps.served())?.version, version);
    assert.equal(readFileSync(join(vps.appPath, 'version.txt'), 'utf8').trim(), version);
    assert.ok(readFileSync(join(vps.appPath, 'large.txt'), 'utf8') === large(version)['large.txt']);
    assert.equal((await vps.run('git status --porcelain', vps.appPath)).stdout, '');
  }

  /** With room again the next deploy goes through, and nothing is left of the one before. */
  async function assertGoesOn(): Promise<void> {
    disk.free();
    const { version, sha } = next();
    const { result } = await runWorker(vps, deployRequest(vps, sha));
    assert.equal(result.outcome, 'deployed', JSON.stringify(result));
    await assertServes(version);
    assert.ok(!existsSync(join(state, 'plan.json')));
    const left = readdirSync(state, { recursive: true }).map(String);
    assert.deepEqual(
      left.filter((path) => !path.startsWith('releases/') && /\.next$|\/reserve\//.test(path)),
      [],
    );
  }

  /** A full disk is named, with what to do, wherever it was met. */
  function assertTold({ result: { outcome, problems } }: Followed): void {
    if (outcome === 'deployed' || outcome === 'rolled-back') return;
    assert.match(problems[0]!.message, /^The disk of the server is full: /);
    assert.match(problems[0]!.next!, /df -h; df -i/);
  }

  for (const [mark, more] of MOMENTS)
    test(`row 137: full after ${mark}: the old version or the new one serves, and it is told which`, async () => {
      const old = (await vps.served())!.version;
      const { version, sha } = next();
      const request = deployRequest(vps, sha, more);
      startWorker(vps, request);
      await hasTold(request, mark);
      disk.fill();
      if (request.cutover === 'on-go') {
        const [answer] = await ask(vps, { command: 'go', app: request.app, run: request.run });
        assert.ok(answer?.kind === 'signalled' && answer.accepted, JSON.stringify(answer));
      }
      const followed = await followRun(vps, request);
      const { outcome, warnings } = followed.result;
      assert.ok(['deployed', 'put-back', 'failed'].includes(outcome), JSON.stringify(followed.result));
      assertTold(followed);
      if (more?.buildCommand !== undefined)
        assert.match(JSON.stringify(warnings), /\d+ messages of this run could not be written on the server/);
      await assertServes(outcome === 'deployed' ? version : old);
      await assertGoesOn();
    });

  test('row 137: full before a run begins: it is refused, and says why', async () => {
    const { version } = (await vps.served())!;
    disk.fill();
    const { sha } = next();
    for (const request of [deployRequest(vps, sha), rollbackRequest(vps, { to: 'previous' })]) {
      const [line] = await ask(vps, request);
      assert.ok(line?.kind === 'refused', JSON.stringify(line));
      assert.match(line.problems[0]!.message, /The disk of the server is full: .*Nothing was changed/);
    }
    assert.match(refusalsOf(await inspectHost(vps))[0]!.message, /Only 0 MB are free on the disk/);
    await assertServes(version);
    await assertGoesOn();
  });

  for (const mark of ['"name":"put back"', '"putting-back"', '"started"'])
    test(`row 137: full after ${mark} of a rollback: one of the two versions serves, and it is told which`, async () => {
      const old = `v${versions}`;
      const { version, sha } = next();
      const deployed = deployRequest(vps, sha);
      assert.equal((await runWorker(vps, deployed)).result.outcome, 'deployed');
      const request = rollbackRequest(vps, { undoRun: deployed.run.id });
      startWorker(vps, request);
      await hasTold(request, mark);
      disk.fill();
      const followed = await followRun(vps, request);
      const { outcome } = followed.result;
      assert.ok(['rolled-back', 'failed'].includes(outcome), JSON.stringify(followed.result));
      assertTold(followed);
      await assertServes(outcome === 'rolled-back' ? old : version);
      await assertGoesOn();
    });

  test('row 137: not even the end can be written: what serves is found by a look, and the next run goes on from there', async () => {
    const { version, sha } = next();
    const app = { ...deployRequest(vps, sha).app, environment: 'production' };
    const request = deployRequest(vps, sha, { app });
    startWorker(vps, request);
    await hasTold(request, '"verifying"');
    rmSync(join(runFolder(request), 'reserve'), { recursive: true });
    // What the file of events has of its last block is room too.
    const events = join(runFolder(request), 'events.jsonl');
    appendFileSync(events, '\n'.repeat(4_096 - (statSync(events).size % 4_096)));
    disk.fill();
    const others = spawn(
      'sh',
      ['-c', `while :; do cat /dev/zero >>'${disk.path}/others'; sleep 0.02; done`],
      {
        stdio: 'ignore',
      },
    );
    try {
      const { app: asked, run } = request;
      const lines = await ask(vps, { command: 'follow', app: asked, run, task: 'deploy', offset: 0 });
      const last = lines.at(-1);
      assert.ok(last?.kind === 'gone', JSON.stringify(last));
      assert.match(last.problem.message, /ended without a result\. The disk of the server is full\./);
      assert.equal((await inspectHost(vps)).liveSha, sha);
      await assertServes(version);
    } finally {
      others.kill('SIGKILL');
      rmSync(join(disk.path, 'others'), { force: true });
    }
    await assertGoesOn();
  });
});

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { DeployRequest, SignalRequest } from '../../src/worker/protocol.js';
import { appFiles, appVersion } from '../servers/fixture-app.js';
import { type Origin, startOrigin } from '../servers/origin.js';
import { kill } from '../servers/pm2.js';
import { until } from '../servers/until.js';
import { commandsOn, startVps, type Vps } from '../servers/vps.js';
import {
  ask,
  deployRequest,
  followRun,
  inspectHost,
  rollbackRequest,
  runWorker,
  startWorker,
} from '../servers/worker.js';

describe('runs on one application', () => {
  let origin: Origin;
  let vps: Vps;
  let state: string;
  before(async () => {
    origin = startOrigin(appFiles('v1'));
    vps = await startVps(origin);
    state = join(vps.root, 'var/www/.app.deploy');
  });
  after(async () => {
    await vps?.stop();
    origin?.stop();
  });

  const eventsOf = ({ run }: DeployRequest): string => {
    const file = join(state, 'runs', `${run.id}.${run.attempt}.deploy`, 'events.jsonl');
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  };
  const hasSaid = (request: DeployRequest, text: string): Promise<true> =>
    until(`${text} in the events`, () => eventsOf(request).includes(text), 120_000);
  const signalRun = ({ app, run }: DeployRequest, command: 'go' | 'cancel') =>
    ask(vps, { command, app, run } satisfies SignalRequest);

  test('row 102, 114: a second run names the holder, and a cancel before the cutover stops cleanly', async () => {
    const slow = deployRequest(vps, origin.commit(appVersion('v2', { build: 'slow' })));
    startWorker(vps, slow);
    await hasSaid(slow, 'building v2');
    const facts = await inspectHost(vps);
    assert.equal(facts.lock?.holder?.runId, slow.run.id);
    const second = await runWorker(vps, deployRequest(vps, origin.head(), { lockWait: 300 }));
    assert.equal(second.result.outcome, 'failed');
    assert.match(second.result.problems[0]!.message, new RegExp(`run ${slow.run.id} \\(${slow.run.url}\\)`));
    assert.deepEqual(await signalRun(slow, 'cancel'), [
      { kind: 'signalled', accepted: true, detail: 'stops' },
    ]);
    const { result } = await followRun(vps, slow);
    assert.equal(result.outcome, 'cancelled');
    assert.equal((await vps.served())?.version, 'v1');
    const builds = commandsOn(vps).filter((command) => command.includes('build.js'));
    assert.deepEqual(builds, [], 'the build itself was stopped');
    assert.deepEqual(await signalRun(slow, 'cancel'), [
      { kind: 'signalled', accepted: false, detail: 'the run has ended, or its worker is gone' },
    ]);
  });

  test('row 114: a build whose own child does not end at once is waited for, and nothing of it is left', async () => {
    const request = deployRequest(vps, origin.commit({ ...appVersion('v2b'), 'build.js': STUBBORN_BUILD }));
    origin.commit(appFiles('v2c'));
    startWorker(vps, request);
    await hasSaid(request, 'goes on writing');
    await signalRun(request, 'cancel');
    const { result } = await followRun(vps, request);
    assert.equal(result.outcome, 'cancelled', JSON.stringify(result));
    assert.deepEqual(
      commandsOn(vps).filter((command) => command.includes('made/')),
      [],
    );
    const left = readdirSync(join(state, 'releases')).filter((name) =>
      name.endsWith(request.sha.slice(0, 12)),
    );
    assert.deepEqual(left, []);
  });

  test('row 114: however much a build has said, a cancel after the cutover began is not accepted', async () => {
    const talkative = 'node -e "for (let n = 0; n < 3000; n++) console.log(String(n).repeat(10))"';
    const request = deployRequest(vps, origin.commit(appVersion('v2c')), {
      buildCommand: `${talkative} && pnpm build`,
    });
    startWorker(vps, request);
    await hasSaid(request, '"cutting-over"');
    assert.ok(eventsOf(request).length > 100_000);
    const [answer] = await signalRun(request, 'cancel');
    assert.equal(answer?.kind === 'signalled' && answer.accepted, false, JSON.stringify(answer));
    const { result } = await followRun(vps, request);
    assert.equal(result.outcome, 'deployed');
    await runWorker(vps, rollbackRequest(vps, { undoRun: request.run.id }));
    assert.equal((await vps.served())?.version, 'v1');
  });

  test('row 116: the same run started twice is one run; it waits for go, and the lock is free afterwards', async () => {
    const request = deployRequest(vps, origin.commit(appVersion('v3')), { cutover: 'on-go' });
    startWorker(vps, request);
    await hasSaid(request, '"started"');
    const twin = startWorker(vps, request);
    const code = await new Promise((done) => twin.once('exit', done));
    assert.equal(code, 0);
    await hasSaid(request, '"rehearsed"');
    assert.equal((await vps.served())?.version, 'v1');
    await signalRun(request, 'go');
    const { result, events } = await followRun(vps, request);
    assert.equal(result.outcome, 'deployed');
    assert.equal(events.filter(({ kind }) => kind === 'started').length, 1);
    const again = await runWorker(vps, request);
    assert.equal(again.result.outcome, 'deployed');
    assert.equal(
      again.events.filter(({ kind }) => kind === 'started').length,
      1,
      'an ended run is left alone',
    );
  });

  test('waiting for the word of the action is not counted as time of the deploy', async () => {
    const prepare = async (version: string, timeout: number): Promise<[DeployRequest, number]> => {
      // Nobody follows it until it is prepared.
      const lease = { cutover: 'on-go', goLease: 600_000 } as const;
      const request = deployRequest(vps, origin.commit(appVersion(version)), { ...lease, timeout });
      const started = performance.now();
      startWorker(vps, request);
      await hasSaid(request, '"rehearsed"');
      return [request, performance.now() - started];
    };
    // The time of the deploy is long enough for this machine, as busy as it is.
    const [first, took] = await prepare('v3-first', 600_000);
    await signalRun(first, 'cancel');
    assert.equal((await followRun(vps, first)).result.outcome, 'cancelled');
    const timeout = Math.round(3 * took);
    const started = performance.now();
    const [request] = await prepare('v3-late', timeout);
    const following = followRun(vps, request);
    await until(
      'the time of the deploy to be over',
      () => performance.now() - started > timeout + 500,
      timeout + 60_000,
    );
    await signalRun(request, 'go');
    const { result } = await following;
    assert.equal(result.outcome, 'deployed', JSON.stringify(result.problems));
  });

  test('a prepared deploy waits while another application of the server is being switched', async () => {
    const turn = join(vps.home, '.pm2/muva-deploy.turn');
    const other = spawn('flock', [turn, 'sleep', '600'], { detached: true, stdio: 'ignore' });
    await until('the turn to be taken', async () => (await vps.run(`flock -n '${turn}' true`)).code !== 0);
    const before = await vps.served();
    const late = await runWorker(
      vps,
      deployRequest(vps, origin.commit(appVersion('v3a')), { lockWait: 300 }),
    );
    assert.equal(late.result.outcome, 'failed');
    assert.match(late.result.problems[0]!.message, /Another application is being switched on this server/);
    assert.deepEqual(await vps.served(), before);

    const cancelled = deployRequest(vps, origin.commit(appVersion('v3b')));
    startWorker(vps, cancelled);
    await hasSaid(cancelled, 'waiting for another application');
    await signalRun(cancelled, 'cancel');
    assert.equal((await followRun(vps, cancelled)).result.outcome, 'cancelled');
    assert.deepEqual(await vps.served(), before);

    const patient = deployRequest(vps, origin.commit(appVersion('v3')));
    startWorker(vps, patient);
    await hasSaid(patient, 'waiting for another application');
    process.kill(-other.pid!, 'SIGKILL');
    assert.equal((await followRun(vps, patient)).result.outcome, 'deployed');
    assert.equal((await vps.served())?.version, 'v3');
  });

  const cancelSession = async ({ app, run }: DeployRequest): Promise<void> => {
    const [answer] = await ask(vps, {
      command: 'cancel-session',
      app,
      run: { ...run, session: run.session! },
    });
    assert.equal(answer?.kind === 'signalled' && answer.accepted, true, JSON.stringify(answer));
  };
  const inSession = (sha: string, session: string, more: Partial<DeployRequest> = {}): DeployRequest => {
    const request = deployRequest(vps, sha, more);
    return { ...request, run: { ...request.run, session } };
  };

  test('row 138: a worker that waits for the lock is stopped with its session, and never deploys', async (context) => {
    const lock = join(state, 'lock');
    mkdirSync(state, { recursive: true });
    const other = spawn('flock', [lock, 'sleep', '600'], { detached: true, stdio: 'ignore' });
    context.after(() => kill(-other.pid!));
    await until('the lock to be taken', async () => (await vps.run(`flock -n '${lock}' true`)).code !== 0);
    const before = await vps.served();
    const waiting = inSession(origin.commit(appVersion('v3c')), 'main-step', { lockWait: 600_000 });
    startWorker(vps, waiting);
    await hasSaid(waiting, 'waiting-for-lock');
    await cancelSession(waiting);
    // The lock comes free right behind the mark: the worker looks once more when it has it.
    process.kill(-other.pid!, 'SIGKILL');
    assert.equal((await followRun(vps, waiting)).result.outcome, 'cancelled');
    assert.deepEqual(await vps.served(), before);
  });

  test('row 138: a worker that begins after its session was cancelled changes nothing', async () => {
    const before = await vps.served();
    const late = inSession(origin.commit(appVersion('v3d')), 'main-step');
    await cancelSession(late);
    const { result, steps } = await runWorker(vps, late);
    assert.deepEqual([result.outcome, steps], ['cancelled', []]);
    const back = { ...rollbackRequest(vps, { to: 'previous' }), run: { ...late.run, invocation: 'undo' } };
    assert.equal((await runWorker(vps, back)).result.outcome, 'cancelled', 'its rollbacks neither');
    assert.deepEqual(await vps.served(), before);
  });

  test('row 138: a prepared deploy of a cancelled session does not cut over any more', async () => {
    const before = await vps.served();
    const prepared = inSession(origin.commit(appVersion('v3e')), 'main-step', {
      cutover: 'on-go',
      goLease: 600_000,
    });
    startWorker(vps, prepared);
    await hasSaid(prepared, '"rehearsed"');
    // Both words at one moment, without a program between them: the last look is right before the cutover.
    const runs = join(state, 'runs');
    mkdirSync(join(runs, `${prepared.run.id}.1.cancelled.main-step`));
    writeFileSync(join(runs, `${prepared.run.id}.1.cancelled.main-step`, 'cancel'), '');
    writeFileSync(join(runs, `${prepared.run.id}.1.deploy`, 'go'), '');
    const { result } = await followRun(vps, prepared);
    assert.equal(result.outcome, 'cancelled', JSON.stringify(result));
    assert.deepEqual(await vps.served(), before);
  });

  test('row 138: what the post step starts, a later job and a later attempt are not touched; the mark goes with the runs', async () => {
    const sha = origin.commit(appVersion('v3f'));
    const left = inSession(sha, 'main-step');
    await cancelSession(left);
    const mark = join(state, 'runs', `${left.run.id}.1.cancelled.main-step`);
    assert.ok(existsSync(mark));
    utimesSync(mark, 1, 1);
    for (let n = 0; n < 25; n++) {
      const folder = join(state, 'runs', `old-${n}.1.deploy`);
      mkdirSync(folder);
      writeFileSync(join(folder, 'events.jsonl'), '');
    }
    const post = { ...left, run: { ...left.run, session: 'post-step' } };
    const one = await runWorker(vps, post);
    assert.equal(one.result.outcome, 'deployed', JSON.stringify(one.result));
    assert.equal((await vps.served())?.version, 'v3f');
    assert.ok(!existsSync(mark), 'pruned');
    await cancelSession(left);
    const attempt = { ...left, run: { ...left.run, attempt: 2 }, sha: origin.commit(appVersion('v3')) };
    const two = await runWorker(vps, attempt);
    assert.equal(two.result.outcome, 'deployed', JSON.stringify(two.result));
    assert.equal((await vps.served())?.version, 'v3');
  });

  test('row 107: no program that a deploy left running holds the lock', async () => {
    assert.ok(vps.processes().length >= 2, 'PM2 and the application run');
    assert.equal((await vps.run(`flock -n '${join(state, 'lock')}' true`)).code, 0);
    assert.ok(!existsSync(join(state, 'holder.json')));
  });

  test('row 115: a prepared deploy whose action is gone gives up by itself', async () => {
    const request = deployRequest(vps, origin.commit(appVersion('v4')), { cutover: 'on-go', goLease: 500 });
    startWorker(vps, request);
    await hasSaid(request, '"ended"');
    const { result } = await followRun(vps, request);
    assert.equal(result.outcome, 'failed');
    assert.match(result.problems[0]!.message, /has not been heard of/);
    assert.equal((await vps.served())?.version, 'v3');
  });

  test('row 102: a worker that is killed frees the lock at once, and the follower is told', async () => {
    const slow = deployRequest(vps, origin.commit(appVersion('v5', { build: 'slow' })));
    const worker = startWorker(vps, slow);
    await hasSaid(slow, 'building v5');
    kill(worker.pid!);
    const lines = await ask(vps, {
      command: 'follow',
      app: slow.app,
      run: slow.run,
      task: 'deploy',
      offset: 0,
    });
    assert.equal(lines[lines.length - 1]?.kind, 'gone');
    assert.equal((await vps.run(`flock -n '${join(state, 'lock')}' true`)).code, 0);
    const next = await runWorker(vps, deployRequest(vps, origin.commit(appVersion('v6')), { lockWait: 0 }));
    assert.equal(next.result.outcome, 'deployed', JSON.stringify(next.result));
    assert.equal((await vps.served())?.version, 'v6');
  });
});

/** Its child does not hear the signal that ends a build, and makes files in the stage until it is killed. */
const STUBBORN_BUILD = `
const loop = "trap '' TERM; echo goes on writing; n=0; while :; do mkdir -p made; n=$((n+1)); : >made/$((n % 50)); done";
require('node:child_process').spawn('/bin/sh', ['-c', loop], { stdio: 'inherit' });
setTimeout(() => {}, 60000);
`;

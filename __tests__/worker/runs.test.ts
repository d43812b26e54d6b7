import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
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
    until(`${text} in the events`, () => eventsOf(request).includes(text) || undefined);
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
    await hasSaid(request, '"prepared"');
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
    const timeout = 15_000;
    const request = deployRequest(vps, origin.commit(appVersion('v3-late')), { cutover: 'on-go', timeout });
    const started = performance.now();
    startWorker(vps, request);
    await hasSaid(request, '"prepared"');
    const following = followRun(vps, request);
    await until('the time of the deploy to be over', () => performance.now() - started > timeout + 500);
    await signalRun(request, 'go');
    assert.equal((await following).result.outcome, 'deployed');
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

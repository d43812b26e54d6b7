import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, readFileSync, statSync, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { filesOfCommit } from '../../src/worker/host/git.js';
import { openToolbox } from '../../src/worker/host/toolbox.js';
import { foreseeCollisions } from '../../src/worker/host-files/collisions.js';
import { appFiles, appVersion } from '../servers/fixture-app.js';
import { GIT_ENV, type Origin, startOrigin } from '../servers/origin.js';
import { kill } from '../servers/pm2.js';
import { startVps, type Vps } from '../servers/vps.js';
import { deployRequest, rollbackRequest, runWorker, startWorker } from '../servers/worker.js';

const NOTES = 'a person wrote this, and committed the same later';
const MODE = 0o640;

/** A file of a person that a commit has too: whatever takes that commit back leaves it as it was. */
describe('a file that lies on the server as the commit has it', () => {
  let origin: Origin;
  let vps: Vps;
  let inode: number;
  before(async () => {
    origin = startOrigin(appFiles('v1'));
    vps = await startVps(origin);
    writeFileSync(join(vps.appPath, 'notes.txt'), NOTES);
    chmodSync(join(vps.appPath, 'notes.txt'), MODE);
    inode = statSync(join(vps.appPath, 'notes.txt')).ino;
  });
  after(async () => {
    await vps?.stop();
    origin?.stop();
  });

  const git = (...words: string[]): string =>
    execFileSync('git', ['-C', vps.appPath, ...words], {
      encoding: 'utf8',
      env: { ...process.env, ...GIT_ENV },
    });
  const asItWas = (tracked: boolean): void => {
    const path = join(vps.appPath, 'notes.txt');
    assert.equal(readFileSync(path, 'utf8'), NOTES);
    assert.equal(statSync(path).mode & 0o777, MODE);
    assert.equal(git('ls-files', 'notes.txt').trim() !== '', tracked);
  };
  const withNotes = (version: string, faults = {}): string =>
    origin.commit({ ...appVersion(version, faults), 'notes.txt': NOTES });

  test('row 141: a plan foresees it, and what else would be in the way', async () => {
    const sha = withNotes('v2', { healthStatus: 500, onlyLive: true });
    const files = [
      ...(
        await filesOfCommit({ tools: openToolbox({ ...process.env, ...GIT_ENV }), folder: origin.url }, sha)
      ).values(),
    ];
    const checkout = { tools: openToolbox(vps.env), folder: vps.appPath };
    const found = await foreseeCollisions(checkout, files);
    assert.deepEqual(found.takenOver, ['notes.txt']);
    assert.deepEqual(found.inTheWay, []);
    chmodSync(join(vps.appPath, 'notes.txt'), 0o750);
    assert.deepEqual((await foreseeCollisions(checkout, files)).inTheWay, ['notes.txt']);
    chmodSync(join(vps.appPath, 'notes.txt'), MODE);
  });

  test('row 141: put back', async () => {
    const { result, events } = await runWorker(vps, deployRequest(vps, origin.head()));
    assert.equal(result.outcome, 'put-back', JSON.stringify(result.problems));
    assert.match(JSON.stringify(events), /taken over as they are.*notes.txt/);
    asItWas(false);
  });

  test('row 141: deployed, and rolled back', async () => {
    const { result } = await runWorker(vps, deployRequest(vps, withNotes('v3')));
    assert.equal(result.outcome, 'deployed', JSON.stringify(result.problems));
    asItWas(true);
    assert.equal(statSync(join(vps.appPath, 'notes.txt')).ino, inode, 'it was never written');
    const back = await runWorker(vps, rollbackRequest(vps, { to: 'previous' }));
    assert.equal(back.result.outcome, 'rolled-back', JSON.stringify(back.result.problems));
    asItWas(false);
  });

  test('row 141: dropped by a later commit', async () => {
    assert.equal((await runWorker(vps, deployRequest(vps, withNotes('v4')))).result.outcome, 'deployed');
    assert.equal((await runWorker(vps, deployRequest(vps, withNotes('v5')))).result.outcome, 'deployed');
    const sha = origin.commit({ ...appVersion('v6'), 'notes.txt': null });
    const { result } = await runWorker(vps, deployRequest(vps, sha));
    assert.equal(result.outcome, 'deployed', JSON.stringify(result.problems));
    asItWas(false);
  });

  test('row 141: repaired after the worker was killed in the cutover', async () => {
    const worker = startWorker(vps, deployRequest(vps, withNotes('v7')));
    const watcher = watch(vps.appPath, (_, name) => {
      if (name === 'version.txt') kill(worker.pid!);
    });
    await new Promise((done) => worker.once('exit', done));
    watcher.close();
    const sha = origin.commit({ ...appVersion('v8'), 'notes.txt': null });
    const { result, events } = await runWorker(vps, deployRequest(vps, sha));
    assert.equal(result.outcome, 'deployed', JSON.stringify(result.problems));
    assert.match(JSON.stringify(events), /was cut in the middle of its cutover/);
    asItWas(false);
  });
});

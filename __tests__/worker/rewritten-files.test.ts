import assert from 'node:assert/strict';
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { dirtyRefusals, dirtyWarnings } from '../../src/worker/host-files/local-changes.js';
import { appVersion } from '../servers/fixture-app.js';
import { withVps } from '../servers/vps.js';
import { deployRequest, inspectHost, rollbackRequest, runWorker } from '../servers/worker.js';

test('row 172: what package managers rewrite is told and kept; what people change is refused', () => {
  const dirty = ['package-lock.json', 'web/pnpm-lock.yaml', 'next-env.d.ts'];
  assert.deepEqual(dirtyRefusals(dirty, 'refuse'), []);
  assert.match(dirtyWarnings(dirty, 'refuse')[0]!.message, /package-lock\.json.*keeps them as a patch/);
  const [refusal] = dirtyRefusals([...dirty, 'server.js'], 'refuse');
  assert.equal(refusal?.message, 'Tracked files were changed on the server: server.js.');
  assert.deepEqual(dirtyRefusals(['server.js'], 'stash'), []);
});

test('row 172: rewritten lock files, tracked or not, do not stand against a deploy, and come back with their version', () =>
  withVps({}, async (vps, origin) => {
    const [lock, other] = [join(vps.appPath, 'pnpm-lock.yaml'), join(vps.appPath, 'yarn.lock')];
    const committed = readFileSync(lock, 'utf8');
    appendFileSync(lock, '# rewritten on the server\n');
    writeFileSync(other, 'untracked\n');
    const asLeft = (): void => {
      assert.match(readFileSync(lock, 'utf8'), /# rewritten on the server/);
      assert.equal(readFileSync(other, 'utf8'), 'untracked\n');
    };
    const facts = await inspectHost(vps);
    assert.deepEqual(facts.deployRefusals, []);
    assert.ok(facts.warnings.some(({ message }) => message.includes('pnpm-lock.yaml')));

    const brings = { 'yarn.lock': '# of the commit\n' };
    const bad = origin.commit({ ...appVersion('v2', { crashAtBoot: true, onlyLive: true }), ...brings });
    const back = await runWorker(vps, deployRequest(vps, bad));
    assert.equal(back.result.outcome, 'put-back', JSON.stringify(back, null, 1));
    asLeft();

    const load = vps.load(20);
    const request = deployRequest(vps, origin.commit(appVersion('v3')));
    const { result } = await runWorker(vps, request);
    assert.equal(result.outcome, 'deployed', JSON.stringify(result, null, 1));
    assert.equal(readFileSync(lock, 'utf8'), committed);
    assert.equal(readFileSync(other, 'utf8'), brings['yarn.lock']);
    const kept = result.warnings.map(({ message }) => /kept in (.*)\.$/.exec(message)?.[1]).find(Boolean);
    assert.ok(kept !== undefined && existsSync(kept), JSON.stringify(result.warnings));
    assert.match(readFileSync(kept, 'utf8'), /rewritten on the server/);

    const undone = await runWorker(vps, rollbackRequest(vps, { undoRun: request.run.id }));
    const { failed, failures } = await load.stop();
    assert.equal(undone.result.outcome, 'rolled-back', JSON.stringify(undone, null, 1));
    assert.deepEqual([failed, failures], [0, []]);
    asLeft();

    writeFileSync(join(vps.appPath, 'notes.txt'), 'of a person');
    const collides = origin.commit({ ...appVersion('v4'), 'notes.txt': 'of the commit' });
    const refused = await runWorker(vps, deployRequest(vps, collides));
    assert.equal(refused.result.outcome, 'failed');
    assert.match(refused.result.problems[0]!.message, /lie untracked on the server: notes\.txt/);
  }));

import assert from 'node:assert/strict';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { processEnvironment } from '../../src/worker/host/processes.js';
import type { DeployRequest } from '../../src/worker/protocol.js';
import { ecosystem, entryOn } from '../servers/ecosystem.js';
import { appVersion } from '../servers/fixture-app.js';
import type { Files } from '../servers/origin.js';
import { withVps } from '../servers/vps.js';
import { app, deployRequest, type Followed, rollbackRequest, runWorker } from '../servers/worker.js';

const said = ({ events }: Followed): string => JSON.stringify(events);

test('row 166: the PM2 entry follows the commit, keeps what only its shell knew, and comes back', () =>
  withVps({ mode: 'fork' }, async (vps, origin) => {
    const file = ecosystem(vps);
    await vps.run(`pm2 delete app; DATABASE_URL=from-a-shell pm2 start ${vps.home}/ecosystem.config.json`);
    const deploy = (files: Files, more: Partial<DeployRequest> = {}): Promise<Followed> =>
      runWorker(vps, deployRequest(vps, origin.commit(files), more));
    const passed = (followed: Followed): void =>
      assert.equal(followed.result.outcome, 'deployed', JSON.stringify(followed, null, 1));

    // As PM2 runs it already, and nobody had said so: kept, and told how.
    const brought = await deploy({ ...appVersion('v2'), 'ecosystem.config.js': file({}) });
    passed(brought);
    assert.match(
      JSON.stringify(brought.result.warnings),
      /the live commit has no ecosystem file.*ecosystem: follow/,
    );

    const before = await entryOn(vps);
    const more = await deploy({
      ...appVersion('v3'),
      'ecosystem.config.js': file({ max_memory_restart: '300M', env: { PORT: vps.port, EXTRA: 'yes' } }),
    });
    passed(more);
    assert.match(said(more), /the PM2 entry follows ecosystem\.config\.js: max_memory_restart, env\.EXTRA"/);
    const after = await entryOn(vps);
    assert.deepEqual([after.max_memory_restart, after.pm_id], [314_572_800, before.pm_id]);
    const third = (await vps.served())!;
    const env = processEnvironment(third.pid);
    assert.deepEqual([env?.EXTRA, env?.DATABASE_URL], ['yes', 'from-a-shell']);

    const cluster = file({ exec_mode: 'cluster', max_memory_restart: '300M', env: { PORT: vps.port } });
    const renamed = { 'ecosystem.config.js': null, 'pm2.config.cjs': cluster };
    const anew = await deploy({ ...appVersion('v4'), ...renamed });
    passed(anew);
    assert.equal(anew.result.rehearsed, true);
    assert.match(said(anew), /follows pm2\.config\.cjs: exec_mode, env\.EXTRA \(deleted and started anew/);
    const now = await entryOn(vps);
    assert.deepEqual([now.exec_mode, now.restart_time], ['cluster_mode', 0]);
    // A program of a cluster is told its environment by PM2's daemon.
    const fourth = now.env as Record<string, string>;
    assert.deepEqual([fourth.EXTRA, fourth.DATABASE_URL], [undefined, 'from-a-shell']);
    const dump = await vps.run(`cat ${vps.home}/.pm2/dump.pm2`);
    assert.match(dump.stdout, /cluster_mode/);
    const notes = join(vps.root, 'var/www/.app.deploy/notes');
    const kept = readdirSync(notes).filter((name) => name.endsWith('.entry'));
    assert.deepEqual(
      kept.map((name) => statSync(join(notes, name)).mode & 0o777),
      [0o600, 0o600],
    );

    const crashes = await deploy({
      ...appVersion('v5', { crashAtBoot: true, onlyLive: true }),
      'pm2.config.cjs': file({ exec_mode: 'fork', env: { PORT: vps.port } }),
    });
    assert.equal(crashes.result.outcome, 'put-back', JSON.stringify(crashes, null, 1));
    assert.deepEqual([(await vps.served())?.version, (await entryOn(vps)).exec_mode], ['v4', 'cluster_mode']);

    const back = await runWorker(vps, rollbackRequest(vps, { to: 'previous' }));
    assert.equal(back.result.outcome, 'rolled-back', JSON.stringify(back, null, 1));
    const old = await entryOn(vps);
    assert.deepEqual([old.exec_mode, old.max_memory_restart], ['fork_mode', 314_572_800]);
    const served = (await vps.served())!;
    assert.equal(served.version, 'v3');
    const oldEnv = processEnvironment(served.pid);
    assert.deepEqual([oldEnv?.EXTRA, oldEnv?.DATABASE_URL], ['yes', 'from-a-shell']);

    const kepts = await deploy(
      { ...appVersion('v6'), 'ecosystem.config.js': file({ exec_mode: 'cluster' }), 'pm2.config.cjs': null },
      { app: app(vps, { ecosystem: 'keep' }) },
    );
    passed(kepts);
    assert.equal((await entryOn(vps)).exec_mode, 'fork_mode');
  }));

import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { makeFleet, type OnEntry, type Reachable } from '../servers/deployment.js';
import { appFiles, appVersion } from '../servers/fixture-app.js';
import { type Origin, startOrigin } from '../servers/origin.js';
import { kill } from '../servers/pm2.js';
import { type PostgresServer, query, startPostgres } from '../servers/postgres.js';
import { startVps, type Vps, workersOn } from '../servers/vps.js';
import { begunPhases, deployWhole, jobWith, wholeDatabase } from '../servers/whole-deploy.js';

describe('a deploy with migrations to two servers', () => {
  let origin: Origin;
  let boxes: Vps[];
  let servers: Reachable[];
  let postgres: PostgresServer;
  let databaseUrl: string;
  let workingDirectory: string;
  before(async () => {
    origin = startOrigin(appFiles('v0'));
    boxes = [await startVps(origin), await startVps(origin)];
    servers = await makeFleet(boxes);
    postgres = await startPostgres();
    databaseUrl = await postgres.createDatabase();
    workingDirectory = jobWith({
      '20250101000000_rooms.sql': 'create table rooms (id int primary key);',
      '20250101000000_rooms.down.sql': 'drop table rooms;',
    });
  });
  after(async () => {
    for (const server of servers ?? []) await server.stop();
    await postgres?.stop();
    origin?.stop();
    rmSync(workingDirectory, { recursive: true, force: true });
  });

  const deploy = (ref: string, onEntry: OnEntry = () => {}): ReturnType<typeof deployWhole> =>
    deployWhole({ servers, databaseUrl, workingDirectory, inputs: { ref }, onEntry });
  const versions = async (): Promise<(string | undefined)[]> =>
    (await Promise.all(boxes.map((vps) => vps.served()))).map((served) => served?.version);
  const killWorker = (vps: Vps): void => {
    const workers = workersOn(vps);
    assert.equal(workers.length, 1);
    for (const pid of workers) kill(pid);
  };

  test('row 141: a file in the way on one of them leaves the database and both live versions alone', async () => {
    const before = await wholeDatabase(databaseUrl);
    writeFileSync(join(boxes[1]!.appPath, 'notes.txt'), 'a person wrote this');
    const { report } = await deploy(origin.commit({ ...appVersion('v1'), 'notes.txt': 'from the commit' }));
    assert.equal(report.outcome, 'failure', JSON.stringify(report.problems));
    assert.deepEqual(begunPhases(report), ['plan', 'prepare']);
    assert.match(JSON.stringify(report.problems), /notes\.txt/);
    assert.deepEqual(await wholeDatabase(databaseUrl), before);
    assert.deepEqual(await versions(), ['v0', 'v0']);
    rmSync(join(boxes[1]!.appPath, 'notes.txt'));
  });

  test('row 143: one that is lost while it waits: nothing is written, and the other is stopped', async () => {
    const before = await wholeDatabase(databaseUrl);
    const { report } = await deploy(origin.commit({ ...appVersion('v2'), 'notes.txt': null }), (entry) => {
      if (entry.kind === 'phase-started' && entry.phase === 'migrate') killWorker(boxes[1]!);
    });
    assert.equal(report.outcome, 'failure', JSON.stringify(report.problems));
    assert.deepEqual(await wholeDatabase(databaseUrl), before);
    assert.deepEqual(await versions(), ['v0', 'v0']);
  });

  test('row 143: one that is lost after the commit: both keep the old version, and the schema goes back to it', async () => {
    const { report } = await deploy(origin.commit(appVersion('v3')), (entry) => {
      if (entry.kind === 'phase-ended' && entry.report.phase === 'migrate') killWorker(boxes[1]!);
    });
    assert.notEqual(report.outcome, 'success');
    assert.deepEqual(await versions(), ['v0', 'v0']);
    assert.deepEqual(report.facts.reverted, ['20250101000000'], JSON.stringify(report.problems));
    const [rooms] = await query<{ there: boolean }>(
      databaseUrl,
      "select to_regclass('public.rooms') is not null as there",
    );
    assert.equal(rooms?.there, false);
  });

  test('row 141: both are built before the first message that writes, and rehearsed after it', async () => {
    const told: string[] = [];
    const { report } = await deploy(origin.commit(appVersion('v4')), (entry) => {
      if (entry.kind === 'step') told.push(`${entry.phase}: ${entry.step.name}`);
    });
    assert.equal(report.outcome, 'success', JSON.stringify(report.problems));
    for (const host of ['host 1', 'host 2']) {
      assert.ok(told.includes(`prepare: ${host}: build`), told.join('\n'));
      assert.ok(told.includes(`redeploy: ${host}: rehearsal`), told.join('\n'));
    }
    assert.deepEqual(await versions(), ['v4', 'v4']);
  });

  test('row 143: migrate-before: build: both install, then the database is changed, then both build, then one cuts over', async () => {
    const told: string[] = [];
    const inputs = { ref: origin.commit(appVersion('v5')), 'migrate-before': 'build' };
    writeFileSync(
      join(workingDirectory, 'supabase/migrations/20250102000000_beds.sql'),
      'create table beds (id int primary key);',
    );
    const { report } = await deployWhole({
      servers,
      databaseUrl,
      workingDirectory,
      inputs,
      onEntry: (entry) => {
        if (entry.kind === 'step') told.push(`${entry.phase}: ${entry.step.name}`);
      },
    });
    assert.equal(report.outcome, 'success', JSON.stringify(report.problems));
    const at = (name: string): number => {
      assert.ok(told.includes(name), `${name} is not in\n${told.join('\n')}`);
      return told.indexOf(name);
    };
    const committed = at('migrate: 20250102000000_beds');
    const first = Math.min(at('redeploy: host 1: cutover'), at('redeploy: host 2: cutover'));
    for (const host of ['host 1', 'host 2']) {
      assert.ok(at(`prepare: ${host}: install`) < committed, told.join('\n'));
      assert.ok(at(`prepare: ${host}: build`) > committed, told.join('\n'));
      assert.ok(at(`prepare: ${host}: rehearsal`) < first, told.join('\n'));
    }
    assert.deepEqual(await versions(), ['v5', 'v5']);
  });
});

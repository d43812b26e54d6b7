import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { makeFleet, type OnEntry, type Reachable } from '../servers/deployment.js';
import { appFiles, appVersion } from '../servers/fixture-app.js';
import { type Origin, startOrigin } from '../servers/origin.js';
import { kill } from '../servers/pm2.js';
import { type PostgresServer, startPostgres } from '../servers/postgres.js';
import { startVps, type Vps, workersOn } from '../servers/vps.js';
import { deployWhole, jobWith, wholeDatabase } from '../servers/whole-deploy.js';

const HOSTS = 20;
/** The one that is lost while it waits. */
const UNLUCKY = 13;

describe(`a migration and ${HOSTS} servers`, { timeout: 20 * 60_000 }, () => {
  let origin: Origin;
  const boxes: Vps[] = [];
  let servers: Reachable[] = [];
  let postgres: PostgresServer;
  let databaseUrl: string;
  let workingDirectory: string;
  before(async () => {
    origin = startOrigin(appFiles('v0'));
    for (let at = 0; at < HOSTS; at++) boxes.push(await startVps(origin, { listenTimeout: 30_000 }));
    servers = await makeFleet(boxes);
    postgres = await startPostgres();
    databaseUrl = await postgres.createDatabase();
    workingDirectory = jobWith({ '20250101000000_rooms.sql': 'create table rooms (id int primary key);' });
  });
  after(async () => {
    for (const server of servers) await server.stop();
    await postgres?.stop();
    origin?.stop();
    if (workingDirectory !== undefined) rmSync(workingDirectory, { recursive: true, force: true });
  });

  const deploy = (ref: string, onEntry: OnEntry): ReturnType<typeof deployWhole> =>
    deployWhole({
      servers,
      databaseUrl,
      workingDirectory,
      inputs: { ref, 'deploy-timeout': '10m', 'health-deadline': '60s', 'max-parallel': '5' },
      onEntry,
    });
  const versions = async (): Promise<Set<string | undefined>> =>
    new Set((await Promise.all(boxes.map((vps) => vps.served()))).map((served) => served?.version));

  test('row 143: one that is lost while it waits: nothing is written anywhere', async () => {
    const before = await wholeDatabase(databaseUrl);
    const { report } = await deploy(origin.commit(appVersion('v1')), (entry) => {
      if (entry.kind !== 'phase-started' || entry.phase !== 'migrate') return;
      for (const pid of workersOn(boxes[UNLUCKY]!)) kill(pid);
    });
    assert.equal(report.outcome, 'failure', JSON.stringify(report.problems));
    assert.deepEqual(await wholeDatabase(databaseUrl), before);
    assert.deepEqual(await versions(), new Set(['v0']));
  });

  test('row 141: all are prepared before the first message that writes', async () => {
    const told: string[] = [];
    const { report } = await deploy(origin.commit(appVersion('v2')), (entry) => {
      if (entry.kind === 'step') told.push(`${entry.phase}: ${entry.step.name}`);
      if (entry.kind === 'phase-started') told.push(entry.phase);
    });
    assert.equal(report.outcome, 'success', JSON.stringify(report.problems));
    const builds = told.flatMap((text, at) => (/^prepare: host \d+: build$/.test(text) ? [at] : []));
    assert.equal(builds.length, HOSTS);
    assert.ok(builds.every((at) => at < told.indexOf('migrate')));
    assert.deepEqual(await versions(), new Set(['v2']));
  });
});

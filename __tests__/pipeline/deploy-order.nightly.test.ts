import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { type Inputs, makeReachable, type OnEntry, type Reachable } from '../servers/deployment.js';
import { appFiles, appVersion } from '../servers/fixture-app.js';
import { type Origin, startOrigin } from '../servers/origin.js';
import { kill } from '../servers/pm2.js';
import { type PostgresServer, startPostgres } from '../servers/postgres.js';
import { startVps } from '../servers/vps.js';
import { begunPhases, deployWhole, jobWith, wholeDatabase } from '../servers/whole-deploy.js';

/** Whole deploys in this process: the order in which hosts and database are changed, and what is left where one fails. */
describe('a deploy with migrations that is cut', () => {
  let origin: Origin;
  let server: Reachable;
  let postgres: PostgresServer;
  let database: string;
  const jobs: string[] = [];
  before(async () => {
    origin = startOrigin(appFiles('v0'));
    server = await makeReachable(await startVps(origin));
    postgres = await startPostgres();
    database = await postgres.createDatabase();
    const { report } = await deploy(THREE, { ref: origin.commit(appVersion('v3')) });
    assert.equal(report.outcome, 'success', JSON.stringify(report.problems));
  });
  after(async () => {
    await Promise.all([server?.stop(), postgres?.stop()]);
    origin?.stop();
    for (const job of jobs) rmSync(job, { recursive: true, force: true });
  });

  const deploy = (
    files: Record<string, string>,
    inputs: Inputs,
    onEntry: OnEntry = () => {},
  ): ReturnType<typeof deployWhole> => {
    const workingDirectory = jobWith(files);
    jobs.push(workingDirectory);
    return deployWhole({ servers: [server], databaseUrl: database, workingDirectory, inputs, onEntry });
  };
  const inDatabase = (): Promise<unknown[]> => wholeDatabase(database);

  const THREE = {
    '20250101000000_rooms.sql': 'create table rooms (id int primary key);',
    '20250102000000_guests.sql': 'create table guests (id int primary key);',
    '20250103000000_stays.sql': 'create table stays (id int primary key);',
  };

  test('row 143: cancelled when everything is built: nothing is written', async () => {
    const files = { ...THREE, '20250104000000_more.sql': 'create table more (id int primary key);' };
    const before = await inDatabase();
    const sha = origin.commit(appVersion('v4'));
    const { report } = await deploy(files, { ref: sha }, (entry, cancel) => {
      if (entry.kind === 'phase-ended' && entry.report.phase === 'prepare') cancel();
    });
    assert.equal(report.outcome, 'cancelled');
    assert.deepEqual(await inDatabase(), before);
    assert.equal((await server.vps.served())?.version, 'v3');
  });

  test('row 143: a host that is lost while it waits: nothing is written', async () => {
    const files = { ...THREE, '20250104000000_more.sql': 'create table more (id int primary key);' };
    const before = await inDatabase();
    const sha = origin.commit(appVersion('v5'));
    const { report } = await deploy(files, { ref: sha }, (entry) => {
      if (entry.kind === 'phase-started' && entry.phase === 'migrate')
        for (const pid of server.vps.processes())
          if (readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('--waiting')) kill(pid);
    });
    assert.equal(report.outcome, 'failure', JSON.stringify(report.problems));
    assert.match(JSON.stringify(report.problems), /no longer waits with its prepared version/);
    assert.deepEqual(await inDatabase(), before);
    assert.equal((await server.vps.served())?.version, 'v3');
  });

  test('migrate-before: build commits first, and one host goes through alone', async () => {
    const files = { ...THREE, '20250104000000_more.sql': 'create table more (id int primary key);' };
    const sha = origin.commit(appVersion('v6'));
    const { report } = await deploy(files, { ref: sha, 'migrate-before': 'build' });
    assert.equal(report.outcome, 'success', JSON.stringify(report.problems));
    assert.deepEqual(begunPhases(report), ['plan', 'migrate', 'verify', 'prepare', 'redeploy', 'health']);
    assert.equal((await server.vps.served())?.version, 'v6');
  });
});

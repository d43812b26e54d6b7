import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { type Inputs, makeReachable, type OnEntry, type Reachable } from '../servers/deployment.js';
import { appFiles, appVersion } from '../servers/fixture-app.js';
import { type Origin, startOrigin } from '../servers/origin.js';
import { type PostgresServer, startPostgres } from '../servers/postgres.js';
import { startVps } from '../servers/vps.js';
import { begunPhases, deployWhole, jobWith, wholeDatabase } from '../servers/whole-deploy.js';

/** Whole deploys in this process: the order in which hosts and database are changed, and what is left where one fails. */
describe('a deploy with migrations', () => {
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

  test('row 141: a build that fails with three migrations pending leaves the database as it was, and says so', async () => {
    const before = await inDatabase();
    const live = await server.vps.served();
    const sha = origin.commit(appVersion('v1', { build: 'fails' }));
    const { report } = await deploy(THREE, { ref: sha });
    assert.deepEqual(begunPhases(report), ['plan', 'prepare'], JSON.stringify(report.problems));
    assert.equal(report.outcome, 'failure');
    assert.equal(report.failedPhase, 'prepare');
    assert.match(report.phases.find(({ phase }) => phase === 'prepare')!.summary!, /^Nothing was changed\./);
    assert.deepEqual(report.facts.applied ?? [], []);
    assert.deepEqual(await inDatabase(), before);
    assert.deepEqual(await server.vps.served(), live);
    assert.equal(report.facts.schemaAhead, undefined);
  });

  test('row 141: everything is built before the first message that writes, and rehearsed on the new schema', async () => {
    const sha = origin.commit(appVersion('v2'));
    const seen: string[] = [];
    const { report } = await deploy(THREE, { ref: sha }, (entry) => {
      if (entry.kind === 'step') seen.push(`${entry.phase}: ${entry.step.name}`);
    });
    assert.equal(report.outcome, 'success', JSON.stringify(report.problems));
    assert.deepEqual(begunPhases(report), ['plan', 'prepare', 'migrate', 'verify', 'redeploy', 'health']);
    assert.ok(seen.includes('prepare: build'), seen.join('\n'));
    assert.ok(seen.includes('migrate: every host is still prepared'), seen.join('\n'));
    assert.ok(seen.includes('redeploy: rehearsal'), seen.join('\n'));
    assert.ok(seen.includes('redeploy: cutover'), seen.join('\n'));
    assert.equal((await server.vps.served())?.version, 'v2');
    const { schemaLeadMs } = report.facts;
    assert.ok(schemaLeadMs !== undefined && schemaLeadMs > 0, String(schemaLeadMs));
  });

  test('with nothing pending the rehearsal is part of prepare, and no schema leads', async () => {
    const sha = origin.commit(appVersion('v3'));
    const { report } = await deploy(THREE, { ref: sha });
    assert.equal(report.outcome, 'success', JSON.stringify(report.problems));
    const prepare = report.phases.find(({ phase }) => phase === 'prepare')!;
    assert.ok(prepare.steps.some(({ name }) => name === 'rehearsal'));
    assert.equal(report.facts.schemaLeadMs, 0);
    assert.equal((await server.vps.served())?.version, 'v3');
  });

  test('row 141: migrate-before: build is refused where the build was made before', async () => {
    const { report } = await deploy(THREE, {
      ref: origin.head(),
      'migrate-before': 'build',
      'build-on': 'runner',
    });
    assert.deepEqual(begunPhases(report), ['plan']);
    assert.match(JSON.stringify(report.problems), /Migrate in a step before the build/);
  });
});

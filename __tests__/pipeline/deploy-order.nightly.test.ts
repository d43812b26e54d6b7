import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import type { LogEntry } from '../../src/lib/log.js';
import { type Inputs, makeReachable, type OnEntry, type Reachable } from '../servers/deployment.js';
import { appFiles, appVersion, mismatchedPackage } from '../servers/fixture-app.js';
import { type Origin, startOrigin } from '../servers/origin.js';
import { kill } from '../servers/pm2.js';
import { type PostgresServer, startPostgres } from '../servers/postgres.js';
import { startVps, workersOn } from '../servers/vps.js';
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
        for (const pid of workersOn(server.vps)) kill(pid);
    });
    assert.equal(report.outcome, 'failure', JSON.stringify(report.problems));
    assert.match(JSON.stringify(report.problems), /no longer waits with its prepared version/);
    assert.deepEqual(await inDatabase(), before);
    assert.equal((await server.vps.served())?.version, 'v3');
  });

  describe('with migrate-before: build', () => {
    const files = {
      ...THREE,
      '20250104000000_more.sql': 'create table more (id int primary key);',
      '20250104000000_more.down.sql': 'drop table more;',
    };
    const order = { 'migrate-before': 'build' };
    const told = (entries: readonly LogEntry[]): string[] =>
      entries.flatMap((entry) => (entry.kind === 'step' ? [`${entry.phase}: ${entry.step.name}`] : []));

    test('row 141: an install that fails leaves the database as it was', async () => {
      const before = await inDatabase();
      const ref = origin.commit({ ...appVersion('v6'), ...mismatchedPackage() });
      const { report } = await deploy(files, { ref, ...order });
      assert.equal(report.outcome, 'failure', JSON.stringify(report.problems));
      assert.deepEqual(begunPhases(report), ['plan', 'prepare']);
      assert.match(
        report.phases.find(({ phase }) => phase === 'prepare')!.summary!,
        /^Nothing was changed\./,
      );
      assert.deepEqual(await inDatabase(), before);
      assert.equal((await server.vps.served())?.version, 'v3');
    });

    test('row 143: a host that is lost while it waits between install and build: nothing is written', async () => {
      const before = await inDatabase();
      const ref = origin.commit({ ...appFiles('v7') });
      const { report } = await deploy(files, { ref, ...order }, (entry) => {
        if (entry.kind === 'phase-started' && entry.phase === 'migrate')
          for (const pid of workersOn(server.vps)) kill(pid);
      });
      assert.equal(report.outcome, 'failure', JSON.stringify(report.problems));
      assert.match(JSON.stringify(report.problems), /no longer waits with its prepared version/);
      assert.deepEqual(await inDatabase(), before);
    });

    test('a build that fails on the new schema is undone by the down files', async () => {
      const ref = origin.commit(appVersion('v8', { build: 'fails' }));
      const { report } = await deploy(files, { ref, ...order });
      assert.equal(report.outcome, 'rolled-back', JSON.stringify(report.problems));
      assert.equal(report.failedPhase, 'prepare');
      assert.deepEqual(begunPhases(report), ['plan', 'prepare', 'migrate', 'verify', 'prepare', 'rollback']);
      assert.deepEqual(report.facts.reverted, ['20250104000000']);
      assert.equal((await server.vps.served())?.version, 'v3');
    });

    test('it is installed, then the database is changed, then it is built', async () => {
      const ref = origin.commit(appVersion('v9'));
      const { report, log } = await deploy(files, { ref, ...order });
      assert.equal(report.outcome, 'success', JSON.stringify(report.problems));
      assert.deepEqual(begunPhases(report), [
        'plan',
        'prepare',
        'migrate',
        'verify',
        'prepare',
        'redeploy',
        'health',
      ]);
      const steps = told(log);
      const at = (name: string): number => {
        assert.ok(steps.includes(name), `${name} is not in\n${steps.join('\n')}`);
        return steps.indexOf(name);
      };
      const committed = at('migrate: 20250104000000_more');
      assert.ok(at('prepare: stage') < committed && at('prepare: install') < committed, steps.join('\n'));
      assert.ok(at('prepare: build') > committed && at('prepare: rehearsal') > committed, steps.join('\n'));
      assert.ok(at('redeploy: cutover') > at('prepare: rehearsal'));
      assert.equal((await server.vps.served())?.version, 'v9');
    });
  });
});

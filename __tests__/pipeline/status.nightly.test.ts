import assert from 'node:assert/strict';
import { readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { LiveDatabase, LiveHost, Report } from '../../src/lib/report.js';
import { type Inputs, makeReachable, type OnEntry, type Reachable } from '../servers/deployment.js';
import { appFiles, appVersion } from '../servers/fixture-app.js';
import { type Origin, startOrigin } from '../servers/origin.js';
import { kill } from '../servers/pm2.js';
import { type PostgresServer, startPostgres } from '../servers/postgres.js';
import { until } from '../servers/until.js';
import { startVps } from '../servers/vps.js';
import { deployWhole, jobWith, wholeDatabase } from '../servers/whole-deploy.js';
import { app, ask, deployRequest, startWorker } from '../servers/worker.js';

/** One server and one database through the states in which a person may come to them. */
describe('row 184: status in each of eight states', () => {
  let origin: Origin;
  let server: Reachable;
  let postgres: PostgresServer;
  let database: string;
  let folder: string;
  let v0: string;
  before(async () => {
    origin = startOrigin(appFiles('v0'));
    v0 = origin.head();
    server = await makeReachable(await startVps(origin));
    postgres = await startPostgres();
    database = await postgres.createDatabase();
    folder = jobWith({ '20250101000000_rooms.sql': 'create table rooms (id int primary key);' });
  });
  after(async () => {
    await Promise.all([server?.stop(), postgres?.stop()]);
    origin?.stop();
    if (folder) rmSync(folder, { recursive: true, force: true });
  });

  const run = async (inputs: Inputs, onEntry: OnEntry = () => {}): Promise<Report> => {
    const given = { servers: [server], databaseUrl: database, workingDirectory: folder, inputs, onEntry };
    return (await deployWhole(given)).report;
  };
  const look = async (
    inputs: Inputs = {},
  ): Promise<{ host: LiveHost; data: LiveDatabase; report: Report }> => {
    const report = await run({ mode: 'status', 'health-from': 'vps', ...inputs });
    const [host, data] = report.facts.live ?? [];
    assert.ok(host?.part === 'host' && data?.part === 'database', JSON.stringify(report.problems));
    return { host, data, report };
  };
  const beside = (): string[] => readdirSync(dirname(server.vps.appPath)).sort();

  test('nothing yet, where it makes no folder and no table', async () => {
    const [files, rows] = [beside(), await wholeDatabase(database)];
    const { host, data, report } = await look();
    assert.deepEqual([host.state, data.state, report.outcome], ['by-hand', 'nothing', 'success']);
    assert.deepEqual(
      [host.lock, host['rollback-to'], host.backups, report.facts.history],
      [null, [], [], []],
    );
    assert.deepEqual([beside(), await wholeDatabase(database)], [files, rows]);
  });

  test('after the first deploy, in the middle of the next one, and after a rollback of that', async () => {
    const first = await run({ ref: origin.commit(appVersion('v1')), 'run-id': '1', environment: 'staging' });
    assert.equal(first.outcome, 'success', JSON.stringify(first.problems));
    const one = await look();
    assert.deepEqual([one.host.state, one.host.run, one.host.verified], ['live', '1', true]);
    assert.deepEqual([one.data.state, one.data.version, one.data.run], ['live', '20250101000000', '1']);
    assert.deepEqual([one.data.ahead, one.data.pending], [[], []]);
    assert.equal(one.report.facts.history?.[0]?.outcome, 'deployed');
    assert.ok((one.report.facts.history?.[0]?.['duration-ms'] ?? 0) > 0);

    let during: Promise<{ host: LiveHost }> | undefined;
    const second = await run(
      { ref: origin.commit(appVersion('v2')), 'run-id': '2', environment: 'staging' },
      (entry) => {
        if (entry.kind === 'step' && entry.step.name === 'build') during ??= look();
      },
    );
    assert.equal(second.outcome, 'success', JSON.stringify(second.problems));
    const busy = (await during)?.host;
    assert.deepEqual([busy?.state, busy?.lock?.run], ['at-work', '2']);
    const two = await look();
    assert.deepEqual(
      two.host['rollback-to']?.map(({ commit }) => commit),
      [first.facts.deployedSha, v0],
    );

    const back = await run({ mode: 'rollback', 'run-id': '2', environment: 'staging' });
    assert.equal(back.outcome, 'success', JSON.stringify(back.problems));
    const three = await look({ environment: 'production' });
    // Another name than the one that is remembered: told, and nothing is refused.
    assert.deepEqual(
      [three.host.state, three.host.environment, three.data.environment],
      ['live', 'staging', 'staging'],
    );
    assert.equal(three.host.commit, first.facts.deployedSha);
    assert.deepEqual(
      three.report.facts.history?.slice(0, 3).map(({ run, task, outcome }) => [run, task, outcome]),
      [
        ['2', 'rollback', 'rolled-back'],
        ['2', 'deploy', 'deployed'],
        ['1', 'deploy', 'deployed'],
      ],
    );
  });

  test('the database ahead of the code, a run that was cut, and a host out of reach', async () => {
    const more = jobWith({
      '20250101000000_rooms.sql': 'create table rooms (id int primary key);',
      '20250102000000_guests.sql': 'create table guests (id int primary key);',
    });
    const broken = await deployWhole({
      servers: [server],
      databaseUrl: database,
      workingDirectory: more,
      inputs: {
        ref: origin.commit(appVersion('v3', { healthStatus: 503 })),
        'run-id': '3',
        rehearse: 'false',
        'health-deadline': '5s',
      },
    });
    rmSync(more, { recursive: true, force: true });
    assert.deepEqual(
      broken.report.facts.schemaAhead,
      ['20250102000000'],
      JSON.stringify(broken.report.problems),
    );
    const ahead = await look();
    assert.deepEqual([ahead.data.state, ahead.data.ahead], ['ahead', ['20250102000000']]);

    const state = join(dirname(server.vps.appPath), '.app.deploy');
    const request = deployRequest(server.vps, origin.commit(appVersion('v4')), {
      run: { id: '4', attempt: 1 },
    });
    const worker = startWorker(server.vps, request);
    await until('the run has a folder', () =>
      readdirSync(join(state, 'runs')).some((name) => name.startsWith('4.1.')),
    );
    kill(worker.pid!);
    await new Promise((done) =>
      worker.exitCode === null && worker.signalCode === null ? worker.once('exit', done) : done(0),
    );
    const cut = await look();
    assert.equal(cut.host.state, 'cut');
    assert.deepEqual(
      [cut.report.facts.history?.[0]?.run, cut.report.facts.history?.[0]?.outcome],
      ['4', 'cut'],
    );
    const [line] = await ask(server.vps, { command: 'status', app: app(server.vps) });
    assert.equal(line?.kind, 'status');

    await server.sshd.stop();
    const lost = await look();
    // Which versions are ahead of the code nobody knows who cannot ask what code is live.
    assert.deepEqual(
      [lost.host.state, lost.data.state, lost.data.ahead, lost.report.outcome],
      ['unreachable', 'live', null, 'failure'],
    );
    assert.ok((lost.host.problem ?? '').length > 0);
  });
});

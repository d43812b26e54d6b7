import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import type { LogEntry } from '../../src/lib/log.js';
import { outcomeText } from '../../src/report/log-format.js';
import { type Inputs, makeReachable, type Reachable } from '../servers/deployment.js';
import { type AppFaults, appFiles, appVersion } from '../servers/fixture-app.js';
import { type Origin, startOrigin } from '../servers/origin.js';
import { type PostgresServer, query, startPostgres } from '../servers/postgres.js';
import { until } from '../servers/until.js';
import { ask, startVps } from '../servers/vps.js';
import { begunPhases, deployWhole, jobWith, postStep } from '../servers/whole-deploy.js';

type Whole = Parameters<typeof postStep>[0];

describe('a whole deploy with watch', () => {
  let origin: Origin;
  let server: Reachable;
  let postgres: PostgresServer;
  const jobs: string[] = [];
  before(async () => {
    origin = startOrigin(appFiles('v0'));
    server = await makeReachable(await startVps(origin));
    postgres = await startPostgres();
  });
  after(async () => {
    await Promise.all([server?.stop(), postgres?.stop()]);
    origin?.stop();
    for (const job of jobs) rmSync(job, { recursive: true, force: true });
  });

  const FILES = {
    '20250101000000_rooms.sql': 'create table rooms (id int primary key);',
    '20250101000000_rooms.down.sql': 'drop table rooms;',
    '20250102000000_later.sql': '-- deploy: after-health\ncreate table later (id int);',
    '20250102000000_later.down.sql': 'drop table later;',
  };

  async function deploy(
    version: string,
    faults: AppFaults,
    inputs: Inputs,
    onEntry: (entry: LogEntry, cancel: () => void, database: string) => void = () => {},
  ): Promise<Awaited<ReturnType<typeof deployWhole>> & { database: string; whole: Whole }> {
    const database = await postgres.createDatabase();
    const workingDirectory = jobWith(FILES);
    jobs.push(workingDirectory);
    const ref = origin.commit(appVersion(version, faults));
    const whole = {
      servers: [server],
      databaseUrl: database,
      workingDirectory,
      inputs: { watch: '2m', 'allow-data-loss': 'true', ...inputs, ref },
      session: version,
    };
    const done = await deployWhole({
      ...whole,
      onEntry: (entry, cancel) => onEntry(entry, cancel, database),
    });
    return { ...done, database, whole };
  }

  test('row 174: one that ends again and again after the cutover is put back, and its schema with it where nothing was written', async () => {
    const live = (await server.vps.served())?.version;
    const { report, database } = await deploy('v1', { crashAfter: 20_000, onlyLive: true }, {});
    assert.equal(report.outcome, 'rolled-back', JSON.stringify(report.problems));
    assert.equal(report.failedPhase, 'watch');
    assert.equal((await server.vps.served())?.version, live);
    assert.deepEqual(await query(database, `select to_regclass('rooms') as r`), [{ r: null }]);
    assert.deepEqual(report.facts.reverted, ['20250101000000']);
  });

  test('row 174: a row that was written since the commit keeps the schema, whatever allow-data-loss says', async () => {
    const live = (await server.vps.served())?.version;
    let written: Promise<unknown> | undefined;
    const { report, database } = await deploy(
      'v2',
      { crashAfter: 20_000, onlyLive: true },
      {},
      (entry, _cancel, url) => {
        if (entry.kind === 'phase-started' && entry.phase === 'watch')
          written = query(url, 'insert into rooms values (1)');
      },
    );
    await written;
    assert.equal(report.failedPhase, 'watch');
    assert.equal(report.outcome, 'rolled-back', JSON.stringify(report.problems));
    assert.equal((await server.vps.served())?.version, live);
    assert.deepEqual(report.facts.schemaAhead, ['20250101000000']);
    assert.deepEqual(await query(database, 'select id from rooms'), [{ id: 1 }]);
  });

  test('row 174: cancelled in the watch: live, not watched to the end; the after-health files stay deferred', async () => {
    const { report, database } = await deploy('v3', {}, {}, (entry, cancel) => {
      if (entry.kind === 'phase-started' && entry.phase === 'watch') setTimeout(cancel, 2_000);
    });
    assert.equal(report.outcome, 'cancelled');
    assert.equal(report.unsettled, undefined);
    assert.equal((await server.vps.served())?.version, 'v3');
    assert.deepEqual(await query(database, `select to_regclass('later') as r`), [{ r: null }]);
  });

  test('row 174: killed in the watch: the post step leaves the new version live, though it is sick by then', async () => {
    const faults = { healthStatus: 503, sickAfter: 30_000, onlyLive: true };
    const { report, whole } = await deploy('v5', faults, {}, (entry, cancel) => {
      if (entry.kind === 'phase-started' && entry.phase === 'watch') setTimeout(cancel, 1_000);
    });
    assert.equal(report.outcome, 'cancelled', JSON.stringify(report.problems));
    const status = async (): Promise<number> => (await ask(server.vps.port, '/api/health')).status;
    await until('the version to be sick', async () => (await status()) === 503, 60_000);
    const left = await postStep({ ...whole, watching: true });
    assert.equal(left?.outcome, 'cancelled', JSON.stringify(left?.problems));
    assert.equal(outcomeText(left!), 'deploy was cancelled: live, not watched to the end');
    assert.equal(await status(), 503);
    assert.deepEqual(await query(whole.databaseUrl, `select to_regclass('rooms') is null as gone`), [
      { gone: false },
    ]);
  });

  test('a good one stays, and the after-health files come after the watch', async () => {
    const { report } = await deploy('v4', {}, { watch: '35s' });
    assert.equal(report.outcome, 'success', JSON.stringify(report.problems));
    assert.deepEqual(begunPhases(report), [
      'plan',
      'prepare',
      'migrate',
      'verify',
      'redeploy',
      'health',
      'watch',
      'migrate',
    ]);
  });
});

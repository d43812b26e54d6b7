import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, before, describe, test } from 'node:test';
import { makeReachable, type OnEntry, type Reachable } from '../servers/deployment.js';
import { type AppFaults, appFiles, appVersion } from '../servers/fixture-app.js';
import { type Origin, startOrigin } from '../servers/origin.js';
import { type PostgresServer, query, startPostgres } from '../servers/postgres.js';
import { startVps } from '../servers/vps.js';
import { deployWhole, jobWith } from '../servers/whole-deploy.js';

/** Milliseconds after the commit by which nobody suffers any more. */
const SHORT = 6_000;

/** Whole deploys whose migration renames a column that the live version's health reads. */
describe('a migration that breaks the live version', () => {
  let origin: Origin;
  let server: Reachable;
  let postgres: PostgresServer;
  let databaseUrl: string;
  const jobs: string[] = [];
  const reads = (column: string): NonNullable<AppFaults['reads']> => ({
    pg: createRequire(import.meta.url).resolve('pg'),
    url: databaseUrl,
    sql: `select ${column} from rooms`,
  });
  before(async () => {
    postgres = await startPostgres();
    databaseUrl = await postgres.createDatabase();
    await query(databaseUrl, 'create table rooms (id int primary key, name text)');
    origin = startOrigin(appFiles('v0', { reads: reads('name') }));
    server = await makeReachable(await startVps(origin));
  });
  after(async () => {
    await Promise.all([server?.stop(), postgres?.stop()]);
    origin?.stop();
    for (const job of jobs) rmSync(job, { recursive: true, force: true });
  });

  const RENAME = { '20250101000000_title.sql': 'alter table rooms rename column name to title;' };
  const BACK = { '20250101000000_title.down.sql': 'alter table rooms rename column title to name;' };

  const deploy = (
    files: Record<string, string>,
    faults: AppFaults,
    version: string,
    onEntry: OnEntry = () => {},
  ): ReturnType<typeof deployWhole> => {
    const workingDirectory = jobWith(files);
    jobs.push(workingDirectory);
    const ref = origin.commit(appVersion(version, faults));
    const inputs = { ref, 'health-deadline': '40s' };
    return deployWhole({ servers: [server], databaseUrl, workingDirectory, inputs, onEntry });
  };
  const columns = async (): Promise<string[]> =>
    (
      await query<{ name: string }>(
        databaseUrl,
        `select attname as name from pg_attribute where attrelid = 'rooms'::regclass and attnum > 0 order by attnum`,
      )
    ).map(({ name }) => name);

  test('row 142: its down file ends the harm, and the message names the file', async () => {
    let committed = 0;
    const slow = { reads: reads('title'), bootDelay: 12_000 };
    const { report, log } = await deploy({ ...RENAME, ...BACK }, slow, 'v1', (entry) => {
      if (entry.kind === 'phase-ended' && entry.report.phase === 'migrate') committed = performance.now();
    });
    const undone = report.phases.find(({ phase }) => phase === 'rollback')?.changedAt;
    assert.equal(report.outcome, 'rolled-back', JSON.stringify([report.problems, report.warnings]));
    assert.match(JSON.stringify(report.problems), /breaks on the new schema: \/api\/health answers 500/);
    assert.match(JSON.stringify(report.warnings), /well again .*20250101000000_title/);
    assert.deepEqual(await columns(), ['id', 'name']);
    const served = await server.vps.served();
    assert.equal(served?.version, 'v0');
    assert.ok(undone !== undefined && log.length > 0);
    const harm = undone - (performance.timeOrigin + committed);
    assert.ok(harm < SHORT, `the harm lasted for ${harm} ms`);
  });

  test('row 142: without a down file the deploy goes on, and says so', async () => {
    const { report } = await deploy(RENAME, { reads: reads('title'), bootDelay: 7_000 }, 'v2');
    assert.equal(report.outcome, 'success', JSON.stringify(report.problems));
    assert.match(JSON.stringify(report.warnings), /breaks on the new schema.*the deploy goes on.*down file/);
    assert.deepEqual(await columns(), ['id', 'title']);
    assert.equal((await server.vps.served())?.version, 'v2');
  });
});

import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import type { LogEntry } from '../../src/lib/log.js';
import { makeFleet, type Reachable } from '../servers/deployment.js';
import { appFiles, appVersion } from '../servers/fixture-app.js';
import { killDeploy } from '../servers/killed-deploy.js';
import { type Origin, startOrigin } from '../servers/origin.js';
import { kill } from '../servers/pm2.js';
import { type PostgresServer, query, startPostgres } from '../servers/postgres.js';
import { startVps, type Vps, workersOn } from '../servers/vps.js';
import { deployWhole, jobWith, postStep, type WholeDeploy } from '../servers/whole-deploy.js';

const TIMES = { 'deploy-timeout': '3m', 'health-deadline': '30s' };
/** Milliseconds for which a server waits for the action here: enough to hear of it on a busy machine. */
const PATIENCE = { reconnectFor: 2_000, goLease: 10_000 };

/** The last line of the table of decision record 0005. */
describe('a deploy to two servers that is cut when one has cut over', () => {
  let origin: Origin;
  let boxes: Vps[];
  let servers: Reachable[];
  let postgres: PostgresServer;
  let databaseUrl: string;
  let workingDirectory: string;
  let number = 10;
  let table = '';
  before(async () => {
    origin = startOrigin(appFiles('v0'));
    boxes = [await startVps(origin), await startVps(origin)];
    servers = await makeFleet(boxes);
    postgres = await startPostgres();
    databaseUrl = await postgres.createDatabase();
    workingDirectory = jobWith({ '20250101000000_rooms.sql': 'create table rooms (id int primary key);' });
  });
  after(async () => {
    for (const server of servers ?? []) await server.stop();
    await postgres?.stop();
    origin?.stop();
    rmSync(workingDirectory, { recursive: true, force: true });
  });
  beforeEach(() => {
    number += 1;
    table = `t${number}`;
    const path = join(workingDirectory, `supabase/migrations/202502${number}000000_${table}`);
    writeFileSync(`${path}.sql`, `create table ${table} (id int primary key);`);
    writeFileSync(`${path}.down.sql`, `drop table ${table};`);
  });

  const given = (): WholeDeploy & { session: string } => ({
    servers,
    databaseUrl,
    workingDirectory,
    inputs: { ref: origin.commit(appVersion(`v${number}`)), 'run-id': String(9_000 + number), ...TIMES },
    session: `s${number}`,
    patience: PATIENCE,
  });
  const killWorker = (vps: Vps): void => {
    for (const pid of workersOn(vps)) kill(pid);
  };
  const hasCutOver = (entry: LogEntry): boolean =>
    entry.kind === 'step' && entry.step.name === 'host 1: cutover';
  const newSchema = async (): Promise<boolean> =>
    (
      await query<{ there: boolean }>(
        databaseUrl,
        `select to_regclass('public.${table}') is not null as there`,
      )
    )[0]!.there;
  /** Both serve the same, and new code never serves on the old schema. */
  async function oneVersion(): Promise<'old' | 'new'> {
    const [one, two] = (await Promise.all(boxes.map((vps) => vps.served()))).map((served) => served?.version);
    assert.equal(one, two, 'no two versions stay side by side');
    const code = one === `v${number}` ? 'new' : 'old';
    assert.ok(code === 'old' || (await newSchema()), 'new code serves on the old schema');
    return code;
  }

  test('row 143: the action is killed, and the post step', async () => {
    const run = given();
    await killDeploy(run, hasCutOver);
    await postStep(run);
    const code = await oneVersion();
    assert.equal(await newSchema(), code === 'new');
  });

  test('row 143: the action is killed, and the next run', async () => {
    await killDeploy(given(), hasCutOver);
    number += 1;
    const { report } = await deployWhole(given());
    assert.equal(report.outcome, 'success', JSON.stringify(report.problems));
    assert.equal(await oneVersion(), 'new');
  });

  test('row 143: the action is killed, and a second attempt that fails in prepare', async () => {
    const run = given();
    await killDeploy(run, hasCutOver);
    const inputs = { ...run.inputs, 'build-command': 'exit 1' };
    const { report } = await deployWhole({ ...run, attempt: 2, inputs });
    assert.notEqual(report.outcome, 'success');
    assert.doesNotMatch(JSON.stringify(report.phases), /Nothing was changed/);
    const left = [report.outcome, report.facts.schemaAhead, report.problems];
    assert.ok(
      (await oneVersion()) === 'old' && (!(await newSchema()) || report.facts.schemaAhead?.length),
      JSON.stringify(left),
    );
  });

  test('row 143: the action is killed, and a rollback later', async () => {
    const run = given();
    await killDeploy(run, hasCutOver);
    const inputs = { ...run.inputs, mode: 'rollback', 'rollback-database': 'down' };
    const { report } = await deployWhole({ ...run, inputs });
    assert.equal(report.outcome, 'success', JSON.stringify(report.problems));
    assert.equal(await oneVersion(), 'old');
    assert.equal(await newSchema(), false);
  });

  test('row 143: it is cancelled, and the post step', async () => {
    const run = given();
    const { report } = await deployWhole({
      ...run,
      onEntry: (entry, cancel) => {
        if (hasCutOver(entry)) cancel();
      },
    });
    if (report.unsettled) await postStep(run);
    const code = await oneVersion();
    assert.equal(await newSchema(), code === 'new');
  });

  test('row 143: the other one is lost: the first is put back, then the schema', async () => {
    const { report } = await deployWhole({
      ...given(),
      onEntry: (entry) => {
        if (hasCutOver(entry)) killWorker(boxes[1]!);
      },
    });
    assert.notEqual(report.outcome, 'success');
    assert.equal(await oneVersion(), 'old');
    assert.equal(await newSchema(), false, JSON.stringify(report.problems));
  });
});

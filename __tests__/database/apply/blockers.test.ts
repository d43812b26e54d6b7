import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import pg from 'pg';
import { describeBlockers, type HeldLock } from '../../../src/database/apply/blockers.js';
import { openDatabase } from '../../../src/database/connection/open.js';
import type { LockMode } from '../../../src/database/migrations/lock-modes.js';
import { judgeDrift, readDriftNow } from '../../../src/database/schema/drift.js';
import { type PostgresServer, query, startPostgres } from '../../servers/postgres.js';
import { createProject, history, runMigrate, settingsFor } from '../../servers/project.js';
import { runRollback } from '../../servers/rollback.js';

let server: PostgresServer;
before(async () => {
  server = await startPostgres();
});
after(() => server.stop());

const held = (pid: number, table: string, mode: LockMode): HeldLock => ({
  pid,
  who: `app ${pid}`,
  state: 'active',
  seconds: 1,
  table,
  qualified: `public.${table}`,
  mode,
});

const NAMED: [name: string, text: string, mode: LockMode, locks: HeldLock[], pids: number[]][] = [
  [
    'whole names only',
    'alter table order_items add x int',
    'AccessExclusiveLock',
    [held(1, 'items', 'RowExclusiveLock'), held(2, 'order_items', 'RowExclusiveLock')],
    [2],
  ],
  [
    'what conflicts only',
    'create index on t (a)',
    'ShareLock',
    [held(1, 't', 'AccessShareLock'), held(2, 't', 'RowExclusiveLock')],
    [2],
  ],
  [
    'quoted, folded and inside a DO block, not in a comment',
    'do $$ begin alter table T add x int; perform 1 from "We ird"; -- u\n end $$; /* v */',
    'AccessExclusiveLock',
    [held(1, 't', 'AccessShareLock'), held(2, 'v', 'AccessShareLock')],
    [1],
  ],
  [
    'where no name is held: who keeps everybody out',
    'select 1 from a_view',
    'AccessShareLock',
    [held(1, 'base', 'RowExclusiveLock'), held(2, 'base', 'AccessExclusiveLock')],
    [2],
  ],
  ['nobody', 'select 1 from t', 'AccessShareLock', [held(1, 't', 'RowExclusiveLock')], []],
];
for (const [name, text, mode, locks, pids] of NAMED)
  test(`row 49: blockers are named by ${name}`, () =>
    assert.deepEqual(
      [...describeBlockers(locks, { text, mode }).matchAll(/pid (\d+)/g)].map(([, pid]) => Number(pid)),
      pids,
    ));

/** Holds a table, as a long export would, while the work is done. */
async function holding(url: string, table: string, work: () => Promise<void>): Promise<void> {
  const client = new pg.Client({ connectionString: url, application_name: 'export' });
  await client.connect();
  await client.query(`begin; lock table ${table} in access exclusive mode`);
  try {
    await work();
  } finally {
    await client.end();
  }
}

test('row 49: a lock on a table that no file touches stops no deploy; what is not known for it is told', async () => {
  const url = await server.createDatabase();
  await query(
    url,
    'create table public.other (id int default 1, at timestamptz default now()); create view public.seen as select * from public.other',
  );
  const project = createProject({ '1_a.sql': 'create table public.a (id int);' });
  const drift = async (): Promise<string> => {
    const database = openDatabase(settingsFor(project, url).database!.connection);
    const tools = { log: () => undefined, signal: new AbortController().signal, database };
    try {
      return judgeDrift(await readDriftNow(tools), 'warn').detail;
    } finally {
      await database.close();
    }
  };
  await runMigrate(project, url, { runId: '1' });
  project.write({ '2_b.sql': 'create table public.b (id int);' });
  await holding(url, 'public.other', async () => {
    const { report, log } = await runMigrate(project, url, {
      runId: '2',
      inputs: { 'lock-timeout': '500ms', drift: 'off' },
    });
    assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
    const warned = log.flatMap((entry) => (entry.kind === 'warning' ? [entry.problem.message] : []));
    assert.equal(warned.length, 1);
    assert.match(warned[0] ?? '', /a table is locked by another session/);
  });
  assert.deepEqual(await history(url), ['1', '2']);
  assert.match(await drift(), /not comparable: run 2/);
  project.write({ '3_c.sql': 'create table public.c (id int);' });
  const next = await runMigrate(project, url, { runId: '3' });
  assert.equal(next.report.outcome, 'passed', JSON.stringify(next.report.problems));
  assert.match(await drift(), /unchanged since run 3/);
  const runs = await query(
    url,
    'select run_id, outcome, objects is null as gone from supabase_migrations.deploy_runs order by run_id',
  );
  assert.deepEqual(runs, [
    { run_id: '1', outcome: 'applied', gone: true },
    { run_id: '2', outcome: 'applied', gone: true },
    { run_id: '3', outcome: 'applied', gone: false },
  ]);
  project.delete();
});

test('a run whose start could not be looked at is undone all the same, without the proof', async () => {
  const url = await server.createDatabase();
  await query(
    url,
    'create table public.other (id int default 1); create view public.seen as select * from public.other',
  );
  const project = createProject({
    '1_a.sql': 'create table public.a (id int);',
    '1_a.down.sql': 'drop table public.a;',
  });
  await holding(url, 'public.other', async () => {
    const { report } = await runMigrate(project, url, { runId: '1', inputs: { drift: 'off' } });
    assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
  });
  const settings = settingsFor(project, url, { mode: 'rollback', 'run-id': '1' });
  const { report } = await runRollback(settings);
  assert.deepEqual(report.problems, []);
  assert.deepEqual(report.facts.reverted, ['1']);
  assert.match(report.steps.find(({ name }) => name.includes('compare'))?.detail ?? '', /not compared/);
  assert.deepEqual(await history(url), []);
  project.delete();
});

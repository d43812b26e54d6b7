import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type PostgresServer, query, startPostgres } from '../servers/postgres.js';
import { createProject, history, objects, runMigrate, runPlan } from '../servers/project.js';

let server: PostgresServer;
before(async () => {
  server = await startPostgres();
});
after(() => server.stop());

test('pending files are applied together, once, and recorded in both tables', async () => {
  const url = await server.createDatabase();
  const project = createProject({
    '20250101000000_hotels.sql':
      'create table public.hotels (id int primary key);\ninsert into public.hotels values (1);',
    '20250102000000_rooms.sql': 'create table public.rooms (id int references public.hotels);',
    '20250102000000_rooms.down.sql': 'drop table public.rooms;',
  });
  const { report } = await runMigrate(project, url);
  assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
  assert.deepEqual(report.facts.applied, ['20250101000000', '20250102000000']);
  assert.deepEqual(
    report.steps.map((step) => [step.name, step.outcome]),
    [
      ['drift', 'passed'],
      ['20250101000000_hotels', 'passed'],
      ['20250102000000_rooms', 'passed'],
    ],
  );
  const rows = await query(
    url,
    `select h.version, h.name, h.statements, m.run_id, m.position, m.down, r.environment, r.sha
     from supabase_migrations.schema_migrations h join supabase_migrations.deploy_migrations m using (version)
     join supabase_migrations.deploy_runs r using (run_id) order by 1`,
  );
  assert.deepEqual(rows, [
    {
      version: '20250101000000',
      name: 'hotels',
      statements: ['create table public.hotels (id int primary key)', 'insert into public.hotels values (1)'],
      run_id: '1001',
      position: 1,
      down: null,
      environment: null,
      sha: 'a'.repeat(40),
    },
    {
      version: '20250102000000',
      name: 'rooms',
      statements: ['create table public.rooms (id int references public.hotels)'],
      run_id: '1001',
      position: 2,
      down: 'drop table public.rooms;',
      environment: null,
      sha: 'a'.repeat(40),
    },
  ]);
  const again = await runMigrate(project, url, { runId: '1002' });
  assert.deepEqual(again.report.facts.pending, []);
  assert.equal(again.report.outcome, 'passed');
  assert.equal((await runPlan(project, url)).pending.length, 0);
  project.delete();
});

test('drift: fail stops a migrate before it writes, because what it writes would make the drift the new state', async () => {
  const url = await server.createDatabase();
  const project = createProject({ '1_a.sql': 'create table public.a (id int);' });
  await runMigrate(project, url);
  await query(url, 'create table public.sneaky (id int)');
  project.write({ '2_b.sql': 'create table public.b (id int);' });
  const failed = await runMigrate(project, url, { runId: '1002', inputs: { drift: 'fail' } });
  assert.match(failed.report.problems[0]?.message ?? '', /by other hands: added table public\.sneaky/);
  assert.deepEqual(
    failed.report.steps.map(({ name, outcome }) => [name, outcome]),
    [['drift', 'failed']],
  );
  assert.deepEqual(await history(url), ['1']);
  const warned = await runMigrate(project, url, { runId: '1003' });
  assert.equal(warned.report.outcome, 'passed');
  assert.match(JSON.stringify(warned.log.filter(({ kind }) => kind === 'warning')), /public\.sneaky/);
  project.delete();
});

test('a failing file takes its whole batch back and is named with line and column', async () => {
  const url = await server.createDatabase();
  const project = createProject({
    '1_a.sql': 'create table public.a (id int);',
    '2_b.sql': 'create table public.b (id int);\n-- é\nalter table public.hotel add column x int;',
    '3_c.sql': 'create table public.c (id int);',
  });
  const { report } = await runMigrate(project, url);
  assert.equal(report.outcome, 'failed');
  assert.deepEqual(report.problems[0], {
    message: 'relation "public.hotel" does not exist',
    code: '42P01',
    at: {
      file: 'supabase/migrations/2_b.sql',
      line: 3,
      column: 1,
      text: 'alter table public.hotel add column x int;',
    },
  });
  assert.deepEqual(
    report.steps.map((step) => step.outcome),
    ['passed', 'skipped', 'failed', 'skipped'],
  );
  assert.deepEqual(report.facts.applied, []);
  assert.deepEqual(report.facts.skipped, ['1', '2', '3']);
  assert.deepEqual(await objects(url), []);
  assert.deepEqual(await history(url), []);
  project.delete();
});

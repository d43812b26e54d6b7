import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openDatabase } from '../../src/database/connection/open.js';
import { fingerprintQuery, readFingerprint } from '../../src/database/schema/fingerprint.js';
import { parseDatabaseUrl } from '../../src/inputs/checks/database-url.js';
import { type PostgresServer, query, startPostgres } from '../servers/postgres.js';
import { createProject, history, runMigrate } from '../servers/project.js';

let server: PostgresServer;
before(async () => {
  server = await startPostgres();
});
after(() => server.stop());

async function fingerprint(url: string): Promise<string> {
  const parsed = parseDatabaseUrl(url);
  assert.ok('address' in parsed);
  const database = openDatabase({ kind: 'url', address: parsed.address });
  const found = readFingerprint(await database.send(fingerprintQuery(), { deadline: 10_000 }));
  await database.close();
  return found.fingerprint;
}

const messages = (report: { problems: { message: string }[] }): string[] =>
  report.problems.map(({ message }) => message);

test('a schema that does not verify is never committed: schema, history and rows stay as they were', async () => {
  const url = await server.createDatabase();
  const project = createProject({
    '1_a.sql': 'create table public.a(id int); insert into public.a values (1)',
  });
  await runMigrate(project, url, { runId: '1' });
  const before = [await fingerprint(url), await history(url)];
  project.write({
    '2_b.sql': 'create table public.b(id int); update public.a set id = 2;',
    '3_c.sql': 'create table public.c(id int); alter table public.c enable row level security;',
  });
  const { report } = await runMigrate(project, url, {
    runId: '2',
    inputs: { 'required-tables': 'a, b, c, d', 'required-functions': 'f' },
  });
  assert.equal(report.outcome, 'failed');
  assert.deepEqual(messages(report), [
    'table public.d does not exist',
    'function public.f does not exist',
    'row level security is off on public.a',
    'row level security is off on public.b',
    'public.c has row level security on but no policy: nobody it applies to can read it',
  ]);
  assert.equal(report.facts.verified, false);
  assert.deepEqual(report.facts.applied, []);
  assert.ok(report.steps.some(({ outcome, name }) => outcome === 'failed' && name.startsWith('verify')));
  assert.deepEqual([await fingerprint(url), await history(url)], before);
  assert.deepEqual(await query(url, 'select * from public.a'), [{ id: 1 }]);
  assert.deepEqual(await query(url, `select * from supabase_migrations.deploy_runs where run_id = '2'`), []);
  project.delete();
});

test('a constraint that is added NOT VALID, as is advised, is applied; verify tells it', async () => {
  const url = await server.createDatabase();
  const project = createProject({
    '1_a.sql': 'create table public.a(id int)',
    '2_b.sql': 'alter table public.a add constraint positive check (id > 0) not valid;',
  });
  const { report } = await runMigrate(project, url, { inputs: { 'required-tables': 'a', rls: 'off' } });
  assert.deepEqual(messages(report), []);
  assert.deepEqual(await history(url), ['1', '2']);
  project.delete();
});

test('an old policy on a table without row level security stops no migrate, unless the table is required', async () => {
  const url = await server.createDatabase();
  await query(url, 'create table public.old(id int); create policy p on public.old using (true)');
  const project = createProject({ '1_a.sql': 'create table public.a(id int)' });
  const required = await runMigrate(project, url, { inputs: { 'required-tables': 'old' } });
  assert.deepEqual(messages(required.report), ['row level security is off on public.old']);
  const all = await runMigrate(project, url, { inputs: { rls: 'all' } });
  assert.deepEqual(messages(all.report), [
    'row level security is off on public.a',
    'row level security is off on public.old',
  ]);
  const { report } = await runMigrate(project, url);
  assert.deepEqual(messages(report), []);
  project.delete();
});

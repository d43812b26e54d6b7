/** A scratch database that starts from the schema of the database itself; needs Debian's pg_dump 15. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type PostgresServer, query, startPostgres } from '../../servers/postgres.js';
import { createProject, objects, runPlanPhase } from '../../servers/project.js';

let target: PostgresServer;
let scratch: PostgresServer;
before(async () => {
  [target, scratch] = await Promise.all([startPostgres({ version: 15 }), startPostgres()]);
});
after(() => Promise.all([target.stop(), scratch.stop()]));

test('shadow-base: database takes the schema as it is; roles and objects that it cannot have are listed', async () => {
  const [url, shadow] = [await target.createDatabase(), await scratch.createDatabase()];
  await query(target.adminUrl, 'create role only_there nologin');
  const admin = new URL(url);
  admin.username = 'supabase_admin';
  await query(
    admin.href,
    `create schema auth; create table auth.users (id uuid primary key); grant all on schema auth to postgres; grant all on auth.users to postgres;`,
  );
  await query(
    url,
    `create table public.t (id int primary key, owner uuid references auth.users (id)); create index i on public.t (owner);
     create table public.big (id int) partition by range (id); grant select on public.t to only_there;`,
  );
  const project = createProject({
    '1_b.sql': 'alter table public.t add column c bigserial; create index on public.t (c);',
  });
  try {
    const inputs = { 'shadow-database-url': shadow, 'shadow-base': 'database' };
    const { report, log } = await runPlanPhase(project, url, { inputs });
    assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
    const step = report.steps.find(({ name }) => name === 'statements on the scratch database');
    assert.equal(step?.detail, '2 measured');
    const told = log.flatMap((entry) => (entry.kind === 'warning' ? [entry.problem.message] : [])).join('\n');
    assert.match(told, /has not the roles only_there/);
    assert.match(told, /could not be restored .*ALTER TABLE: schema "auth" does not exist/);
    assert.match(told, /writes public\.t, .*anew/);
    assert.deepEqual(await objects(shadow), []);
  } finally {
    project.delete();
  }
});

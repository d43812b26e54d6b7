import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { findPgDumps } from '../../src/database/backup/pg-dump.js';
import { type PgBouncer, startPgBouncer } from '../servers/pgbouncer.js';
import { type PostgresServer, query, startPostgres } from '../servers/postgres.js';
import { createProject, runMigrate } from '../servers/project.js';
import { everyKindFiles } from './every-kind.js';
import { liveOneLife } from './one-life.js';

let server: PostgresServer;
let pooler: PgBouncer;
before(async () => {
  server = await startPostgres({ version: 15, settings: { wal_level: 'logical' } });
  pooler = await startPgBouncer(server, { poolSize: 1 });
});
after(async () => {
  await pooler.stop();
  await server.stop();
});

test('migrate, verify, drift and rollback on PostgreSQL 15', async () => {
  const url = await server.createDatabase();
  await liveOneLife({ 'database-url': url }, url);
});

test('the same through a transaction pooler', async () => {
  const url = await server.createDatabase();
  await liveOneLife({ 'database-url': pooler.through(url) }, url);
});

test('what does not verify leaves schema, rows and history byte-equal', async () => {
  const url = await server.createDatabase();
  const project = createProject(everyKindFiles());
  await runMigrate(project, url, { runId: '1', inputs: { rls: 'off' } });
  await query(url, `insert into public.hotels (name) values ('Ritz')`);
  const pgDump = (await findPgDumps()).find(({ major }) => major >= 15)!.path;
  const dump = (): string => {
    const arguments_ = ['--exclude-table=supabase_migrations.deploy_*', `--dbname=${url}`];
    // Every dump names a new random word in its \restrict lines.
    return execFileSync(pgDump, arguments_, { encoding: 'utf8' }).replaceAll(/^\\(un)?restrict .*$/gm, '');
  };
  const before = dump();
  assert.match(before, /Ritz/);
  project.write({
    '20250301000000_next.sql': `create table public.next(id int); delete from public.hotels;`,
  });
  const { report } = await runMigrate(project, url, { runId: '2', inputs: { 'required-tables': 'next' } });
  assert.equal(report.outcome, 'failed');
  assert.equal(report.problems[0]!.message, 'row level security is off on public.next');
  assert.equal(dump(), before);
  project.delete();
});

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { findPgDumps } from '../../src/database/backup/pg-dump.js';
import { openDatabase } from '../../src/database/connection/open.js';
import { parseDatabaseUrl } from '../../src/inputs/checks/database-url.js';
import type { Settings } from '../../src/inputs/settings.js';
import type { LogEntry } from '../../src/lib/log.js';
import type { PhaseReport } from '../../src/lib/report.js';
import { backup } from '../../src/pipeline/backup.js';
import { makeReachable, settingsFor, withTools } from '../servers/deployment.js';
import { appFiles } from '../servers/fixture-app.js';
import { startOrigin } from '../servers/origin.js';
import { commandsOf } from '../servers/page-commands.js';
import { type PostgresServer, query, startPostgres } from '../servers/postgres.js';
import { startVps } from '../servers/vps.js';
import { databaseWork } from '../servers/work.js';

/** Debian's pg_dump 15 against servers of its own and of a newer version. */
let server: PostgresServer;
let folder: string;
before(async () => {
  server = await startPostgres({ version: 15 });
  folder = mkdtempSync(join(tmpdir(), 'muva-backup-'));
  process.env.RUNNER_TEMP = folder;
});
after(async () => {
  rmSync(folder, { recursive: true });
  await server.stop();
});

async function back(url: string, what: 'schema' | 'full'): Promise<{ report: PhaseReport; log: LogEntry[] }> {
  const parsed = parseDatabaseUrl(url);
  assert.ok('address' in parsed);
  const connection = { kind: 'url', address: parsed.address } as const;
  const database = openDatabase(connection);
  const log: LogEntry[] = [];
  const settings = {
    mode: 'deploy',
    run: { id: '77', attempt: 1, serverUrl: '', fork: false },
    database: { connection, backup: what, backupTo: 'runner', backupPlatformData: 'off', lockTimeout: 1_000 },
  } as unknown as Settings;
  try {
    const work = databaseWork(settings, { log: (entry) => log.push(entry), database });
    const report = await backup(work, undefined);
    return { report, log };
  } finally {
    await database.close();
  }
}

/** Does the work while somebody holds a table exclusively. */
async function holding<T>(url: string, table: string, work: () => Promise<T>): Promise<T> {
  const parsed = parseDatabaseUrl(url);
  assert.ok('address' in parsed);
  const holder = openDatabase({ kind: 'url', address: parsed.address });
  await holder.send(`begin; lock table ${table} in access exclusive mode`, { deadline: 10_000 });
  try {
    return await work();
  } finally {
    await holder.send('rollback', { deadline: 10_000 });
    await holder.close();
  }
}

function files(): string[] {
  const place = join(folder, 'muva-backups');
  return existsSync(place) ? readdirSync(place) : [];
}

test('a full backup is a file that only we can read and that restores', async () => {
  const url = await server.createDatabase();
  await query(url, `create table public.hotels(name text); insert into public.hotels values ('Ritz')`);
  const { report, log } = await back(url, 'full');
  assert.deepEqual(report.problems, []);
  const path = report.facts.backupPath!;
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const pgRestore = (await findPgDumps())[0]!.path.replace(/pg_dump$/, 'pg_restore');
  const sql = execFileSync(pgRestore, ['--file=-', path], { encoding: 'utf8' });
  assert.match(sql, /COPY public\.hotels/);
  assert.match(sql, /Ritz/);
  assert.doesNotMatch(JSON.stringify([report, log]), /w0rd/);
  const schema = await back(url, 'schema');
  const without = execFileSync(pgRestore, ['--file=-', schema.report.facts.backupPath!], {
    encoding: 'utf8',
  });
  assert.match(without, /CREATE TABLE public\.hotels/);
  assert.doesNotMatch(without, /Ritz/);
});

test('a dump that fails leaves no file and says why', async () => {
  const url = await server.createDatabase();
  await query(url, 'create table public.locked(id int)');
  const kept = files().length;
  const { report } = await holding(url, 'public.locked', () => back(url, 'full'));
  assert.equal(report.outcome, 'failed');
  assert.match(report.problems[0]!.message, /pg_dump failed: .*timeout.*LOCK TABLE public\.locked/s);
  assert.equal(report.facts.backupPath, undefined);
  assert.equal(files().length, kept);
});

test('a server newer than pg_dump is refused with the package to install', async () => {
  const newest = Math.max(...(await findPgDumps()).map(({ major }) => major));
  assert.equal(spawnSync('pg_dump', ['--version']).status, 0);
  if (newest >= 17) return assert.fail(`this machine has pg_dump ${newest}: the test needs an older one`);
  const newer = await startPostgres({ version: 17 });
  try {
    const { report } = await back(newer.url, 'full');
    assert.match(report.problems[0]!.message, /is older than the server \(PostgreSQL 17\)/);
    assert.match(report.problems[0]!.next!, /postgresql-client-17/);
  } finally {
    await newer.stop();
  }
});

test('a backup to the server streams into the state folder there, and a failed one leaves nothing', async () => {
  const url = await server.createDatabase();
  await query(url, `create table public.hotels(name text); insert into public.hotels values ('Ritz')`);
  const origin = startOrigin(appFiles('v0'));
  const reachable = await makeReachable(await startVps(origin));
  const inputs = { mode: 'deploy', 'database-url': url, backup: 'full', 'lock-timeout': '1s' };
  const settings = settingsFor([reachable], { ...inputs, ref: origin.head() });
  const database = openDatabase(settings.database!.connection);
  try {
    const run = (): Promise<PhaseReport> =>
      withTools(settings, ({ work, servers }) => backup(work.database!, servers), { database });
    const report = await run();
    assert.deepEqual(report.problems, []);
    const path = report.facts.backupPath!;
    assert.equal(statSync(path).mode & 0o777, 0o600);
    const pgRestore = (await findPgDumps())[0]!.path.replace(/pg_dump$/, 'pg_restore');
    assert.match(execFileSync(pgRestore, ['--file=-', path], { encoding: 'utf8' }), /Ritz/);
    const failed = await holding(url, 'public.hotels', run);
    assert.match(failed.problems[0]!.message, /pg_dump failed/);
    assert.deepEqual(readdirSync(join(path, '..')), [path.slice(path.lastIndexOf('/') + 1)]);
  } finally {
    await database.close();
    await reachable.stop();
    origin.stop();
  }
});

test('the page on backups says how definitions, rows and everything come back', async () => {
  const [url, scratch] = [await server.createDatabase(), await server.createDatabase()];
  await query(
    url,
    `create table rooms (id int primary key, name text);
     alter table rooms enable row level security;
     create policy everybody on rooms using (true);
     create table bookings (id int primary key, room int references rooms);
     create function price(room int) returns int language sql as 'select 42';
     create schema supabase_migrations;
     create table supabase_migrations.schema_migrations (version text primary key);
     insert into rooms values (1, 'blue'), (2, 'red');
     insert into bookings values (1, 2);
     insert into supabase_migrations.schema_migrations values ('20250101000000');`,
  );
  const dump = (await back(url, 'full')).report.facts.backupPath!;
  await query(url, 'delete from bookings');
  const run = (command: string): string =>
    execFileSync('bash', ['-ec', command.replaceAll('backup.dump', '"$DUMP"')], {
      cwd: folder,
      env: { ...process.env, DUMP: dump, DATABASE_URL: url, SCRATCH_URL: scratch },
      encoding: 'utf8',
    });
  const [list, table, routine, beside, rows, objects, script, everything, platform, ...more] = commandsOf(
    'docs/backups.md',
    ['pg_restore', 'psql'],
  );
  assert.deepEqual(more, []);
  // Tried on the database as hosted, as this database has no such schemas.
  assert.match(platform!, /--schema=auth/);
  assert.match(run(list!), /TABLE DATA public rooms/);
  assert.match(run(table!), /CREATE TABLE public\.rooms/);
  assert.match(run(routine!), /CREATE FUNCTION public\.price/);
  run(beside!);
  assert.deepEqual(await query(scratch, 'select id from bookings'), [{ id: 1 }]);
  run(rows!);
  assert.deepEqual(await query(url, 'select id from bookings'), [{ id: 1 }]);
  await query(url, "delete from bookings; delete from rooms; insert into rooms values (9, 'later')");
  await query(url, 'delete from supabase_migrations.schema_migrations');
  run(objects!);
  run(script!);
  run(everything!);
  assert.deepEqual(await query(url, 'select id from rooms order by id'), [{ id: 1 }, { id: 2 }]);
  assert.deepEqual(await query(url, 'select id from bookings'), [{ id: 1 }]);
  assert.deepEqual(await query(url, 'select version from supabase_migrations.schema_migrations'), [
    { version: '20250101000000' },
  ]);
  const [facts] = await query(url, "select relrowsecurity from pg_class where oid = 'rooms'::regclass");
  assert.deepEqual(facts, { relrowsecurity: true });
});

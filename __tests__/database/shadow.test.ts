import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { openDatabase } from '../../src/database/connection/open.js';
import { planDatabase } from '../../src/database/plan.js';
import type { DeployCheck } from '../../src/database/schema/deploy-check.js';
import { orderProof, type ProofSetting, proveReversible } from '../../src/database/shadow.js';
import type { Settings } from '../../src/inputs/settings.js';
import { problemsOf } from '../../src/lib/report.js';
import { planOrder } from '../../src/pipeline/plan-order.js';
import { type PostgresServer, query, startPostgres } from '../servers/postgres.js';
import { createProject, type Files, objects, runMigrate, settingsFor } from '../servers/project.js';
import { databaseWork } from '../servers/work.js';
import { everyKindFiles } from './every-kind.js';

let server: PostgresServer;
before(async () => {
  server = await startPostgres({ settings: { wal_level: 'logical' } });
});
after(() => server.stop());

function proofSetting({ workingDirectory, run, database: rules }: Settings): ProofSetting {
  const { connection, migrationsDir, shadow } = rules!;
  return { workingDirectory, migrationsDir, run, rules: rules!, connection, shadow: shadow! };
}

/** Applies `applied` to one database, then plans `pending` with a proof on another. */
async function prove(
  applied: Files,
  pending: Files,
  scratchSql = 'select 1',
  scratchServer = server,
): Promise<DeployCheck & { left: string[] }> {
  const [url, scratch] = [await server.createDatabase(), await scratchServer.createDatabase()];
  await query(scratch, scratchSql);
  const project = createProject(applied);
  if (Object.keys(applied).length > 0) await runMigrate(project, url, { inputs: { rls: 'off' } });
  project.write(pending);
  const settings = settingsFor(project, url, { mode: 'plan', 'shadow-database-url': scratch });
  const database = openDatabase(settings.database!.connection);
  const work = databaseWork(settings, { database });
  try {
    const plan = await planDatabase(work, planOrder(work.settings));
    assert.deepEqual(plan.refusals, []);
    return { ...(await proveReversible(work, proofSetting(settings), plan)), left: await objects(scratch) };
  } finally {
    await database.close();
    project.delete();
  }
}

describe('the proof on a scratch database', () => {
  test('thirty migrations of every kind go up, down and up again, and leave nothing there', async () => {
    const { detail, refusals, left } = await prove({}, everyKindFiles());
    assert.deepEqual(refusals, []);
    assert.equal(detail, '30 proven: up, down and up again');
    assert.deepEqual(left, []);
  });

  test('names the down file that does not fit, and what it leaves', async () => {
    const base = { '1_a.sql': 'create table public.a(id int)' };
    const { refusals, detail, left } = await prove(base, {
      '2_b.sql':
        'create table public.b(id int); create function public.f() returns int language sql as $$ select 1 $$;',
      '2_b.down.sql': 'drop table public.b;',
      '3_c.sql': 'create index concurrently on public.a(id); vacuum public.a;',
      '3_c.down.sql': 'drop index concurrently public.a_id_idx;',
    });
    assert.deepEqual(
      refusals.map(({ message, at }) => [message, at?.file]),
      [
        [
          '2_b: its down file does not give back the schema as it was: added function public.f()',
          'supabase/migrations/2_b.down.sql',
        ],
      ],
    );
    assert.equal(detail, 'it does not fit');
    assert.deepEqual(left, []);
  });

  test('names file, line and column of a down file that fails', async () => {
    const { refusals } = await prove(
      {},
      {
        '1_a.sql': 'create table public.a(id int)',
        '1_a.down.sql': '-- é\ndrop table public.a; select nothing;',
      },
    );
    assert.deepEqual(refusals[0]?.at, {
      file: 'supabase/migrations/1_a.down.sql',
      line: 2,
      column: 29,
      text: 'drop table public.a; select nothing;',
    });
  });

  test('a scratch database that is not empty, or is the database itself, is refused', async () => {
    const full = `create schema supabase_migrations; create table supabase_migrations.schema_migrations
      (version text primary key, statements text[], name text); insert into supabase_migrations.schema_migrations values ('1');`;
    const files = { '1_a.sql': 'select 1', '1_a.down.sql': 'select 1' };
    const { refusals } = await prove({}, files, full);
    assert.match(refusals[0]!.message, /is not empty/);
    const url = await server.createDatabase();
    const project = createProject(files);
    const settings = settingsFor(project, url, { mode: 'plan', 'shadow-database-url': url });
    const tools = { log: () => undefined, signal: new AbortController().signal };
    await assert.rejects(
      proveReversible(tools, proofSetting(settings), { pending: [], deferred: [] } as never),
      (error) => /same database/.test(problemsOf(error)[0]!.message),
    );
    project.delete();
  });
});

test('on PostgreSQL 15 a good history that one transaction cannot hold is not proven, and not refused', async () => {
  const older = await startPostgres({ version: 15 });
  try {
    const history = {
      '1_a.sql': "create type public.e as enum ('a');",
      '2_b.sql': "alter type public.e add value 'b';",
      '3_c.sql': "create table public.c (e public.e default 'b');",
    };
    const pending = { '4_d.sql': 'create table public.d (id int);', '4_d.down.sql': 'drop table public.d;' };
    const { detail, refusals, warnings, left } = await prove(history, pending, 'select 1', older);
    assert.deepEqual([detail, refusals, left], ['not proven', [], []]);
    assert.match(warnings[0]?.message ?? '', /not proven: .*unsafe use of new value/);
    assert.match(warnings[0]?.next ?? '', /PostgreSQL 17/);
    const newer = await prove(history, pending);
    assert.deepEqual([newer.detail, newer.warnings], ['1 proven: up, down and up again', []]);
  } finally {
    await older.stop();
  }
});

test('only what lies above the last file without a down file can be proven', () => {
  const [a, b, c, d] = [{}, { down: 1 }, {}, { down: 1 }] as never[];
  assert.deepEqual(orderProof([a!], [b!, c!, d!]), { base: [a, b, c], proven: [d] });
  assert.deepEqual(orderProof([a!], [b!]), { base: [a], proven: [b] });
  assert.deepEqual(orderProof([a!], [c!]), { base: [a, c], proven: [] });
});

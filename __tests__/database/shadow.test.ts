import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { problemsOf } from '../../src/base/report.js';
import { openDatabase } from '../../src/database/open.js';
import { planDatabase } from '../../src/database/plan.js';
import { orderProof, type Proof, proveReversible } from '../../src/database/shadow.js';
import { type PostgresServer, query, startPostgres } from '../servers/postgres.js';
import { createProject, type Files, objects, runMigrate, settingsFor } from '../servers/project.js';
import { everyKindFiles } from './every-kind.js';

let server: PostgresServer;
before(async () => {
  server = await startPostgres({ settings: { wal_level: 'logical' } });
});
after(() => server.stop());

/** Applies `applied` to one database, then plans `pending` with a proof on another. */
async function prove(
  applied: Files,
  pending: Files,
  scratchSql = 'select 1',
): Promise<Proof & { left: string[] }> {
  const [url, scratch] = [await server.createDatabase(), await server.createDatabase()];
  await query(scratch, scratchSql);
  const project = createProject(applied);
  if (Object.keys(applied).length > 0) await runMigrate(project, url, { inputs: { rls: 'off' } });
  project.write(pending);
  const settings = settingsFor(project, url, { mode: 'plan', 'shadow-database-url': scratch });
  const database = openDatabase(settings.database!.connection);
  const tools = { log: () => undefined, signal: new AbortController().signal, database };
  try {
    const plan = await planDatabase(tools, settings);
    assert.deepEqual(plan.refusals, []);
    return { ...(await proveReversible(tools, settings, plan)), left: await objects(scratch) };
  } finally {
    await database.close();
    project.delete();
  }
}

describe('the proof on a scratch database', () => {
  test('thirty migrations of every kind go up, down and up again, and leave nothing there', async () => {
    const { detail, problems, left } = await prove({}, everyKindFiles());
    assert.deepEqual(problems, []);
    assert.equal(detail, '30 proven: up, down and up again');
    assert.deepEqual(left, []);
  });

  test('names the down file that does not fit, and what it leaves', async () => {
    const base = { '1_a.sql': 'create table public.a(id int)' };
    const { problems, detail, left } = await prove(base, {
      '2_b.sql':
        'create table public.b(id int); create function public.f() returns int language sql as $$ select 1 $$;',
      '2_b.down.sql': 'drop table public.b;',
      '3_c.sql': 'create index concurrently on public.a(id); vacuum public.a;',
      '3_c.down.sql': 'drop index concurrently public.a_id_idx;',
    });
    assert.deepEqual(
      problems.map(({ message, at }) => [message, at?.file]),
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
    const { problems } = await prove(
      {},
      {
        '1_a.sql': 'create table public.a(id int)',
        '1_a.down.sql': '-- é\ndrop table public.a; select nothing;',
      },
    );
    assert.deepEqual(problems[0]?.at, {
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
    const { problems } = await prove({}, files, full);
    assert.match(problems[0]!.message, /is not empty/);
    const url = await server.createDatabase();
    const project = createProject(files);
    const settings = settingsFor(project, url, { mode: 'plan', 'shadow-database-url': url });
    const tools = { log: () => undefined, signal: new AbortController().signal };
    await assert.rejects(proveReversible(tools, settings, { pending: [], deferred: [] } as never), (error) =>
      /same database/.test(problemsOf(error)[0]!.message),
    );
    project.delete();
  });
});

test('only what lies above the last file without a down file can be proven', () => {
  const [a, b, c, d] = [{}, { down: 1 }, {}, { down: 1 }] as never[];
  assert.deepEqual(orderProof([a!], [b!, c!, d!]), { base: [a, b, c], proven: [d] });
  assert.deepEqual(orderProof([a!], [b!]), { base: [a], proven: [b] });
  assert.deepEqual(orderProof([a!], [c!]), { base: [a, c], proven: [] });
});

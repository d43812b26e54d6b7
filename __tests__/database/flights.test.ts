import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type FaultProxy, startFaultProxy } from '../servers/fault-proxy.js';
import { type PostgresServer, query, startPostgres } from '../servers/postgres.js';
import { createProject, runMigrate } from '../servers/project.js';

let server: PostgresServer;
let proxy: FaultProxy;
before(async () => {
  server = await startPostgres();
  proxy = await startFaultProxy({ target: server.port });
});
after(async () => {
  await proxy.stop();
  await server.stop();
});

const many = (count: number): Record<string, string> =>
  Object.fromEntries(
    Array.from({ length: count }, (_, index) => [
      `${10_000 + index}_t.sql`,
      `create table public.t${index} (id int);`,
    ]),
  );

async function flights(work: () => Promise<unknown>): Promise<number> {
  const before = proxy.flights();
  await work();
  return proxy.flights() - before;
}

test('nothing pending with 500 applied files takes 4 turns, the login included', async () => {
  const url = await server.createDatabase();
  const project = createProject(many(500));
  const versions = Object.keys(many(500)).map((name) => `('${name.slice(0, 5)}', 't')`);
  await query(
    url,
    `create schema supabase_migrations; create table supabase_migrations.schema_migrations (version text primary key, statements text[], name text);
     insert into supabase_migrations.schema_migrations (version, name) values ${versions.join(',')}`,
  );
  const turns = await flights(async () => {
    const { report } = await runMigrate(project, proxy.through(url));
    assert.deepEqual(report.facts.pending, []);
    assert.equal(report.outcome, 'passed');
  });
  assert.ok(turns <= 4, `${turns} turns`);
  project.delete();
});

for (const [transaction, most] of [
  ['all', 8],
  ['each', 110],
] as const) {
  test(`100 pending files take at most ${most} turns with transaction: ${transaction}`, async () => {
    const url = await server.createDatabase();
    const project = createProject(many(100));
    const turns = await flights(async () => {
      const { report } = await runMigrate(project, proxy.through(url), { inputs: { transaction } });
      assert.equal(report.facts.applied?.length, 100, JSON.stringify(report.problems));
    });
    assert.ok(turns <= most, `${turns} turns`);
    project.delete();
  });
}

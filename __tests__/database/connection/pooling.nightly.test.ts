import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import pg from 'pg';
import type { Transport } from '../../../src/database/connection/connection.js';
import { openDatabase } from '../../../src/database/connection/open.js';
import { readHistory } from '../../../src/database/history/migration-history.js';
import { parseDatabaseUrl } from '../../../src/inputs/checks/database-url.js';
import { type PgBouncer, type PgBouncerOptions, startPgBouncer } from '../../servers/pgbouncer.js';
import { type PostgresServer, query, startPostgres } from '../../servers/postgres.js';
import { createProject, runMigrate, runPlanPhase } from '../../servers/project.js';

let server: PostgresServer;
before(async () => {
  server = await startPostgres({ version: 15 });
});
after(() => server.stop());

async function transportThrough(url: string): Promise<Transport> {
  const parsed = parseDatabaseUrl(url);
  assert.ok('address' in parsed);
  const database = openDatabase({ kind: 'url', address: parsed.address });
  try {
    await readHistory(database, { deadline: 30_000 });
    return database.transport;
  } finally {
    await database.close();
  }
}

async function withPooler<T>(options: PgBouncerOptions, work: (pooler: PgBouncer) => Promise<T>): Promise<T> {
  const pooler = await startPgBouncer(server, options);
  try {
    return await work(pooler);
  } finally {
    await pooler.stop();
  }
}

/** An application's clients: `count` of them send `sql` again and again while `work` runs. */
async function besides<T>(url: string, count: number, sql: string, work: () => Promise<T>): Promise<T> {
  let over = false;
  const clients = Array.from({ length: count }, () => new pg.Client({ connectionString: url }));
  await Promise.all(clients.map((client) => client.connect()));
  const traffic = clients.map(async (client) => {
    while (!over) await client.query(sql);
    await client.end();
  });
  try {
    return await work();
  } finally {
    over = true;
    await Promise.all(traffic);
  }
}

/** Opens as many server connections as the pool may have, so that there is a choice between them. */
async function fill(url: string, count: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, () => query(url, 'select pg_sleep(0.3)')));
}

describe('row 63: a pooler at any address is known by what it does', () => {
  const transaction: [string, PgBouncerOptions][] = [
    ['one server connection', { poolSize: 1 }],
    ['the newest connection first', { poolSize: 4 }],
    ['the oldest connection first', { poolSize: 2, settings: ['server_round_robin = 1'] }],
    ['the oldest of many first', { poolSize: 4, settings: ['server_round_robin = 1'] }],
    [
      'connections reset after each transaction',
      { poolSize: 2, settings: ['server_reset_query_always = 1'] },
    ],
    [
      'connections closed soon',
      { poolSize: 2, settings: ['server_idle_timeout = 1', 'server_lifetime = 1'] },
    ],
  ];
  for (const [name, options] of transaction)
    test(`row 63: transaction mode, ${name}`, () =>
      withPooler(options, async (pooler) => {
        const url = pooler.through(await server.createDatabase());
        await fill(url, options.poolSize ?? 4);
        assert.equal(await transportThrough(url), 'transaction-pooler');
      }));

  test('row 63: transaction mode with a busy application, which resets its connections itself', () =>
    withPooler({ poolSize: 3 }, async (pooler) => {
      const url = pooler.through(await server.createDatabase());
      await besides(url, 4, 'discard all', async () => {
        for (let round = 0; round < 10; round++)
          assert.equal(await transportThrough(url), 'transaction-pooler');
      });
    }));

  test('row 63: statement mode', () =>
    withPooler({ poolSize: 2, settings: ['pool_mode = statement'] }, async (pooler) => {
      const url = pooler.through(await server.createDatabase());
      assert.equal(await transportThrough(url), 'transaction-pooler');
    }));

  test('row 63: session mode, alone and beside an application', () =>
    withPooler({ mode: 'session', poolSize: 8 }, async (pooler) => {
      const url = pooler.through(await server.createDatabase());
      assert.equal(await transportThrough(url), 'session-pooler');
      await besides(url, 3, 'select 1', async () =>
        assert.equal(await transportThrough(url), 'session-pooler'),
      );
    }));

  test('row 63: session mode without a connection to spare is not trusted, and costs no failure', () =>
    withPooler({ mode: 'session', poolSize: 1 }, async (pooler) => {
      const url = pooler.through(await server.createDatabase());
      assert.equal(await transportThrough(url), 'transaction-pooler');
    }));

  test('row 63: no pooler', async () => {
    assert.equal(await transportThrough(await server.createDatabase()), 'direct');
  });
});

test('row 63: through a pooler in session mode a backup and CONCURRENTLY work as without one', () =>
  withPooler({ mode: 'session', poolSize: 8 }, async (pooler) => {
    const url = await server.createDatabase();
    const project = createProject({
      '1_a.sql': 'create table public.a (id int);',
      '2_b.sql': 'set lock_timeout = 0;\ncreate index concurrently a_i on public.a (id);',
    });
    const inputs = { backup: 'schema', 'backup-to': 'runner' };
    const planned = await runPlanPhase(project, pooler.through(url), { inputs });
    assert.equal(planned.report.outcome, 'passed', JSON.stringify(planned.report.problems));
    const { report } = await runMigrate(project, pooler.through(url));
    assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
    assert.deepEqual(await query(url, "select pid from pg_locks where locktype = 'advisory'"), []);
    project.delete();
  }));

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { onItsWay } from '../../src/database/connection/exchange.js';
import { openDatabase } from '../../src/database/connection/open.js';
import { LostConnection } from '../../src/database/connection/sql-error.js';
import { type FaultProxy, startFaultProxy } from '../servers/fault-proxy.js';
import { type PostgresServer, startPostgres } from '../servers/postgres.js';
import { createProject, history, runMigrate, settingsFor } from '../servers/project.js';

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

const SILENCE = 300;

/** A message of about that many bytes, over a line that takes nothing of it until `release` resolves. */
async function upload(bytes: number, release: () => Promise<unknown>, deadline: number): Promise<unknown> {
  const url = proxy.through(await server.createDatabase());
  const settings = settingsFor(createProject(), url);
  const database = openDatabase(settings.database!.connection, { silence: SILENCE });
  try {
    await database.send('select 1', { deadline: 5_000 });
    proxy.take(false);
    const sent = database.send(`select length('${'x'.repeat(bytes)}') as length`, { deadline });
    sent.catch(() => undefined);
    await Promise.race([release(), sent]);
    proxy.take(true);
    const [result] = await sent;
    return result?.rows[0]?.length;
  } finally {
    await database.close();
  }
}

test('row 44: an upload that takes longer than an answer may is no lost answer', async () => {
  // More than the buffers of the system: the socket still has to send.
  const bytes = 30_000_000;
  assert.equal(await upload(bytes, () => setTimeout(1.5 * SILENCE), SILENCE), bytes);
});

test('row 44: nor is one that has left this machine and is not at the server yet', async () => {
  const before = proxy.connections();
  // Each time that the server is asked whether it is at work takes a connection.
  const asked = async (): Promise<void> => {
    while (proxy.connections() < before + 5) await setTimeout(10);
  };
  assert.equal(await upload(200_000, asked, SILENCE), 200_000);
});

test('row 44: a line that takes no more is given up, and the outcome is unknown', async () => {
  await assert.rejects(
    upload(30_000_000, () => new Promise(() => undefined), 60_000),
    (error) => error instanceof LostConnection && error.code === 'STALLED',
  );
});

test('row 30: an explicit transaction waits for a large file that is on its way', async () => {
  const url = await server.createDatabase();
  const large = `savepoint s; create table public.a (t text); insert into public.a values ('${'x'.repeat(10_000_000)}');`;
  const project = createProject({ '1_a.sql': large });
  let held = false;
  const settings = settingsFor(project, proxy.through(url));
  const opened = openDatabase(settings.database!.connection);
  const asked = async (message: string): Promise<void> => {
    if (held || !message.includes('pg_locks') || message.length < large.length) return;
    held = true;
    const [row] = (
      await opened.send(
        "select extract(epoch from current_setting('idle_in_transaction_session_timeout')::interval)::int as idle",
        {
          deadline: 5_000,
        },
      )
    ).flatMap(({ rows }) => rows);
    assert.ok(Number(row?.idle) * 1000 > onItsWay(large), String(row?.idle));
  };
  const { report } = await runMigrate(project, '', {
    inputs: { 'database-url': proxy.through(url) },
    database: {
      transport: 'direct',
      close: () => opened.close(),
      async send(message, options) {
        await asked(message);
        return opened.send(message, options);
      },
    },
  });
  assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
  assert.ok(held);
  assert.deepEqual(await history(url), ['1']);
  project.delete();
});

import assert from 'node:assert/strict';
import { availableParallelism, loadavg } from 'node:os';
import { after, before, test } from 'node:test';
import type { Database } from '../../src/database/connection/connection.js';
import { openDatabase } from '../../src/database/connection/open.js';
import { driftQuery, readDrift } from '../../src/database/schema/drift.js';
import { fingerprintOf, fingerprintQuery, readFingerprint } from '../../src/database/schema/fingerprint.js';
import { judgeSchema, readSchemaRows, schemaFactsQuery } from '../../src/database/schema/schema-facts.js';
import { parseDatabaseUrl } from '../../src/inputs/checks/database-url.js';
import type { DatabaseSettings } from '../../src/inputs/settings.js';
import { type PostgresServer, query, startPostgres } from '../servers/postgres.js';

let server: PostgresServer;
let database: Database;
let sent = 0;
before(async () => {
  server = await startPostgres({ settings: { max_locks_per_transaction: 512, shared_buffers: '128MB' } });
  const url = await server.createDatabase();
  await query(
    url,
    `do $$ begin for n in 1..1000 loop
       execute format('create table public.t%s (id int primary key, name text not null)', n);
       execute format('alter table public.t%s enable row level security', n);
       execute format('create policy p on public.t%s for select to authenticated using (id > 0)', n);
     end loop; end $$; analyze`,
  );
  const parsed = parseDatabaseUrl(url);
  assert.ok('address' in parsed);
  const opened = openDatabase({ kind: 'url', address: parsed.address });
  database = {
    transport: opened.transport,
    close: () => opened.close(),
    send(message, options) {
      sent += 1;
      return opened.send(message, options);
    },
  };
  await database.send('select 1', { deadline: 5_000 });
});
after(async () => {
  await database.close();
  await server.stop();
});

/** The best of ten runs, each exactly one message: what the work itself takes, whatever else the machine does. */
async function measure(message: string): Promise<number> {
  const times: number[] = [];
  for (let run = 0; run < 10; run++) {
    sent = 0;
    const started = performance.now();
    await database.send(message, { deadline: 60_000 });
    times.push(performance.now() - started);
    assert.equal(sent, 1);
  }
  return Math.min(...times);
}

/** Milliseconds that must be enough; a machine that is busy with other work as well gets more. */
const enough = (): number => 300 * Math.max(1, loadavg()[0]! / availableParallelism());

const settings = {
  requiredTables: Array.from({ length: 1000 }, (_, n) => ({ schema: 'public', name: `t${n + 1}` })),
  requiredFunctions: [],
  rls: 'required',
  rlsExcept: [],
  rowCounts: 'estimate',
} as unknown as DatabaseSettings;

test('1,000 required tables are verified in one round trip', async (t) => {
  const { message } = schemaFactsQuery(settings);
  const rows = readSchemaRows(await database.send(message, { deadline: 60_000 }));
  const { facts, tables } = judgeSchema(rows, settings);
  assert.equal(tables.length, 1000);
  assert.ok(facts.every(({ passed }) => passed));
  const time = await measure(message);
  t.diagnostic(`verify of 1,000 tables: ${Math.round(time)} ms`);
  assert.ok(time < enough(), `${time} ms`);
});

test('5,000 objects are fingerprinted and compared in one round trip', async (t) => {
  const found = readFingerprint(await database.send(fingerprintQuery(), { deadline: 60_000 }));
  assert.ok(found.objects.length > 5_000, `${found.objects.length}`);
  assert.equal(fingerprintOf(found.objects), found.fingerprint);
  const time = await measure(fingerprintQuery());
  t.diagnostic(`fingerprint of ${found.objects.length} objects: ${Math.round(time)} ms`);
  const drift = await measure(driftQuery());
  t.diagnostic(`drift, unchanged: ${Math.round(drift)} ms`);
  assert.equal(readDrift(await database.send(driftQuery(), { deadline: 60_000 })).recorded, false);
  assert.ok(time < enough(), `${time} ms`);
});

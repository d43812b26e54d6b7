/**
 * How verification and the fingerprint of a schema grow with it: 10 to 5,000 tables, each with row level security and
 * a policy, each question in one message. `node build/bench/schema.js [rounds]`.
 */
import { type PostgresServer, query, startPostgres } from '../__tests__/servers/postgres.js';
import { openDatabase } from '../src/database/connection/open.js';
import { driftQuery } from '../src/database/schema/drift.js';
import { fingerprintQuery, readFingerprint } from '../src/database/schema/fingerprint.js';
import { judgeSchema, readSchemaRows, schemaFactsQuery } from '../src/database/schema/schema-facts.js';
import { parseDatabaseUrl } from '../src/inputs/checks/database-url.js';
import type { DatabaseSettings } from '../src/inputs/settings.js';
import { interleaved, spread, table, writeSection } from './measure.js';

const rounds = Number(process.argv[2] ?? 7);
const SIZES = [10, 100, 1_000, 5_000];
const sending = { deadline: 120_000 };

async function withTables(server: PostgresServer, count: number): Promise<string> {
  const url = await server.createDatabase();
  // In parts: a transaction holds a lock for each table that it makes.
  for (let from = 1; from <= count; from += 500)
    await query(
      url,
      `do $$ begin for n in ${from}..${Math.min(count, from + 499)} loop
         execute format('create table public.t%s (id int primary key, name text not null)', n);
         execute format('alter table public.t%s enable row level security', n);
         execute format('create policy p on public.t%s for select to authenticated using (id > 0)', n);
       end loop; end $$`,
    );
  await query(url, 'analyze');
  return url;
}

const rulesFor = (count: number): DatabaseSettings =>
  ({
    requiredTables: Array.from({ length: count }, (_, n) => ({ schema: 'public', name: `t${n + 1}` })),
    requiredFunctions: [],
    rls: 'required',
    rowCounts: 'estimate',
  }) as unknown as DatabaseSettings;

const server = await startPostgres({ settings: { max_locks_per_transaction: 512, shared_buffers: '256MB' } });
try {
  const rows: string[][] = [];
  for (const count of SIZES) {
    const parsed = parseDatabaseUrl(await withTables(server, count));
    if (!('address' in parsed)) throw new Error('the URL of the test server was not understood');
    const database = openDatabase({ kind: 'url', address: parsed.address });
    const rules = rulesFor(count);
    const verify = async (): Promise<void> => {
      const found = readSchemaRows(await database.send(schemaFactsQuery(rules).message, sending));
      const { facts, tables } = judgeSchema(found, rules);
      if (tables.length !== count || !facts.every(({ passed }) => passed))
        throw new Error('the schema did not verify');
    };
    let objects = 0;
    const fingerprint = async (): Promise<void> => {
      objects = readFingerprint(await database.send(fingerprintQuery(), sending)).objects.length;
    };
    const drift = async (): Promise<void> => void (await database.send(driftQuery(), sending));
    const clocked = (work: () => Promise<void>) => async (): Promise<number> => {
      const started = performance.now();
      await work();
      return performance.now() - started;
    };
    await verify();
    const results = await interleaved(rounds, [
      { name: 'verify', run: clocked(verify) },
      { name: 'fingerprint', run: clocked(fingerprint) },
      { name: 'drift', run: clocked(drift) },
    ]);
    await database.close();
    rows.push([
      count.toLocaleString('en'),
      objects.toLocaleString('en'),
      ...['verify', 'fingerprint', 'drift'].map((name) => spread(results.get(name as 'verify')!)),
    ]);
    console.log(rows[rows.length - 1]!.join('  '));
  }
  writeSection(
    `schema ${rounds}`,
    'Verification and fingerprint',
    `One message each, on a connection that stands: what a schema of this size adds to a deploy. ${rounds} rounds.\n\n${table(
      ['tables', 'objects', 'verify all of them', 'fingerprint', 'look for drift'],
      rows,
    )}`,
  );
} finally {
  await server.stop();
}

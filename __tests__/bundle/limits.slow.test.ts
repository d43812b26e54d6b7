import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { runBundle, temporaryFolder } from '../servers/doors.js';
import { type PostgresServer, startPostgres } from '../servers/postgres.js';

const FILES = 4_000;
const folder = temporaryFolder();
let postgres: PostgresServer;
before(async () => {
  postgres = await startPostgres();
});
after(async () => {
  folder.remove();
  await postgres.stop();
});

test('row 124: outputs and summary of 4,000 pending files are cut by us, stay JSON, and the cuts are told', async () => {
  const migrations = join(folder.path, 'supabase/migrations');
  mkdirSync(migrations, { recursive: true });
  for (let index = 0; index < FILES; index++) {
    const version = 20_250_101_000_000 + index;
    writeFileSync(join(migrations, `${version}_t.sql`), `create table t_${index} (id int primary key);\n`);
  }
  const result = await runBundle({
    workspace: folder.path,
    inputs: { mode: 'plan', skip: 'vps', 'database-url': await postgres.createDatabase() },
  });
  assert.equal(result.exitCode, 0, result.log.slice(-2_000));
  const pending = JSON.parse(result.outputs.pending!) as string[];
  assert.ok(pending.length > 3_000 && pending.length < FILES, String(pending.length));
  const told = `output pending holds ${pending.length} of ${FILES} entries; the report file has all of them.`;
  assert.ok(result.log.split('\n').includes(told), result.log.slice(-2_000));
  assert.ok(result.summary.length > 1_000 && Buffer.byteLength(result.summary) <= 1_000_000);
});

import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import {
  choosePgDump,
  type DumpOrder,
  dumpArguments,
  majorOf,
  withDump,
} from '../../../src/database/backup/pg-dump.js';
import { parseDatabaseUrl } from '../../../src/inputs/checks/database-url.js';
import { Failure } from '../../../src/lib/report.js';

test('the version is read from what pg_dump says', () => {
  assert.equal(majorOf('pg_dump (PostgreSQL) 17.2 (Debian 17.2-1.pgdg120+1)\n'), 17);
  assert.equal(majorOf('pg_dump (PostgreSQL) 18beta1'), 18);
  assert.equal(majorOf('usage: pg_dump'), undefined);
});

test('the nearest pg_dump that is not older than the server is taken', () => {
  const found = [14, 18, 16].map((major) => ({ path: `/${major}`, major }));
  assert.deepEqual(choosePgDump(found, 15), { path: '/16', major: 16 });
  assert.deepEqual(choosePgDump(found, 18), { path: '/18', major: 18 });
  const none = choosePgDump([], 17);
  assert.ok('message' in none && none.next?.includes('postgresql-client-17'));
  const old = choosePgDump(found.slice(0, 1), 17);
  assert.ok('message' in old);
  assert.equal(old.message, 'pg_dump 14 is older than the server (PostgreSQL 17), so there is no backup');
});

/** A program in place of pg_dump: what withDump does with its output, its exit code and its environment. */
async function run(script: string, consume: (output: string) => void = () => undefined): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'muva-pg-dump-'));
  const path = join(folder, 'pg_dump');
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  try {
    await withDump(order(path), async (output) => consume(await text(output)));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function order(path: string): DumpOrder {
  const parsed = parseDatabaseUrl('postgresql://me:s3cr3t-w0rd@127.0.0.1:5432/my%20db');
  assert.ok('address' in parsed);
  return {
    pgDump: { path, major: 17 },
    address: parsed.address,
    caCertificate: undefined,
    what: 'schema',
    platform: 'left out',
    lockTimeout: 500,
    signal: new AbortController().signal,
  };
}

test('row 131: the password is in the environment of the one process and never in its arguments', async () => {
  assert.doesNotMatch(dumpArguments(order('x')).join(' '), /s3cr3t/);
  assert.ok(dumpArguments(order('x')).includes(`--dbname=dbname='my db'`));
  let said = '';
  await run('echo "$*"; env', (output) => {
    said = output;
  });
  const [words, ...environment] = said.split('\n');
  assert.doesNotMatch(words!, /s3cr3t/);
  assert.ok(environment.includes('PGPASSWORD=s3cr3t-w0rd'));
  assert.ok(environment.includes('PGSSLMODE=disable'));
});

test('row 161: the schemas of the platform are left out, but for rows that are asked for, and where they are not its own', () => {
  const words = (more: Partial<DumpOrder>): string[] =>
    dumpArguments({ ...order('x'), ...more }).filter((word) => word.startsWith('--exclude'));
  const schema = words({});
  assert.ok(schema.includes('--exclude-schema=auth') && schema.includes('--exclude-schema=_realtime'));
  assert.ok(!schema.includes('--exclude-schema=supabase_migrations'));
  assert.deepEqual(words({ what: 'full' }), schema);
  assert.deepEqual(words({ platform: 'with rows' }), schema);
  const full = words({ what: 'full', platform: 'with rows' });
  assert.ok(!full.includes('--exclude-schema=auth') && full.includes('--exclude-schema=vault'));
  assert.ok(full.includes('--exclude-table=auth.schema_migrations'));
  assert.deepEqual(words({ what: 'full', platform: 'absent' }), []);
});

test('an output that is complete counts for nothing when the exit code says otherwise', async () => {
  await assert.rejects(run('echo all; echo "pg_dump: error: no rights" >&2; exit 1'), (error) => {
    assert.ok(error instanceof Failure);
    assert.equal(error.problems[0]!.message, 'pg_dump failed: pg_dump: error: no rights');
    assert.equal(error.problems[0]!.code, 'exit 1');
    return true;
  });
});

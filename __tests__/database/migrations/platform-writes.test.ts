import assert from 'node:assert/strict';
import { test } from 'node:test';
import { classify } from '../../../src/database/migrations/classify.js';
import { platformWrites } from '../../../src/database/migrations/platform-writes.js';
import { loadParser } from '../../../src/database/sql/parser.js';

/** A file, and where it changes rows that a backup leaves out. */
const CASES: [sql: string, places: string[]][] = [
  ["insert into storage.buckets (id, name) values ('a', 'a');", ['1:1 storage.buckets']],
  ['select 1;\n  update auth.users set email = null;', ['2:3 auth.users']],
  ['delete from storage.objects using public.gone;', ['1:1 storage.objects']],
  [
    'with gone as (delete from auth.identities returning id) insert into public.gone select id from gone;',
    ['1:1 auth.identities'],
  ],
  ['truncate auth.sessions, public.t, storage.objects;', ['1:1 auth.sessions', '1:1 storage.objects']],
  [
    'insert into public.t select id from auth.users; update users set id = 1; create policy p on storage.objects using (true);',
    [],
  ],
];

for (const [sql, places] of CASES)
  test(`row 161: rows of the platform that a file changes: ${sql}`, async () => {
    const file = { file: 'm/1_a.sql', source: sql, shape: classify('m/1_a.sql', sql, await loadParser()) };
    const found = platformWrites([file as Parameters<typeof platformWrites>[0][number]], ['auth', 'storage']);
    assert.deepEqual(
      found.map(({ message, at }) => `${at!.line}:${at!.column} ${/rows of (\S+),/.exec(message)![1]}`),
      places,
    );
  });

/** Walks statements.md: what PostgreSQL was measured to do, and what the rules say of the same statements. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { lintFiles } from '../../../src/database/lint/lint.js';
import { classify } from '../../../src/database/migrations/classify.js';
import { loadParser } from '../../../src/database/sql/parser.js';
import { loadBodyParser } from '../../../src/database/sql/plpgsql.js';

const parsers = { parse: await loadParser(), parseBody: await loadBodyParser() };

interface Row {
  sql: string;
  /** The strongest lock on a table that was there, in the words of SQL. */
  strongest: string | undefined;
  rewritten: string[];
}

const MODES = [
  'RowShare',
  'RowExclusive',
  'ShareUpdateExclusive',
  'Share',
  'ShareRowExclusive',
  'Exclusive',
  'AccessExclusive',
];
const INDEXES = new Set(['i', 'k_idx', 't_pkey']);

function rows(): Row[] {
  const text = readFileSync(join(process.cwd(), '__tests__/database/lint/statements.md'), 'utf8');
  return text.split('\n').flatMap((line) => {
    const [sql, locks, rewritten] = line.split(' | ');
    if (!sql?.startsWith('| `') || locks === undefined) return [];
    const modes = [...locks.matchAll(/([\w.]+):(\w+)/g)]
      .filter(([, name]) => !INDEXES.has(name!))
      .map(([, , mode]) => MODES.indexOf(mode!));
    const strongest = MODES[Math.max(-1, ...modes)];
    return [
      {
        sql: sql.slice(3, sql.lastIndexOf('`')),
        strongest: strongest?.replaceAll(/(?<=[a-z])(?=[A-Z])/g, ' ').toUpperCase(),
        rewritten: (rewritten ?? '').match(/\w+/g) ?? [],
      },
    ];
  });
}

/** The rules that a statement breaks where it is not `none`: of those nothing is said, since they lock for a moment alone. */
const EXPECTED: [part: string, ...rules: string[]][] = [
  ['default gen_random_uuid()', 'adding-field-with-default'],
  ['default clock_timestamp()', 'adding-field-with-default'],
  ['default (random() * 10)', 'adding-field-with-default'],
  ['stored;', 'adding-field-with-default'],
  ['bigserial;', 'adding-field-with-default'],
  ['add column c bigint generated always as identity', 'adding-field-with-default'],
  ['add column c int references', 'adding-foreign-key-constraint'],
  ['default 1 references', 'adding-foreign-key-constraint'],
  ['add column c int check', 'constraint-missing-not-valid'],
  ['add column c text unique', 'disallowed-unique-constraint'],
  ['references public.u(id);', 'adding-foreign-key-constraint'],
  ['add constraint k check (a > 0)', 'constraint-missing-not-valid'],
  ['exclude using gist', 'adding-exclusion-constraint'],
  ['set not null', 'adding-not-nullable-field'],
  ['drop not null', 'ban-drop-not-null'],
  ['rename column', 'renaming-column'],
  ['rename to t2', 'renaming-table'],
  ['set schema other', 'renaming-table'],
  ['detach partition', 'detach-partition'],
  ['set unlogged', 'set-unlogged'],
  ['disable row level security', 'disable-row-level-security'],
  ['alter domain', 'ban-alter-domain-with-add-constraint'],
  ['drop index', 'require-concurrent-index-deletion'],
  ['drop policy', 'drop-policy'],
  ['drop schema', 'drop-schema'],
  ['truncate public.t;', 'truncate'],
  ['cascade;', 'ban-truncate-cascade'],
  ['reindex', 'reindex'],
  ['cluster', 'cluster'],
  ['refresh', 'refresh-materialized-view'],
  ['lock table', 'lock-table'],
  ['update public.t', 'update-without-where'],
  ['delete from public.t', 'delete-without-where'],
  ['drop attribute', 'drop-attribute'],
  ['drop owned', 'drop-owned'],
];

describe('the statements that were measured', () => {
  for (const { sql, strongest, rewritten } of rows())
    test(sql, () => {
      const file = '1_a.sql';
      const shape = classify(file, sql, parsers.parse);
      const one = { version: '1', name: 'a', file, source: sql, checksum: '', afterHealth: false, shape };
      const facts = {
        asked: { relations: [], functions: [] },
        serverVersion: 150_020,
        relations: [{ schema: 'public', name: 'p', kind: 'p' }],
        notNullChecks: [],
        functions: [],
      };
      const { findings } = lintFiles([one], parsers, facts);
      const expected = EXPECTED.find(([part]) => sql.includes(part))?.slice(1) ?? [];
      assert.deepEqual(
        findings.map(({ rule }) => rule),
        expected,
      );
      const writesAnew = findings.some(({ effect }) => effect === 'rewrites');
      for (const { effect, lock } of findings)
        if (effect !== 'deletes' && effect !== 'changes') assert.equal(lock, strongest);
      const emptied = findings.some(({ effect }) => effect === 'deletes');
      const tables = rewritten.filter((name) => !INDEXES.has(name));
      assert.equal(writesAnew || (emptied && tables.length > 0), tables.length > 0, 'rewritten');
    });

  test('the page holds all that was measured', () => assert.ok(rows().length >= 56));
});

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  type FoundIndex,
  judgeIndex,
  judgeReindex,
  RECOVERY,
} from '../../../src/database/apply/statement-outcome.js';
import { nonTransactional } from '../../../src/database/migrations/non-transactional.js';
import { loadParser } from '../../../src/database/sql/parser.js';
import { type PostgresServer, query, startPostgres } from '../../servers/postgres.js';

const parse = await loadParser();
let server: PostgresServer;
let url: string;
before(async () => {
  server = await startPostgres();
  url = await server.createDatabase();
  await query(
    url,
    `create schema app; create table app."T on" (id int, name text, tags text[], "Odd ""col" int);
     create table public.t (id int, name text);
     create materialized view public.m as select 1 as id;
     create function app.low(text) returns text language sql immutable as 'select lower($1)';`,
  );
});
after(() => server.stop());

const lookUp = RECOVERY['create-index'];

/** What is recorded before a CREATE INDEX is sent, and what is found once other SQL has run instead. */
async function judged(sql: string, instead = sql): Promise<string> {
  if (lookUp === 'repeat') throw new Error('a CREATE INDEX is looked up');
  const statement = parse(sql).statements?.[0];
  if (!statement) throw new Error(`no statement: ${sql}`);
  const [row] = await query<{ before: Record<string, unknown> }>(
    url,
    `set search_path = app, public; do $muva$declare muva_before jsonb; muva_relation regclass; muva_shape text; begin
       ${lookUp.before(statement, sql)} perform set_config('muva.before', muva_before::text, false); end$muva$;
     select current_setting('muva.before')::jsonb as before`,
  );
  await query(url, `set search_path = app, public; ${instead.replace(/concurrently/i, '')}`);
  const [now] = await query<{ now: unknown }>(
    url,
    `set search_path = ''; select ${lookUp.now(row!.before)} as now`,
  );
  const verdict = lookUp.judge(row!.before, now?.now);
  return verdict.state === 'unclear' ? verdict.why : verdict.state;
}

const WRITTEN = [
  'create index concurrently i1 on t (id)',
  'CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS "I 2" ON ONLY public . "t" using btree (id desc nulls last) include (name) with (fillfactor = 70)',
  `create /* on nothing */ index concurrently i3 -- on t
     on app."T on" * (low(name) collate "C" text_pattern_ops, "Odd ""col") where "T on".name <> ' on t ' and id > 3`,
  'create index concurrently i4 on "T on" using gin (tags)',
  'create unique index concurrently i5 on t (id, name) nulls not distinct',
  'create index concurrently i6 on m (id)',
  'create index concurrently on t (lower(name))',
  `create index concurrently i8 on t ((id + 1), ("name" || ') on t ('))`,
];
for (const sql of WRITTEN)
  test(`row 136: the index that a statement makes is known for its own: ${sql.replaceAll(/\s+/g, ' ')}`, async () => {
    assert.equal(await judged(sql), 'done');
  });

const OTHERS: [what: string, sql: string, instead: string][] = [
  ['another column', 'create index concurrently j on t (id)', 'create index j on t (name)'],
  ['another order', 'create index concurrently j on t (id)', 'create index j on t (id desc)'],
  ['unique', 'create index concurrently j on t (id)', 'create unique index j on t (id)'],
  ['a condition', 'create index concurrently j on t (id)', 'create index j on t (id) where id > 1'],
  [
    'another condition',
    'create index concurrently j on t (id) where id > 2',
    'create index j on t (id) where id > 1',
  ],
  ['another method', 'create index concurrently j on t (id)', 'create index j on t using hash (id)'],
  ['a column more', 'create index concurrently j on t (id)', 'create index j on t (id) include (name)'],
  [
    'another operator class',
    'create index concurrently j on t (name)',
    'create index j on t (name text_pattern_ops)',
  ],
  ['another expression', 'create index concurrently j on t (lower(name))', 'create index j on t (low(name))'],
  [
    'other parameters',
    'create index concurrently j on t (id)',
    'create index j on t (id) with (fillfactor = 50)',
  ],
];
for (const [what, sql, instead] of OTHERS)
  test(`row 136: an index of the same name is not taken for it: ${what}`, async () => {
    try {
      assert.match(
        await judged(sql, instead),
        /^there is an index public\.j now, which is not as the file writes it$/,
      );
    } finally {
      await query(url, 'drop index public.j');
    }
  });

test('row 136: an index of another table, or that was there before, is not taken for it', async () => {
  assert.equal(
    await judged('create index concurrently k on t (id)', 'create index k on app."T on" (id)'),
    'not done',
  );
  assert.equal(await judged('create index concurrently k on "T on" (id)', 'select 1'), 'not done');
  assert.equal(await judged('create index concurrently k on nowhere (id)', 'select 1'), 'not done');
});

const found = (fields: Partial<FoundIndex>): FoundIndex => ({
  oid: 9,
  relation: 1,
  name: 'i',
  index: 'public.i',
  valid: true,
  shape: 's',
  builder: null,
  ...fields,
});
const named = { relation: 1, name: 'i', orTaken: false, shape: 's', indexes: [5] };

test('row 59: only what our own record tells to be ours is dropped', () => {
  const dropped = {
    state: 'left over',
    drop: [{ what: 'public.i', sql: 'drop index concurrently if exists public.i' }],
  };
  assert.deepEqual(judgeIndex(named, [found({ valid: false })]), dropped);
  assert.deepEqual(judgeIndex(named, [found({ valid: false, oid: 5 })]), { state: 'not done' });
  assert.deepEqual(judgeIndex(named, [found({ valid: false, name: 'other' })]), { state: 'not done' });
  assert.equal(judgeIndex(named, [found({ valid: false, shape: 'other' })]).state, 'unclear');
  assert.equal(
    judgeIndex({ ...named, orTaken: true }, [found({ valid: false, shape: 'other' })]).state,
    'unclear',
  );
  const unnamed = { ...named, name: null };
  assert.deepEqual(judgeIndex(unnamed, [found({ valid: false })]), dropped);
  assert.deepEqual(judgeIndex(unnamed, [found({ valid: false, shape: 'other' })]), { state: 'not done' });
  assert.equal(judgeIndex({ ...unnamed, shape: null }, [found({ valid: false })]).state, 'unclear');
  const builder = { pid: 7, name: 'psql', seconds: 3 };
  assert.deepEqual(judgeIndex(named, [found({ valid: false, builder })]), { state: 'busy', who: builder });
  const scope = { scope: [1], indexes: [5] };
  assert.equal(judgeReindex(scope, [found({ valid: false })]).state, 'left over');
  assert.equal(judgeReindex(scope, [found({ valid: false, relation: 2 })]).state, 'not done');
  assert.equal(judgeReindex(scope, [found({ valid: false, oid: 5 })]).state, 'not done');
});

test('row 136: publications of a subscription tell whether they were added or dropped', () => {
  const judge = (kind: 'add-publication' | 'drop-publication', now: unknown): string => {
    const recovery = RECOVERY[kind];
    return recovery === 'repeat' ? recovery : recovery.judge({ oid: 1, names: ['p', 'q'] }, now).state;
  };
  assert.equal(judge('add-publication', ['a', 'p', 'q']), 'done');
  assert.equal(judge('add-publication', ['a', 'p']), 'not done');
  assert.equal(judge('add-publication', null), 'not done');
  assert.equal(judge('drop-publication', ['a']), 'done');
  assert.equal(judge('drop-publication', ['a', 'q']), 'not done');
});

const ALONE: [sql: string, kind: string | undefined][] = [
  ['create index concurrently i on t (a)', 'create-index'],
  ['create index i on t (a)', undefined],
  ['drop index concurrently i', 'drop-index'],
  ['alter table t detach partition p concurrently', 'detach-partition'],
  ['alter table t detach partition p finalize', undefined],
  ['alter subscription s refresh publication', 'set-publication'],
  ['alter subscription s set publication p', 'set-publication'],
  ['alter subscription s set publication p with (refresh = off)', undefined],
  ['alter subscription s add publication p', 'add-publication'],
  ['alter subscription s drop publication p with (refresh = false)', undefined],
  ['alter subscription s disable', undefined],
  ['alter database d set tablespace t', 'move-database'],
  ['alter database d connection limit 3', undefined],
  ['reindex (concurrently) index i', 'reindex'],
  ['reindex schema s', 'reindex'],
  ['reindex index i', undefined],
  ['analyze t', undefined],
  ['checkpoint', undefined],
  ['refresh materialized view concurrently m', undefined],
  ["alter type t add value 'x'", undefined],
];
for (const [sql, kind] of ALONE)
  test(`row 136: ${kind === undefined ? 'a transaction can hold' : 'no transaction can hold'}: ${sql}`, () => {
    assert.equal(nonTransactional(parse(sql).statements![0]!), kind);
  });

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type PostgresServer, query, startPostgres } from '../servers/postgres.js';
import {
  type Files,
  history,
  type Inputs,
  runMigrate,
  runPlan,
  runPlanPhase,
  withProject,
} from '../servers/project.js';

let server: PostgresServer;
before(async () => {
  server = await startPostgres({ version: 15 });
});
after(() => server.stop());

const FILES = {
  '1_rooms.sql':
    "create type public.mood as enum ('free'); create table public.rooms (id serial primary key, mood public.mood, name varchar(40), price numeric(8,2));",
  '2_seed.sql': 'insert into public.rooms (name) values (null);',
  '3_more.sql':
    'alter table public.rooms add column floor int; create index rooms_floor on public.rooms (floor); create function public.f(a public.mood, b text) returns int language sql as $$select 1$$;',
} satisfies Files;

async function hintsFor(files: Files, byHand: string): Promise<string> {
  let said = '';
  await withProject(server, files, async (url, project) => {
    if (byHand !== '') await query(url, byHand);
    const { warnings, byHand: hint } = await runPlan(project, url);
    said = [...warnings, ...(hint ? [hint] : [])]
      .map(({ message, next }) => `${message} -> ${next}`)
      .join('\n');
    assert.deepEqual(await history(url), [], 'nothing is recorded by itself');
  });
  return said;
}

const ALL = Object.values(FILES).join('\n');

test('row 154: files that were run by hand: the baseline is named, and what a look cannot judge', async () => {
  const said = await hintsFor(FILES, ALL);
  assert.match(
    said,
    /1_rooms\.sql to 3_more\.sql looks applied.*baseline: 3\. What a look cannot judge: 2_seed\.sql \(data\), 3_more\.sql \(functions' text\)/,
  );
});

test('row 154: with that baseline the files are recorded and not run', async () => {
  await withProject(server, FILES, async (url, project) => {
    await query(url, ALL);
    const inputs: Inputs = { baseline: '3' };
    assert.equal((await runMigrate(project, url, { inputs })).report.outcome, 'passed');
    assert.deepEqual(await history(url), ['1', '2', '3']);
  });
});

test('row 154: a column of another type, or another kind of relation, is not what the file makes', async () => {
  assert.match(await hintsFor(FILES, ALL.replace('varchar(40)', 'varchar(41)')), /in part: 1_rooms\.sql/);
  assert.match(
    await hintsFor(FILES, ALL.replace('floor int', 'floor text')),
    /so is some of 3_more\.sql -> .*baseline: 1\b/,
  );
  const view = await hintsFor(
    { '1_v.sql': 'create table public.v (id int);' },
    'create view public.v as select 1 as id;',
  );
  assert.doesNotMatch(view, /baseline: 1/);
});

test('row 154: partly applied: which files seem applied, and no baseline', async () => {
  const files = {
    '1_a.sql': 'create table public.a ();',
    '2_b.sql': 'create table public.b ();',
    '3_c.sql': 'create table public.c (); create table public.d ();',
  };
  const said = await hintsFor(files, 'create table public.b (); create table public.c ();');
  assert.match(said, /looks applied: 2_b\.sql; in part: 3_c\.sql; not: 1_a\.sql -> No baseline fits/);
  assert.doesNotMatch(said, /baseline: \d/);
});

test('row 154: an empty database, and one with other tables, are told nothing', async () => {
  assert.equal(await hintsFor(FILES, ''), '');
  assert.equal(await hintsFor(FILES, 'create table public.other (id int);'), '');
});

test('row 154: the same is said where a file fails because it is there, with a history too', async () => {
  await withProject(server, { '1_a.sql': 'create table public.a ();' }, async (url, project) => {
    await runMigrate(project, url);
    await query(url, 'create table public.b (id int);');
    project.write({ '2_b.sql': 'create table public.b (id int);' });
    const { report } = await runMigrate(project, url, { runId: '1002' });
    assert.equal(report.outcome, 'failed');
    assert.match(report.problems[0]!.next!, /2_b\.sql looks applied.*baseline: 2/);
    assert.deepEqual(await history(url), ['1']);
  });
});

test('row 154: with a scratch database the comparison is exact, the text of functions too', async () => {
  for (const [byHand, words] of [
    [
      ALL,
      /1_rooms\.sql to 3_more\.sql looks applied.*run on the scratch database, it leaves behind what is here.*baseline: 3\./,
    ],
    [ALL.replace('select 1$$', () => 'select 2$$'), /1_rooms\.sql looks applied.*baseline: 1\./],
    [
      ALL.replace('price numeric', 'cost numeric'),
      /No baseline fits: .*column public\.rooms\.cost.*column public\.rooms\.price/,
    ],
  ] as const)
    await withProject(server, FILES, async (url, project) => {
      await query(url, byHand);
      const inputs: Inputs = { 'shadow-database-url': await server.createDatabase() };
      const { log } = await runPlanPhase(project, url, { inputs });
      const said = log.flatMap((entry) =>
        'problem' in entry ? [`${entry.problem.message} -> ${entry.problem.next}`] : [],
      );
      assert.match(said.join('\n'), words);
    });
});

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { openDatabase } from '../../../src/database/connection/open.js';
import { judgeDrift, readDriftNow } from '../../../src/database/schema/drift.js';
import { literal } from '../../../src/database/sql/sql-text.js';
import { startMigrateRun } from '../../servers/migrate-run.js';
import { type PostgresServer, query, startPostgres } from '../../servers/postgres.js';
import {
  createProject,
  history,
  type Inputs,
  type Project,
  runMigrate,
  settingsFor,
  withProject,
} from '../../servers/project.js';
import { type RolledBack, runRollback } from '../../servers/rollback.js';
import { until } from '../../servers/until.js';

let server: PostgresServer;
before(async () => {
  server = await startPostgres();
});
after(() => server.stop());

/** One database with one checkout. */
interface Work {
  url: string;
  project: Project;
  warnings: string[];
}

const withWork = (work: (it: Work) => Promise<void>): Promise<void> =>
  withProject(server, {}, (url, project) => work({ url, project, warnings: [] }));

async function apply({ url, project }: Work, runId: string, sha = 'a'.repeat(40)): Promise<void> {
  const { report } = await runMigrate(project, url, { runId, inputs: { rls: 'off' } });
  assert.deepEqual(report.problems, []);
  await query(url, `update supabase_migrations.deploy_runs set sha = '${sha}' where run_id = '${runId}'`);
}

const roll = (it: Work, inputs: Inputs, project = it.project, loseNothing = false): Promise<RolledBack> =>
  runRollback(settingsFor(project, it.url, { mode: 'rollback', ...inputs }), {
    loseNothing,
    onLog: (entry) => {
      if (entry.kind === 'warning' || entry.kind === 'notice') it.warnings.push(entry.problem.message);
    },
  });

async function has({ url }: Work, object: string): Promise<boolean> {
  const [row] = await query<{ there: boolean }>(url, `select to_regclass('${object}') is not null as there`);
  return row!.there;
}

const FIRST = {
  '1_hotels.sql': 'create table public.hotels (id int primary key, name text);',
  '1_hotels.down.sql': 'drop table public.hotels;',
};
const SECOND = {
  '2_rooms.sql':
    'create table public.rooms (id int references public.hotels); alter table public.hotels add column stars int;',
  '2_rooms.down.sql': 'alter table public.hotels drop column stars; drop table public.rooms;',
  '3_rank.sql': 'create function public.rank() returns int language sql as $$ select 1 $$;',
  '3_rank.down.sql': 'drop function public.rank();',
};

describe('rollback of the database', () => {
  test('undoes what the named run applied, newest first, and a second time nothing', async () => {
    await withWork(async (it) => {
      it.project.write(FIRST);
      await apply(it, '100');
      it.project.write(SECOND);
      await apply(it, '101');
      const { report, result } = await roll(it, { 'run-id': '101' });
      assert.deepEqual(report.problems, []);
      assert.deepEqual(result, { reverted: ['3', '2'], schemaAhead: [], changed: true });
      assert.deepEqual(await history(it.url), ['1']);
      assert.equal(await has(it, 'public.rooms'), false);
      assert.equal(
        report.steps.at(-1)?.detail,
        'the fingerprint equals the one recorded before',
        JSON.stringify(report.steps),
      );
      const again = await roll(it, { 'run-id': '101' });
      assert.deepEqual(again.result, { reverted: [], schemaAhead: [], changed: false });
      assert.equal(again.report.steps.at(-1)?.detail, 'what run 101 changed is undone already');
      assert.deepEqual(await history(it.url), ['1']);
    });
  });

  test('works from another checkout that has none of the files', async () => {
    await withWork(async (it) => {
      it.project.write({ ...FIRST, ...SECOND });
      await apply(it, '7');
      const empty = createProject();
      const { result } = await roll(it, { 'run-id': '7' }, empty);
      empty.delete();
      assert.deepEqual(result?.reverted, ['3', '2', '1']);
      assert.deepEqual(await history(it.url), []);
    });
  });

  test('a run that applied nothing is a no-op that says so', async () => {
    await withWork(async (it) => {
      const empty = await roll(it, { 'run-id': '5' });
      assert.equal(empty.report.outcome, 'passed');
      it.project.write(FIRST);
      await apply(it, '1');
      const { report, result } = await roll(it, { 'run-id': '5' });
      assert.deepEqual(result, { reverted: [], schemaAhead: [], changed: false });
      assert.equal(report.steps.at(-1)?.detail, 'run 5 applied no migration');
      assert.deepEqual(await history(it.url), ['1']);
    });
  });

  for (const [what, up, down, named] of [
    [
      'a forgotten function',
      'create table t(id int); create function f() returns int language sql as $$ select 1 $$;',
      'drop table t;',
      'added function public.f()',
    ],
    [
      'a disabled row level security flag',
      'alter table public.hotels enable row level security;',
      'select 1;',
      'altered table public.hotels',
    ],
    [
      'a changed grant',
      'grant select on public.hotels to pg_monitor;',
      'select 1;',
      'altered grants on table public.hotels',
    ],
    [
      'an object too many',
      'create table t(id int);',
      'drop table t; drop view public.v;',
      'removed view public.v',
    ],
  ] as const) {
    test(`${what} is named, and nothing is undone`, async () => {
      await withWork(async (it) => {
        it.project.write({ ...FIRST, '1_v.sql': '' });
        it.project.remove('1_v.sql');
        await apply(it, '1');
        await query(it.url, 'create view public.v as select 1 as one');
        it.project.write({ '2_x.sql': up, '2_x.down.sql': down });
        await apply(it, '2');
        const { report, result } = await roll(it, { 'run-id': '2' });
        assert.equal(result, undefined);
        assert.equal(report.outcome, 'failed');
        assert.match(report.problems[0]!.message, new RegExp(named.replace(/[()]/g, '\\$&')));
        assert.deepEqual(await history(it.url), ['1', '2']);
      });
    });
  }

  test('what other hands changed since does not stand in the way', async () => {
    await withWork(async (it) => {
      it.project.write(FIRST);
      await apply(it, '1');
      it.project.write(SECOND);
      await apply(it, '2');
      await query(it.url, 'create table public.by_hand(id int)');
      const { report, result } = await roll(it, { 'run-id': '2' });
      assert.deepEqual(report.problems, []);
      assert.deepEqual(result?.reverted, ['3', '2']);
      assert.match(report.steps.at(-1)!.detail!, /other hands/);
    });
  });

  test('a down file that fails undoes nothing and names its place', async () => {
    await withWork(async (it) => {
      it.project.write({
        ...SECOND,
        ...FIRST,
        '2_rooms.down.sql': 'drop table public.rooms;\nalter table public.hotel drop column stars;',
      });
      await apply(it, '1');
      const { report } = await roll(it, { 'run-id': '1' });
      assert.equal(report.outcome, 'failed');
      assert.deepEqual(report.problems[0]!.at, {
        file: 'supabase/migrations/2_rooms.down.sql',
        line: 2,
        column: 1,
        text: 'alter table public.hotel drop column stars;',
      });
      assert.deepEqual(await history(it.url), ['1', '2', '3']);
      assert.ok(await has(it, 'public.rooms'));
      assert.ok(report.steps.some(({ name, outcome }) => name.includes('2_rooms') && outcome === 'failed'));
    });
  });

  test('a failed rollback names the commands for a person; a corrected file in the checkout is then taken', async () => {
    await withWork(async (it) => {
      it.project.write({ ...FIRST, '1_hotels.down.sql': 'drop table public.hotel;' });
      await apply(it, '7');
      const { report } = await roll(it, { 'run-id': '7' });
      assert.equal(
        report.problems[0]!.next,
        'Nothing of the database was undone. ' +
          'Again, after correcting the down file: muva-deploy rollback --run-id 7. ' +
          "By hand, after undoing the objects: delete from supabase_migrations.schema_migrations where version in ('1'); " +
          "delete from supabase_migrations.deploy_migrations where version in ('1');",
      );
      it.project.write({ '1_hotels.down.sql': 'drop table public.hotels;' });
      const again = await roll(it, { 'run-id': '7' });
      assert.deepEqual(again.report.problems, []);
      assert.deepEqual(again.result?.reverted, ['1']);
      assert.match(
        it.warnings.at(-1)!,
        /the recorded down files do not work: .*; trying those of this checkout/,
      );
    });
  });

  test('the recorded down file is taken, whatever the checkout says now', async () => {
    await withWork(async (it) => {
      it.project.write(FIRST);
      await apply(it, '7');
      it.project.write({ '1_hotels.down.sql': 'drop schema public cascade;' });
      const { result } = await roll(it, { 'run-id': '7' });
      assert.deepEqual(result?.reverted, ['1']);
      assert.deepEqual(it.warnings, []);
    });
  });

  test('row 150: of a recorded down file that differs from the one here the place is told, never the text', async () => {
    await withWork(async (it) => {
      const down = "select set_config('app.key', 'sk-live-0123456789', true);\ndrop table public.gone;";
      it.project.write({ '1_hotels.sql': FIRST['1_hotels.sql'], '1_hotels.down.sql': down });
      await apply(it, '1');
      const same = await roll(it, { 'run-id': '1' });
      assert.equal(same.report.problems[0]?.at?.text, 'drop table public.gone;');
      const broken = "select 'sk-live-0123456789'::int;";
      for (const recorded of [down, broken, `vacuum; ${broken}`]) {
        await query(it.url, `update supabase_migrations.deploy_migrations set down = ${literal(recorded)}`);
        for (const here of ['drop table public.nowhere;', undefined]) {
          if (here === undefined) it.project.remove('1_hotels.down.sql');
          else it.project.write({ '1_hotels.down.sql': here });
          const { report } = await roll(it, { 'run-id': '1' });
          assert.equal(report.outcome, 'failed');
          assert.doesNotMatch(JSON.stringify([report, it.warnings]), /sk-live/);
          assert.ok([undefined, here].includes(report.problems[0]!.at?.text));
        }
      }
    });
  });

  test('row 151: a down file that is a link out of the project is refused, and nothing of it is told', async () => {
    await withWork(async (it) => {
      it.project.write({ '1_hotels.sql': FIRST['1_hotels.sql'] });
      await apply(it, '1');
      const outside = createProject({ 'outside.sql': 'drop table public.hotels; -- of another project' });
      symlinkSync(
        join(outside.folder, 'supabase/migrations/outside.sql'),
        join(it.project.folder, 'supabase/migrations/1_hotels.down.sql'),
      );
      const { report } = await roll(it, { 'run-id': '1' });
      outside.delete();
      assert.equal(report.outcome, 'failed');
      assert.match(
        report.problems[0]!.message,
        /^supabase\/migrations\/1_hotels\.down\.sql is a link that leads out of the project$/,
      );
      assert.doesNotMatch(JSON.stringify(report), /another project/);
      assert.equal(await has(it, 'public.hotels'), true);
    });
  });

  test('row 151: neither a name nor a version in the history is a path', async () => {
    await withWork(async (it) => {
      it.project.write(FIRST);
      await apply(it, '1');
      await query(
        it.url,
        "insert into supabase_migrations.schema_migrations (version, name) values ('2', 'a/../../evil'), ('../3', 'b')",
      );
      const { folder } = it.project;
      mkdirSync(join(folder, 'supabase/migrations/2_a'));
      for (const file of ['supabase/evil.down.sql', 'supabase/3_b.down.sql'])
        writeFileSync(join(folder, file), 'drop table public.hotels;');
      for (const steps of ['1', '2']) {
        const { result } = await roll(it, { 'rollback-steps': steps });
        assert.deepEqual(result?.reverted ?? [], []);
        assert.equal(await has(it, 'public.hotels'), true);
      }
    });
  });

  test('a file without a down file stays, with all that is older', async () => {
    await withWork(async (it) => {
      it.project.write({ ...FIRST, ...SECOND });
      it.project.remove('2_rooms.down.sql');
      await apply(it, '1');
      const { result } = await roll(it, { 'run-id': '1' });
      assert.deepEqual(result, { reverted: ['3'], schemaAhead: ['2', '1'], changed: true });
      assert.deepEqual(await history(it.url), ['1', '2']);
      assert.match(it.warnings.join('\n'), /schema ahead of code: 2, 1/);
    });
  });

  test('rows of a table of the same run may go and are told; other data is refused unless allowed', async () => {
    await withWork(async (it) => {
      it.project.write(FIRST);
      await apply(it, '1');
      it.project.write(SECOND);
      await apply(it, '2');
      await query(
        it.url,
        'insert into public.hotels values (1, null, 5), (2, null, null); insert into public.rooms values (1), (2), (2)',
      );
      assert.deepEqual((await roll(it, { 'run-id': '2' })).report.problems, []);
      assert.deepEqual(it.warnings, [
        'deleted with it: table public.rooms (3 rows, created by what is undone)',
        'deleted with it: column public.hotels.stars (1 value, created by what is undone)',
      ]);
      it.project.write({
        '4_x.sql': 'alter table public.hotels add column x int;',
        '4_x.down.sql': 'alter table public.hotels drop column x, drop column name; truncate public.hotels;',
      });
      it.project.remove('2_rooms.sql');
      it.project.remove('3_rank.sql');
      await apply(it, '4');
      await query(it.url, `update public.hotels set name = 'secret row'`);
      const refused = await roll(it, { 'run-id': '4' });
      assert.deepEqual(
        refused.report.problems.map(({ message }) => message),
        [
          'the down files would delete data that is not of this run: all rows of public.hotels (2 rows); nothing was undone',
          'the down files would delete data that is not of this run: column public.hotels.name (2 values); nothing was undone',
        ],
      );
      assert.deepEqual(await history(it.url), ['1', '4']);
      const [count] = await query<{ n: string }>(it.url, 'select count(name) as n from public.hotels');
      assert.equal(count!.n, '2');
    });
  });

  for (const emptying of [
    'truncate public.hotels',
    'delete from public.hotels',
    'delete from hotels where id > 0',
  ])
    test(`allow-data-loss lets a down file delete what was there before, and tells what: ${emptying}`, () =>
      losesForeignRows(emptying));

  async function losesForeignRows(emptying: string): Promise<void> {
    await withWork(async (it) => {
      it.project.write(FIRST);
      await apply(it, '1');
      it.project.write({ '2_x.sql': 'select 1', '2_x.down.sql': emptying });
      await apply(it, '2');
      await query(it.url, 'insert into public.hotels values (1, null)');
      const refused = await roll(it, { 'run-id': '2' });
      assert.match(refused.report.problems[0]!.next!, /allow-data-loss: true/);
      const allowed = await roll(it, { 'run-id': '2', 'allow-data-loss': 'true' });
      assert.deepEqual(allowed.result?.reverted, ['2']);
      assert.deepEqual(it.warnings, ['deleted with it: all rows of public.hotels (1 row)']);
    });
  }

  test('a down file may delete some rows of a table that was there before', async () => {
    await withWork(async (it) => {
      it.project.write(FIRST);
      await apply(it, '1');
      await query(it.url, "insert into public.hotels values (1, 'kept')");
      it.project.write({
        '2_x.sql': "insert into public.hotels values (2, 'seed')",
        '2_x.down.sql': 'delete from public.hotels where id = 2',
      });
      await apply(it, '2');
      const { result } = await roll(it, { 'run-id': '2' });
      assert.deepEqual([result?.reverted, it.warnings], [['2'], []]);
    });
  });

  const WRITTEN: [string, string, string, string, boolean][] = [
    [
      'nothing was written',
      'alter table hotels add column stars int',
      'alter table hotels drop column stars',
      '',
      true,
    ],
    [
      'a value in a column of the run',
      'alter table hotels add column stars int',
      'alter table hotels drop column stars',
      'update hotels set stars = 5 where id = 1',
      false,
    ],
    [
      'a row in a table of the run',
      'create table rooms (id int)',
      'drop table rooms',
      'insert into rooms values (1)',
      false,
    ],
    [
      'a down file that deletes some rows',
      "insert into hotels values (2, 'seed')",
      'delete from hotels where id = 2',
      '',
      false,
    ],
    [
      'a down file that writes into rows',
      "update hotels set name = 'new'",
      "update hotels set name = 'old'",
      '',
      false,
    ],
    [
      'a down file that makes values narrower',
      'alter table hotels alter column name type varchar(90)',
      'alter table hotels alter column name type varchar(3)',
      '',
      false,
    ],
    [
      'a down file that only takes a function back',
      'create function f() returns int language sql as $$ select 1 $$',
      'drop function f()',
      "insert into hotels values (3, 'kept')",
      true,
    ],
  ];
  for (const [title, up, down, written, undone] of WRITTEN)
    test(`row 174: after a watch nothing may be lost that was written since, whatever is allowed: ${title}`, async () => {
      await withWork(async (it) => {
        it.project.write(FIRST);
        await apply(it, '1');
        await query(it.url, "insert into hotels values (1, 'abc')");
        it.project.write({ '2_x.sql': up, '2_x.down.sql': down });
        await apply(it, '2');
        if (written !== '') await query(it.url, written);
        const { report, result } = await roll(
          it,
          { 'run-id': '2', 'allow-data-loss': 'true' },
          it.project,
          true,
        );
        assert.deepEqual(report.problems, []);
        assert.equal(report.outcome, 'passed');
        assert.deepEqual(result, {
          reverted: undone ? ['2'] : [],
          schemaAhead: undone ? [] : ['2'],
          changed: undone,
        });
        assert.deepEqual(await history(it.url), undone ? ['1'] : ['1', '2']);
        if (!undone) assert.match(it.warnings.join('\n'), /the down files would delete data/);
      });
    });

  test('a number of steps is taken back as a whole, or refused before anything is', async () => {
    await withWork(async (it) => {
      const { '3_rank.sql': rank, '3_rank.down.sql': down } = SECOND;
      it.project.write({ ...FIRST, '2_kept.sql': 'create table public.kept (id int)' });
      it.project.write({ '3_rank.sql': rank, '3_rank.down.sql': down });
      await apply(it, '1');
      const { report } = await roll(it, { 'rollback-steps': '2' });
      assert.match(
        report.problems[0]!.message,
        /of the newest 2 migrations only 1 can be undone: 2 has no down/,
      );
      assert.match(report.problems[0]!.next!, /^Say rollback-steps: 1, or write/);
      assert.deepEqual(await history(it.url), ['1', '2', '3']);
    });
  });

  test('a run that was applied with one transaction per file is undone in one', async () => {
    await withWork(async (it) => {
      it.project.write({ ...FIRST, ...SECOND });
      const inputs = { rls: 'off', transaction: 'each' };
      const { report } = await runMigrate(it.project, it.url, { runId: '8', inputs });
      assert.deepEqual(report.problems, []);
      const { report: rolled, result } = await roll(it, { 'run-id': '8' });
      assert.deepEqual(rolled.problems, []);
      assert.deepEqual(result?.reverted, ['3', '2', '1']);
      assert.equal(rolled.steps.at(-1)?.detail, 'the fingerprint equals the one recorded before');
    });
  });

  test('a run with files that no transaction can hold is undone as a whole', async () => {
    await withWork(async (it) => {
      it.project.write({
        ...FIRST,
        '2_i.sql': 'create index concurrently hotels_i on public.hotels (name);',
        '2_i.down.sql': 'drop index concurrently public.hotels_i;',
        '3_s.sql': 'savepoint s; create table public.t(id int); release s;',
        '3_s.down.sql': 'begin; drop table public.t; commit;',
      });
      await apply(it, '8');
      const { report, result } = await roll(it, { 'run-id': '8' });
      assert.deepEqual(report.problems, []);
      assert.deepEqual(result?.reverted, ['3', '2', '1']);
      assert.equal(report.steps.at(-1)?.detail, 'the fingerprint equals the one recorded before');
      assert.ok(it.warnings.some((text) => text.includes('CONCURRENTLY is left out')));
    });
  });

  test('a file of the run that is applied in part is told, and left to the next deploy', async () => {
    await withWork(async (it) => {
      it.project.write({
        ...FIRST,
        '2_i.sql': 'create table public.t(id int); create index concurrently on public.t (id); select 1/0;',
      });
      const { report } = await runMigrate(it.project, it.url, { runId: '8', inputs: { rls: 'off' } });
      assert.equal(report.outcome, 'failed');
      const rolled = await roll(it, { 'run-id': '8' });
      assert.deepEqual(rolled.report.problems, []);
      assert.deepEqual(rolled.result?.reverted, ['1']);
      assert.match(
        it.warnings.join('\n'),
        /2 was applied in part by this run \(\d of its parts stand\) and is not undone/,
      );
    });
  });

  test('previous, a commit, steps, records and keep', async () => {
    await withWork(async (it) => {
      it.project.write(FIRST);
      await apply(it, '1', 'b'.repeat(40));
      it.project.write(SECOND);
      await apply(it, '2', 'c'.repeat(40));
      const kept = await roll(it, { 'rollback-to': 'previous', 'rollback-database': 'keep' });
      assert.deepEqual(kept.result, { reverted: [], schemaAhead: ['3', '2'], changed: false });
      const previous = await roll(it, { 'rollback-to': 'previous' });
      assert.deepEqual(previous.result?.reverted, ['3', '2']);
      await apply(it, '3', 'd'.repeat(40));
      const unknown = await roll(it, { 'rollback-to': 'e'.repeat(40) });
      assert.match(unknown.report.problems[0]!.message, /no deploy of e+ is recorded/);
      const commit = await roll(it, { 'rollback-to': 'bbbbbbb' });
      assert.deepEqual(commit.result?.reverted, ['3', '2']);
      await apply(it, '4');
      const step = await roll(it, { 'rollback-steps': '1' });
      assert.deepEqual(step.result?.reverted, ['3']);
      const records = await roll(it, { 'rollback-steps': '1', 'rollback-database': 'records' });
      assert.deepEqual(records.result?.reverted, ['2']);
      assert.ok(await has(it, 'public.rooms'));
      assert.match(it.warnings.join('\n'), /fails on objects that exist/);
    });
  });

  test('DROP INDEX CONCURRENTLY in a down file runs inside the transaction', async () => {
    await withWork(async (it) => {
      it.project.write({
        '1_t.sql': 'create table public.t(id int); create index i on public.t(id);',
        '1_t.down.sql':
          '-- concurrently\ndrop index /* concurrently */ CONCURRENTLY if exists public.i; drop table public.t;',
      });
      await apply(it, '1');
      const { report, result } = await roll(it, { 'run-id': '1' });
      assert.deepEqual(report.problems, []);
      assert.deepEqual(result?.reverted, ['1']);
    });
  });
});

describe('a run that did not come to its last file', () => {
  const EACH = { rls: 'off', transaction: 'each' };

  async function drift({ project, url }: Work): Promise<string> {
    const database = openDatabase(settingsFor(project, url).database!.connection);
    try {
      const tools = { log: () => undefined, signal: new AbortController().signal, database };
      return judgeDrift(await readDriftNow(tools), 'fail').detail;
    } finally {
      await database.close();
    }
  }

  /** Ends a run's process without warning when its first three files are applied and the fourth is under way. */
  async function killInTheFourth(it: Work, runId: string): Promise<void> {
    it.project.write({ ...FIRST, ...SECOND, '4_slow.sql': 'select pg_sleep(60);', '4_slow.down.sql': '' });
    const child = startMigrateRun(it.project.folder, it.url, runId, 'transaction=each', 'rls=off');
    const ended = once(child, 'exit');
    await until('the fourth file', async () => {
      const rows = await query(it.url, "select from pg_stat_activity where wait_event = 'PgSleep'");
      return rows.length > 0;
    });
    child.kill('SIGKILL');
    await ended;
    it.project.write({ '4_slow.sql': 'create table public.fourth (id int);' });
    it.project.write({ '4_slow.down.sql': 'drop table public.fourth;' });
  }

  test('a failed file: what stands is recorded, and is undone as a whole', async () => {
    await withWork(async (it) => {
      it.project.write({ ...FIRST, ...SECOND, '4_broken.sql': 'select 1/0;' });
      const { report } = await runMigrate(it.project, it.url, { runId: '8', inputs: EACH });
      assert.deepEqual(report.facts.applied, ['1', '2', '3']);
      assert.equal(await drift(it), 'unchanged since run 8 (aaaaaaa)');
      const { result, report: rolled } = await roll(it, { 'run-id': '8' });
      assert.deepEqual(result?.reverted, ['3', '2', '1']);
      assert.equal(rolled.steps.at(-1)?.detail, 'the fingerprint equals the one recorded before');
    });
  });

  test('killed: nothing is called drift, and it is undone with the proof', async () => {
    await withWork(async (it) => {
      await killInTheFourth(it, '8');
      assert.equal(await drift(it), 'not comparable: run 8 (aaaaaaa) ended before it recorded the schema');
      const { result, report } = await roll(it, { 'run-id': '8' });
      assert.deepEqual(report.problems, []);
      assert.deepEqual(result?.reverted, ['3', '2', '1']);
      assert.equal(report.steps.at(-1)?.detail, 'the fingerprint equals the one recorded before');
    });
  });

  test('killed and run again: both attempts are undone together', async () => {
    await withWork(async (it) => {
      await killInTheFourth(it, '8');
      await runMigrate(it.project, it.url, { runId: '8', inputs: EACH });
      assert.equal(await drift(it), 'unchanged since run 8 (aaaaaaa)');
      const { result, report } = await roll(it, { 'run-id': '8' });
      assert.deepEqual(result?.reverted, ['4', '3', '2', '1']);
      assert.equal(report.steps.at(-1)?.detail, 'the fingerprint equals the one recorded before');
    });
  });

  test('killed and completed by another run: each is undone for itself', async () => {
    await withWork(async (it) => {
      await killInTheFourth(it, '8');
      await runMigrate(it.project, it.url, { runId: '9', inputs: EACH });
      assert.equal(await drift(it), 'unchanged since run 9 (aaaaaaa)');
      const newer = await roll(it, { 'run-id': '9' });
      assert.deepEqual(newer.result?.reverted, ['4']);
      const older = await roll(it, { 'run-id': '8' });
      assert.deepEqual(older.result?.reverted, ['3', '2', '1']);
      for (const { report } of [newer, older])
        assert.equal(report.steps.at(-1)?.detail, 'the fingerprint equals the one recorded before');
    });
  });

  test('half a file, completed by another run: that run is undone with what the first half made', async () => {
    await withWork(async (it) => {
      const half = 'create table public.t (id int); create index concurrently t_i on public.t (id);';
      it.project.write({
        ...FIRST,
        '2_t.sql': `${half} select 1/0;`,
        '2_t.down.sql': 'drop table public.t;',
      });
      await runMigrate(it.project, it.url, { runId: '8', inputs: { rls: 'off' } });
      assert.ok(await has(it, 'public.t_i'));
      it.project.write({ '2_t.sql': `${half} create table public.u (id int);` });
      it.project.write({ '2_t.down.sql': 'drop table public.u; drop table public.t;' });
      await apply(it, '9');
      const { report, result } = await roll(it, { 'run-id': '9' });
      assert.deepEqual(report.problems, []);
      assert.deepEqual(result?.reverted, ['2']);
      const first = await roll(it, { 'run-id': '8' });
      assert.deepEqual(first.report.problems, []);
      assert.deepEqual(first.result?.reverted, ['1']);
    });
  });
});

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { OUR_TABLES, takeDatabase } from '../../../src/database/history/deploy-tables.js';
import { formatProblems } from '../../../src/database/history/table-formats.js';
import type { PhaseReport } from '../../../src/lib/report.js';
import { type PostgresServer, query, startPostgres } from '../../servers/postgres.js';
import {
  history,
  type Project,
  runMigrate,
  runPlan,
  settingsFor,
  withProject,
} from '../../servers/project.js';
import { runRollback } from '../../servers/rollback.js';

let server: PostgresServer;
before(async () => {
  server = await startPostgres();
});
after(() => server.stop());

test('row 140: which tables can be read, by an older version and a newer one', () => {
  const as = (format: number | null) => Object.fromEntries(OUR_TABLES.map((table) => [table, format]));
  const told = (...asked: Parameters<typeof formatProblems>): string[] =>
    formatProblems(...asked).map(({ message, next }) => `${message} ${next}`);
  assert.deepEqual(told({}), [], 'nothing is there yet');
  assert.deepEqual(told(as(1)), []);
  assert.deepEqual(told(as(1), { oldest: 1, newest: 2 }), [], 'a newer version reads what an older one made');
  assert.match(
    told(as(1), { oldest: 2, newest: 2 }).join(),
    /too old: in format 1, and this one reads from 2 on/,
  );
  assert.equal(told(as(2)).length, 4);
  assert.match(told(as(2))[0]!, /^The table \S+deploy_runs was written by a newer version.*"uses:"/);
  assert.match(
    told(as(null))[3]!,
    /deploy_partial does not say in which format.*drop table \S+deploy_partial;/,
  );
});

/** Everything in the schema of our tables: what they hold, and how they are made. */
async function tables(url: string): Promise<string> {
  const all = [];
  for (const table of ['supabase_migrations.schema_migrations', ...OUR_TABLES])
    all.push(await query(url, `select '${table}' as t, to_jsonb(x) as row from ${table} x`));
  all.push(
    await query(
      url,
      `select attrelid::regclass::text as t, attname, pg_get_expr(adbin, adrelid) as d from pg_attribute
       left join pg_attrdef on adrelid = attrelid and adnum = attnum
       where attrelid = any ((select array_agg(oid) from pg_class where relnamespace = 'supabase_migrations'::regnamespace)::oid[])
         and attnum > 0 order by 1, attnum`,
    ),
  );
  return JSON.stringify(all);
}

const FILES = { '1_a.sql': 'create table public.a (id int);', '1_a.down.sql': 'drop table public.a;' };

const deployed = (work: (url: string, project: Project) => Promise<void>): Promise<void> =>
  withProject(server, FILES, async (url, project) => {
    const { report } = await runMigrate(project, url, {
      runId: '100',
      inputs: { environment: 'production' },
    });
    assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
    await work(url, project);
  });

async function rollBack(url: string, project: Project): Promise<PhaseReport> {
  const inputs = { mode: 'rollback', 'run-id': '100', skip: 'vps' };
  return (await runRollback(settingsFor(project, url, inputs, '200'))).report;
}

describe('tables that another version of the action made', () => {
  test('row 140: each of the four says its format, and each row in which one it was written', () =>
    deployed(async (url) => {
      for (const table of OUR_TABLES) {
        const [found] = await query<{ d: string }>(
          url,
          `select pg_get_expr(adbin, adrelid) as d from pg_attrdef join pg_attribute on attrelid = adrelid and attnum = adnum
           where adrelid = '${table}'::regclass and attname = 'format'`,
        );
        assert.equal(found?.d, '1', table);
      }
      assert.deepEqual(await query(url, `select format from ${OUR_TABLES[0]}`), [{ format: 1 }]);
    }));

  for (const table of OUR_TABLES)
    test(`row 140: ${table} of a newer version: plan, migrate and rollback refuse, and write nothing`, () =>
      deployed(async (url, project) => {
        await query(url, `alter table ${table} alter column format set default 2`);
        project.write({ '2_b.sql': 'create table public.b (id int);' });
        const before = await tables(url);
        const wanted = new RegExp(`The table ${table} was written by a newer version`);
        const said = (problems: readonly { message: string }[]): string =>
          problems.map(({ message }) => message).join('\n');
        assert.match(said((await runPlan(project, url)).refusals), wanted);
        const { report } = await runMigrate(project, url, { runId: '101' });
        assert.equal(report.outcome, 'failed');
        assert.match(said(report.problems), wanted);
        const back = await rollBack(url, project);
        assert.equal(back.outcome, 'failed');
        assert.match(said(back.problems), wanted);
        assert.equal(await tables(url), before);
        assert.deepEqual(await history(url), ['1']);
      }));

  test('row 140: tables whose columns this version does not know are not read at all', () =>
    deployed(async (url, project) => {
      for (const [table, column] of [
        ['deploy_runs', 'environment'],
        ['deploy_migrations', 'checksum'],
        ['deploy_partial', 'prefix'],
        ['deploy_lease', 'until'],
      ])
        await query(
          url,
          `alter table supabase_migrations.${table} rename column ${column} to "as_never_seen";
           alter table supabase_migrations.${table} alter column format set default 2`,
        );
      const { refusals } = await runPlan(project, url, { inputs: { drift: 'fail' } });
      assert.equal(refusals.filter(({ message }) => /newer version/.test(message)).length, 4);
      const back = await rollBack(url, project);
      assert.equal(back.problems.length, 4, JSON.stringify(back.problems));
    }));

  test('row 140: tables without a format are refused with the way on; dropped, they are made anew', () =>
    deployed(async (url, project) => {
      for (const table of OUR_TABLES) await query(url, `alter table ${table} drop column format`);
      const { refusals } = await runPlan(project, url);
      assert.equal(refusals.length, 4, JSON.stringify(refusals));
      for (const { next } of refusals) await query(url, /drop table [\w.]+;/.exec(next!)![0]);
      project.write({ '2_b.sql': 'create table public.b (id int);' });
      const { report } = await runMigrate(project, url, { runId: '101' });
      assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
      assert.deepEqual(await history(url), ['1', '2']);
    }));

  test('row 140: one that was made anew since the look is noticed under the lock', () =>
    deployed(async (url) => {
      await query(url, `alter table ${OUR_TABLES[1]} alter column format set default 2`);
      await assert.rejects(query(url, `do $muva$ begin ${takeDatabase()} end $muva$`), {
        code: 'MV005',
        message: /deploy_migrations is in the format 2, which this version/,
      });
    }));
});

import assert from 'node:assert/strict';
import { symlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { after, before, test } from 'node:test';
import { type DatabasePlan, warningsOf } from '../../src/database/plan.js';
import { type PostgresServer, query, startPostgres } from '../servers/postgres.js';
import {
  type Files,
  history,
  objects,
  type Project,
  runMigrate,
  runPlan,
  runPlanPhase,
  withProject,
} from '../servers/project.js';

let server: PostgresServer;
before(async () => {
  server = await startPostgres();
});
after(() => server.stop());

const withFiles = (files: Files, work: (url: string, project: Project) => Promise<void>): Promise<void> =>
  withProject(server, files, work);

const refused = (plan: DatabasePlan): string => plan.refusals.map(({ message }) => message).join('\n');
const warned = (plan: DatabasePlan): string =>
  warningsOf(plan)
    .map(({ message }) => message)
    .join('\n');
const table = (name: string): string => `create table public.${name} (id int);`;

test('row 14: an empty folder is nothing pending, a missing one is refused', async () => {
  await withFiles({}, async (url, project) => {
    const { report } = await runMigrate(project, url);
    assert.equal(report.outcome, 'passed');
    assert.deepEqual(report.facts.pending, []);
    const missing = await runMigrate(project, url, { inputs: { 'migrations-dir': 'db/migrations' } });
    assert.match(missing.report.problems[0]?.message ?? '', /migrations-dir: db\/migrations is not a folder/);
  });
});

test('row 17: UTF-16, row 13: an invisible character, row 24: a link out of the tree; all at once', async () => {
  await withFiles(
    { '1_a.sql': Buffer.from('\ufeffselect 1', 'utf16le'), '2_b\u202e.sql': 'select 1;' },
    async (url, project) => {
      symlinkSync('/etc/hostname', join(project.folder, 'supabase/migrations/3_c.sql'));
      const plan = await runPlan(project, url);
      assert.match(refused(plan), /1_a\.sql is UTF-16/);
      assert.match(refused(plan), /U\+202E/);
      assert.match(refused(plan), /3_c\.sql is a link that leads out of the project/);
    },
  );
});

test('row 21: an older file after a newer applied one is refused unless include-all', async () => {
  await withFiles({ '2_b.sql': table('b') }, async (url, project) => {
    await runMigrate(project, url);
    project.write({ '1_a.sql': table('a') });
    assert.match(refused(await runPlan(project, url)), /1_a\.sql is older than 2/);
    const { report } = await runMigrate(project, url, { inputs: { 'include-all': 'true' } });
    assert.deepEqual(report.facts.applied, ['1']);
  });
});

test('row 22: an applied version without a file is refused, and told to be fetched', async () => {
  await withFiles({ '1_a.sql': table('a'), '2_b.sql': table('b') }, async (url, project) => {
    await runMigrate(project, url);
    project.remove('2_b.sql');
    const plan = await runPlan(project, url);
    assert.match(refused(plan), /1 applied version has no file here: 2_b/);
    assert.match(plan.refusals[0]?.next ?? '', /supabase migration fetch.*Do not delete the rows/);
    assert.equal(refused(await runPlan(project, url, { inputs: { 'missing-migrations': 'warn' } })), '');
  });
});

test('row 23: an edited file is named with its first difference; other line ends are no edit', async () => {
  await withFiles({ '1_a.sql': `${table('a')}\n${table('b')}\n` }, async (url, project) => {
    await runMigrate(project, url);
    project.write({ '1_a.sql': `${table('a')}\r\n${table('b')}\r\n` });
    assert.equal(warned(await runPlan(project, url)), '');
    project.write({ '1_a.sql': `${table('a')}\n${table('c')}\n` });
    const plan = await runPlan(project, url);
    assert.match(
      warned(plan),
      /1_a\.sql was edited after it was applied: its statement 2 \(CREATE TABLE\) is not the one that was recorded/,
    );
    assert.equal(plan.warnings.at(-1)?.at?.line, 2);
    assert.match(
      refused(await runPlan(project, url, { inputs: { 'edited-migrations': 'refuse' } })),
      /was edited/,
    );
    assert.equal(warned(await runPlan(project, url, { inputs: { 'edited-migrations': 'allow' } })), '');
  });
});

test('row 153: two files of one version, one of them applied', async () => {
  await withFiles({ '1_a.sql': table('a') }, async (url, project) => {
    await runMigrate(project, url);
    project.write({ '1_b.sql': table('b') });
    assert.match(
      refused(await runPlan(project, url)),
      /^1_b\.sql was never run: version 1 is recorded as 1_a$/,
    );
    project.remove('1_a.sql');
    project.write({ '1_b.sql': table('a') });
    const renamed = await runPlan(project, url);
    assert.deepEqual([refused(renamed), warned(renamed)], ['', '']);
  });
});

test('row 22: a renumbered file is told as such', async () => {
  await withFiles({ '1_a.sql': `${table('a')} -- a\n` }, async (url, project) => {
    await runMigrate(project, url);
    project.remove('1_a.sql');
    project.write({ '2_a.sql': `${table('a')}\r\n-- a` });
    const [refusal] = (await runPlan(project, url)).refusals;
    assert.match(
      refusal?.next ?? '',
      /^2_a\.sql holds the text of 1_a: .*repair --status reverted 1 && supabase migration repair --status applied 2\.$/,
    );
  });
});

test('row 23: a statement that a comment has swallowed is an edit', async () => {
  await withFiles({ '1_a.sql': `-- the table\n${table('a')}\n` }, async (url, project) => {
    await runMigrate(project, url);
    project.write({ '1_a.sql': `-- the table ${table('a')}\n` });
    assert.match(warned(await runPlan(project, url)), /1_a\.sql was edited/);
  });
});

test('row 17, row 18: what is recorded or below the baseline stops nothing', async () => {
  const latin = Buffer.from('-- \xe9\n', 'latin1');
  await withFiles({ '1_a.sql': table('a') }, async (url, project) => {
    await runMigrate(project, url);
    project.write({ '1_a.sql': latin });
    const plan = await runPlan(project, url);
    assert.equal(refused(plan), '');
    assert.match(warned(plan), /1_a\.sql is not valid UTF-8/);
  });
  await withFiles(
    { '1_a.sql': latin, '2_b.sql': table('b'), '2_c.sql': table('c'), '3_d.sql': table('d') },
    async (url, project) => {
      assert.match(
        refused(await runPlan(project, url)),
        /not valid UTF-8[\s\S]*same version 2|same version 2[\s\S]*not valid UTF-8/,
      );
      const { report } = await runMigrate(project, url, { inputs: { baseline: '2' } });
      assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
      assert.deepEqual([await history(url), await objects(url)], [['2', '3'], ['d']]);
    },
  );
});

test('row 20: of two versions of which one begins the other, the shorter comes first', async () => {
  await withFiles(
    { '20240101_z.sql': table('a'), '20240101120000_a.sql': 'alter table public.a add column b int;' },
    async (url, project) => {
      const { report } = await runMigrate(project, url);
      assert.deepEqual(report.facts.applied, ['20240101', '20240101120000'], JSON.stringify(report.problems));
    },
  );
});

test('row 150: of an applied file the place and the kind of what differs are told, never what was recorded', async () => {
  const secret = 'sk-live-0123456789abcdef';
  const before = `${table('a')}\nselect set_config('app.key', '${secret}', false);\n`;
  await withFiles({ '1_a.sql': before }, async (url, project) => {
    await runMigrate(project, url);
    const after: [source: string, line: number, words: RegExp][] = [
      [
        `${table('a')}\nselect set_config('app.key', 'other', false);\n`,
        2,
        /statement 2 \(SELECT\) is not the one that was recorded/,
      ],
      [`${table('a')}\n`, 1, /2 statements were recorded, and it has 1/],
      [
        `${before}-- added\ncreate unique index on public.a (id);`,
        4,
        /statement 3 \(CREATE UNIQUE INDEX\) was not recorded/,
      ],
      [`${table('a')}\n;$x$ select ${'x'.repeat(200)}$x$`, 2, /statement 2 is not the one that was recorded/],
    ];
    for (const [source, line, words] of after) {
      project.write({ '1_a.sql': source });
      const { report, log } = await runPlanPhase(project, url);
      assert.doesNotMatch(JSON.stringify([report, log]), /sk-live/);
      const warnings = log.flatMap((entry) => (entry.kind === 'warning' ? [entry.problem] : []));
      const { message, at } = warnings.find((each) => /was edited/.test(each.message))!;
      assert.match(message, words);
      assert.equal(at?.line, line);
    }
  });
});

test('row 159: the options of the URL hold in every file and every connection', async () => {
  await withFiles(
    {
      '1_a.sql': 'create table tenant_table (id int);',
      '2_b.sql': "set search_path = ''; select 1;",
      '3_c.sql': 'create index concurrently on tenant_table (id);',
      '4_d.sql': 'create table later_table (id int);',
    },
    async (url, project) => {
      await query(url, 'create schema tenant_a');
      const tenant = `${url}?options=-c%20search_path%3Dtenant_a&application_name=deploy`;
      const { report } = await runMigrate(project, tenant);
      assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
      assert.deepEqual(
        await query(
          url,
          "select schemaname, tablename from pg_tables where schemaname !~ '^pg_' and tablename like '%_table' order by tablename",
        ),
        [
          { schemaname: 'tenant_a', tablename: 'later_table' },
          { schemaname: 'tenant_a', tablename: 'tenant_table' },
        ],
      );
    },
  );
});

test('row 26: broken files are all refused by the server, each with its place, before the first one runs', async () => {
  await withFiles(
    {
      '1_a.sql': table('a'),
      '2_b.sql': "select 'open",
      '3_c.sql': 'select (;\n',
      '4_d.sql': 'do $x$ begin end',
    },
    async (url, project) => {
      const { report } = await runMigrate(project, url);
      assert.deepEqual(
        report.problems.map(
          ({ code, at }) => `${code} ${basename(at?.file ?? '')}:${at?.line}:${at?.column}`,
        ),
        ['42601 2_b.sql:1:8', '42601 3_c.sql:1:9', '42601 4_d.sql:1:4'],
      );
      assert.deepEqual(await objects(url), []);
    },
  );
});

test('row 30: savepoints run in one explicit transaction, and an error in it has its place', async () => {
  await withFiles(
    {
      '1_a.sql':
        'savepoint s; create table public.x (id int); rollback to savepoint s; create table public.a (id int);',
    },
    async (url, project) => {
      const { report } = await runMigrate(project, url);
      assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
      assert.deepEqual(await objects(url), ['a']);
      project.write({
        '2_b.sql': 'create table public.b (id int);\nsavepoint s;\nalter table nowhere add x int;',
      });
      const failed = await runMigrate(project, url);
      assert.equal(failed.report.problems[0]?.at?.line, 3);
      assert.deepEqual(await objects(url), ['a']);
      assert.deepEqual(await history(url), ['1']);
    },
  );
});

test('row 25: a file over 8 MiB is applied in an explicit transaction', async () => {
  const rows = Array.from(
    { length: 90 },
    (_, index) => `insert into public.a values ('${index}${'x'.repeat(100_000)}');`,
  );
  await withFiles(
    { '1_a.sql': `create table public.a (t text);\n${rows.join('\n')}` },
    async (url, project) => {
      const plan = await runPlan(project, url);
      assert.equal(plan.batches[0]?.mode, 'explicit');
      const { report } = await runMigrate(project, url);
      assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
      assert.deepEqual(await query(url, 'select count(*)::int as rows from public.a'), [{ rows: 90 }]);
    },
  );
});

test('row 33: a file that failed behind a concurrent index goes on where it stopped', async () => {
  const head = 'create table public.a (id int);\ncreate index concurrently a_i on public.a (id);\n';
  await withFiles({ '1_a.sql': `${head}select 1/0;` }, async (url, project) => {
    const first = await runMigrate(project, url);
    assert.match(first.report.summary ?? '', /1_a is applied in part.*goes on there/);
    assert.match(
      first.report.problems[0]?.next ?? '',
      /2 statements before line 3 \(create table public\.a.*create index/,
    );
    project.write({
      '1_a.sql': 'create table public.z (id int);\ncreate index concurrently a_i on public.a (id);\n',
    });
    assert.match(
      refused(await runPlan(project, url)),
      /applied in part \(2 of its parts stand\).*edited since/,
    );
    project.write({ '1_a.sql': `${head}insert into public.a values (1);` });
    const second = await runMigrate(project, url, { runId: '1002' });
    assert.equal(second.report.outcome, 'passed', JSON.stringify(second.report.problems));
    assert.deepEqual(await query(url, 'select count(*)::int as rows from public.a'), [{ rows: 1 }]);
    assert.deepEqual(await query(url, 'select 1 from supabase_migrations.deploy_partial'), []);
    assert.deepEqual(await query(url, 'select 1 from supabase_migrations.deploy_lease'), []);
  });
});

/** Both schemas have a table t, so that a name without schema means one or the other. */
const TWO_SCHEMAS = `create schema app; create table public.t (v int); create table app.t (v int);
  insert into app.t values (1), (1);`;

async function indexes(url: string): Promise<string[]> {
  const rows = await query<{ name: string }>(
    url,
    "select schemaname || '.' || tablename || '.' || indexname as name from pg_indexes where schemaname in ('public', 'app') order by 1",
  );
  return rows.map(({ name }) => name);
}

test('row 33, row 35: what a file sets for its session holds in each of its parts, and not beyond the file', async () => {
  const files = {
    '1_a.sql': `set search_path = app;
create index concurrently t_v on t (v);
create table made (id int);
select pg_catalog.set_config('search_path', 'public', false);
create index concurrently t_w on t (v);
set role builder;
vacuum;
create view seen as select 1;`,
    '2_b.sql': 'create table after (id int);',
  };
  await withFiles(files, async (url, project) => {
    await query(server.adminUrl, 'create role builder; grant builder to postgres');
    await query(url, `${TWO_SCHEMAS} grant all on schema public to builder`);
    const { report } = await runMigrate(project, url);
    assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
    assert.deepEqual(await indexes(url), ['app.t.t_v', 'public.t.t_w']);
    assert.deepEqual(await objects(url), ['after', 'seen', 't', 't_w']);
    assert.deepEqual(
      await query(
        url,
        "select relowner::regrole::text as owner from pg_class where relname in ('after', 'seen') order by relname",
      ),
      [{ owner: 'postgres' }, { owner: 'builder' }],
    );
  });
});

test('row 59: what an unfinished build leaves is dropped where the file has set the schema', async () => {
  const file =
    'set search_path = app;\ncreate unique index concurrently t_u on t (v);\ncreate table made (id int);';
  await withFiles({ '1_a.sql': file }, async (url, project) => {
    await query(url, TWO_SCHEMAS);
    const failed = await runMigrate(project, url);
    assert.equal(failed.report.problems[0]?.code, '23505', JSON.stringify(failed.report.problems));
    assert.deepEqual(await indexes(url), []);
    await query(url, 'truncate app.t');
    const { report } = await runMigrate(project, url, { runId: '1002' });
    assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
    assert.deepEqual(await indexes(url), ['app.t.t_u']);
    assert.deepEqual(await query(url, "select 1 as made where to_regclass('app.made') is not null"), [
      { made: 1 },
    ]);
  });
});

test('row 48: a database that is read-only by default gets its concurrent index too, and the lease is freed', async () => {
  const file = 'create table public.a (id int);\ncreate index concurrently a_i on public.a (id);';
  await withFiles({ '1_a.sql': file }, async (url, project) => {
    const name = new URL(url).pathname.slice(1);
    await query(server.adminUrl, `alter database ${name} set default_transaction_read_only = on`);
    const { report } = await runMigrate(project, url);
    assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
    assert.deepEqual(await indexes(url), ['public.a.a_i']);
    assert.deepEqual(await query(url, 'select 1 from supabase_migrations.deploy_lease'), []);
  });
});

test('row 59: an invalid index of somebody else is reported and kept; IF NOT EXISTS does not pass over it', async () => {
  await withFiles(
    { '1_a.sql': 'create table public.a (id int); insert into public.a values (1), (1);' },
    async (url, project) => {
      await runMigrate(project, url);
      await assert.rejects(query(url, 'create unique index concurrently a_u on public.a (id)'));
      project.write({ '2_b.sql': 'create unique index concurrently if not exists a_u on public.a (id);' });
      const { report } = await runMigrate(project, url);
      assert.match(report.problems[0]?.message ?? '', /a_u is invalid/);
      assert.match(report.problems[0]?.next ?? '', /drop index concurrently public\.a_u/);
      assert.deepEqual(await objects(url), ['a', 'a_u']);
      assert.deepEqual(await history(url), ['1']);
    },
  );
});

test('row 40: destructive statements are warned of, refused or allowed, as asked', async () => {
  await withFiles({ '1_a.sql': table('a') }, async (url, project) => {
    await runMigrate(project, url);
    project.write({ '2_b.sql': '\ndrop table public.a;' });
    const plan = await runPlan(project, url);
    assert.equal(plan.destructive, true);
    assert.match(warned(plan), /drop table public\.a: deletes data \(ban-drop-table\)/);
    assert.equal(warningsOf(plan)[0]?.at?.line, 2);
    assert.match(
      refused(await runPlan(project, url, { inputs: { 'destructive-changes': 'refuse' } })),
      /ban-drop-table/,
    );
    assert.equal(warned(await runPlan(project, url, { inputs: { 'destructive-changes': 'allow' } })), '');
  });
});

test('row 40: a refused statement names the input that lets it through, and no marker that its file has', async () => {
  await withFiles({ '1_a.sql': table('a') }, async (url, project) => {
    await runMigrate(project, url);
    const inputs = { 'destructive-changes': 'refuse' };
    project.write({ '2_b.sql': 'drop table public.a;' });
    const [before] = (await runPlan(project, url, { inputs })).refusals;
    assert.match(before?.next ?? '', /"-- deploy: after-health".*destructive-changes: warn, or allow/);
    project.write({ '2_b.sql': '-- deploy: after-health\ndrop table public.a;' });
    const [waiting] = (await runPlan(project, url, { inputs })).refusals;
    assert.equal(waiting?.next, 'Where the data is to go: destructive-changes: warn, or allow.');
  });
});

test('row 162: what a function of the database runs is seen, and what it puts together is unknown', async () => {
  const body = (statement: string): string =>
    `returns void language plpgsql as $$ begin ${statement}; end $$;`;
  const applied = `${table('a')} create function public.wipe() ${body('delete from public.a')}
create function public.pieces(t text) ${body("execute 'truncate ' || t")}
create procedure public.atomic() begin atomic; delete from public.a; end;`;
  await withFiles({ '1_a.sql': applied }, async (url, project) => {
    await runMigrate(project, url);
    project.write({ '2_b.sql': 'select public.wipe();' });
    const seen = await runPlan(project, url);
    assert.equal(seen.destructive, true);
    assert.match(warned(seen), /DELETE, run by public\.wipe\(\): deletes data \(delete-without-where\)/);
    project.write({ '2_b.sql': 'call public.atomic();' });
    assert.match(warned(await runPlan(project, url)), /run by public\.atomic\(\): deletes data/);
    project.write({ '2_b.sql': "select public.pieces('a'), now();" });
    const unknown = await runPlan(project, url);
    assert.equal(unknown.destructive, 'unknown');
    assert.match(
      warned(unknown),
      /run by public\.pieces\(\): whether it deletes data cannot be read beforehand/,
    );
    const inputs = { 'destructive-changes': 'refuse' };
    assert.match(refused(await runPlan(project, url, { inputs })), /unread-execute/);
  });
});

test('row 8: a database remembers its environment', async () => {
  await withFiles({ '1_a.sql': table('a') }, async (url, project) => {
    await runMigrate(project, url, { inputs: { environment: 'staging' } });
    project.write({ '2_b.sql': table('b') });
    const wrong = await runMigrate(project, url, { inputs: { environment: 'production' } });
    assert.match(
      wrong.report.problems[0]?.message ?? '',
      /belongs to the environment "staging", not "production"/,
    );
    assert.deepEqual(await history(url), ['1']);
    const adopted = await runMigrate(project, url, {
      inputs: { environment: 'production', 'adopt-environment': 'true' },
    });
    assert.equal(adopted.report.outcome, 'passed');
  });
});

test('an existing database is taken over from a baseline', async () => {
  await withFiles(
    { '1_a.sql': table('a'), '2_b.sql': table('b'), '3_c.sql': table('c') },
    async (url, project) => {
      await query(url, `${table('a')} ${table('b')}`);
      assert.match(
        refused(await runPlan(project, url, { inputs: { baseline: '7' } })),
        /no migration file has the version 7/,
      );
      const { report } = await runMigrate(project, url, { inputs: { baseline: '2' } });
      assert.deepEqual(report.facts.applied, ['3']);
      assert.deepEqual(await history(url), ['1', '2', '3']);
      assert.deepEqual((await runPlan(project, url)).pending, []);
    },
  );
});

test('a baseline that stays in the workflow swallows no late file', async () => {
  await withFiles({ '10_a.sql': table('a'), '20_b.sql': table('b') }, async (url, project) => {
    await query(url, `${table('a')} ${table('b')}`);
    const inputs = { baseline: '20' };
    assert.deepEqual((await runPlan(project, url, { inputs })).baseline.length, 2);
    await runMigrate(project, url, { inputs });
    project.write({ '15_late.sql': table('late') });
    const plan = await runPlan(project, url, { inputs });
    assert.deepEqual(plan.baseline, []);
    assert.match(refused(plan), /15_late\.sql is older than 20, which is applied already; the baseline 20/);
    assert.match(plan.refusals[0]?.next ?? '', /supabase migration repair --status applied 15/);
    const { report } = await runMigrate(project, url, { inputs: { ...inputs, 'include-all': 'true' } });
    assert.deepEqual(report.facts.applied, ['15']);
    assert.deepEqual(await objects(url), ['a', 'b', 'late']);
  });
});

test('files from "-- deploy: after-health" on wait until health has passed', async () => {
  const files = {
    '1_a.sql': table('a'),
    '2_b.sql': '-- deploy: after-health\ndrop table public.a;',
    '3_c.sql': table('c'),
  };
  await withFiles(files, async (url, project) => {
    const first = await runMigrate(project, url);
    assert.deepEqual(first.report.facts.applied, ['1']);
    assert.deepEqual(first.report.facts.deferred, ['2', '3']);
    const second = await runMigrate(project, url, { contract: true });
    assert.deepEqual(second.report.facts.applied, ['2', '3']);
    assert.deepEqual(await objects(url), ['c']);
  });
});

test('after-health: true is for mode migrate: in a deploy the contract steps still wait, and that is told', async () => {
  const files = { '1_a.sql': table('a'), '2_b.sql': '-- deploy: after-health\ndrop table public.a;' };
  await withFiles(files, async (url, project) => {
    const deployed = await runPlan(project, url, {
      inputs: { mode: 'deploy', skip: 'vps, health', 'after-health': 'true' },
    });
    assert.deepEqual(
      deployed.deferred.map(({ version }) => version),
      ['2'],
    );
    assert.match(warned(deployed), /after-health: true has no effect in mode deploy/);
    const migrated = await runMigrate(project, url, { inputs: { 'after-health': 'true' }, contract: true });
    assert.deepEqual(migrated.report.facts.applied, ['1', '2']);
    assert.doesNotMatch(JSON.stringify(migrated.log), /has no effect/);
  });
});

test('a marker that is not quite right is refused with its line while the file is pending', async () => {
  await withFiles({ '1_a.sql': table('a') }, async (url, project) => {
    await runMigrate(project, url);
    const wrong = `${table('b')}\ndrop table public.a; -- deploy: after-health`;
    project.write({ '2_b.sql': wrong, '3_c.sql': `-- the old table\n-- deploy: after-heath\n${table('c')}` });
    const plan = await runPlan(project, url);
    assert.deepEqual(
      plan.refusals.map(
        ({ message, at }) => `${basename(at?.file ?? '')}:${at?.line}:${at?.column} ${message}`,
      ),
      [
        '2_b.sql:2:22 "-- deploy: after-health" means nothing',
        '3_c.sql:2:1 "-- deploy: after-heath" means nothing',
      ],
    );
    assert.match(plan.refusals[0]?.next ?? '', /behind the first statement/);
    await query(url, "insert into supabase_migrations.schema_migrations (version) values ('2'), ('3')");
    assert.equal(refused(await runPlan(project, url)), '');
  });
});

test('a batch ends where a value is added to an enum, and the plan says so', async () => {
  await withFiles(
    { '1_a.sql': "create type public.e as enum ('a'); create table public.t (e public.e);" },
    async (url, project) => {
      await runMigrate(project, url);
      project.write({
        '2_b.sql': "alter type public.e add value 'b';",
        '3_c.sql': "insert into public.t values ('b');",
      });
      const plan = await runPlan(project, url);
      assert.equal(plan.batches.length, 2);
      assert.match(plan.batches[1]?.why ?? '', /2_b before it: a value added to an enum/);
      assert.equal((await runMigrate(project, url)).report.outcome, 'passed');
    },
  );
});

test('a file that adds an enum value shares its transaction with all that do not name the value', async () => {
  await withFiles(
    { '1_a.sql': "create type public.e as enum ('a'); create table public.t (e public.e);" },
    async (url, project) => {
      await runMigrate(project, url);
      project.write({
        '2_b.sql': "alter type public.e add value 'it''s b';",
        '3_c.sql': table('c'),
        '4_d.sql': "alter type public.e add value 'd';",
        '5_e.sql': "insert into public.t values ('it''s b');",
        '6_f.sql': "-- the value of 4 is committed\ninsert into public.t values ('d');",
        '7_g.sql': "alter type public.e add value 'dynamic';",
        '8_h.sql': `do $$ begin execute 'insert into public.t values (''dyn' || 'amic'')'; end $$;`,
      });
      const plan = await runPlan(project, url);
      assert.deepEqual(
        plan.batches.map(({ files }) => files.map(({ version }) => version)),
        [
          ['2', '3', '4'],
          ['5', '6', '7', '8'],
        ],
      );
      assert.match(plan.batches[1]?.why ?? '', /2_b before it: a value added to an enum/);
      const { report, log } = await runMigrate(project, url);
      assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
      const told = log.flatMap((entry) => (entry.kind === 'notice' ? [entry.problem.message] : []));
      assert.match(told.join('\n'), /split before 8_h: a value that is added to an enum/);
      assert.deepEqual(await history(url), ['1', '2', '3', '4', '5', '6', '7', '8']);
    },
  );
});

test('a batch is split where a file uses an enum value that a DO block before it adds', async () => {
  const add = (value: string): string =>
    `do $$ begin alter type public.e add value '${value}'; exception when duplicate_object then null; end $$;`;
  await withFiles(
    { '1_a.sql': "create type public.e as enum ('a'); create table public.t (e public.e);" },
    async (url, project) => {
      await runMigrate(project, url);
      project.write({
        '2_b.sql': add('b'),
        '3_c.sql': `insert into public.t values ('b'); ${add('c')}`,
        '4_d.sql': "insert into public.t values ('c');",
      });
      const { report, log } = await runMigrate(project, url);
      assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
      const told = log.flatMap((entry) => (entry.kind === 'notice' ? [entry.problem.message] : []));
      assert.match(told.join('\n'), /split before 3_c: a value.*\n.*split before 4_d/);
      // A file that uses what it adds itself is helped by no split: all is rolled back.
      project.write({ '5_e.sql': table('z'), '6_f.sql': `${add('d')} insert into public.t values ('d');` });
      const own = await runMigrate(project, url);
      assert.equal(own.report.problems[0]?.code, '55P04');
      assert.deepEqual(await history(url), ['1', '2', '3', '4']);
    },
  );
});

test('a batch is split where deferred checks of one file stand in the way of the next', async () => {
  const files = {
    '1_a.sql':
      'create table public.p (id int primary key); create table public.c (id int references public.p deferrable initially deferred);',
    '2_b.sql': 'insert into public.c values (1); insert into public.p values (1);',
    '3_c.sql': 'alter table public.c add column x int;',
  };
  await withFiles(files, async (url, project) => {
    const { report, log } = await runMigrate(project, url);
    assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
    assert.ok(
      log.some((entry) => entry.kind === 'notice' && entry.problem.message.includes('split before 3_c')),
    );
    assert.deepEqual(await history(url), ['1', '2', '3']);
  });
});

test('row 48, row 52: defaults of the role do not change the outcome', async () => {
  await withFiles({ '1_a.sql': `select pg_sleep(0.4); ${table('a')}` }, async (url, project) => {
    const name = new URL(url).pathname.slice(1);
    for (const setting of [
      "default_transaction_isolation = 'repeatable read'",
      "statement_timeout = '200ms'",
      'default_transaction_read_only = on',
    ])
      await query(server.adminUrl, `alter role postgres in database ${name} set ${setting}`);
    const { report } = await runMigrate(project, url);
    assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
  });
});

test("row 52: the role's own limit for a transaction does not end a batch of several files", async () => {
  const files = {
    '1_a.sql': `select pg_sleep(1); ${table('a')}`,
    '2_b.sql': `select pg_sleep(1); ${table('b')}`,
  };
  await withFiles(files, async (url, project) => {
    const name = new URL(url).pathname.slice(1);
    await query(
      server.adminUrl,
      `alter role postgres in database ${name} set transaction_timeout = '1500ms'`,
    );
    const { report } = await runMigrate(project, url);
    assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
  });
});

test('row 34: what is refused for its text is told once', async () => {
  await withFiles(
    { '1_a.sql': 'copy public.a from stdin;\n1\n\\.\n', '2_b.sql': '\\echo hi\nselect (;' },
    async (url, project) => {
      const plan = await runPlan(project, url);
      assert.deepEqual(
        plan.refusals.map(({ message }) => message),
        ['COPY FROM STDIN needs a client that sends the data', '\\echo is a command of psql, not SQL'],
      );
    },
  );
});

test('row 55: an older history table is completed', async () => {
  await withFiles({ '1_a.sql': table('a'), '2_b.sql': table('b') }, async (url, project) => {
    await query(
      url,
      "create schema supabase_migrations; create table supabase_migrations.schema_migrations (version text primary key); insert into supabase_migrations.schema_migrations values ('1')",
    );
    const { report } = await runMigrate(project, url);
    assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
    assert.deepEqual(
      await query(
        url,
        "select name, statements from supabase_migrations.schema_migrations where version = '2'",
      ),
      [{ name: 'b', statements: ['create table public.b (id int)'] }],
    );
  });
});

test('row 57: a role that may not write the history is refused before the first file', async () => {
  await withFiles({ '1_a.sql': table('a') }, async (url, project) => {
    await query(
      server.adminUrl.replace(/\/postgres$/, new URL(url).pathname),
      'create schema supabase_migrations; create table supabase_migrations.schema_migrations (version text primary key, statements text[], name text)',
    );
    const { report } = await runMigrate(project, url);
    assert.equal(report.problems[0]?.code, '42501');
    assert.match(report.problems[0]?.message ?? '', /may not write the migration history/);
    assert.deepEqual(await objects(url), []);
  });
});

test('row 57: a second role, which sees no row of ours, is told so before it writes, and how it may', async () => {
  await withFiles({ '1_a.sql': table('a') }, async (url, project) => {
    await runMigrate(project, url, { inputs: { environment: 'staging' } });
    const second = `second_${new URL(url).pathname.slice(1)}`;
    await query(
      server.adminUrl.replace(/\/postgres$/, new URL(url).pathname),
      `create role ${second} login password 'x'; grant all on schema public, supabase_migrations to ${second};
       grant all on all tables in schema supabase_migrations to ${second}`,
    );
    const theirs = Object.assign(new URL(url), { username: second, password: 'x' }).href;
    const inputs = { environment: 'production' };
    const blind = await runPlan(project, theirs, { inputs });
    assert.match(
      warned(blind),
      /it lacks the rows of supabase_migrations\.deploy_runs, which row level security hides/,
    );
    project.write({ '2_b.sql': table('b') });
    const plan = await runPlan(project, theirs, { inputs });
    assert.match(refused(plan), /which row level security hides/);
    assert.match(plan.refusals[0]?.next ?? '', new RegExp(`grant "postgres" to "${second}";`));
    // The history of an older CLI lacks a column, which only the owner may add.
    await query(url, 'alter table supabase_migrations.schema_migrations drop column statements');
    await query(server.adminUrl, `alter role ${second} bypassrls`);
    assert.match(
      refused(await runPlan(project, theirs, { inputs })),
      /lacks ownership of supabase_migrations\.schema_migrations, to which a column is to be added/,
    );
    await query(server.adminUrl, `alter role ${second} nobypassrls; grant postgres to ${second}`);
    assert.match(refused(await runPlan(project, theirs, { inputs })), /belongs to the environment "staging"/);
    const { report } = await runMigrate(project, theirs, { inputs: { environment: 'staging' } });
    assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
  });
});

test('row 60: a missing library is a fault of the server', async () => {
  await withFiles(
    { '1_a.sql': "create function public.f() returns int language c as '/nowhere/missing', 'f';" },
    async (url, project) => {
      const admin = server.adminUrl.replace(/\/postgres$/, new URL(url).pathname);
      const { report } = await runMigrate(project, admin);
      assert.equal(report.problems[0]?.code?.slice(0, 2), '58');
      assert.match(report.problems[0]?.next ?? '', /fault of the server/);
      assert.deepEqual(await history(url), []);
    },
  );
});

test('irreversible-migrations: refuse asks for a down file', async () => {
  await withFiles({ '1_a.sql': table('a') }, async (url, project) => {
    const plan = await runPlan(project, url, { inputs: { 'irreversible-migrations': 'refuse' } });
    assert.match(refused(plan), /1_a\.sql has no down file/);
    assert.equal(plan.reversible, false);
  });
});

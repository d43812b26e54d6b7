import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { runPhase } from '../../src/base/phase.js';
import type { PhaseReport } from '../../src/base/report.js';
import { classify } from '../../src/database/classify.js';
import type { Database } from '../../src/database/connection.js';
import { readMigrationFiles } from '../../src/database/migration-files.js';
import { openDatabase } from '../../src/database/open.js';
import { loadParser } from '../../src/database/parser.js';
import { type DatabaseRollback, rollbackDatabase } from '../../src/database/rollback-database.js';
import { recordStateAfter, recordStateBefore } from '../../src/database/schema-record.js';
import { batchMessage } from '../../src/database/unit.js';
import { parseDatabaseUrl } from '../../src/settings/database-url.js';
import type { DatabaseSettings, RollbackSettings, Settings } from '../../src/settings/settings.js';
import type { Tools } from '../../src/tools.js';
import { type PostgresServer, query, startPostgres } from '../servers/postgres.js';

let server: PostgresServer;
before(async () => {
  server = await startPostgres();
});
after(() => server.stop());

const rules = {
  migrationsDir: 'm',
  lockTimeout: 5_000,
  statementTimeout: 60_000,
  allowDataLoss: false,
} as DatabaseSettings;

/** One database with one checkout. */
interface Project {
  url: string;
  folder: string;
  database: Database;
  warnings: string[];
}

async function withProject(work: (project: Project) => Promise<void>): Promise<void> {
  const url = await server.createDatabase();
  const folder = mkdtempSync(join(tmpdir(), 'muva-rollback-'));
  mkdirSync(join(folder, 'm'));
  const parsed = parseDatabaseUrl(url);
  assert.ok('address' in parsed);
  const database = openDatabase({ kind: 'url', address: parsed.address });
  try {
    await work({ url, folder, database, warnings: [] });
  } finally {
    await database.close();
    rmSync(folder, { recursive: true });
  }
}

function write(project: Project, files: Record<string, string>): void {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(project.folder, 'm', name), text);
}

/** Applies what is new in the folder as one run does it, in one message. */
async function apply(project: Project, runId: string, sha = 'a'.repeat(40)): Promise<void> {
  const history = await query<{ version: string }>(
    project.url,
    `select to_regclass('supabase_migrations.schema_migrations') is not null as there`,
  );
  const recorded = (history[0] as unknown as { there: boolean }).there
    ? (
        await query<{ version: string }>(
          project.url,
          'select version from supabase_migrations.schema_migrations order by version collate "C"',
        )
      ).map(({ version }) => version)
    : [];
  const { files } = await readMigrationFiles(project.folder, 'm');
  const parse = await loadParser();
  const pending = files
    .filter(({ version }) => !recorded.includes(version))
    .map((file) => ({ ...file, shape: classify(file.file, file.source, parse) }));
  const run = { id: runId, attempt: 1, sha, serverUrl: '', fork: false };
  const { message } = batchMessage(pending, {
    run,
    environment: 'staging',
    rules,
    recorded,
    baseline: [],
    position: 1,
    marker: 'x',
    before: recordStateBefore(runId),
    after: recordStateAfter(runId),
  });
  await project.database.send(message, { deadline: 60_000 });
}

interface RolledBack {
  report: PhaseReport;
  result?: DatabaseRollback;
}

async function roll(
  project: Project,
  wanted: Partial<RollbackSettings>,
  more: Partial<DatabaseSettings> = {},
  folder = project.folder,
): Promise<RolledBack> {
  const tools: Tools = {
    log: (entry) => {
      if (entry.kind === 'warning' || entry.kind === 'notice') project.warnings.push(entry.problem.message);
    },
    signal: new AbortController().signal,
    database: project.database,
  };
  const settings = {
    mode: 'rollback',
    workingDirectory: folder,
    database: { ...rules, ...more },
    rollback: { onFailure: true, database: 'down', runId: 'none', ...wanted },
  } as unknown as Settings;
  let result: DatabaseRollback | undefined;
  const report = await runPhase('rollback', tools.log, undefined, async (record) => {
    result = await rollbackDatabase(tools, settings, record);
  });
  return { report, ...(result ? { result } : {}) };
}

async function versions(project: Project): Promise<string[]> {
  const rows = await query<{ version: string }>(
    project.url,
    'select version from supabase_migrations.schema_migrations order by version collate "C"',
  );
  return rows.map(({ version }) => version);
}

async function has(project: Project, object: string): Promise<boolean> {
  const [row] = await query<{ there: boolean }>(
    project.url,
    `select to_regclass('${object}') is not null as there`,
  );
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
    await withProject(async (project) => {
      write(project, FIRST);
      await apply(project, '100');
      write(project, SECOND);
      await apply(project, '101');
      const { report, result } = await roll(project, { runId: '101' });
      assert.deepEqual(report.problems, []);
      assert.deepEqual(result, { reverted: ['3', '2'], schemaAhead: [], changed: true });
      assert.deepEqual(await versions(project), ['1']);
      assert.equal(await has(project, 'public.rooms'), false);
      assert.equal(
        report.steps.at(-1)?.detail,
        'the fingerprint equals the one recorded before',
        JSON.stringify(report.steps),
      );
      const again = await roll(project, { runId: '101' });
      assert.deepEqual(again.result, { reverted: [], schemaAhead: [], changed: false });
      assert.equal(again.report.steps.at(-1)?.detail, 'what run 101 changed is undone already');
      assert.deepEqual(await versions(project), ['1']);
    });
  });

  test('works from another checkout that has none of the files', async () => {
    await withProject(async (project) => {
      write(project, { ...FIRST, ...SECOND });
      await apply(project, '7');
      const empty = mkdtempSync(join(tmpdir(), 'muva-empty-'));
      const { result } = await roll(project, { runId: '7' }, {}, empty);
      rmSync(empty, { recursive: true });
      assert.deepEqual(result?.reverted, ['3', '2', '1']);
      assert.deepEqual(await versions(project), []);
    });
  });

  test('a run that applied nothing is a no-op that says so', async () => {
    await withProject(async (project) => {
      const empty = await roll(project, { runId: '5' });
      assert.equal(empty.report.outcome, 'passed');
      write(project, FIRST);
      await apply(project, '1');
      const { report, result } = await roll(project, { runId: '5' });
      assert.deepEqual(result, { reverted: [], schemaAhead: [], changed: false });
      assert.equal(report.steps.at(-1)?.detail, 'run 5 applied no migration');
      assert.deepEqual(await versions(project), ['1']);
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
      await withProject(async (project) => {
        write(project, { ...FIRST, '1_v.sql': '' });
        rmSync(join(project.folder, 'm', '1_v.sql'));
        await apply(project, '1');
        await query(project.url, 'create view public.v as select 1 as one');
        write(project, { '2_x.sql': up, '2_x.down.sql': down });
        await apply(project, '2');
        const { report, result } = await roll(project, { runId: '2' });
        assert.equal(result, undefined);
        assert.equal(report.outcome, 'failed');
        assert.match(report.problems[0]!.message, new RegExp(named.replace(/[()]/g, '\\$&')));
        assert.deepEqual(await versions(project), ['1', '2']);
      });
    });
  }

  test('what other hands changed since does not stand in the way', async () => {
    await withProject(async (project) => {
      write(project, FIRST);
      await apply(project, '1');
      write(project, SECOND);
      await apply(project, '2');
      await query(project.url, 'create table public.by_hand(id int)');
      const { report, result } = await roll(project, { runId: '2' });
      assert.deepEqual(report.problems, []);
      assert.deepEqual(result?.reverted, ['3', '2']);
      assert.match(report.steps.at(-1)!.detail!, /other hands/);
    });
  });

  test('a down file that fails undoes nothing and names its place', async () => {
    await withProject(async (project) => {
      write(project, {
        ...SECOND,
        ...FIRST,
        '2_rooms.down.sql': 'drop table public.rooms;\nalter table public.hotel drop column stars;',
      });
      await apply(project, '1');
      const { report } = await roll(project, { runId: '1' });
      assert.equal(report.outcome, 'failed');
      assert.deepEqual(report.problems[0]!.at, {
        file: 'm/2_rooms.down.sql',
        line: 2,
        column: 1,
        text: 'alter table public.hotel drop column stars;',
      });
      assert.deepEqual(await versions(project), ['1', '2', '3']);
      assert.ok(await has(project, 'public.rooms'));
      assert.ok(report.steps.some(({ name, outcome }) => name.includes('2_rooms') && outcome === 'failed'));
    });
  });

  test('a file without a down file stays, with all that is older', async () => {
    await withProject(async (project) => {
      write(project, { ...FIRST, ...SECOND });
      rmSync(join(project.folder, 'm', '2_rooms.down.sql'));
      await apply(project, '1');
      const { result } = await roll(project, { runId: '1' });
      assert.deepEqual(result, { reverted: ['3'], schemaAhead: ['2', '1'], changed: true });
      assert.deepEqual(await versions(project), ['1', '2']);
      assert.match(project.warnings.join('\n'), /schema ahead of code: 2, 1/);
    });
  });

  test('rows of a table of the same run may go and are told; other data is refused unless allowed', async () => {
    await withProject(async (project) => {
      write(project, FIRST);
      await apply(project, '1');
      write(project, SECOND);
      await apply(project, '2');
      await query(
        project.url,
        'insert into public.hotels values (1, null, 5), (2, null, null); insert into public.rooms values (1), (2), (2)',
      );
      assert.deepEqual((await roll(project, { runId: '2' })).report.problems, []);
      assert.deepEqual(project.warnings, [
        'deleted with it: table public.rooms (3 rows, created by what is undone)',
        'deleted with it: column public.hotels.stars (1 value, created by what is undone)',
      ]);
      write(project, {
        '4_x.sql': 'alter table public.hotels add column x int;',
        '4_x.down.sql': 'alter table public.hotels drop column x, drop column name; truncate public.hotels;',
      });
      rmSync(join(project.folder, 'm', '2_rooms.sql'));
      rmSync(join(project.folder, 'm', '3_rank.sql'));
      await apply(project, '4');
      await query(project.url, `update public.hotels set name = 'secret row'`);
      const refused = await roll(project, { runId: '4' });
      assert.deepEqual(
        refused.report.problems.map(({ message }) => message),
        [
          'the down files would delete data that is not of this run: all rows of public.hotels (2 rows); nothing was undone',
          'the down files would delete data that is not of this run: column public.hotels.name (2 values); nothing was undone',
        ],
      );
      assert.deepEqual(await versions(project), ['1', '4']);
      const [count] = await query<{ n: string }>(project.url, 'select count(name) as n from public.hotels');
      assert.equal(count!.n, '2');
    });
  });

  test('previous, a commit, steps, records and keep', async () => {
    await withProject(async (project) => {
      write(project, FIRST);
      await apply(project, '1', 'b'.repeat(40));
      write(project, SECOND);
      await apply(project, '2', 'c'.repeat(40));
      const kept = await roll(project, { to: 'previous', database: 'keep' });
      assert.deepEqual(kept.result, { reverted: [], schemaAhead: ['3', '2'], changed: false });
      const previous = await roll(project, { to: 'previous' });
      assert.deepEqual(previous.result?.reverted, ['3', '2']);
      await apply(project, '3', 'd'.repeat(40));
      const unknown = await roll(project, { to: 'e'.repeat(40) });
      assert.match(unknown.report.problems[0]!.message, /no deploy of e+ is recorded/);
      const commit = await roll(project, { to: 'bbbbbbb' });
      assert.deepEqual(commit.result?.reverted, ['3', '2']);
      await apply(project, '4');
      const step = await roll(project, { steps: 1 });
      assert.deepEqual(step.result?.reverted, ['3']);
      const records = await roll(project, { steps: 1, database: 'records' });
      assert.deepEqual(records.result?.reverted, ['2']);
      assert.ok(await has(project, 'public.rooms'));
      assert.match(project.warnings.join('\n'), /fails on objects that exist/);
    });
  });

  test('DROP INDEX CONCURRENTLY in a down file runs inside the transaction', async () => {
    await withProject(async (project) => {
      write(project, {
        '1_t.sql': 'create table public.t(id int); create index i on public.t(id);',
        '1_t.down.sql':
          '-- concurrently\ndrop index /* concurrently */ CONCURRENTLY if exists public.i; drop table public.t;',
      });
      await apply(project, '1');
      const { report, result } = await roll(project, { runId: '1' });
      assert.deepEqual(report.problems, []);
      assert.deepEqual(result?.reverted, ['1']);
    });
  });
});

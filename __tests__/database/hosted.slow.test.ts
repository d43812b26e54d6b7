/** Each kind of operation as the role `postgres` of a hosted project, on the newest minor that Debian has. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { backup } from '../../src/pipeline/backup.js';
import { verify } from '../../src/pipeline/verify.js';
import { createHosted, type Hosted } from '../servers/hosted.js';
import { ACCESS_TOKEN, PROJECT_REF, startManagementApi } from '../servers/management-api.js';
import { commandsOf } from '../servers/page-commands.js';
import { type PostgresServer, query, startPostgres } from '../servers/postgres.js';
import {
  createProject,
  type Files,
  history,
  type Inputs,
  type Project,
  type Ran,
  runMigrate,
  runPlanPhase,
  settingsFor,
  withTools,
} from '../servers/project.js';
import { runRollback } from '../servers/rollback.js';

let server: PostgresServer;
let folder: string;
before(async () => {
  server = await startPostgres({ version: 'debian' });
  folder = mkdtempSync(join(tmpdir(), 'muva-hosted-'));
  process.env.RUNNER_TEMP = folder;
});
after(async () => {
  rmSync(folder, { recursive: true });
  await server.stop();
});

/** What a project of Supabase is made of. */
const FILES: Files = {
  '20260101000001_profiles.sql': `
create type public.plan as enum ('free', 'paid');
create table public.profiles (id uuid primary key references auth.users on delete cascade, token uuid default uuid_generate_v4(),
  plan public.plan not null default 'free', name varchar(80));
alter table public.profiles enable row level security;
create policy own on public.profiles using (id = auth.uid());
create function public.handle_new_user() returns trigger language plpgsql security definer set search_path = '' as $$
begin insert into public.profiles (id) values (new.id); return new; end $$;
insert into public.profiles (id) select id from auth.users;
alter publication supabase_realtime add table public.profiles;
insert into storage.buckets (id, name) values ('invoices', 'invoices');
select vault.create_secret('canary', 'key');`,
  '20260101000001_profiles.down.sql': `
set local storage.allow_delete_query = 'true';
delete from storage.buckets where id = 'invoices';
drop table public.profiles; drop function public.handle_new_user(); drop type public.plan;`,
  '20260101000002_secret.sql': 'create table public.secret (id int); revoke all on public.secret from anon;',
  '20260101000002_secret.down.sql': 'drop table public.secret;',
};

async function withHosted(
  files: Files,
  work: (
    hosted: Hosted & { run: (inputs?: Inputs, runId?: string) => Promise<Ran>; project: Project },
  ) => Promise<void>,
  variant: 'strict' | 'lent' = 'strict',
): Promise<void> {
  const hosted = await createHosted(server, variant);
  const project = createProject(files);
  const run = (inputs: Inputs = {}, runId = '1001'): Promise<Ran> =>
    runMigrate(project, hosted.url, { inputs, runId });
  try {
    await work({ ...hosted, run, project });
  } finally {
    project.delete();
  }
}

function passed({ report }: Ran): void {
  assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
}

async function look(project: Project, url: string, inputs: Inputs): Promise<Ran> {
  return withTools(project, url, { inputs: { mode: 'verify', ...inputs } }, async (work, log) => ({
    report: await verify(work),
    log,
  }));
}

test('row 161: plan, migrate, verify, drift and down files as the role postgres of a hosted project', async () => {
  await withHosted(FILES, async ({ url, adminUrl, run, project }) => {
    passed(await runPlanPhase(project, url));
    passed(
      await run({ 'required-tables': 'profiles, auth.users', 'required-functions': 'handle_new_user()' }),
    );
    assert.deepEqual(await history(url), ['20260101000001', '20260101000002']);
    // The function is found by the search path that is set for the role.
    assert.deepEqual(await query(adminUrl, 'select token is not null as token from public.profiles'), [
      { token: true },
    ]);
    // What the platform does by itself between two looks.
    await query(
      adminUrl,
      `create table realtime.messages_2026_11_28 partition of realtime.messages for values from ('2026-11-28') to ('2026-11-29');
       alter publication supabase_realtime_messages_publication add table realtime.messages_2026_11_28;`,
    );
    const planned = await runPlanPhase(project, url, { inputs: { drift: 'fail' } });
    passed(planned);
    assert.match(JSON.stringify(planned.report.steps), /unchanged since run 1001/);
    passed(await look(project, url, { 'required-tables': 'profiles' }));
    const wish: Inputs = { mode: 'rollback', 'rollback-steps': '2', 'allow-data-loss': 'true' };
    const { report } = await runRollback(settingsFor(project, url, wish, '1002'));
    assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
    assert.deepEqual(await history(url), []);
    const left =
      "select to_regclass('public.profiles') as there, (select count(*)::int from storage.buckets) as buckets";
    assert.deepEqual(await query(adminUrl, left), [{ there: null, buckets: 1 }]);
  });
});

test('row 161: files that are cut, run alone or one by one as that role', async () => {
  const files = {
    '1_t.sql':
      "create type public.mood as enum ('good');\ncommit;\nalter type public.mood add value 'bad';\ncommit;\ncreate table public.t (m public.mood default 'bad');",
    '2_i.sql': 'create index concurrently t_m on public.t (m);',
    '3_s.sql': 'savepoint s; create table public.s (id int); release s;',
    '4_r.sql': 'set role anon; reset role; create table public.r (id uuid default uuid_generate_v4());',
  };
  for (const transaction of ['all', 'each'])
    await withHosted(files, async ({ url, adminUrl, run }) => {
      passed(await run({ transaction }));
      assert.deepEqual(await history(url), ['1', '2', '3', '4']);
      const owners =
        "select distinct relowner::regrole::text as owner from pg_class where relnamespace = 'public'::regnamespace";
      assert.deepEqual(await query(adminUrl, owners), [{ owner: 'postgres' }]);
    });
});

const ON_PLATFORM: Files = {
  '1_p.sql': `create function public.hello() returns trigger language plpgsql as $$ begin return new; end $$;
create trigger on_auth_user_created after insert on auth.users for each row execute function public.hello();
create policy "own files" on storage.objects for select using (owner = auth.uid());`,
  '1_p.down.sql': `drop policy "own files" on storage.objects;
drop trigger on_auth_user_created on auth.users;
drop function public.hello();`,
};

test('row 161: what the platform refuses is refused with its own words, and nothing stands', async () => {
  for (const [file, words] of [
    ['alter table auth.users add column age int;', /must be owner of table users.*in the dashboard/],
    ['create policy p on storage.objects using (true);', /must be owner of table objects.*in the dashboard/],
    ['grant supabase_admin to postgres;', /must be superuser|permission denied|must have admin option/],
  ] as const)
    await withHosted({ '1_a.sql': `create table public.a (id int);\n${file}` }, async ({ url, run }) => {
      const { report } = await run();
      assert.equal(report.outcome, 'failed');
      assert.match(JSON.stringify(report.problems), words);
      assert.deepEqual(await query(url, "select to_regclass('public.a') as there"), [{ there: null }]);
    });
});

test('row 161: policies and triggers on tables of the platform, up, down and up, where postgres may make them', async () => {
  await withHosted(
    ON_PLATFORM,
    async ({ url, run, project }) => {
      passed(await run());
      const wish: Inputs = { mode: 'rollback', 'rollback-steps': '1' };
      const { report } = await runRollback(settingsFor(project, url, wish, '1002'));
      assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
      passed(await run({}, '1003'));
    },
    'lent',
  );
});

test('row 161: a temporary login works like postgres itself', async () => {
  await withHosted(FILES, async ({ url, adminUrl, project }) => {
    project.write({
      '20260101000003_reset.sql':
        'set role anon;\nreset role;\ncreate table public.mine (id uuid default uuid_generate_v4());\nset search_path = pg_catalog;\nreset search_path;\ncreate table public.more (id uuid default uuid_generate_v4());\nreset all;\ncreate table public.most (id uuid default uuid_generate_v4());',
      '20260101000004_alone.sql': 'set role none;\ncreate index concurrently mine_i on public.mine (id);',
      '20260101000005_do.sql':
        'do $$ begin reset role; end $$;\ncreate table public.last (id int);\nsavepoint s;\nreset role;\ncreate table public.saved (id int);',
    });
    const api = await startManagementApi({ server, databaseUrl: url, poolerPort: server.port });
    try {
      const inputs = {
        'supabase-project-ref': PROJECT_REF,
        'supabase-access-token': ACCESS_TOKEN,
        'supabase-api-url': api.url,
      };
      passed(await runMigrate(project, '', { inputs }));
      assert.ok(!api.requests.some((path) => path.endsWith('/database/query')));
    } finally {
      await api.stop();
    }
    const owners =
      "select distinct relowner::regrole::text as owner from pg_class where relnamespace = 'public'::regnamespace";
    assert.deepEqual(await query(adminUrl, owners), [{ owner: 'postgres' }]);
  });
});

/** Runs the backup phase and gives the dump's path. */
async function dumpOf(
  project: Project,
  url: string,
  inputs: Inputs,
): Promise<{ path: string; told: string }> {
  return withTools(
    project,
    url,
    { inputs: { mode: 'deploy', skip: 'vps, health', backup: 'full', ...inputs } },
    async (work, log) => {
      const report = await backup(work, undefined);
      assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
      return {
        path: report.facts.backupPath!,
        told: `${report.summary} ${JSON.stringify(report.steps)} ${JSON.stringify(log)}`,
      };
    },
  );
}

function shell(command: string, url: string, dump: string): string {
  return execFileSync('bash', ['-ec', command.replaceAll('backup.dump', '"$DUMP"')], {
    cwd: folder,
    env: { ...process.env, DUMP: dump, DATABASE_URL: url },
    encoding: 'utf8',
  });
}

test('row 161: a full backup is restored word for word, and no right comes back that was revoked', async () => {
  await withHosted(FILES, async ({ url, adminUrl, run, project }) => {
    const planned = await runPlanPhase(project, url, { inputs: { backup: 'full', 'backup-to': 'runner' } });
    const warned = planned.log.flatMap((entry) => ('problem' in entry ? [entry.problem.message] : []));
    assert.match(warned.join('\n'), /changes rows of storage\.buckets, which the backup does not hold/);
    passed(await run());
    await query(
      url,
      'insert into public.secret values (7); insert into public.profiles (id) select gen_random_uuid() where false',
    );
    await query(adminUrl, 'revoke pg_read_all_data from postgres');
    try {
      const { path, told } = await dumpOf(project, url, {});
      assert.match(told, /without auth\.users, storage\.objects/);
      const list = shell('pg_restore --list backup.dump', url, path);
      assert.doesNotMatch(list, /auth|storage|realtime messages/);
      await query(
        url,
        "truncate public.secret; drop table public.profiles; delete from supabase_migrations.schema_migrations where version = '20260101000002'",
      );
      for (const command of commandsOf('docs/backups.md', ['pg_restore', 'psql']).filter((line) =>
        /restore\.(list|sql)/.test(line),
      ))
        shell(command, url, path);
      assert.deepEqual(await query(url, 'select id from public.secret'), [{ id: 7 }]);
      assert.deepEqual(await history(url), ['20260101000001', '20260101000002']);
      const rights = `select has_table_privilege('anon', 'public.secret', 'select') as secret, has_table_privilege('anon', 'public.profiles', 'select') as profiles,
        (select count(*)::int from public.profiles) as rows, (select count(*)::int from pg_publication_tables where pubname = 'supabase_realtime') as published`;
      assert.deepEqual(await query(url, rights), [{ secret: false, profiles: true, rows: 1, published: 1 }]);
      await query(url, 'create table public.later (id int)');
      const later = "select has_table_privilege('anon', 'public.later', 'select') as later";
      assert.deepEqual(await query(url, later), [{ later: true }], 'the default privileges are there again');
    } finally {
      await query(adminUrl, 'grant pg_read_all_data to postgres');
    }
  });
});

test('row 161: with backup-platform-data: on the rows of auth and storage come back too', async () => {
  await withHosted({ '1_a.sql': 'create table public.a (id int);' }, async ({ url, adminUrl, project }) => {
    await query(adminUrl, 'revoke pg_read_all_data from postgres');
    try {
      const { path, told } = await dumpOf(project, url, { 'backup-platform-data': 'on' });
      assert.doesNotMatch(told, /without auth/);
      const state =
        'select (select array_agg(email) from auth.users) as users, (select array_agg(name) from storage.objects) as objects';
      const before = await query(url, state);
      await query(
        adminUrl,
        "set storage.allow_delete_query = 'true'; delete from auth.users; delete from storage.objects; delete from storage.buckets",
      );
      const [rows] = commandsOf('docs/backups.md', ['pg_restore']).filter((line) =>
        line.includes('--schema=auth'),
      );
      shell(rows!, url, path);
      assert.deepEqual(await query(url, state), before);
      assert.ok(readFileSync(path).length > 0);
    } finally {
      await query(adminUrl, 'grant pg_read_all_data to postgres');
    }
  });
});

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { choosePgDump, findPgDumps } from '../../src/database/backup/pg-dump.js';
import { freePort } from '../servers/free-port.js';
import { ACCESS_TOKEN, PROJECT_REF, startManagementApi } from '../servers/management-api.js';
import { type PostgresServer, query, startPostgres } from '../servers/postgres.js';
import {
  createProject,
  type Files,
  type Inputs,
  type Project,
  type Ran,
  runMigrate,
  runPlanPhase,
} from '../servers/project.js';

let server: PostgresServer;
before(async () => {
  server = await startPostgres();
});
after(() => server.stop());

const A = { '1_a.sql': 'create table public.a (id int);' };

async function withProject(
  files: Files,
  work: (url: string, project: Project) => Promise<void>,
): Promise<void> {
  const project = createProject(files);
  try {
    await work(await server.createDatabase(), project);
  } finally {
    project.delete();
  }
}

const steps = ({ report }: Ran): string[] =>
  report.steps.map(({ name, outcome, detail }) => `${outcome} ${name}: ${detail}`);
const messages = ({ report }: Ran): string[] => report.problems.map(({ message }) => message);
const warnings = ({ log }: Ran): string[] =>
  log.flatMap((entry) => (entry.kind === 'warning' ? [entry.problem.message] : []));

describe('a plan', () => {
  test('whose drift refuses has that step failed, and tells everything else too', async () => {
    await withProject(A, async (url, project) => {
      await runMigrate(project, url);
      await query(url, 'create table public.sneaky (id int)');
      project.write({ '2_b.sql': 'select (;' });
      const ran = await runPlanPhase(project, url, { inputs: { drift: 'fail' } });
      assert.deepEqual(steps(ran), ['failed migrations: undefined', 'failed drift: undefined']);
      assert.equal(messages(ran).length, 2);
    });
  });

  test('whose down files do not fit has that step failed', async () => {
    await withProject(
      { '1_a.sql': 'create table public.a (id int);', '1_a.down.sql': 'select 1;' },
      async (url, project) => {
        const inputs: Inputs = { 'shadow-database-url': await server.createDatabase() };
        const ran = await runPlanPhase(project, url, { inputs });
        assert.equal(steps(ran).at(-1), 'failed down files on the scratch database: undefined');
        assert.match(messages(ran)[0] ?? '', /added table public\.a/);
      },
    );
  });

  test('refuses a backup that this machine cannot make', async () => {
    await withProject(A, async (url, project) => {
      const chosen = choosePgDump(await findPgDumps(), server.version);
      const ran = await runPlanPhase(project, url, { inputs: { backup: 'schema', 'backup-to': 'runner' } });
      assert.deepEqual(messages(ran), 'message' in chosen ? [chosen.message] : []);
      assert.ok(steps(ran).some((step) => /^(failed|passed) backup: /.test(step)));
    });
  });

  test('through the query endpoint refuses a file that it cannot hold, also one that waits for health', async () => {
    const url = await server.createDatabase();
    const api = await startManagementApi({ server, databaseUrl: url, poolerPort: await freePort() });
    const project = createProject({
      '1_a.sql': '-- deploy: after-health\ncreate index concurrently i on public.a (id);',
    });
    const inputs: Inputs = {
      'supabase-project-ref': PROJECT_REF,
      'supabase-access-token': ACCESS_TOKEN,
      'supabase-api-url': api.url,
    };
    try {
      const ran = await runPlanPhase(project, '', { inputs });
      assert.deepEqual(ran.report.facts.deferred, ['1']);
      assert.match(messages(ran)[0] ?? '', /CREATE INDEX CONCURRENTLY.*Management API/);
    } finally {
      project.delete();
      await api.stop();
    }
  });

  test('looks into the pending files for what is required', async () => {
    const required: Inputs = {
      'required-tables': 'rooms, app.guests',
      'required-functions': 'price(integer, text[]), touch()',
    };
    const rooms = 'create table public.rooms (id int);';
    const secure =
      'alter table public.rooms enable row level security; create policy p on public.rooms using (true);';
    const rest = `create schema app; set search_path = app; create table guests (id int);
      alter table guests enable row level security; create policy p on guests using (true);
      create function public.price(a int, out b int, c text[] default '{}') language sql as 'select 1';
      create function public.touch() returns int language sql as 'select 1';`;
    const cases: [files: string[], refused: RegExp | undefined, warned: boolean][] = [
      [[rooms + secure, rest], undefined, false],
      [[rooms, secure, rest], undefined, false],
      [[rooms, rest], /^1_a\.sql makes public\.rooms without row level security, and no pending file/, false],
      [
        [rooms + secure, rest.replace('text[]', 'text')],
        /^function public\.price\(integer, text\[\]\) does not exist, and no/,
        false,
      ],
      [
        [rooms + secure, rest.replace('guests', 'others')],
        /^table app\.guests does not exist, and no/,
        false,
      ],
      [[`do $$ begin execute '${rooms}'; end $$;`, rest], undefined, true],
    ];
    for (const [sources, told, warned] of cases) {
      const files = Object.fromEntries(sources.map((source, index) => [`${index + 1}_a.sql`, source]));
      await withProject(files, async (url, project) => {
        const ran = await runPlanPhase(project, url, { inputs: required });
        if (told) assert.match(messages(ran)[0] ?? '', told);
        else assert.deepEqual(messages(ran), []);
        assert.equal(
          warnings(ran).some((warning) => warning.startsWith('not as required yet')),
          warned,
        );
      });
    }
  });

  test('refuses what the check before the commit would refuse, where nothing is pending that could mend it', async () => {
    await withProject(A, async (url, project) => {
      const inputs: Inputs = { 'required-tables': 'a, nope', 'required-functions': 'f', rls: 'off' };
      const first = await runPlanPhase(project, url, { inputs });
      assert.deepEqual(messages(first), [
        'function public.f does not exist, and no pending file mends that',
        'table public.nope does not exist, and no pending file mends that',
      ]);
      await runMigrate(project, url);
      const ran = await runPlanPhase(project, url, { inputs });
      assert.deepEqual(messages(ran), [
        'table public.nope does not exist, and nothing is pending',
        'function public.f does not exist, and nothing is pending',
      ]);
      assert.match(steps(ran).at(-1) ?? '', /^failed required schema/);
      await query(
        url,
        "create table public.nope (id int); create function public.f() returns int language sql as 'select 1'",
      );
      assert.deepEqual(messages(await runPlanPhase(project, url, { inputs })), []);
    });
  });
});

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { freePort } from '../../servers/free-port.js';
import {
  ACCESS_TOKEN,
  type ManagementApi,
  PROJECT_REF,
  startManagementApi,
} from '../../servers/management-api.js';
import { type PostgresServer, query, startPostgres } from '../../servers/postgres.js';
import {
  createProject,
  type Files,
  history,
  type Inputs,
  objects,
  type Ran,
  runMigrate,
} from '../../servers/project.js';

let server: PostgresServer;
let closedPort: number;
before(async () => {
  server = await startPostgres();
  closedPort = await freePort();
});
after(() => server.stop());

interface Scene {
  url: string;
  api: ManagementApi;
  run(inputs?: Inputs): Promise<Ran>;
}

/** A project that only its reference and token are known of; the pooler is out of reach unless told otherwise. */
async function withApi(
  files: Files,
  options: { pooler?: boolean; queryLimit?: number; rateLimit?: number },
  work: (scene: Scene) => Promise<void>,
): Promise<void> {
  const url = await server.createDatabase();
  const { pooler, ...limits } = options;
  const api = await startManagementApi({
    server,
    databaseUrl: url,
    poolerPort: pooler ? server.port : closedPort,
    ...limits,
  });
  const project = createProject(files);
  const inputs: Inputs = {
    'supabase-project-ref': PROJECT_REF,
    'supabase-access-token': ACCESS_TOKEN,
    'supabase-api-url': api.url,
  };
  try {
    await work({ url, api, run: (more = {}) => runMigrate(project, '', { inputs: { ...inputs, ...more } }) });
  } finally {
    project.delete();
    await api.stop();
  }
}

const told = (log: Ran['log']): string =>
  log.flatMap((entry) => (entry.kind === 'progress' ? [entry.text] : [])).join('\n');

const files = {
  '1_a.sql': 'create table public.a (id int);',
  '2_b.sql': 'create table public.b (id int);\ninsert into public.b values (1);',
};

test('a project reference and a token give an ordinary session through the pooler', async () => {
  await withApi(
    { ...files, '3_c.sql': 'create index concurrently b_i on public.b (id);' },
    { pooler: true },
    async ({ url, api, run }) => {
      const { report } = await run();
      assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
      assert.deepEqual(await history(url), ['1', '2', '3']);
      assert.ok(!api.requests.some((path) => path.endsWith('/database/query')));
      const owners = await query(
        url,
        "select distinct relowner::regrole::text as owner from pg_class where relnamespace = 'public'::regnamespace",
      );
      assert.deepEqual(owners, [{ owner: 'postgres' }]);
    },
  );
});

test('a pooler that refuses the temporary login is not told as one that is out of reach', async () => {
  await withApi(files, { pooler: true }, async ({ url, run }) => {
    await run();
    await query(server.adminUrl, `alter role "cli_login_postgres.${PROJECT_REF}" nologin`);
    try {
      const { report, log } = await run();
      assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
      assert.match(
        told(log),
        /the database refused the login: .*: every message goes through the Management API/,
      );
      assert.deepEqual(await history(url), ['1', '2']);
    } finally {
      await query(server.adminUrl, `alter role "cli_login_postgres.${PROJECT_REF}" login`);
    }
  });
});

test('without a reachable pooler everything goes through the query endpoint', async () => {
  await withApi(files, {}, async ({ url, run }) => {
    const { report, log } = await run();
    assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
    assert.deepEqual(await history(url), ['1', '2']);
    assert.deepEqual(await objects(url), ['a', 'b']);
    assert.match(told(log), /nothing listens at the address in the project's pooler settings: every message/);
    // None was given, so none is to be checked.
    assert.doesNotMatch(told(log), /database-url/);
    const again = await run();
    assert.deepEqual(again.report.facts.pending, []);
  });
});

test('an error through the query endpoint names file, line and column, and shows no row data', async () => {
  await withApi(
    {
      ...files,
      '3_c.sql': '-- é\nselect 1;\nalter table public.nowhere add x int;',
    },
    {},
    async ({ url, run }) => {
      const { report } = await run();
      assert.equal(report.problems[0]?.code, '42P01');
      assert.deepEqual(report.problems[0]?.at, {
        file: 'supabase/migrations/3_c.sql',
        line: 3,
        column: 1,
        text: 'alter table public.nowhere add x int;',
      });
      assert.deepEqual(await history(url), []);
    },
  );
  await withApi(
    {
      '1_a.sql':
        'create table public.a (id int primary key);\ninsert into public.a values (1), (424242), (424242);',
    },
    {},
    async ({ run }) => {
      const { report } = await run();
      assert.equal(report.problems[0]?.code, '23505');
      assert.equal(report.problems[0]?.at?.line, 2);
      assert.doesNotMatch(report.problems[0]?.message ?? '', /424242/);
    },
  );
  await withApi({ '1_a.sql': 'select 1;\nselect (;' }, {}, async ({ run }) => {
    const { report } = await run();
    assert.equal(report.problems[0]?.code, '42601');
    assert.equal(`${report.problems[0]?.at?.line}:${report.problems[0]?.at?.column}`, '2:9');
  });
});

test('what the query endpoint cannot hold is refused before the first file', async () => {
  await withApi(
    { ...files, '3_c.sql': 'create index concurrently b_i on public.b (id);' },
    {},
    async ({ url, run }) => {
      const { report } = await run();
      assert.match(report.problems[0]?.message ?? '', /CREATE INDEX CONCURRENTLY.*Management API/);
      assert.deepEqual(await history(url), []);
    },
  );
});

test('row 74: a refused token stops at once', async () => {
  await withApi(files, {}, async ({ api, run }) => {
    const { report } = await run({ 'supabase-access-token': 'sbp_ffffffffffffffffffffffffffffffffffffffff' });
    assert.equal(report.problems[0]?.code, '401');
    assert.match(report.problems[0]?.message ?? '', /access token/);
    assert.equal(api.requests.length, 1);
  });
});

test('row 75: too many requests are waited for', async () => {
  await withApi(files, { rateLimit: 3 }, async ({ url, run }) => {
    const { report } = await run();
    assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
    assert.deepEqual(await history(url), ['1', '2']);
  });
});

for (const status of [500, 502, 544]) {
  test(`row 76: HTTP ${status} after the files ran is found out, and nothing is applied twice`, async () => {
    await withApi(files, {}, async ({ url, api, run }) => {
      api.fail({
        status,
        afterwards: true,
        holding: 'create table public.a',
        body: 'upstream error',
        contentType: 'text/html',
      });
      // The first message that holds the text is the preflight, which runs nothing.
      api.fail({ status, afterwards: true, holding: 'deploy_migrations (version' });
      const { report } = await run();
      assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
      assert.deepEqual(report.facts.applied, ['1', '2']);
      assert.deepEqual(await history(url), ['1', '2']);
      assert.deepEqual(await query(url, 'select count(*)::int as rows from public.b'), [{ rows: 1 }]);
    });
  });
}

test('row 77: HTML instead of JSON fails without showing it', async () => {
  await withApi(files, {}, async ({ url, api, run }) => {
    for (let index = 0; index < 4; index++)
      api.fail({ status: 200, body: '<html>secret-looking page</html>', contentType: 'text/html' });
    const { report } = await run();
    assert.equal(report.outcome, 'failed');
    assert.match(report.problems[0]?.message ?? '', /did not answer with JSON \(HTTP 200, text\/html\)/);
    assert.doesNotMatch(JSON.stringify(report), /secret-looking/);
    assert.deepEqual(await history(url), []);
  });
});

test('row 78: a migration longer than the gateway allows is found out under the lock', async () => {
  await withApi(
    { '1_a.sql': 'create table public.a (id int); select pg_sleep(1.5);' },
    { queryLimit: 700 },
    async ({ url, run }) => {
      const { report } = await run();
      assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
      assert.deepEqual(report.facts.applied, ['1']);
      assert.deepEqual(await history(url), ['1']);
    },
  );
});

test('row 78: a migration that fails behind the cut is told with the limit', async () => {
  await withApi(
    { '1_a.sql': 'create table public.a (id int); select pg_sleep(1.5); select 1/0;' },
    { queryLimit: 700 },
    async ({ url, run }) => {
      const { report } = await run();
      assert.equal(report.outcome, 'failed');
      assert.match(report.problems[0]?.message ?? '', /HTTP 544/);
      assert.match(report.problems[0]?.next ?? '', /60 s.*database-url/);
      assert.deepEqual(await history(url), []);
    },
  );
});

test('row 66: a paused project is said to be paused', async () => {
  await withApi(files, {}, async ({ api, run }) => {
    api.fail({ status: 540 });
    const { report } = await run();
    assert.match(report.problems[0]?.message ?? '', /paused/);
  });
});

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import pg from 'pg';
import { waitForLock } from '../../src/database/apply/wait-for-lock.js';
import { openDatabase } from '../../src/database/connection/open.js';
import { LostConnection } from '../../src/database/connection/sql-error.js';
import { LOCK_KEY } from '../../src/database/history/deploy-tables.js';
import { Failure } from '../../src/lib/report.js';
import { type FaultProxy, startFaultProxy } from '../servers/fault-proxy.js';
import { startMigrateRun } from '../servers/migrate-run.js';
import { type PostgresServer, query, startPostgres } from '../servers/postgres.js';
import {
  createProject,
  history,
  objects,
  type Project,
  runMigrate,
  settingsFor,
} from '../servers/project.js';
import { until } from '../servers/until.js';

let server: PostgresServer;
let proxy: FaultProxy;
before(async () => {
  server = await startPostgres();
  proxy = await startFaultProxy({ target: server.port });
});
after(async () => {
  await proxy.stop();
  await server.stop();
});

const files = {
  '1_a.sql': 'create table public.a (id int);',
  '2_b.sql': 'create table public.b (id int);\nselect pg_sleep(0.2);',
};

async function withProject(
  content: Record<string, string>,
  work: (url: string, project: Project) => Promise<void>,
): Promise<void> {
  const project = createProject(content);
  try {
    await work(await server.createDatabase(), project);
  } finally {
    project.delete();
  }
}

/** Nobody of ours holds a lock any more. */
async function assertNoLock(): Promise<void> {
  const rows = await query(
    server.adminUrl,
    `select 1 from pg_locks where locktype = 'advisory' and objid = ${LOCK_KEY}`,
  );
  assert.deepEqual(rows, []);
}

for (const how of ['reset', 'end'] as const) {
  test(`row 44: the answer to the commit is cut (${how}): found out under the lock, and not applied again`, async () => {
    await withProject(files, async (url, project) => {
      // The last notice before the commit tells when: its packet, and the commit's answer behind it, are lost.
      proxy.breakOnAnswer(' done 1 ', how);
      const { report } = await runMigrate(project, proxy.through(url));
      assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
      assert.deepEqual(report.facts.applied, ['1', '2']);
      assert.deepEqual(await history(url), ['1', '2']);
      await assertNoLock();
    });
  });
}

for (const [what, sql, cut] of [
  [
    'one transaction',
    'create table public.b (id int);',
    (): void => proxy.breakOnAnswer(' done 0 ', 'reset'),
  ],
  [
    'a part of a file',
    'create table public.b (id int);\nvacuum public.b;',
    (): void => proxy.breakAfterRequest('$create table public.b', 'reset'),
  ],
] as const)
  test(`row 44: no answer comes, and the database cannot be asked since: unknown, never done, and the next run finds out: ${what}`, async () => {
    await withProject({ '1_a.sql': 'create table public.a (id int);' }, async (url, project) => {
      await runMigrate(project, url);
      project.write({ '2_b.sql': sql });
      const stop = new AbortController();
      const through = proxy.through(url);
      const database = openDatabase(settingsFor(project, through).database!.connection, {
        connectFor: 500,
        // It is connected to again: whoever waits for that in vain is cancelled, instead of after two minutes.
        log: () => stop.abort(),
      });
      await database.send('select 1', { deadline: 10_000 });
      cut();
      proxy.refuse(true);
      const { report } = await runMigrate(project, through, { runId: '1002', database, signal: stop.signal });
      proxy.refuse(false);
      assert.equal(report.outcome, 'unknown', JSON.stringify(report));
      assert.equal(
        report.problems[0]?.message,
        'the answer to the commit was lost, and the database could not be asked since',
      );
      assert.deepEqual(
        report.steps.filter(({ name }) => name === '2_b').map(({ outcome }) => outcome),
        ['unknown'],
      );
      assert.deepEqual(report.facts.applied, []);
      const after = await runMigrate(project, url, { runId: '1003' });
      assert.equal(after.report.outcome, 'passed', JSON.stringify(after.report.problems));
      assert.deepEqual(await history(url), ['1', '2']);
    });
  });

for (const how of ['reset', 'end'] as const) {
  test(`row 44: the connection is cut while the message runs (${how}): nothing is lost or applied twice`, async () => {
    await withProject(files, async (url, project) => {
      proxy.breakAfterRequest(' start 1', how);
      const { report } = await runMigrate(project, proxy.through(url));
      assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
      assert.deepEqual(await history(url), ['1', '2']);
      assert.deepEqual(await objects(url), ['a', 'b']);
      await assertNoLock();
    });
  });
}

/** Waits until a backend sleeps inside a migration, then calls a function with its pid; true once that was done. */
async function strike(call: 'pg_terminate_backend' | 'pg_cancel_backend'): Promise<void> {
  await until('a migration at work', async () => {
    const rows = await query(
      server.adminUrl,
      `select ${call}(pid) from pg_stat_activity where wait_event = 'PgSleep' and pid <> pg_backend_pid()`,
    );
    return rows.length > 0;
  });
}

test('row 42: a terminated backend is tried again, a cancelled one is not', async () => {
  await withProject(
    { '1_a.sql': 'create table public.a (id int); select pg_sleep(1);' },
    async (url, project) => {
      const [first] = await Promise.all([runMigrate(project, url), strike('pg_terminate_backend')]);
      assert.equal(first.report.outcome, 'passed', JSON.stringify(first.report.problems));
      assert.deepEqual(await history(url), ['1']);

      project.write({ '2_b.sql': 'create table public.b (id int); select pg_sleep(1);' });
      const [second] = await Promise.all([runMigrate(project, url), strike('pg_cancel_backend')]);
      assert.equal(second.report.outcome, 'failed');
      assert.equal(second.report.problems[0]?.code, '57014');
      assert.deepEqual(await history(url), ['1']);
    },
  );
});

/** Waits until a migration sleeps. */
async function sleeping(): Promise<void> {
  await until('a migration at work', async () => {
    const rows = await query(server.adminUrl, "select 1 from pg_stat_activity where wait_event = 'PgSleep'");
    return rows.length > 0;
  });
}

test('row 43: a server that crashes and restarts in the middle is waited for', async () => {
  await withProject(
    { '1_a.sql': 'create table public.a (id int); select pg_sleep(1);' },
    async (url, project) => {
      const crash = async (): Promise<void> => {
        await sleeping();
        await server.restart('immediate');
      };
      const [{ report }] = await Promise.all([runMigrate(project, url), crash()]);
      assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
      assert.deepEqual(await history(url), ['1']);
      assert.deepEqual(await objects(url), ['a']);
    },
  );
});

for (const [kind, sql] of [
  ['one transaction', 'alter table public.a add column b int;'],
  ['several parts', 'alter table public.a add column b int; create index concurrently a_b on public.a (b);'],
] as const) {
  test(`row 49: a table that the application holds is tried again, and the blocker is named: ${kind}`, () =>
    blockedByTheShop(sql));
}

async function blockedByTheShop(sql: string): Promise<void> {
  await withProject({ '1_a.sql': 'create table public.a (id int);' }, async (url, project) => {
    await runMigrate(project, url);
    project.write({ '2_b.sql': sql });
    const app = new pg.Client({ connectionString: url, application_name: 'shop' });
    await app.connect();
    await app.query('begin; lock table public.a in access share mode');
    const told: string[] = [];
    const running = runMigrate(project, url, {
      inputs: { 'lock-timeout': '200ms' },
      onLog: (entry) => {
        if (entry.kind !== 'progress') return;
        told.push(entry.text);
        if (entry.text.includes('trying again')) void app.query('commit').catch(() => undefined);
      },
    });
    const { report } = await running;
    await app.end();
    assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
    assert.match(told.join('\n'), /lock timeout.*blocked by .*shop.*trying again/);
  });
}

test('row 50: a lock that another run holds is waited for, and the holder is named', async () => {
  await withProject({ '1_a.sql': 'create table public.a (id int);' }, async (url, project) => {
    const other = new pg.Client({ connectionString: url });
    await other.connect();
    await other.query(
      `/*muva-deploy 0123456789ab run 77 https://github.com/muva/demo/actions/runs/77*/ begin; select pg_advisory_xact_lock(${LOCK_KEY})`,
    );
    const told: string[] = [];
    const { report } = await runMigrate(project, url, {
      onLog: (entry) => {
        if (entry.kind !== 'progress') return;
        told.push(entry.text);
        if (entry.text.startsWith('waiting for')) void other.end();
      },
    });
    assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
    assert.match(
      told.join('\n'),
      /waiting for run 77 https:\/\/github\.com\/muva\/demo\/actions\/runs\/77 \(pid \d+, idle in transaction/,
    );
  });
});

test('row 47, row 56: 20 parallel runs on an empty database apply each file exactly once', async () => {
  const many = Object.fromEntries(
    Array.from({ length: 10 }, (_, index) => [
      `${100 + index}_t.sql`,
      `create table public.t${index} (id int); insert into public.t${index} values (1);`,
    ]),
  );
  await withProject(many, async (url, project) => {
    const runs = await Promise.all(
      Array.from({ length: 20 }, (_, index) => runMigrate(project, url, { runId: `run-${index}` })),
    );
    for (const { report } of runs) assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
    const applied = runs.flatMap(({ report }) => report.facts.applied ?? []);
    assert.deepEqual(
      applied.sort(),
      Object.keys(many).map((file) => file.slice(0, 3)),
    );
    assert.deepEqual(await query(url, 'select count(*)::int as rows from public.t3'), [{ rows: 1 }]);
    await assertNoLock();
  });
});

test('row 114: a cancel while a file runs rolls the batch back and stops the server', async () => {
  await withProject(
    { '1_a.sql': 'create table public.a (id int);', '2_b.sql': 'select pg_sleep(60);' },
    async (url, project) => {
      const stop = new AbortController();
      const started = Date.now();
      const { report } = await runMigrate(project, url, {
        signal: stop.signal,
        onLog: (entry) => {
          if (entry.kind === 'progress' && entry.text === 'running 2_b (2 of 2)') stop.abort();
        },
      });
      assert.ok(Date.now() - started < 6_000);
      assert.deepEqual([report.outcome, report.cancelled, report.problems], ['failed', true, []]);
      assert.equal(report.summary, 'The batch was rolled back: 0 applied.');
      assert.deepEqual(report.facts.applied, []);
      assert.deepEqual(await objects(url), []);
      await assertNoLock();
    },
  );
});

test('row 44, row 45: the answer is swallowed without a word: noticed, and found out under the lock', async () => {
  await withProject(files, async (url, project) => {
    const settings = settingsFor(project, proxy.through(url));
    const database = openDatabase(settings.database!.connection, { silence: 300 });
    proxy.breakOnAnswer(' done 1 ', 'silence');
    const { report } = await runMigrate(project, proxy.through(url), { database });
    assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
    assert.deepEqual(report.facts.applied, ['1', '2']);
    assert.deepEqual(await history(url), ['1', '2']);
  });
});

test('row 73: a result that drips in byte by byte is an unknown outcome, not a wait without end', async () => {
  const dripping = await startFaultProxy({ target: server.port });
  const settings = settingsFor(createProject(), dripping.through(await server.createDatabase()));
  const database = openDatabase(settings.database!.connection);
  await database.send('select 1', { deadline: 5_000 });
  dripping.drip(50);
  await assert.rejects(
    database.send("select repeat('x', 100000)", { deadline: 1_000 }),
    (error) => error instanceof LostConnection && error.code === 'DEADLINE',
  );
  await dripping.stop();
});

test('row 72: 400 ms there and back', async () => {
  const far = await startFaultProxy({ target: server.port, latency: 200 });
  await withProject(files, async (url, project) => {
    const { report } = await runMigrate(project, far.through(url));
    assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
  });
  await far.stop();
});

test('row 51: a deadlock is tried again', async () => {
  await withProject(
    { '1_a.sql': 'create table public.a (id int); create table public.b (id int);' },
    async (url, project) => {
      await runMigrate(project, url);
      project.write({
        '2_b.sql':
          'lock table public.a; select pg_sleep(0.5); lock table public.b; alter table public.a add column x int;',
      });
      const app = new pg.Client({
        connectionString: server.adminUrl.replace(/\/postgres$/, new URL(url).pathname),
      });
      await app.connect();
      // The one that waits longer before it looks for a deadlock is not the one that is ended.
      await app.query("set deadlock_timeout = '60s'");
      await app.query('begin; lock table public.b');
      const running = runMigrate(project, url, { inputs: { 'lock-timeout': '10s' } });
      await sleeping();
      await app.query('lock table public.a');
      await app.query('commit');
      const { report } = await running;
      await app.end();
      assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
      assert.deepEqual(await history(url), ['1', '2']);
    },
  );
});

test('row 46: an orphan that holds the lock is named, with how long it has been idle', async () => {
  await withProject({ '1_a.sql': 'create table public.a (id int);' }, async (url) => {
    const orphan = new pg.Client({ connectionString: url });
    await orphan.connect();
    await orphan.query(`begin; select pg_advisory_xact_lock(${LOCK_KEY})`);
    const settings = settingsFor(createProject(), url);
    const database = openDatabase(settings.database!.connection);
    const signal = new AbortController().signal;
    await assert.rejects(waitForLock({ database, log: () => undefined, signal }, 600), (error) => {
      assert.ok(error instanceof Failure);
      assert.match(error.message, /held by a session of postgres \(pid \d+, idle in transaction for \d+ s\)/);
      assert.match(error.problems[0]?.next ?? '', /pg_terminate_backend\(\d+\)/);
      return true;
    });
    await database.close();
    await orphan.end();
  });
});

test('row 46: a lease without a session is waited for as long as lock-wait says, and the way to free it is told', async () => {
  await withProject({ '1_a.sql': 'create table public.a (id int);' }, async (url, project) => {
    await runMigrate(project, url);
    // As a run leaves it that was killed behind a transaction pooler.
    await query(
      url,
      "insert into supabase_migrations.deploy_lease (holder, until) values ('77#it''s', now() + interval '1 hour')",
    );
    project.write({ '2_b.sql': 'create table public.b (id int);' });
    const { report } = await runMigrate(project, url, { inputs: { 'lock-wait': '1s' } });
    assert.match(report.problems[0]?.message ?? '', /held by run 77, still after 1 s/);
    const free = /Where it is dead: (delete from .*;)$/.exec(report.problems[0]?.next ?? '')?.[1];
    await query(url, free ?? 'select 1/0');
    const again = await runMigrate(project, url, { inputs: { 'lock-wait': '1s' } });
    assert.equal(again.report.outcome, 'passed', JSON.stringify(again.report.problems));
  });
});

test('row 54: a server without a free connection is waited for', async () => {
  await withProject({ '1_a.sql': 'create table public.a (id int);' }, async (url, project) => {
    const name = new URL(url).pathname.slice(1);
    await query(server.adminUrl, `alter database ${name} connection limit 0`);
    const told: string[] = [];
    const { report } = await runMigrate(project, url, {
      onLog: (entry) => {
        if (entry.kind !== 'progress') return;
        told.push(entry.text);
        void query(server.adminUrl, `alter database ${name} connection limit 10`);
      },
    });
    assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
    assert.match(told[0] ?? '', /no free connection/);
  });
});

test('another tool that applies a file meanwhile is waited for, and that file is not applied again', async () => {
  const table = (name: string): string => `create table public.${name} (id int);`;
  await withProject({ '1_a.sql': table('a') }, async (url, project) => {
    await runMigrate(project, url);
    project.write({ '2_b.sql': table('b'), '3_c.sql': table('c') });
    // As `supabase db push` does it: no lock of ours, the statements and the row in one transaction.
    const tool = new pg.Client({ connectionString: url });
    await tool.connect();
    await tool.query(
      `begin; ${table('b')} insert into supabase_migrations.schema_migrations (version, name) values ('2', 'b')`,
    );
    const { report } = await runMigrate(project, url, {
      inputs: { 'lock-timeout': '200ms' },
      onLog: (entry) => {
        if (entry.kind === 'progress' && entry.text.includes('trying again')) void tool.query('commit');
      },
    });
    await tool.end();
    assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
    assert.deepEqual(report.facts.applied, ['3']);
    assert.deepEqual(await history(url), ['1', '2', '3']);
    assert.deepEqual(await objects(url), ['a', 'b', 'c']);
  });
});

test('row 50, row 114: a cancel while another run is waited for ends at once, and nothing was under way', async () => {
  await withProject(files, async (url, project) => {
    const other = new pg.Client({ connectionString: url });
    await other.connect();
    await other.query(`begin; select pg_advisory_xact_lock(${LOCK_KEY})`);
    const stop = new AbortController();
    const { report } = await runMigrate(project, url, {
      signal: stop.signal,
      onLog: (entry) => {
        if (entry.kind === 'progress' && entry.text.startsWith('waiting for')) stop.abort();
      },
    });
    await other.end();
    assert.deepEqual([report.cancelled, report.problems], [true, []]);
    assert.deepEqual(
      report.steps.map((step) => step.outcome),
      ['passed', 'skipped', 'skipped'],
    );
    assert.deepEqual(await objects(url), []);
  });
});

test('row 59, row 41: an invalid index that a killed run of ours left is found, dropped and built again', async () => {
  // The server notices within a second that nobody is there any more: the build must last longer than that.
  const slow = `create function public.slow(int) returns int language plpgsql immutable as $$
    begin perform pg_sleep(0.1); return $1; end $$;
    create table public.a (id int); insert into public.a select generate_series(1, 40);`;
  await withProject({ '1_a.sql': slow }, async (url, project) => {
    await runMigrate(project, url);
    project.write({ '2_b.sql': 'create index concurrently a_i on public.a (public.slow(id));' });
    const child = startMigrateRun(project.folder, url, '1002');
    await sleeping();
    child.kill('SIGKILL');
    await once(child, 'exit');
    const told: string[] = [];
    const { report } = await runMigrate(project, url, {
      runId: '1003',
      onLog: (entry) => {
        if (entry.kind === 'progress') told.push(entry.text);
      },
    });
    assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
    assert.match(told.join('\n'), /dropping (public\.)?a_i, which an unfinished build of ours left invalid/);
    assert.deepEqual(
      await query(url, "select indisvalid from pg_index where indexrelid = 'public.a_i'::regclass"),
      [{ indisvalid: true }],
    );
    assert.deepEqual(await history(url), ['1', '2']);
  });
});

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { openDatabase } from '../../src/database/connection/open.js';
import type { PhaseReport } from '../../src/lib/report.js';
import { type PostgresServer, query, startPostgres } from '../servers/postgres.js';
import { createProject, history, objects, runMigrate, settingsFor } from '../servers/project.js';
import { type RollbackOptions, runRollback } from '../servers/rollback.js';
import { until } from '../servers/until.js';
import { startWire } from '../servers/wire.js';

let server: PostgresServer;
before(async () => {
  server = await startPostgres();
});
after(() => server.stop());

const FILES = {
  '1_a.sql': 'create table public.a(id int)',
  '1_a.down.sql': 'drop table public.a;',
  '2_b.sql': 'create table public.b(id int)',
  '2_b.down.sql': 'drop table public.b;',
};

async function prepared(): Promise<string> {
  const url = await server.createDatabase();
  const project = createProject(FILES);
  const { report } = await runMigrate(project, url, { runId: '9' });
  project.delete();
  assert.deepEqual(report.problems, []);
  return url;
}

/** Makes the older of the two down files take a second, so that there is time to break something. */
async function slowed(url: string): Promise<string> {
  await query(
    url,
    `update supabase_migrations.deploy_migrations set down = 'select pg_sleep(1); drop table public.a;' where version = '1'`,
  );
  return url;
}

async function roll(url: string, options?: RollbackOptions): Promise<PhaseReport> {
  const project = createProject();
  const settings = settingsFor(project, url, { mode: 'rollback', 'run-id': '9', 'lock-timeout': '500ms' });
  const { report } = await runRollback(settings, options);
  project.delete();
  return report;
}

const isChange = (message: string): boolean => message.includes('drop table public.a');

describe('a rollback whose connection breaks', () => {
  test('row 44: the answer of the commit is cut: it is found out that all was undone', async () => {
    const url = await prepared();
    const wire = await startWire({ host: '127.0.0.1', port: server.port });
    const through = url.replace(`:${server.port}/`, `:${wire.port}/`);
    let cut = false;
    // The server commits, and its answer meets a frozen line; then the line breaks.
    const report = await roll(through, {
      onLog: (entry) => {
        if (cut || entry.kind !== 'progress' || !entry.text.includes('1 ran, not yet committed')) return;
        cut = true;
        wire.freeze();
        void committed(url).then(() => wire.thaw());
      },
    });
    await wire.stop();
    assert.ok(cut);
    assert.deepEqual(report.problems, []);
    assert.deepEqual(report.facts.reverted, ['2', '1']);
    assert.deepEqual(await history(url), []);
    assert.deepEqual(await objects(url), []);
  });

  test('row 42: a backend that is terminated before the commit undid nothing, and is sent again', async () => {
    const url = await slowed(await prepared());
    let killed = 0;
    const report = await roll(url, {
      around: (database) => ({
        transport: database.transport,
        close: () => database.close(),
        async send(message, sending) {
          const answer = database.send(message, sending);
          if (isChange(message) && ++killed === 1) {
            answer.catch(() => undefined);
            await terminate(url);
          }
          return answer;
        },
      }),
    });
    assert.equal(killed, 2);
    assert.deepEqual(report.problems, []);
    assert.deepEqual(await history(url), []);
  });

  test('cancelled by a person: nothing is undone, and it is said', async () => {
    const url = await slowed(await prepared());
    const cancel = new AbortController();
    const report = await roll(url, {
      signal: cancel.signal,
      onLog: (entry) => {
        if (entry.kind === 'progress' && entry.text.includes('2 ran, not yet committed')) cancel.abort();
      },
    });
    assert.deepEqual([report.outcome, report.cancelled, report.problems], ['failed', true, []]);
    assert.match(report.summary ?? '', /cancelled; nothing was undone/);
    assert.deepEqual(await history(url), ['1', '2']);
    assert.deepEqual(await objects(url), ['a', 'b']);
  });
});

describe('two rollbacks at once', () => {
  test('undo the run once, and the second finds nothing to do', async () => {
    const url = await prepared();
    const reports = await Promise.all([roll(url), roll(url), roll(url)]);
    assert.deepEqual(
      reports.map((report) => report.outcome),
      ['passed', 'passed', 'passed'],
      JSON.stringify(reports.map(({ problems }) => problems)),
    );
    assert.deepEqual(reports.map(({ facts }) => facts.reverted?.length).sort(), [0, 0, 2]);
    assert.deepEqual(await history(url), []);
  });

  test('row 49: a table that the application holds is waited for', async () => {
    const url = await prepared();
    const waits: string[] = [];
    const project = createProject();
    const holder = openDatabase(settingsFor(project, url).database!.connection);
    project.delete();
    await holder.send('begin; select * from public.a', { deadline: 10_000 });
    let released: Promise<unknown> | undefined;
    const report = await roll(url, {
      onLog: (entry) => {
        if (entry.kind !== 'progress' || !entry.text.startsWith('waiting')) return;
        waits.push(entry.text);
        released ??= holder.send('commit', { deadline: 10_000 });
      },
    });
    await released;
    await holder.close();
    assert.deepEqual(report.problems, []);
    assert.ok(waits.length > 0);
    assert.deepEqual(await history(url), []);
  });
});

/** Resolves when the rollback of `url` is committed, seen from another connection. */
async function committed(url: string): Promise<void> {
  await until('the rollback to be committed', async () => (await history(url)).length === 0);
}

/** Ends the backend that runs the down files, as soon as it sleeps inside them. */
async function terminate(url: string): Promise<void> {
  await until('a backend at work', async () => {
    const rows = await query(
      url,
      `select pg_terminate_backend(pid) from pg_stat_activity
       where pid <> pg_backend_pid() and wait_event = 'PgSleep' and datname = current_database()`,
    );
    return rows.length > 0;
  });
}

/** Tests of what becomes of statements outside a transaction whose answer or recording was lost; on one version of PostgreSQL. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import pg from 'pg';
import { type FaultProxy, startFaultProxy } from '../servers/fault-proxy.js';
import { startMigrateRun } from '../servers/migrate-run.js';
import { type PostgresServer, type PostgresVersion, query, startPostgres } from '../servers/postgres.js';
import { createProject, history, type Project, runMigrate } from '../servers/project.js';
import { until } from '../servers/until.js';

/** Five rows and a function that takes its time with each, so that a build of an index lasts half a second. */
const SLOW = `create function public.slow(int) returns int language plpgsql immutable as $$
    begin perform pg_sleep(0.1); return $1; end $$;
  create table public.a (id int); insert into public.a select generate_series(1, 5);`;
const BUILD = 'create index concurrently a_i on public.a (public.slow(id));';

async function indexes(url: string): Promise<{ name: string; valid: boolean }[]> {
  return query(
    url,
    `select c.relname as name, i.indisvalid as valid from pg_index i join pg_class c on c.oid = i.indexrelid
     where i.indrelid = 'public.a'::regclass order by 1`,
  );
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

export function lostAnswers(version: PostgresVersion): void {
  let server: PostgresServer;
  let proxy: FaultProxy;
  before(async () => {
    server = await startPostgres({ version });
    proxy = await startFaultProxy({ target: server.port });
  });
  after(async () => {
    await proxy.stop();
    await server.stop();
  });

  async function withProject(work: (url: string, project: Project) => Promise<void>): Promise<void> {
    const project = createProject({ '1_a.sql': SLOW });
    try {
      const url = await server.createDatabase();
      const { report } = await runMigrate(project, url);
      assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
      await work(url, project);
    } finally {
      project.delete();
    }
  }

  for (const how of ['reset', 'end'] as const) {
    test(`row 136: the answer to CREATE INDEX CONCURRENTLY is cut (${how}): found built, and not built again`, async () => {
      await withProject(async (url, project) => {
        project.write({ '2_b.sql': BUILD });
        proxy.breakOnAnswer('CREATE INDEX', how);
        const { report } = await runMigrate(project, proxy.through(url), { runId: '1002' });
        assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
        assert.deepEqual(await indexes(url), [{ name: 'a_i', valid: true }]);
        assert.deepEqual(await history(url), ['1', '2']);
      });
    });
  }

  test('row 136: killed 8 times while CREATE INDEX CONCURRENTLY runs, and the next runs complete', async () => {
    await withProject(async (url, project) => {
      project.write({ '2_b.sql': BUILD });
      for (let kill = 0; kill < 8; kill++) {
        const child = startMigrateRun(project.folder, proxy.through(url), `kill-${kill}`);
        await until('the build', async () => {
          const rows = await query(
            url,
            "select 1 from pg_stat_activity where state = 'active' and query ~* 'create index concurrently a_i' and pid <> pg_backend_pid()",
          );
          return rows.length > 0 || child.exitCode !== null;
        });
        await new Promise((resolve) => setTimeout(resolve, kill * 150));
        await killed(child);
      }
      const { report } = await runMigrate(project, url, { runId: 'last' });
      assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
      assert.deepEqual(await indexes(url), [{ name: 'a_i', valid: true }]);
      assert.deepEqual(await history(url), ['1', '2']);
    });
  });

  test('row 136: killed when the index stands and its answer is swallowed: the next run completes', async () => {
    await withProject(async (url, project) => {
      project.write({ '2_b.sql': BUILD });
      proxy.breakOnAnswer('CREATE INDEX', 'silence');
      const child = startMigrateRun(project.folder, proxy.through(url), '1002');
      await until('the index', async () => (await indexes(url))[0]?.valid === true);
      await killed(child);
      const { report } = await runMigrate(project, url, { runId: '1003' });
      assert.equal(report.outcome, 'passed', JSON.stringify(report.problems));
      assert.deepEqual(await indexes(url), [{ name: 'a_i', valid: true }]);
      assert.deepEqual(await history(url), ['1', '2']);
    });
  });
}
export { pg };

import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type PostgresServer, startPostgres } from '../../servers/postgres.js';
import { history, runMigrate, runPlanPhase, withProject } from '../../servers/project.js';

let server: PostgresServer;
before(async () => {
  server = await startPostgres();
});
after(() => server.stop());

test('a query of verify-sql has a limit of its own, in a plan and in the last batch', async () => {
  await withProject(server, { '1_a.sql': 'create table public.a (id int)' }, async (url, project) => {
    mkdirSync(join(project.folder, 'checks'));
    writeFileSync(join(project.folder, 'checks/slow.sql'), 'select pg_sleep(60)');
    const inputs = { 'verify-sql': 'checks/slow.sql' };
    const told = 'verify-sql: the query of checks/slow.sql failed: no answer within 10 s';
    const [planned, migrated] = await Promise.all([
      runPlanPhase(project, url, { inputs }),
      runMigrate(project, url, { inputs }),
    ]);
    assert.deepEqual(
      planned.log.flatMap((entry) => (entry.kind === 'warning' ? [entry.problem.message] : [])),
      [told],
    );
    assert.deepEqual(
      migrated.report.problems.map(({ message }) => message),
      [told],
    );
    assert.deepEqual(await history(url), []);
  });
});

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { query, startPostgres } from '../servers/postgres.js';

for (const version of [15, 17] as const) {
  test(`a PostgreSQL ${version} starts, crashes, starts again and leaves nothing behind`, async () => {
    const server = await startPostgres({ version, settings: { max_connections: 20 } });
    try {
      const url = await server.createDatabase();
      const [row] = await query<{ version: number; role: string; superuser: boolean; limit: string }>(
        url,
        `select current_setting('server_version_num')::int / 10000 as version, current_user as role,
                rolsuper as superuser, current_setting('max_connections') as limit
         from pg_roles where rolname = current_user`,
      );
      assert.deepEqual(row, { version, role: 'postgres', superuser: false, limit: '20' });
      await server.restart('immediate');
      assert.equal((await query(url, 'select 1 as one')).length, 1);
      await server.halt('fast');
      await assert.rejects(query(url, 'select 1'), /ECONNREFUSED/);
    } finally {
      await server.stop();
    }
    assert.equal(existsSync(server.folder), false);
  });
}

import { after, before, test } from 'node:test';
import { freePort } from '../servers/free-port.js';
import { ACCESS_TOKEN, PROJECT_REF, startManagementApi } from '../servers/management-api.js';
import { type PostgresServer, startPostgres } from '../servers/postgres.js';
import { liveOneLife } from './one-life.js';

let server: PostgresServer;
before(async () => {
  server = await startPostgres({ settings: { wal_level: 'logical' } });
});
after(() => server.stop());

test('migrate, verify, drift and rollback over the query endpoint of the Management API', async () => {
  const url = await server.createDatabase();
  const api = await startManagementApi({ server, databaseUrl: url, poolerPort: await freePort() });
  try {
    await liveOneLife(
      {
        'supabase-project-ref': PROJECT_REF,
        'supabase-access-token': ACCESS_TOKEN,
        'supabase-api-url': api.url,
      },
      url,
    );
  } finally {
    await api.stop();
  }
});

test('the same through a temporary login of a project', async () => {
  const url = await server.createDatabase();
  const api = await startManagementApi({ server, databaseUrl: url, poolerPort: server.port });
  try {
    await liveOneLife(
      {
        'supabase-project-ref': PROJECT_REF,
        'supabase-access-token': ACCESS_TOKEN,
        'supabase-api-url': api.url,
      },
      url,
    );
  } finally {
    await api.stop();
  }
});

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { measuredPage, PAGE, STATEMENT_COUNT } from '../../../scripts/measured-page.js';
import { type PostgresServer, startPostgres } from '../../servers/postgres.js';

let servers: [PostgresServer, PostgresServer];
before(async () => {
  servers = await Promise.all([startPostgres(), startPostgres()]);
});
after(() => Promise.all(servers.map((server) => server.stop())));

test('the page of what rules say and what is measured is as it is measured here, with a reason for each difference', async () => {
  assert.ok(STATEMENT_COUNT >= 40);
  const { page, wrong } = await measuredPage(...servers);
  assert.deepEqual(wrong, []);
  assert.equal(page, readFileSync(PAGE, 'utf8'));
});

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { makeRestorePoint, restorePointName } from '../../../src/database/backup/restore-point.js';
import { Failure } from '../../../src/lib/report.js';
import { Secret } from '../../../src/lib/secret.js';

const REF = 'abcdefghijklmnopqrst';

/** Answers the endpoint as its published description says: each status in turn, the last one for ever. */
async function ask(statuses: (string | number)[]): Promise<string[]> {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    assert.equal(request.headers.authorization, 'Bearer sbp_token');
    const status = statuses.length > 1 ? statuses.shift()! : statuses[0]!;
    request.resume();
    request.on('end', () => {
      response.writeHead(typeof status === 'number' ? status : 201, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ name: 'deploy-7', status, completed_on: null }));
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const project = {
    kind: 'management-api',
    projectRef: REF,
    accessToken: new Secret('sbp_token'),
    apiUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
  } as const;
  try {
    await makeRestorePoint(project, 'deploy-7', new AbortController().signal, 5);
    return asked;
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

const PATH = `/v1/projects/${REF}/database/backups/restore-point`;

test('a restore point is made once and waited for', async () => {
  assert.deepEqual(await ask(['PENDING', 'PENDING', 'AVAILABLE']), [
    `POST ${PATH}`,
    `GET ${PATH}?name=deploy-7`,
    `GET ${PATH}?name=deploy-7`,
  ]);
});

test('a restore point that failed, or is not allowed, stops the deploy', async () => {
  for (const [statuses, said] of [
    [['PENDING', 'FAILED'], /deploy-7 is FAILED/],
    [[403], /403/],
    [[500], /500/],
  ] as [(string | number)[], RegExp][]) {
    await assert.rejects(ask(statuses), (error) => {
      assert.ok(error instanceof Failure, String(error));
      assert.match(error.message, said);
      assert.doesNotMatch(error.message, /sbp_/);
      return true;
    });
  }
});

test('its name is one that the API takes', () => {
  const name = (id: string, attempt = 1): string => restorePointName({ id, attempt });
  assert.equal(name('12345678901'), 'deploy-12345678901');
  assert.equal(name('12345678901', 2), 'deploy-12345678901-2');
  const names = [
    name('local-20251125T101112Z'),
    name('local-20251129T101112Z'),
    name('local-20251129T101112Z', 2),
    name('local run/1 (very long)'),
  ];
  assert.equal(new Set(names).size, names.length, names.join());
  for (const each of names) assert.match(each, /^deploy-[A-Za-z0-9-]{1,13}$/);
});

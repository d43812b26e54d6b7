import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { exchangeHttp } from '../../../src/database/connection/https-request.js';
import { makeCertificate } from '../../servers/certificate.js';
import { withHttpServer } from '../../servers/http.js';

const MODULE = new URL('../../../src/database/connection/https-request.js', import.meta.url).href;

test('an authority of our own does not replace those of NODE_EXTRA_CA_CERTS', () => {
  const [known, given] = [makeCertificate(), makeCertificate()];
  const folder = mkdtempSync(join(tmpdir(), 'muva-trust-'));
  const file = join(folder, 'authority.pem');
  writeFileSync(file, known.cert);
  // Node reads the variable once, when it starts. The server stands in the same process: this one only waits.
  const code = `import { createServer } from 'node:https';
    import { exchangeHttp } from ${JSON.stringify(MODULE)};
    const server = createServer(${JSON.stringify(known)}, (request, response) => response.end('{}')).listen(0, async () => {
      const answer = await exchangeHttp({ url: \`https://localhost:\${server.address().port}\`, method: 'GET', headers: {},
        caCertificate: ${JSON.stringify(given.cert)}, deadline: 5000 });
      console.log(answer.body);
      server.closeAllConnections();
      server.close();
    });`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', code], {
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: '', NODE_EXTRA_CA_CERTS: file },
  });
  rmSync(folder, { recursive: true, force: true });
  assert.equal(stdout, '{}\n', stderr);
});

test('an answer without end is broken off', async () => {
  const piece = Buffer.alloc(1024 * 1024);
  let sent = 0;
  await withHttpServer(
    (_request, response) => {
      const more = (): void => {
        while (response.write(piece)) sent++;
        response.once('drain', more);
      };
      more();
    },
    async ({ url }) => {
      await assert.rejects(
        exchangeHttp({ url, method: 'GET', headers: {}, deadline: 60_000 }),
        (error) => error instanceof Error && 'code' in error && error.code === 'TOO_LONG',
      );
    },
  );
  assert.ok(sent < 200);
});

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { judgeHealth } from '../../src/http/verdict.js';
import type { HealthFact } from '../../src/lib/report.js';
import { DAY, makeCertificate } from '../servers/certificate.js';
import { HEALTHY, serve, withHttpServer } from '../servers/http.js';

const PROBE = new URL('../../src/http/check-health.js', import.meta.url).href;

/**
 * Asks from a process of its own that trusts `authority`: Node reads NODE_EXTRA_CA_CERTS once, when it starts.
 */
async function askTrusting(
  authority: string,
  url: string,
  env: NodeJS.ProcessEnv = {},
): Promise<HealthFact[]> {
  const folder = mkdtempSync(join(tmpdir(), 'muva-trust-'));
  try {
    const file = join(folder, 'authority.pem');
    writeFileSync(file, authority);
    const options = {
      paths: ['/', '/api/health'],
      timeout: 2_000,
      deadline: 4_000,
      successes: 2,
      checkAssets: true,
    };
    const code = `import { checkHealth } from ${JSON.stringify(PROBE)};
      const facts = await checkHealth({ baseUrl: ${JSON.stringify(url)}, from: 'runner' }, ${JSON.stringify(options)});
      console.log(JSON.stringify(facts));`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
      env: { ...process.env, NODE_OPTIONS: '', NODE_EXTRA_CA_CERTS: file, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let out = '';
    let said = '';
    child.stdout.on('data', (chunk) => (out += chunk));
    child.stderr.on('data', (chunk) => (said += chunk));
    const status = await new Promise((resolve) => child.once('close', resolve));
    assert.equal(status, 0, said);
    return JSON.parse(out) as HealthFact[];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test('a trusted certificate is healthy, its handshake is timed and its days are told', async () => {
  const tls = makeCertificate({ notAfter: new Date(Date.now() + 9.5 * DAY) });
  await withHttpServer(
    serve(HEALTHY),
    async ({ port }) => {
      const facts = await askTrusting(tls.cert, `https://localhost:${port}`);
      assert.deepEqual(
        facts.map(({ name, ok }) => [name, ok]),
        [
          ['/', true],
          ['/api/health', true],
          ['assets', true],
          ['certificate', true],
        ],
      );
      assert.ok(facts[0]!.timings!.tls! > 0);
      assert.deepEqual([facts[3]!['days-left'], facts[3]!.detail], [9, 'valid for 9 more days']);
      const judgement = judgeHealth(facts, [], {});
      assert.equal(judgement.verdict, 'ok');
      assert.match(judgement.warnings[0]!.message, /9 more days/);
    },
    { tls },
  );
});

test('a certificate for another name is refused although its authority is trusted', async () => {
  const tls = makeCertificate({ names: ['other.example'] });
  await withHttpServer(
    serve(HEALTHY),
    async ({ port }) => {
      const facts = await askTrusting(tls.cert, `https://localhost:${port}`);
      assert.match(facts[0]!.detail!, /the TLS certificate is for another name/);
    },
    { tls },
  );
});

test('an environment that switches verification off does not switch it off here', async () => {
  const [served, trusted] = [makeCertificate(), makeCertificate()];
  await withHttpServer(
    serve(HEALTHY),
    async ({ port, requests }) => {
      const facts = await askTrusting(trusted.cert, `https://localhost:${port}`, {
        NODE_TLS_REJECT_UNAUTHORIZED: '0',
      });
      assert.match(facts[0]!.detail!, /not trusted/);
      assert.deepEqual(requests, []);
    },
    { tls: served },
  );
});

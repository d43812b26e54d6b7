import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { programsBehind } from '../../../src/worker/host/processes.js';
import { awaitProof } from '../../../src/worker/supervisor/restart-proof.js';
import { appFiles, appVersion } from '../../servers/fixture-app.js';
import { freePort } from '../../servers/free-port.js';
import { kill } from '../../servers/pm2.js';
import { until } from '../../servers/until.js';
import { ask, withVps } from '../../servers/vps.js';
import { app, deployRequest, HEALTH, runWorker } from '../../servers/worker.js';

const SHA = { old: 'a1'.repeat(20), new: 'b2'.repeat(20) };
const mark = (commit: string) => ({ commit, texts: [], files: new Set<string>() });

describe('supervisors as Debian and npm have them', () => {
  test('row 139: nginx reloads with new workers under its old master', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'muva-nginx-'));
    const port = await freePort();
    const answer = (commit: string): void => writeFileSync(join(folder, 'nginx.conf'), nginx(port, commit));
    answer(SHA.old);
    const master = spawn('nginx', ['-p', folder, '-c', 'nginx.conf', '-e', 'error.log'], {
      env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` },
      stdio: 'ignore',
    });
    try {
      const served = (): Promise<string | undefined> =>
        ask(port, '/').then(
          ({ body }) => body.trim(),
          () => undefined,
        );
      await until('nginx to answer', async () => (await served()) === SHA.old);
      const health = { ...HEALTH, paths: ['/'], deadline: 60_000 };
      const before = { instances: [], programs: programsBehind(port)! };
      assert.ok(before.programs.size >= 2, 'master and worker');
      const versions = { to: mark(SHA.new), from: mark(SHA.old) };
      // A reload that nginx refuses, because of a fault in its configuration, changes nothing.
      writeFileSync(join(folder, 'nginx.conf'), 'no configuration');
      master.kill('SIGHUP');
      const none = await awaitProof({ port, health: { ...health, deadline: 2_000 }, before, versions });
      assert.equal(none.verdict, 'not-restarted');
      answer(SHA.new);
      master.kill('SIGHUP');
      const proof = await awaitProof({
        port,
        health,
        before,
        versions: { to: mark('c3'), from: mark('d4') },
      });
      assert.deepEqual([proof.verdict, proof.behind], ['restarted', 'new']);
      assert.ok([...programsBehind(port)!].some((each) => each.startsWith(`${master.pid}:`)));
      await until('the new answer', async () => (await served()) === SHA.new);
    } finally {
      kill(master.pid!, 'SIGTERM');
      await until('nginx to end', () => programsBehind(port) === undefined);
      rmSync(folder, { recursive: true });
    }
  });

  test("row 139: PM2's daemon holds the port in cluster mode, and its new instances are the proof", () =>
    withVps(
      {},
      async (vps, origin) => {
        const health = { ...HEALTH, paths: ['/api/health'], checkAssets: false };
        const deploy = (version: string, restartCommand: string) =>
          runWorker(
            vps,
            deployRequest(vps, origin.commit(appVersion(version, { anonymous: true })), {
              app: app(vps, { restartCommand, healthPort: vps.port }),
              health,
            }),
          );
        const daemon = programsBehind(vps.port)!;
        const good = await deploy('v2', 'pm2 reload app');
        assert.equal(good.result.outcome, 'deployed', JSON.stringify(good.result));
        assert.doesNotMatch(JSON.stringify(good.result.warnings), /not proven/);
        assert.equal((await vps.served())?.version, 'v2');
        assert.ok([...programsBehind(vps.port)!].some((each) => daemon.has(each)));
        const nothing = await deploy('v3', 'pm2 ping');
        assert.match(JSON.stringify(nothing.result.warnings), /not proven/);
      },
      appFiles('v1', { anonymous: true }),
    ));
});

function nginx(port: number, commit: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${name};`)
    .join(' ');
  return `daemon off; pid nginx.pid; worker_processes 1; events {}
http { access_log off; ${temporary}
  server { listen 127.0.0.1:${port}; location / { default_type text/plain; return 200 "${commit}\\n"; } } }
`;
}

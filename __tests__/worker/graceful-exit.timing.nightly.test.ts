import assert from 'node:assert/strict';
import { copyFileSync, cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Origin, startOrigin } from '../servers/origin.js';
import { until } from '../servers/until.js';
import { ask, startVps, type Vps } from '../servers/vps.js';

/** A process that just exits loses about one connection in 2,500 under this load. */
const RELOADS = 40;
const CONNECTIONS_A_SECOND = 800;

/** A server that leaves signals to others, as Next.js does with NEXT_MANUAL_SIG_HANDLE. */
const PLAIN = `
require('node:http').createServer((request, response) => setTimeout(() => response.end('here'), 1))
  .listen(Number(process.env.PORT), '127.0.0.1');
`;

describe('a reload by PM2 in cluster mode, with a new connection for each request', () => {
  let origin: Origin;
  let vps: Vps;
  before(async () => {
    origin = startOrigin({ 'README.md': 'nothing is deployed here\n' });
    vps = await startVps(origin, { installed: false });
  });
  after(async () => {
    await vps?.stop();
    origin?.stop();
  });

  async function reloaded(name: string, entry: Record<string, unknown>): Promise<void> {
    const ecosystem = join(vps.home, `${name}.config.json`);
    const shared = { exec_mode: 'cluster', instances: 1, kill_timeout: 10_000, env: { PORT: vps.port } };
    writeFileSync(ecosystem, JSON.stringify({ apps: [{ name, ...shared, ...entry }] }));
    const pm2 = async (command: string): Promise<void> => {
      const { code, stderr } = await vps.run(`pm2 ${command}`);
      assert.equal(code, 0, stderr);
    };
    await pm2(`start '${ecosystem}'`);
    await until('the application to answer', () => ask(vps.port, '/').catch(() => undefined));
    const load = vps.load(CONNECTIONS_A_SECOND);
    for (let reload = 0; reload < RELOADS; reload++) await pm2(`reload ${name}`);
    const { requests, failed, failures } = await load.stop();
    await pm2(`delete ${name}`);
    assert.deepEqual([failed, failures], [0, []], `of ${requests}`);
    assert.ok(requests > RELOADS);
  }

  test('loses none where examples/graceful-exit.cjs is preloaded', async () => {
    const preload = join(vps.home, 'graceful-exit.cjs');
    copyFileSync('examples/graceful-exit.cjs', preload);
    writeFileSync(join(vps.home, 'plain.js'), PLAIN);
    await reloaded('plain', { script: join(vps.home, 'plain.js'), node_args: `--require ${preload}` });
  });

  test('loses none with the exit of the example application', async () => {
    cpSync('examples/app', join(vps.home, 'app'), { recursive: true });
    const { code, stderr } = await vps.run('node build.mjs', join(vps.home, 'app'));
    assert.equal(code, 0, stderr);
    await reloaded('example', { script: 'server.js', cwd: join(vps.home, 'app') });
  });
});

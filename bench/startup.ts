/**
 * What loading the bundle costs, mode by mode: from the start of the process to its first network call, against an
 * empty Node process; and the size of dist. `node build/bench/startup.js [rounds]`.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import ssh2 from 'ssh2';
import { interleaved, median, spread, table, writeSection } from './measure.js';

const rounds = Number(process.argv[2] ?? 15);
const dist = resolve(process.env.DIST ?? 'dist');
const folder = mkdtempSync(join(tmpdir(), 'muva-bench-'));
mkdirSync(join(folder, 'supabase', 'migrations'), { recursive: true });
writeFileSync(join(folder, 'supabase', 'migrations', '1_a.sql'), 'select 1;\n');
const empty = join(folder, 'empty.js');

/** Everything that the action talks to: it hears the first call of a run, and says nothing. */
const network = createServer((socket) => socket.on('error', () => undefined)).listen(0, '127.0.0.1');
await once(network, 'listening');
const { port } = network.address() as AddressInfo;
writeFileSync(empty, `require('net').connect(${port}, '127.0.0.1').on('error', () => {});\n`);

const database = { DATABASE_URL: `postgresql://postgres:secret@127.0.0.1:${port}/postgres` };
const url = { HEALTH_URL: `http://127.0.0.1:${port}` };
const vps = {
  VPS_HOST: '127.0.0.1',
  'INPUT_SSH-PORT': String(port),
  VPS_USER: 'deploy',
  VPS_SSH_KEY: ssh2.utils.generateKeyPairSync('ed25519').private,
  VPS_FINGERPRINT: `SHA256:${'A'.repeat(43)}`,
  'INPUT_APP-PATH': '/srv/app',
  'INPUT_APP-NAME': 'app',
};
const MODES: Record<string, Record<string, string>> = {
  plan: database,
  migrate: database,
  verify: database,
  redeploy: vps,
  health: url,
  rollback: { ...database, ...vps },
  deploy: { ...database, ...vps, ...url },
};

/** Milliseconds from the start of a process to its first connection. */
async function firstCall(script: string, env: Record<string, string>): Promise<number> {
  const connected = once(network, 'connection');
  const started = performance.now();
  const child = spawn(process.execPath, [script], {
    cwd: folder,
    env: { PATH: process.env.PATH ?? '', HOME: folder, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
  const ended = once(child, 'close');
  const called = await Promise.race([connected.then(() => true), ended.then(() => false)]);
  const took = performance.now() - started;
  child.kill('SIGKILL');
  await ended;
  if (!called) throw new Error(`${script} ended without any call:\n${text}`);
  return took;
}

/** As GitHub's runner starts it. */
const runner = (mode: string): Record<string, string> => ({
  INPUT_MODE: mode,
  GITHUB_ACTIONS: 'true',
  GITHUB_RUN_ID: '1',
  GITHUB_RUN_ATTEMPT: '1',
  GITHUB_REPOSITORY: 'muva/demo',
  GITHUB_SERVER_URL: 'https://github.com',
  GITHUB_SHA: 'a'.repeat(40),
  GITHUB_WORKSPACE: folder,
});

function sizes(): string {
  const files = readdirSync(dist, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const bytes = files.map((entry) => statSync(join(entry.parentPath ?? entry.path, entry.name)).size);
  const total = bytes.reduce((sum, each) => sum + each, 0);
  return `dist: ${files.length} files, ${(total / 1_000_000).toFixed(1)} MB.`;
}

try {
  const results = await interleaved(rounds, [
    { name: 'an empty Node process that connects', run: () => firstCall(empty, {}) },
    ...Object.entries(MODES).map(([mode, env]) => ({
      name: `\`mode: ${mode}\``,
      run: () => firstCall(join(dist, 'index.js'), { ...runner(mode), ...env }),
    })),
  ]);
  const base = median(results.get('an empty Node process that connects')!);
  const rows = [...results].map(([name, times]) => [
    name,
    spread(times),
    `${Math.round(median(times) - base)} ms`,
  ]);
  const text = `From the start of the process to its first network call: reading and checking all inputs is in it, and
loading what talks to the network. ${rounds} rounds.\n\n${table(['', 'to the first call', 'over the empty one'], rows)}\n\n${sizes()}`;
  console.log(text);
  writeSection(`startup ${rounds}`, 'Start-up and size', text);
} finally {
  network.close();
  rmSync(folder, { recursive: true, force: true });
}

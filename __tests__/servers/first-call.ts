import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import ssh2 from 'ssh2';

export interface FirstCalls {
  /** The inputs and the environment of every mode, all pointing to a server that hears the call and says nothing. */
  readonly modes: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Milliseconds from the start of the action's process, as the runner starts it, to its first network call. */
  ofMode(mode: string): Promise<number>;
  /** The same of a Node process that does nothing else. */
  ofEmpty(): Promise<number>;
}

/** Measures how long a process takes until it first talks to the network: what loading and reading the inputs cost. */
export async function withFirstCalls<T>(dist: string, work: (calls: FirstCalls) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'first-call-'));
  const network = createServer((socket) => socket.on('error', () => undefined)).listen(0, '127.0.0.1');
  try {
    await once(network, 'listening');
    const { port } = network.address() as AddressInfo;
    const empty = join(folder, 'empty.js');
    writeFileSync(empty, `require('net').connect(${port}, '127.0.0.1').on('error', () => {});\n`);
    mkdirSync(join(folder, 'supabase', 'migrations'), { recursive: true });
    writeFileSync(join(folder, 'supabase', 'migrations', '1_a.sql'), 'select 1;\n');
    for (const name of ['output', 'state', 'summary']) writeFileSync(join(folder, name), '');

    const ofScript = async (script: string, env: Readonly<Record<string, string>>): Promise<number> => {
      const called = once(network, 'connection').then(() => true);
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
      const heard = await Promise.race([called, ended.then(() => false)]);
      const took = performance.now() - started;
      child.kill('SIGKILL');
      await ended;
      if (!heard) throw new Error(`${script} ended without any call:\n${text}`);
      await drained(network, port);
      return took;
    };
    const modes = inputsOf(port);
    return await work({
      modes,
      ofMode: (mode) => ofScript(join(dist, 'index.js'), { ...runner(mode, folder), ...modes[mode] }),
      ofEmpty: () => ofScript(empty, {}),
    });
  } finally {
    network.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Returns when every connection that was made so far has been heard: one left over would count for the next process. */
async function drained(network: Server, port: number): Promise<void> {
  const heard: (number | undefined)[] = [];
  const listener = (socket: Socket): void => void heard.push(socket.remotePort);
  network.on('connection', listener);
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  while (!heard.includes(socket.localPort)) await once(network, 'connection');
  network.off('connection', listener);
  socket.destroy();
}

function inputsOf(port: number): FirstCalls['modes'] {
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
  return {
    plan: database,
    migrate: database,
    verify: database,
    redeploy: vps,
    health: url,
    rollback: { ...database, ...vps },
    deploy: { ...database, ...vps, ...url },
  };
}

function runner(mode: string, folder: string): Record<string, string> {
  return {
    INPUT_MODE: mode,
    GITHUB_ACTIONS: 'true',
    GITHUB_RUN_ID: '1',
    GITHUB_RUN_ATTEMPT: '1',
    GITHUB_REPOSITORY: 'muva/demo',
    GITHUB_SERVER_URL: 'https://github.com',
    GITHUB_SHA: 'a'.repeat(40),
    GITHUB_WORKSPACE: folder,
    GITHUB_OUTPUT: join(folder, 'output'),
    GITHUB_STATE: join(folder, 'state'),
    GITHUB_STEP_SUMMARY: join(folder, 'summary'),
  };
}

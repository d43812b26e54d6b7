/** A real pgbouncer; needs Debian's package, so it is used by slow tests only. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './free-port.js';
import type { PostgresServer } from './postgres.js';

export interface PgBouncer {
  readonly port: number;
  /** The same URL through the pooler. */
  through(url: string): string;
  stop(): Promise<void>;
}

export interface PgBouncerOptions {
  mode?: 'session' | 'transaction';
  poolSize?: number;
  /** Further lines of its configuration. */
  settings?: readonly string[];
}

export async function startPgBouncer(
  server: PostgresServer,
  { mode = 'transaction', poolSize = 4, settings = [] }: PgBouncerOptions = {},
): Promise<PgBouncer> {
  const folder = mkdtempSync(join(tmpdir(), 'muva-pgbouncer-'));
  chmodSync(folder, 0o755);
  const port = await freePort();
  const users = join(folder, 'users.txt');
  writeFileSync(users, `"postgres" "${server.password}"\n`);
  const configuration = join(folder, 'pgbouncer.ini');
  writeFileSync(
    configuration,
    `[databases]
* = host=127.0.0.1 port=${server.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${users}
pool_mode = ${mode}
default_pool_size = ${poolSize}
max_client_conn = 200
server_login_retry = 1
query_wait_timeout = 20
${settings.join('\n')}
`,
  );
  const root = process.getuid?.() === 0;
  const child = spawn('/usr/sbin/pgbouncer', [configuration], {
    stdio: ['ignore', 'ignore', 'pipe'],
    cwd: '/',
    ...(root ? { uid: 65_534, gid: 65_534 } : {}),
  });
  await listening(child);
  return {
    port,
    through: (url) => url.replace(/@127\.0\.0\.1:\d+/, `@127.0.0.1:${port}`),
    async stop() {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function listening(child: ChildProcess): Promise<void> {
  let text = '';
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', () => reject(new Error(`pgbouncer did not start:\n${text}`)));
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      if (text.includes('process up')) resolve();
    });
  });
}

/**
 * All that the example application lives on: a database, a git origin with its first commit, a server with SSH.
 * The demo and the tests of examples/*.yml deploy to it.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import ssh2 from 'ssh2';
import { type Files, type Origin, startOrigin } from './origin.js';
import { type PostgresServer, type PostgresVersion, startPostgres } from './postgres.js';
import { type Sshd, startSshd } from './sshd.js';
import { startVps, type Vps } from './vps.js';

export interface Stage {
  postgres: PostgresServer;
  /** A database of its own, empty at first. */
  databaseUrl: string;
  /** Holds examples/app as its first commit. */
  origin: Origin;
  /** Has PM2, pnpm and git, and no application yet. */
  vps: Vps;
  sshd: Sshd;
}

export interface StageOptions {
  /** Stops between two servers; what was started is stopped as after an error. */
  signal?: AbortSignal;
  ssh?: Sshd['kind'];
  /** The server's version; 17 unless told otherwise. */
  postgres?: PostgresVersion;
}

/** Starts everything, and takes all of it away afterwards, whatever happens. */
export async function withStage(options: StageOptions, work: (stage: Stage) => Promise<void>): Promise<void> {
  const opened: { stop(): unknown }[] = [];
  const open = async <T extends { stop(): unknown }>(start: () => T | Promise<T>): Promise<T> => {
    options.signal?.throwIfAborted();
    const server = await start();
    opened.unshift(server);
    return server;
  };
  const failures: unknown[] = [];
  try {
    const postgres = await open(() =>
      startPostgres(options.postgres === undefined ? {} : { version: options.postgres }),
    );
    const databaseUrl = await postgres.createDatabase();
    const nothing = await open(() => startOrigin({}));
    const vps = await open(() => startVps(nothing, { installed: false }));
    // The ecosystem file names the port, so the server comes before the first commit.
    const origin = await open(() => startOrigin(application(vps.port)));
    const sshd = await open(() => startSshServer(vps, options.ssh));
    await work({ postgres, databaseUrl, origin, vps, sshd });
  } catch (error) {
    failures.push(error);
  }
  for (const server of opened) {
    try {
      await server.stop();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}

/** OpenSSH's sshd where it is installed and lets this user in (an account without a shell is not), else the embedded one. */
async function startSshServer(vps: Vps, kind: Sshd['kind'] | undefined): Promise<Sshd> {
  const options = { home: vps.home, environment: vps.env };
  const sshd = await startSshd(kind ? { ...options, kind } : options);
  if (kind !== undefined || sshd.kind === 'embedded' || (await letsIn(sshd))) return sshd;
  await sshd.stop();
  return startSshd({ ...options, kind: 'embedded' });
}

function letsIn({ host, port, user, privateKey }: Sshd): Promise<boolean> {
  const client = new ssh2.Client();
  return new Promise((resolve) => {
    client.on('ready', () =>
      client.exec('true', (error, channel) => {
        if (error) return resolve(false);
        channel.on('exit', (code: number | null) => resolve(code === 0)).resume();
      }),
    );
    client.on('error', () => resolve(false));
    client.connect({ host, port, username: user, privateKey, readyTimeout: 10_000 });
  }).finally(() => client.end()) as Promise<boolean>;
}

/** Gives a fresh checkout of one commit, as actions/checkout makes it, and removes it afterwards. */
export async function withCheckout<T>(
  origin: Origin,
  sha: string,
  work: (folder: string) => Promise<T>,
): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'muva-checkout-'));
  try {
    origin.git('clone', '-q', origin.url, folder);
    origin.git('-C', folder, 'checkout', '-q', '--detach', sha);
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Commits the files of a folder as version `v2`, `v3`…, and returns the commit. */
export function pushVersion(origin: Origin, version: string, folder: string): string {
  const manifest = JSON.parse(readFileSync('examples/app/package.json', 'utf8')) as Record<string, unknown>;
  manifest.version = `${version.slice(1)}.0.0`;
  const changes = { ...filesBelow(folder), 'package.json': `${JSON.stringify(manifest, null, 2)}\n` };
  return origin.commit(changes, version);
}

/** Every file of examples/app, with the port that the server has free. */
function application(port: number): Files {
  const files = filesBelow('examples/app');
  const ecosystem = files['ecosystem.config.js'];
  if (!ecosystem?.includes('PORT: 3000'))
    throw new Error('examples/app/ecosystem.config.js has no PORT: 3000');
  return { ...files, 'ecosystem.config.js': ecosystem.replace('PORT: 3000', `PORT: ${port}`) };
}

function filesBelow(folder: string, path = ''): Record<string, string> {
  const files: Record<string, string> = {};
  for (const entry of readdirSync(join(folder, path), { withFileTypes: true })) {
    const name = join(path, entry.name);
    // What someone made there by trying the application by hand.
    if (['node_modules', 'dist', '.env.local'].includes(entry.name)) continue;
    if (entry.isDirectory()) Object.assign(files, filesBelow(folder, name));
    else files[name] = readFileSync(join(folder, name), 'utf8');
  }
  return files;
}

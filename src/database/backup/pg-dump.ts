import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, type Readable } from 'node:stream';
import { textEnd } from '../../lib/cut-text.js';
import type { DatabaseAddress } from '../../lib/database-address.js';
import { definedOnly } from '../../lib/defined-only.js';
import { runProgram, startProgram } from '../../lib/local-programs.js';
import { Cancelled, Failure, type Problem } from '../../lib/report.js';
import { whenAborted } from '../../lib/when-aborted.js';
import type { Transport } from '../connection/connection.js';
import { PLATFORM_SCHEMAS } from '../schema/platform-schemas.js';

/** A pg_dump on this machine. */
export interface PgDump {
  path: string;
  /** Major version, such as 17. */
  major: number;
}

/** The major version in `pg_dump (PostgreSQL) 17.2 (Debian 17.2-1)`; undefined for anything else. */
export function majorOf(said: string): number | undefined {
  const match = /^pg_dump \(PostgreSQL\) (\d+)/.exec(said.trim());
  return match ? Number(match[1]) : undefined;
}

/** The pg_dump that fits best: an older one than the server refuses, and the nearest newer one knows it best. */
export function choosePgDump(found: readonly PgDump[], serverMajor: number): PgDump | Problem {
  const fitting = found.filter(({ major }) => major >= serverMajor).sort((a, b) => a.major - b.major);
  if (fitting[0]) return fitting[0];
  const newest = Math.max(...found.map(({ major }) => major));
  return {
    message:
      found.length === 0
        ? 'pg_dump is not installed on this machine, so there is no backup'
        : `pg_dump ${newest} is older than the server (PostgreSQL ${serverMajor}), so there is no backup`,
    code: 'PG_DUMP',
    next: `Install postgresql-client-${serverMajor} in a step before this one (from apt.postgresql.org: sudo apt-get install -y postgresql-common && sudo /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y && sudo apt-get install -y postgresql-client-${serverMajor}), or say backup: off.`,
  };
}

/** The pg_dump for a backup of this server over this way, or why there can be none. */
export async function pgDumpFor(transport: Transport, serverMajor: number): Promise<PgDump | Problem> {
  if (transport === 'transaction-pooler')
    return {
      message: 'a backup cannot be made through a transaction pooler: pg_dump needs one session',
      next: 'Give the session pooler or direct URL in database-url (port 5432), or say backup: off.',
    };
  return choosePgDump(await findPgDumps(), serverMajor);
}

/** Every pg_dump in PATH and where Debian's packages put the versions beside each other. */
export async function findPgDumps(path = process.env.PATH ?? ''): Promise<PgDump[]> {
  const beside = '/usr/lib/postgresql';
  const versions = existsSync(beside) ? readdirSync(beside).map((name) => join(beside, name, 'bin')) : [];
  const folders = new Set([...path.split(':').filter((folder) => folder.startsWith('/')), ...versions]);
  const candidates = [...folders].map((folder) => join(folder, 'pg_dump')).filter((file) => existsSync(file));
  const asked = await Promise.all(
    candidates.map(async (file) => ({ path: file, major: await askPgDumpVersion(file) })),
  );
  return asked.filter((found): found is PgDump => found.major !== undefined);
}

async function askPgDumpVersion(file: string): Promise<number | undefined> {
  const ended = await runProgram([file, '--version'], { timeout: 10_000 }).catch(() => undefined);
  return ended && majorOf(ended.stdout);
}

export interface DumpOrder {
  pgDump: PgDump;
  address: DatabaseAddress;
  caCertificate: string | undefined;
  what: 'schema' | 'full';
  /**
   * The schemas of Supabase: left out, or those with rows that users have made held too (auth, storage), or `absent`
   * where this is another database, whose schemas of such names are the project's own.
   */
  platform: 'left out' | 'with rows' | 'absent';
  /** Milliseconds that pg_dump waits for a table that somebody holds exclusively. */
  lockTimeout: number;
  signal: AbortSignal;
}

/** The words of the command line; no secret is among them, because any user of the machine can read them. */
export function dumpArguments({ address, what, platform, lockTimeout }: DumpOrder): string[] {
  const held = what === 'full' && platform === 'with rows';
  return [
    '--format=custom',
    '--no-password',
    `--lock-wait-timeout=${lockTimeout}`,
    ...(what === 'schema' ? ['--schema-only'] : []),
    ...(platform === 'absent' ? [] : LEFT_OUT)
      .filter((schema) => !held || !WITH_ROWS.includes(schema))
      .map((schema) => `--exclude-schema=${schema}`),
    // What the services note about themselves: restored, it would be that of another version, and not all roles may read it.
    ...(held ? OWN_NOTES.map((table) => `--exclude-table=${table}`) : []),
    `--host=${address.host}`,
    `--port=${address.port}`,
    `--username=${address.user}`,
    `--dbname=${libpqWord(address.database)}`,
  ];
}

/** True of a database of Supabase, hosted or not: the services have their roles there. */
export const IS_SUPABASE = `exists (select from pg_catalog.pg_roles where rolname = 'supabase_auth_admin')`;

/** The platform keeps them by itself; the history of the migrations is the project's own. */
const LEFT_OUT = PLATFORM_SCHEMAS.filter(
  (schema) => schema !== 'information_schema' && schema !== 'supabase_migrations',
);
/** Those of the platform that hold what the project's users have made. */
const WITH_ROWS: readonly string[] = ['auth', 'storage'];
const OWN_NOTES = ['auth.schema_migrations', 'storage.migrations'];

/** A database name that libpq could take for a connection string is written as one. */
function libpqWord(database: string): string {
  return /[=:/\s]/.test(database)
    ? `dbname='${database.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`
    : database;
}

/**
 * Runs pg_dump and hands its output to `consume`. The stream ends only when pg_dump has said that all went well, and
 * breaks otherwise: an exit code comes after the last byte. The password goes through the environment of that one
 * process. Resolves with the number of bytes.
 */
export async function withDump(
  order: DumpOrder,
  consume: (output: Readable) => Promise<unknown>,
): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'muva-dump-'));
  let child: ChildProcess | undefined;
  let listenNoMore = (): void => {};
  try {
    const words: [string, ...string[]] = [order.pgDump.path, ...dumpArguments(order)];
    const env = await dumpEnvironment(order, folder);
    if (order.signal.aborted) throw new Cancelled();
    const started = startProgram(words, { env });
    child = started;
    listenNoMore = whenAborted(order.signal, () => void started.kill('SIGTERM'));
    let bytes = 0;
    const output = new PassThrough();
    started.stdout.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    started.stdout.pipe(output, { end: false });
    const exit = ended(started, order.signal).then(
      () => output.end(),
      (error: Error) => {
        output.destroy(error);
        throw error;
      },
    );
    // The exit comes first: what it says is the cause of whatever the other side then complains about.
    const consumed = consume(output);
    consumed.catch(() => started.kill('SIGKILL'));
    const [left, kept] = await Promise.allSettled([exit, consumed]);
    if (kept.status === 'rejected')
      throw left.status === 'rejected' && !started.killed ? left.reason : kept.reason;
    if (left.status === 'rejected') throw left.reason;
    return bytes;
  } finally {
    listenNoMore();
    child?.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
}

async function dumpEnvironment(
  { address, caCertificate }: DumpOrder,
  folder: string,
): Promise<Record<string, string>> {
  const { tlsOptions } = await import('../connection/tls.js');
  const tls = tlsOptions(address, caCertificate);
  const roots = join(folder, 'roots.pem');
  if (tls) writeFileSync(roots, [tls.ca].flat().join('\n'), { mode: 0o600 });
  return {
    // Not that of the job's user, where libpq would look for passwords and certificates.
    HOME: folder,
    PGPASSWORD: address.password.reveal(),
    PGCONNECT_TIMEOUT: '15',
    PGGSSENCMODE: 'disable',
    ...definedOnly({ PGOPTIONS: address.options, PGAPPNAME: address.applicationName }),
    ...(tls ? { PGSSLMODE: 'verify-full', PGSSLROOTCERT: roots } : { PGSSLMODE: 'disable' }),
  };
}

async function ended(child: ChildProcess, signal: AbortSignal): Promise<void> {
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    said = textEnd(said + chunk, 4_000);
  });
  const [code, killedBy] = (await once(child, 'close')) as [number | null, string | null];
  if (signal.aborted) throw new Cancelled();
  if (code === 0) return;
  // Of the queries that it repeats only the one for a lock is told: it names the table that somebody holds.
  const lines = said.split('\n').filter((line) => /error:|Query was: LOCK TABLE/.test(line));
  throw new Failure({
    message: `pg_dump failed: ${(lines.length > 0 ? lines : [said.trim() || `it was ended by ${killedBy}`]).slice(0, 3).join('; ')}`,
    code: code === null ? (killedBy ?? 'killed') : `exit ${code}`,
    next: 'Nothing was changed. Correct what pg_dump complains about, or say backup: off.',
  });
}

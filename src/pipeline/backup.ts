import { createWriteStream, mkdirSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type DumpOrder, IS_SUPABASE, pgDumpFor, withDump } from '../database/backup/pg-dump.js';
import { makeRestorePoint, restorePointName } from '../database/backup/restore-point.js';
import { lastRow } from '../database/connection/results.js';
import { formatBytes } from '../lib/bytes.js';
import type { DatabaseConnection } from '../lib/database-address.js';
import { Failure, type PhaseReport } from '../lib/report.js';
import { runPhase } from '../report/phase.js';
import { inspectFleet } from '../server/fleet/inspect-fleet.js';
import { keepNewest } from '../server/fleet/keep-newest.js';
import type { ServerWork } from '../server/fleet/server-work.js';
import { storeFile } from '../server/fleet/store-file.js';
import { BACKUPS, type DeployRequest } from '../worker/protocol.js';
import { CONFIRM, type PreparedHosts } from './migrate.js';
import type { DatabaseWork } from './tools.js';

type ConnectionByUrl = Extract<DatabaseConnection, { kind: 'url' }>;

/** Takes a backup's bytes and resolves with where they lie; leaves nothing where they break off. */
type Store = (name: string, content: Readable) => Promise<string>;

/**
 * Makes a backup before the first write; `servers`: where it may lie, `hosts`: without which it is not made. Any failure here stops the deploy with nothing
 * changed.
 */
export async function backup(
  work: DatabaseWork,
  servers: ServerWork | undefined,
  hosts?: PreparedHosts,
): Promise<PhaseReport> {
  const { settings, log, signal } = work;
  const rules = settings.database;
  const { connection } = rules;
  return runPhase('backup', log, rules.backup, async (record) => {
    if (hosts) await record.step(CONFIRM, () => hosts.confirm());
    if (connection.kind === 'management-api') {
      const name = restorePointName(settings.run);
      log({ kind: 'progress', text: `making the restore point ${name}` });
      await record.step('restore point', () => makeRestorePoint(connection, name, signal));
      record.facts.backupPath = `restore-point:${name}`;
      record.summarise(`The project can be restored to the point ${name}.`);
      return;
    }
    const order = await record.step(
      'find a pg_dump that fits the server',
      () => prepareDump(work, connection),
      ({ pgDump }) => `${pgDump.path}, version ${pgDump.major}`,
    );
    const store = rules.backupTo === 'runner' ? keepOnRunner : await storeOnServer(servers);
    let path = '';
    const bytes = await record.step(
      stepName(order),
      () =>
        withDump(order, async (output) => {
          path = await store(backupName(settings.run.id, order.what), output);
        }),
      formatBytes,
    );
    record.facts.backupPath = path;
    const lacking = order.what === 'full' && order.platform === 'left out' ? `, ${WITHOUT}` : '';
    record.summarise(`Backup of ${formatBytes(bytes)} in ${path}${lacking}.`);
    if (rules.backupTo === 'runner')
      log({
        kind: 'notice',
        problem: {
          message: 'the backup lies on the runner and is lost with the job',
          next: 'Keep it with actions/upload-artifact (path: the output backup-path), or use backup-to: vps.',
        },
      });
  });
}

/** What a backup needs of the first server, which keeps it; undefined where none is made there. */
export async function backupOnHost({
  database,
  settings,
  signal,
}: DatabaseWork): Promise<DeployRequest['backup']> {
  const { backup: what, backupTo, connection } = settings.database;
  if (what === 'off' || backupTo !== 'vps' || connection.kind !== 'url') return undefined;
  // Without rows it is small, however large the database is.
  if (what === 'schema') return { what, bytes: 0 };
  const results = await database.send(
    'select pg_catalog.pg_database_size(current_database())::text as bytes',
    {
      deadline: 30_000,
      signal,
    },
  );
  return { what, bytes: Number(lastRow(results).bytes) };
}

async function prepareDump(
  { database, settings, signal }: DatabaseWork,
  { address, caCertificate }: ConnectionByUrl,
): Promise<DumpOrder> {
  const { backup, backupPlatformData, lockTimeout } = settings.database;
  const results = await database.send(
    `select current_setting('server_version_num')::int / 10000 as major, pg_catalog.pg_backend_pid() as pid, ${IS_SUPABASE} as supabase`,
    { deadline: 30_000, signal },
  );
  const { major, pid, supabase } = lastRow(results);
  await database.confirmBackend?.(Number(pid), signal);
  const chosen = await pgDumpFor(database.transport, Number(major));
  if ('message' in chosen) throw new Failure(chosen);
  const what = backup === 'full' ? 'full' : 'schema';
  const platform = supabase !== true ? 'absent' : backupPlatformData === 'on' ? 'with rows' : 'left out';
  return { pgDump: chosen, address, caCertificate, what, platform, lockTimeout, signal };
}

/** What a full dump lacks where the rows of the platform are left out. */
const WITHOUT = 'without auth.users, storage.objects';

function stepName({ what, platform }: DumpOrder): string {
  if (what === 'schema') return 'pg_dump, schema only';
  if (platform === 'absent') return 'pg_dump';
  return platform === 'with rows' ? 'pg_dump, with the rows of auth and storage' : `pg_dump, ${WITHOUT}`;
}

/** Sorts by time. */
function backupName(runId: string, what: 'schema' | 'full', now = new Date()): string {
  const time = now.toISOString().replace(/[-:]|\.\d+/g, '');
  return `${time}-${runId.replace(/[^\w-]/g, '')}-${what}.dump`;
}

async function storeOnServer(servers: ServerWork | undefined): Promise<Store> {
  const [host] = servers?.fleet.hosts ?? [];
  if (!servers || !host) throw new Failure({ message: 'backup-to is vps, but there is no server' });
  const { settings, signal } = servers;
  const [look] = await inspectFleet(servers);
  if (look?.problem) throw new Failure(look.problem);
  const state = look?.facts?.stateFolder;
  if (state === undefined)
    throw new Failure({
      message: 'the server has no state folder that a backup could be put into',
      next: 'Make it writable for the login, or use backup-to: runner.',
    });
  const folder = `${state}/${BACKUPS}`;
  return async (name, content) => {
    const path = await storeFile(host, { folder, name, content }, signal);
    await keepNewest(host, folder, '.dump', settings.vps.keepReleases, signal);
    return path;
  };
}

async function keepOnRunner(name: string, content: Readable): Promise<string> {
  const folder = join(process.env.RUNNER_TEMP || tmpdir(), 'muva-backups');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, name);
  const part = `${path}.part`;
  try {
    await pipeline(content, createWriteStream(part, { mode: 0o600, flags: 'wx' }));
    renameSync(part, path);
    return path;
  } catch (error) {
    rmSync(part, { force: true });
    throw error;
  }
}

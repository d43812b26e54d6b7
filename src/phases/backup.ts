import { createWriteStream, mkdirSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { formatBytes } from '../base/bytes.js';
import { runPhase } from '../base/phase.js';
import { Failure, type PhaseReport } from '../base/report.js';
import { type DumpOrder, pgDumpFor, withDump } from '../database/backup/pg-dump.js';
import { makeRestorePoint, restorePointName } from '../database/backup/restore-point.js';
import { lastRow } from '../database/connection/answer.js';
import type { DatabaseSettings, Settings } from '../settings/settings.js';
import type { Tools } from '../tools.js';
import { inspectFleet } from '../vps/inspect-fleet.js';
import { keepNewest } from '../vps/keep-newest.js';
import { storeFile } from '../vps/store-file.js';

/** Takes a backup's bytes and resolves with where they lie; leaves nothing where they break off. */
type Store = (name: string, content: Readable) => Promise<string>;

/** Makes a backup before the first write. Any failure here stops the deploy with nothing changed. */
export async function backup(tools: Tools, settings: Settings): Promise<PhaseReport> {
  const wanted = settings.database;
  return runPhase('backup', tools.log, wanted?.backup, async (record) => {
    if (!tools.database || !wanted) throw new Failure({ message: 'there is no database to back up' });
    if (wanted.connection.kind === 'management-api') {
      const { connection } = wanted;
      const name = restorePointName(settings.run);
      tools.log({ kind: 'progress', text: `making the restore point ${name}` });
      await record.step('restore point', () => makeRestorePoint(connection, name, tools.signal));
      record.facts.backupPath = `restore-point:${name}`;
      record.summarise(`The project can be restored to the point ${name}.`);
      return;
    }
    const order = await record.step(
      'find a pg_dump that fits the server',
      () => prepareDump(tools, wanted),
      ({ pgDump }) => `${pgDump.path}, version ${pgDump.major}`,
    );
    const store = await chooseStore(tools, settings, wanted);
    let path = '';
    const bytes = await record.step(
      order.what === 'full' ? 'pg_dump' : 'pg_dump, schema only',
      () =>
        withDump(order, async (output) => {
          path = await store(backupName(settings.run.id, order.what), output);
        }),
      formatBytes,
    );
    record.facts.backupPath = path;
    record.summarise(`Backup of ${formatBytes(bytes)} in ${path}.`);
    if (wanted.backupTo === 'runner')
      tools.log({
        kind: 'notice',
        problem: {
          message: 'the backup lies on the runner and is lost with the job',
          next: 'Keep it with actions/upload-artifact (path: the output backup-path), or use backup-to: vps.',
        },
      });
  });
}

async function prepareDump(tools: Tools, wanted: DatabaseSettings): Promise<DumpOrder> {
  const { database, signal } = tools;
  if (!database || wanted.connection.kind !== 'url') throw new Error('a dump needs a database URL');
  const results = await database.send(
    `select current_setting('server_version_num')::int / 10000 as major, pg_catalog.pg_backend_pid() as pid`,
    { deadline: 30_000, signal },
  );
  const { major, pid } = lastRow(results);
  await database.confirmBackend?.(Number(pid), signal);
  const chosen = await pgDumpFor(database.transport, Number(major));
  if ('message' in chosen) throw new Failure(chosen);
  const { address, caCertificate } = wanted.connection;
  const what = wanted.backup === 'full' ? 'full' : 'schema';
  return { pgDump: chosen, address, caCertificate, what, lockTimeout: wanted.lockTimeout, signal };
}

/** Sorts by time. */
function backupName(runId: string, what: 'schema' | 'full', now = new Date()): string {
  const time = now.toISOString().replace(/[-:]|\.\d+/g, '');
  return `${time}-${runId.replace(/[^\w-]/g, '')}-${what}.dump`;
}

async function chooseStore(tools: Tools, settings: Settings, wanted: DatabaseSettings): Promise<Store> {
  if (wanted.backupTo === 'runner')
    return (name, content) =>
      keepOnRunner(join(process.env.RUNNER_TEMP || tmpdir(), 'muva-backups'), name, content);
  const { vps } = settings;
  const [host] = tools.fleet?.hosts ?? [];
  if (!host || !vps) throw new Failure({ message: 'backup-to is vps, but there is no server' });
  const [look] = await inspectFleet(tools, settings);
  if (look?.problem) throw new Failure(look.problem);
  const state = look?.facts?.stateFolder;
  if (state === undefined)
    throw new Failure({
      message: 'the server has no state folder that a backup could be put into',
      next: 'Make it writable for the login, or use backup-to: runner.',
    });
  const folder = `${state}/backups`;
  return async (name, content) => {
    const path = await storeFile(host, { folder, name, content }, tools.signal);
    await keepNewest(host, folder, '.dump', vps.keepReleases, tools.signal);
    return path;
  };
}

async function keepOnRunner(folder: string, name: string, content: Readable): Promise<string> {
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

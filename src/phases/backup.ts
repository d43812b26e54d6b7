import { createWriteStream, mkdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type PhaseRecord, runPhase } from '../base/phase.js';
import { Failure, type PhaseReport } from '../base/report.js';
import { choosePgDump, type DumpOrder, findPgDumps, withDump } from '../database/pg-dump.js';
import { makeRestorePoint, restorePointName } from '../database/restore-point.js';
import { formatBytes } from '../database/schema-facts.js';
import type { DatabaseSettings, Settings } from '../settings/settings.js';
import type { Tools } from '../tools.js';
import { inspectFleet } from '../vps/inspect-fleet.js';
import { openStore } from '../vps/store.js';

/** Where a backup goes while pg_dump still runs, and what makes it a finished one. */
export interface BackupStore {
  /** Shown to a person, and the output backup-path. */
  path: string;
  /** Takes everything; resolves with the number of bytes. */
  write(content: Readable): Promise<number>;
  /** The dump is complete: gives it its name. */
  keep(): Promise<void>;
  /** The dump failed: leaves nothing behind. */
  discard(): Promise<void>;
}

/** Makes a backup before the first write. Any failure here stops the deploy with nothing changed. */
export async function backup(tools: Tools, settings: Settings): Promise<PhaseReport> {
  const wanted = settings.database;
  return runPhase('backup', tools.log, wanted?.backup, async (record) => {
    if (!tools.database || !wanted) throw new Failure({ message: 'there is no database to back up' });
    if (wanted.connection.kind === 'management-api') {
      const { connection } = wanted;
      const name = restorePointName(settings.run.id);
      await record.step('restore point', () =>
        makeRestorePoint(connection, name, tools.signal, () =>
          tools.log({ kind: 'progress', text: `waiting for the restore point ${name}` }),
        ),
      );
      record.facts.backupPath = `restore-point:${name}`;
      record.summarise(`The project can be restored to the point ${name}.`);
      return;
    }
    const order = await record.step(
      'find a pg_dump that fits the server',
      () => prepareDump(tools, wanted),
      ({ pgDump }) => `${pgDump.path}, version ${pgDump.major}`,
    );
    const store = await openBackupStore(tools, settings, wanted);
    const bytes = await dump(record, order, store);
    record.facts.backupPath = store.path;
    record.summarise(`Backup of ${formatBytes(bytes)} in ${store.path}.`);
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
  const results = await database.send(`select current_setting('server_version_num')::int / 10000 as major`, {
    deadline: 30_000,
    signal,
  });
  if (database.transport === 'transaction-pooler')
    throw new Failure({
      message: 'a backup cannot be made through a transaction pooler: pg_dump needs one session',
      next: 'Give the session pooler or direct URL in database-url (port 5432), or say backup: off.',
    });
  const chosen = choosePgDump(await findPgDumps(), Number(results.at(-1)?.rows[0]?.major));
  if ('message' in chosen) throw new Failure(chosen);
  const { address, caCertificate } = wanted.connection;
  const what = wanted.backup === 'full' ? 'full' : 'schema';
  return { pgDump: chosen, address, caCertificate, what, lockTimeout: wanted.lockTimeout, signal };
}

async function openBackupStore(
  tools: Tools,
  settings: Settings,
  wanted: DatabaseSettings,
): Promise<BackupStore> {
  const time = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
  const name = `${time}-${settings.run.id.replace(/[^\w-]/g, '')}-${wanted.backup}.dump`;
  if (wanted.backupTo === 'runner')
    return runnerStore(join(process.env.RUNNER_TEMP || tmpdir(), 'muva-backups'), name);
  const [host] = tools.fleet?.hosts ?? [];
  if (!host || !settings.vps) throw new Failure({ message: 'backup-to is vps, but there is no server' });
  const [look] = await inspectFleet(tools, settings);
  if (look?.problem) throw new Failure(look.problem);
  const folder = look?.facts?.stateFolder;
  if (folder === undefined)
    throw new Failure({
      message: 'the server has no state folder that a backup could be put into',
      next: 'Make it writable for the login, or use backup-to: runner.',
    });
  return openStore(host, `${folder}/backups`, name, {
    keep: settings.vps.keepReleases,
    signal: tools.signal,
  });
}

function runnerStore(folder: string, name: string): BackupStore {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, name);
  const part = `${path}.part`;
  return {
    path,
    async write(content) {
      await pipeline(content, createWriteStream(part, { mode: 0o600, flags: 'wx' }));
      return statSync(part).size;
    },
    async keep() {
      renameSync(part, path);
    },
    async discard() {
      rmSync(part, { force: true });
    },
  };
}

async function dump(record: PhaseRecord, order: DumpOrder, store: BackupStore): Promise<number> {
  try {
    return await record.step(
      order.what === 'full' ? 'pg_dump' : 'pg_dump, schema only',
      async () => {
        const bytes = await withDump(order, (output) => store.write(output));
        await store.keep();
        return bytes;
      },
      (bytes) => formatBytes(bytes),
    );
  } catch (error) {
    await store.discard().catch(() => undefined);
    throw error;
  }
}

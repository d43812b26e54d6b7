import { definedOnly } from '../../lib/defined-only.js';
import { Failure } from '../../lib/report.js';
import { quote } from '../../lib/shell.js';
import { readJson, writeAtomically } from '../host/files.js';
import type { Toolbox } from '../host/toolbox.js';
import { portOf } from './entry.js';
import { entryOfRaw, type Pm2Entry, type RawEntry, rawEntries } from './pm2-client.js';
import { changes, otherVariables, storedValues } from './pm2-entry-values.js';
import type { KeptEntry } from './supervisor.js';

/** What belongs to one run of a program, and not to how it is run. As `pm2 save` leaves it out. */
const OF_ONE_RUN = ['instances', 'pm_id', 'prev_restart_delay', 'status'];

/**
 * Writes an entry down in PM2's own words, all of it: what its owner exported in a shell years ago may stand nowhere else.
 * The file is one that `pm2 resurrect` reads, and only its owner.
 */
export async function keepEntry(tools: Toolbox, appName: string, file: string): Promise<void> {
  const raw = await rawEntries(tools, appName);
  if (raw.length === 0)
    throw new Failure({
      message: `PM2 does not know the application "${appName}" any more, so its entry could not be kept.`,
      next: 'Look with "pm2 ls" on the server.',
    });
  const kept = raw.map((entry) =>
    Object.fromEntries(Object.entries(entry).filter(([key]) => !OF_ONE_RUN.includes(key))),
  );
  writeAtomically(file, JSON.stringify(kept), 0o600);
}

/** What `keepEntry` wrote; empty where nothing is there. */
export function keptEntries(file: string): RawEntry[] {
  const kept = readJson<unknown>(file);
  return Array.isArray(kept) ? (kept as RawEntry[]) : [];
}

/** Compares what was written down with what PM2 runs now; undefined where nothing was. */
export async function readKept(
  tools: Toolbox,
  appName: string,
  file: string,
): Promise<KeptEntry | undefined> {
  const kept = keptEntries(file);
  const entry = entryOfRaw(kept, appName);
  if (entry === undefined) return undefined;
  const isAsNow = keptChanges(await rawEntries(tools, appName), kept, appName).length === 0;
  return { isAsNow, ...definedOnly({ port: portOf(entry) }) };
}

/** The keys in which an entry is another one than that which was kept; variables as `env.NAME`. Pure. */
export function keptChanges(now: readonly RawEntry[], kept: readonly RawEntry[], appName: string): string[] {
  const [is, was] = [entryOfRaw(now, appName), entryOfRaw(kept, appName)];
  if (is === undefined || was === undefined) return ['name'];
  const values = changes(storedValues(now, is), storedValues(kept, was)).filter(
    (key) => key !== 'listen_timeout' || is.listenTimeout === undefined || was.listenTimeout === undefined,
  );
  return [...values, ...environmentChanges(is, was)];
}

function environmentChanges({ env: is }: Pm2Entry, { env: was }: Pm2Entry): string[] {
  return [...new Set([...otherVariables(is, was), ...otherVariables(was, is)])];
}

/** The command by which a person brings a kept entry back. */
export function keptEntryWords(appName: string, file: string): string {
  return `pm2 delete ${quote(appName)}; PM2_DUMP_FILE_PATH=${quote(file)} pm2 resurrect && pm2 save`;
}

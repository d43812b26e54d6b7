import { delimiter, join } from 'node:path';
import { definedOnly } from '../../lib/defined-only.js';
import { formatDuration } from '../../lib/duration.js';
import { Failure } from '../../lib/report.js';
import { removePath, writeAtomically } from '../host/files.js';
import { explainEnd, lastLines } from '../host/run-program.js';
import { call, type Toolbox } from '../host/toolbox.js';
import type { AppRequest } from '../protocol.js';
import { type Entry, portOf } from './entry.js';
import {
  daemonPid,
  entryOfRaw,
  findEntry,
  LISTEN_TIMEOUT,
  type Renewal,
  rawEntries,
  renew,
} from './pm2-client.js';
import type { Config } from './pm2-config.js';
import { type EntryValues, isTakenByReload, storedValues, textValues } from './pm2-entry-values.js';
import { keptChanges, keptEntries, keptEntryWords } from './pm2-kept-entry.js';
import { renewalOf } from './pm2-renewal.js';
import type { LongerWait, RestartOptions } from './supervisor.js';

/**
 * Brings what lies on the disk to life: by a reload or restart, by a first start where PM2 has no entry, or as an entry that
 * changes. @throws a Failure
 */
export async function restartUnderPm2(
  tools: Toolbox,
  { appName, healthPort }: Pick<AppRequest, 'appName' | 'healthPort'>,
  { state, wait, start, change, kept }: RestartOptions,
): Promise<void> {
  const again = (found: Entry, renewal: Omit<Renewal, 'how'> = {}): Promise<void> =>
    renew(tools, appName, found, {
      how: renewalOf(tools, found, healthPort ?? portOf(found)),
      ...renewal,
    });
  // All that a daemon ran which was killed comes back first, and not this application alone.
  if ((kept ?? change) !== undefined && daemonPid(tools) === undefined)
    await call(tools, ['pm2', 'resurrect'], { timeout: 60_000 });
  if (kept !== undefined && (await bringBackEntry(tools, appName, kept, state, again))) return;
  // Its programs are other ones now than before the build.
  const now = await findEntry(tools, appName);
  if (now && change?.how === 'start') return startAnew(tools, appName, state, change.config);
  if (now) {
    const config =
      change && writeConfig(tools, state, { ...change.config, ...definedOnly({ listen_timeout: wait }) });
    try {
      return await again(now, { listenTimeout: config ? undefined : wait, config });
    } catch (error) {
      // Its daemon may have been killed meanwhile; then the ways below bring the application back.
      if ((await findEntry(tools, appName)) !== undefined) throw error;
    } finally {
      if (config) removePath(config.file);
    }
  }
  const first = start ?? change;
  if (first !== undefined) return startConfig(tools, writeConfig(tools, state, first.config));
  await again(await resurrect(tools, appName));
}

/**
 * Runs the application as it was written down; false where PM2 runs it so already, and it is only to be renewed. Wherever an
 * earlier try was cut, this brings it back: without an entry, with the old one or the new one.
 */
async function bringBackEntry(
  tools: Toolbox,
  appName: string,
  file: string,
  state: RestartOptions['state'],
  again: (found: Entry, renewal: Omit<Renewal, 'how'>) => Promise<void>,
): Promise<boolean> {
  const [now, kept] = [await rawEntries(tools, appName), keptEntries(file)];
  const [is, was] = [entryOfRaw(now, appName), entryOfRaw(kept, appName)];
  if (was === undefined) return false;
  const changed = keptChanges(now, kept, appName);
  if (changed.length === 0) return false;
  const values = storedValues(kept, was);
  const gone = Object.keys(is?.env ?? {}).some((name) => was.env[name] === undefined);
  if (is !== undefined && !gone && isTakenByReload(changed, values)) {
    const config = writeConfig(tools, state, keptConfig(appName, was, values));
    await again(is, { config }).finally(() => removePath(config.file));
    return true;
  }
  if (is !== undefined) await deleteEntry(tools, appName);
  const env = { ...tools.env, PM2_DUMP_FILE_PATH: file, PM2_DUMP_BACKUP_FILE_PATH: file };
  const ended = await call(tools, ['pm2', 'resurrect'], { timeout: 60_000, env });
  if ((await findEntry(tools, appName)) !== undefined) return true;
  throw new Failure({
    message: `PM2 did not take the entry of "${appName}" back as it was: ${lastLines(ended.tail, 2)}`,
    next: `Run on the server: ${keptEntryWords(appName, file)}`,
  });
}

/** As a file for `pm2 reload` would say it. */
function keptConfig(appName: string, { env, script, cwd }: Entry, values: EntryValues): Config {
  const taken = Object.entries(values).filter(([key]) => isTakenByReload([key], values));
  return { name: appName, script, cwd, ...Object.fromEntries(taken), env };
}

/** The old entry ends, and the application is started by another one: a gap of one start. */
async function startAnew(
  tools: Toolbox,
  appName: string,
  state: RestartOptions['state'],
  config: Config,
): Promise<void> {
  const written = writeConfig(tools, state, config);
  await deleteEntry(tools, appName);
  await startConfig(tools, written).finally(() => removePath(written.file));
}

async function deleteEntry(tools: Toolbox, appName: string): Promise<void> {
  const ended = await call(tools, ['pm2', 'delete', appName], { timeout: 60_000 });
  if (ended.code !== 0 && (await findEntry(tools, appName)) !== undefined)
    throw new Failure({
      message: `pm2 delete ${appName} ${explainEnd(ended)}: ${lastLines(ended.tail, 3)}`,
      next: 'Run it by hand on the server.',
    });
}

/** PM2's daemon was killed meanwhile: it is started again with what it saved last. */
async function resurrect(tools: Toolbox, appName: string): Promise<Entry> {
  const ended = await call(tools, ['pm2', 'resurrect'], { timeout: 60_000 });
  const entry = await findEntry(tools, appName);
  if (entry) return entry;
  throw new Failure({
    message: `PM2 has lost the application "${appName}", and "pm2 resurrect" did not bring it back: ${lastLines(ended.tail, 2)}`,
    next: 'Start it from its ecosystem file, then "pm2 save".',
  });
}

/** A config for PM2 in a file that only its owner reads, and the environment in which PM2 is to take it up. */
interface WrittenConfig {
  file: string;
  env: NodeJS.ProcessEnv;
}

/**
 * PM2 hands the whole environment of its own command on to what it starts. What this worker has is none of the application's
 * business: where the config says all of the environment, the command gets what it needs to run, and no more.
 */
function writeConfig(tools: Toolbox, state: RestartOptions['state'], config: Config): WrittenConfig {
  const file = join(state.path, 'start.config.json');
  writeAtomically(file, JSON.stringify({ apps: [config] }));
  const { PATH, HOME } = textValues(config.env);
  if (PATH === undefined) return { file, env: tools.env };
  const own = definedOnly({ PM2_HOME: tools.env.PM2_HOME });
  return { file, env: { HOME: HOME ?? tools.home, PATH: `${PATH}${delimiter}${tools.env.PATH}`, ...own } };
}

async function startConfig(tools: Toolbox, { file, env }: WrittenConfig): Promise<void> {
  const ended = await call(tools, ['pm2', 'start', file], { timeout: 60_000, env });
  if (ended.code !== 0)
    throw new Failure({
      message: `pm2 start ${explainEnd(ended)}: ${lastLines(ended.tail, 5)}`,
      next: 'Check start-command, or the ecosystem file of the commit.',
    });
}

/**
 * At a reload in cluster mode PM2 stops the old instance after `listen_timeout`, also where the new one does not listen
 * yet: a gap. Milliseconds to raise it to, from what the rehearsal took; undefined where it is long enough. A reload
 * happens beside the live load, so there must be twice the time, and four times are given. It is never made longer than
 * `longest`: after that the new version would be given up anyway.
 */
export function longerListenTimeout(
  entry: Pick<Entry, 'mode' | 'listenTimeout'> | undefined,
  bootMs: number | undefined,
  longest: number,
): number | undefined {
  if (entry?.mode !== 'cluster' || bootMs === undefined) return undefined;
  const current = entry.listenTimeout ?? LISTEN_TIMEOUT;
  if (2 * bootMs <= current) return undefined;
  const wanted = Math.min(Math.ceil((4 * bootMs) / 1_000) * 1_000, longest);
  return wanted > current ? wanted : undefined;
}

/** The same, with what a person is told of it. */
export function longerReload(
  entry: Entry | undefined,
  bootMs: number | undefined,
  longest: number,
): LongerWait | undefined {
  const ms = longerListenTimeout(entry, bootMs, longest);
  if (ms === undefined || bootMs === undefined) return undefined;
  return {
    ms,
    words: `the new version took ${formatDuration(bootMs)} until it listened: PM2 waits up to ${formatDuration(ms)} for it from now on (listen_timeout)`,
  };
}

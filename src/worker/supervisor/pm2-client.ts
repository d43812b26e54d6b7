import { existsSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { definedOnly } from '../../lib/defined-only.js';
import { Failure } from '../../lib/report.js';
import { pause } from '../../lib/retry.js';
import { readJson, readText } from '../host/files.js';
import { allProcesses, commandOf, descendsFrom, isAlive, processEnvironment } from '../host/processes.js';
import { explainEnd, lastLines } from '../host/run-program.js';
import { call, type Toolbox, versionOf } from '../host/toolbox.js';
import type { Entry } from './entry.js';
import { askDaemon } from './pm2-socket.js';

/** How PM2 runs the application. */
export interface Pm2Entry extends Entry {
  waitReady: boolean;
  watch: boolean;
}

/** Variables that PM2 makes itself for an instance; a rehearsal must not pose as that instance. */
const PM2_OWN =
  /^(pm_|PM2_|pm2_|NODE_APP_INSTANCE$|name$|status$|exec_|restart_time$|unstable_restarts$|created_at$|vizion|instance|axm_|km_link|windowsHide|username$|treekill|autorestart|autostart|kill_retry_time|merge_logs|node_args$|namespace$|filter_env|unique_id$|prev_restart_delay|instances$|updateEnv$|watch$|env$|args$|cwd$|_$|SHLVL$|OLDPWD$|PWD$)/;

/** Milliseconds that PM2 keeps its lock for reloads. */
const RELOAD_LOCK = 35_000;
/** Milliseconds that a reload of few instances may take at most, and PM2's own limits for each of them. */
const SHORTEST_LIMIT = 120_000;
export const LISTEN_TIMEOUT = 3_000;
/** The status of a program that has ended by itself and whose `restart_delay` is not over. */
export const WAITING = 'waiting restart';
const KILL_TIMEOUT = 1_600;
/** Milliseconds in which the daemon answers over its socket, on a busy server too. */
const DAEMON_PATIENCE = 3_000;

/** The entry of an application in the output of `pm2 jlist`; undefined where PM2 does not know the name. */
export function entryIn(list: string, name: string): Pm2Entry | undefined {
  return entryAmong(parseList(list), name);
}

function entryAmong(listed: readonly Listed[], name: string): Pm2Entry | undefined {
  const mine = listed.filter((item) => item.name === name);
  const first = mine[0];
  if (!first) return undefined;
  const env = first.pm2_env;
  const text = (value: unknown): string => (typeof value === 'string' ? value : '');
  const words = (value: unknown): string[] =>
    Array.isArray(value)
      ? value.map(String)
      : typeof value === 'string'
        ? value.split(' ').filter(Boolean)
        : [];
  return {
    mode: env.exec_mode === 'cluster_mode' ? 'cluster' : 'fork',
    cwd: text(env.pm_cwd),
    script: text(env.pm_exec_path),
    args: words(env.args),
    nodeArgs: words(env.node_args),
    interpreter: text(env.exec_interpreter) || 'node',
    waitReady: env.wait_ready === true,
    watch: env.watch === true || Array.isArray(env.watch),
    ...(typeof env.kill_timeout === 'number' ? { killTimeout: env.kill_timeout } : {}),
    ...(typeof env.listen_timeout === 'number' ? { listenTimeout: env.listen_timeout } : {}),
    ...(typeof env.min_uptime === 'number' ? { minUptime: env.min_uptime } : {}),
    ...definedOnly({ restartDelay: restartDelay(env) }),
    env: applicationEnvironment(env.env),
    instances: mine.map((item) => ({
      id: Number(item.pm_id),
      pid: Number(item.pid),
      status: text(item.pm2_env.status),
      restarts: Number(item.pm2_env.restart_time ?? 0),
    })),
  };
}

/** PM2 takes the second where both are given; it grows from there with every crash. */
function restartDelay(env: Record<string, unknown>): number | undefined {
  const given = env.exp_backoff_restart_delay ?? env.restart_delay;
  const delay = Number.parseInt(String(given), 10);
  return delay > 0 ? delay : undefined;
}

/** An entry in PM2's own words. */
export type RawEntry = Readonly<Record<string, unknown>>;

interface Listed {
  name?: unknown;
  pm_id?: unknown;
  pid?: unknown;
  pm2_env: Record<string, unknown>;
}

function isListed(item: unknown): item is Listed {
  return typeof item === 'object' && item !== null && 'pm2_env' in item;
}

/** PM2 prints notices before the list (a new daemon, a version mismatch): the list is the line that is JSON. */
function parseList(output: string): Listed[] {
  for (const line of output.split('\n').reverse()) {
    if (!line.startsWith('[')) continue;
    try {
      const value: unknown = JSON.parse(line);
      if (Array.isArray(value)) return value.filter(isListed);
    } catch {
      // A notice such as "[PM2] Spawning PM2 daemon".
    }
  }
  throw new Failure({
    message: `pm2 jlist did not answer with a list: ${noticesIn(output)}`,
    next: 'Run "pm2 jlist" on the server as the user of the SSH connection; "pm2 update" cures a daemon of another version.',
  });
}

/** The end of what PM2 said, without any part of its list: that holds every value of the environments. */
export function noticesIn(output: string): string {
  const notices = output
    .split('\n')
    .filter((line) => line.length < 300 && !/"\s*:|^\s*[[{]\s*[{"]/.test(line));
  return lastLines(notices.join('\n'), 2);
}

function applicationEnvironment(value: unknown): Record<string, string> {
  if (typeof value !== 'object' || value === null) return {};
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name, item]) => !PM2_OWN.test(name) && ['string', 'number', 'boolean'].includes(typeof item))
      .map(([name, item]) => [name, String(item)]),
  );
}

/**
 * How PM2 runs the application; undefined where it does not. Starts no daemon: a look must change nothing, and two
 * looks at once would start two daemons, of which one client then waits for ever.
 */
export async function findEntry(tools: Toolbox, name: string): Promise<Pm2Entry | undefined> {
  return entryAmong(await listed(tools), name);
}

/** What PM2 itself knows of each program of an application: what it needs to start it again. Holds secrets. */
export async function rawEntries(tools: Toolbox, name: string): Promise<RawEntry[]> {
  return (await listed(tools)).filter((item) => item.name === name).map(({ pm2_env }) => pm2_env);
}

/** The entry that PM2 makes of what `rawEntries` gave; undefined of nothing. */
export function entryOfRaw(raw: readonly RawEntry[], name: string): Pm2Entry | undefined {
  return entryAmong(
    raw.map((item) => ({ name: item.name, pm2_env: item })),
    name,
  );
}

/** The other applications that PM2 runs in one of the folders or below it, by name. */
export async function otherApplicationsIn(
  tools: Toolbox,
  folders: readonly string[],
  except: string,
): Promise<string[]> {
  const names = (await listed(tools))
    .filter(({ pm2_env: { pm_cwd } }) =>
      folders.some((folder) => pm_cwd === folder || String(pm_cwd).startsWith(`${folder}/`)),
    )
    .map(({ name }) => String(name));
  return [...new Set(names)].filter((name) => name !== except);
}

/** The applications that PM2 runs, each name once with the folder of its first instance. */
export async function applicationsOf(tools: Toolbox): Promise<{ name: string; cwd: string }[]> {
  const known = new Map<string, string>();
  for (const { name, pm2_env } of await listed(tools))
    if (!known.has(String(name))) known.set(String(name), String(pm2_env.pm_cwd));
  return [...known].map(([name, cwd]) => ({ name, cwd }));
}

async function listed(tools: Toolbox): Promise<Listed[]> {
  const socket = join(pm2Home(tools), 'rpc.sock');
  if (daemonPid(tools) === undefined && !existsSync(socket)) return [];
  // A version of PM2 that answers differently is asked through its own command line.
  const answer = await askDaemon(socket, 'getMonitorData', DAEMON_PATIENCE).catch(() => undefined);
  if (Array.isArray(answer) && answer.every(isListed)) return answer;
  const { stdout, tail, code } = await call(tools, ['pm2', 'jlist'], { timeout: 30_000 });
  if (code !== 0)
    throw new Failure({
      message: `pm2 jlist failed: ${noticesIn(tail)}`,
      next: 'Run it by hand on the server.',
    });
  return parseList(stdout);
}

/** Where PM2 keeps what it knows for this user. */
export function pm2Home(tools: Toolbox): string {
  return tools.env.PM2_HOME ?? join(tools.home, '.pm2');
}

/** How PM2 would start the application after a reboot: what `pm2 save` wrote last. The file also holds every environment value. */
export function savedEntry(tools: Toolbox, name: string): Pm2Entry | undefined {
  return entryOfRaw(savedEntries(tools, name), name);
}

function savedEntries(tools: Toolbox, name: string): RawEntry[] {
  const saved = readJson<unknown>(join(pm2Home(tools), 'dump.pm2'));
  if (!Array.isArray(saved)) return [];
  return saved.filter((item): item is RawEntry => item?.name === name);
}

/** The folder of the PM2 that is found here; undefined where there is none. */
export function pm2Package(tools: Toolbox): string | undefined {
  const program = tools.find('pm2');
  return program === undefined ? undefined : join(dirname(realpathSync(program)), '..');
}

/** The version of the PM2 that is found here: from its own package, which is faster than to start it. */
export async function pm2Version(tools: Toolbox): Promise<string | undefined> {
  const folder = pm2Package(tools);
  if (folder === undefined) return undefined;
  return readJson<{ version?: string }>(join(folder, 'package.json'))?.version ?? versionOf(tools, 'pm2');
}

/** The id of this user's PM2 daemon, as PM2 wrote it. */
export function daemonPid(tools: Toolbox): number | undefined {
  const pid = Number(readText(join(pm2Home(tools), 'pm2.pid')));
  return Number.isInteger(pid) && pid > 1 && isAlive(pid, undefined) ? pid : undefined;
}

/** True for the programs of PM2's applications. */
export function isUnderPm2(tools: Toolbox, pid: number): boolean {
  const daemon = daemonPid(tools);
  return daemon !== undefined && descendsFrom(pid, new Set([daemon]));
}

/** PATH of the daemon: the Node, pnpm and npm that the application is run with. */
export function daemonFolders(tools: Toolbox): string[] {
  const pid = daemonPid(tools);
  const path = pid === undefined ? undefined : processEnvironment(pid)?.PATH;
  return (path ?? '').split(':').filter((folder) => folder.startsWith('/') && existsSync(folder));
}

/** Homes of PM2 daemons that run on this host but are not this user's own. */
export function otherDaemons(tools: Toolbox): string[] {
  const own = daemonPid(tools);
  return allProcesses()
    .filter((pid) => pid !== own)
    .map((pid) => /God Daemon \((.*)\)/.exec(commandOf(pid) ?? '')?.[1])
    .filter((home): home is string => home !== undefined);
}

export interface Renewal {
  /** See `renewalOf`. */
  how: 'reload' | 'restart';
  /** Milliseconds; the one value that is changed in what PM2 has stored. */
  listenTimeout?: number | undefined;
  /** A config that PM2 takes up meanwhile, and the environment of PM2's own command, which it takes up too. */
  config?: { file: string; env: NodeJS.ProcessEnv } | undefined;
}

/**
 * Starts all instances from what lies on the disk now. PM2 holds one lock for the reloads of all applications and
 * refuses a second one meanwhile, so this tries again. The stored environment is kept: no `--update-env`, which
 * would import the environment of the worker.
 */
export async function renew(
  tools: Toolbox,
  name: string,
  entry: Entry,
  { how, listenTimeout, config }: Renewal,
): Promise<void> {
  const end = performance.now() + RELOAD_LOCK;
  const timeout = reloadLimit(entry, listenTimeout);
  const words = ['pm2', how, config?.file ?? name];
  if (listenTimeout !== undefined && how === 'reload') words.push('--listen-timeout', String(listenTimeout));
  // PM2 would start what waits for its restart_delay twice: now, and when that is over.
  if (entry.instances.some(({ status }) => status === WAITING))
    await call(tools, ['pm2', 'stop', name], { timeout });
  for (;;) {
    const ended = await call(tools, words, { timeout, ...definedOnly({ env: config?.env }) });
    if (ended.code === 0) return;
    const busy = /already in progress/i.test(ended.tail);
    if (!busy || performance.now() > end)
      throw new Failure({
        message: `pm2 ${how} ${name} ${explainEnd(ended)}: ${lastLines(ended.tail, 3)}`,
        next: `Look with "pm2 logs ${name}" on the server.`,
      });
    await pause(500);
  }
}

/** Milliseconds after which a reload is given up: all instances may boot and drain slowly, one after the other. */
export function reloadLimit(
  { instances, listenTimeout, killTimeout }: Pick<Entry, 'instances' | 'listenTimeout' | 'killTimeout'>,
  longer?: number,
): number {
  const each = (longer ?? listenTimeout ?? LISTEN_TIMEOUT) + (killTimeout ?? KILL_TIMEOUT);
  return Math.max(SHORTEST_LIMIT, 2 * instances.length * each);
}

/**
 * Lets PM2 start the application after the next reboot as it runs now. Called only after verification. PM2 saves all
 * applications of the user at once, so where this one is saved as it runs, the others are left alone.
 */
export async function save(tools: Toolbox, name: string): Promise<void> {
  const raw = await rawEntries(tools, name);
  const [saved, running] = [savedEntries(tools, name), entryOfRaw(raw, name)];
  const savedAs = entryOfRaw(saved, name);
  if (savedAs && running && isDeepStrictEqual(lasting(savedAs, saved), lasting(running, raw))) return;
  const ended = await call(tools, ['pm2', 'save'], { timeout: 30_000 });
  if (ended.code !== 0) throw new Failure({ message: `pm2 save failed: ${lastLines(ended.tail, 2)}` });
}

/** What of an entry is the same before and after a reboot. */
function lasting(entry: Entry, [first]: readonly RawEntry[]): unknown {
  const { max_memory_restart, max_restarts, autorestart, cron_restart } = first ?? {};
  return {
    ...entry,
    instances: entry.instances.length,
    more: { max_memory_restart, max_restarts, autorestart, cron_restart },
  };
}

import { availableParallelism } from 'node:os';
import { basename } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Pm2Entry, RawEntry } from './pm2-client.js';
import type { Config } from './pm2-config.js';
import { ENV_BLOCK } from './pm2-ecosystem.js';

/** An entry in values that can be compared, by the names of ecosystem files; an absent key says nothing. */
export type EntryValues = Readonly<Record<string, unknown>>;

/** How values of a kind are brought to one form: `'10s'`, `'300M'` and `10000` mean what PM2 stores. */
const KINDS = {
  time: (value: unknown) => amount(value, { s: 1_000, m: 60_000, h: 3_600_000 }),
  memory: (value: unknown) => amount(value, { K: 1_024, M: 1_024 ** 2, G: 1_024 ** 3 }),
  number: (value: unknown) => Number(value),
  yes: (value: unknown) => value === true || value === 'true',
  text: (value: unknown) => String(value),
  watch: (value: unknown) => value === true || Array.isArray(value) || typeof value === 'string',
} as const;

/** The keys that PM2 stores as they are, and takes up at a reload; those with a star only at a start. */
const STORED = {
  max_memory_restart: 'memory',
  min_uptime: 'time',
  max_restarts: 'number',
  restart_delay: 'time',
  exp_backoff_restart_delay: 'time',
  listen_timeout: 'time',
  kill_timeout: 'time',
  wait_ready: 'yes',
  autorestart: 'yes',
} as const satisfies Record<string, keyof typeof KINDS>;

const AT_START = { watch: 'watch', cron_restart: 'text', uid: 'text', gid: 'text' } as const satisfies Record<
  string,
  keyof typeof KINDS
>;

/** What of an entry is nobody's wish, or is compared by itself. */
const NOT_COMPARED = new Set(['name', 'env', 'port', 'cmd', 'command']);

/** Names that PM2 takes too. */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  interpreter_args: 'node_args',
  exec_interpreter: 'interpreter',
};

/** `maxMemoryRestart` as `max_memory_restart`: PM2 takes both. */
function tidyKey(key: string): string {
  const snake = key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return OTHER_NAMES[snake] ?? snake;
}

/** A config with all keys as PM2's documents write them. */
function withTidyKeys(config: Config): Config {
  return Object.fromEntries(
    Object.entries(config).map(([key, value]) => [key.startsWith(ENV_BLOCK) ? key : tidyKey(key), value]),
  );
}

/** What a config declares, beside its environment. `entry`: what PM2 would make of it. */
export function declaredValues(
  config: Config,
  entry: Pick<Pm2Entry, 'mode' | 'script' | 'cwd' | 'args' | 'nodeArgs' | 'interpreter'>,
): EntryValues {
  const values: Record<string, unknown> = { script: entry.script };
  const tidy = withTidyKeys(config);
  for (const [key, value] of Object.entries(tidy)) {
    if (value === undefined || value === null || NOT_COMPARED.has(key) || key.startsWith(ENV_BLOCK)) continue;
    values[key] = declaredValue(key, value, entry);
  }
  // PM2 takes cluster mode where instances are asked for.
  if (tidy.exec_mode !== undefined || tidy.instances !== undefined) values.exec_mode = entry.mode;
  return values;
}

function declaredValue(
  key: string,
  value: unknown,
  entry: Pick<Pm2Entry, 'mode' | 'script' | 'cwd' | 'args' | 'nodeArgs' | 'interpreter'>,
): unknown {
  switch (key) {
    case 'script':
      return isBareName(value) ? value : entry.script;
    case 'cwd':
      return entry.cwd;
    case 'args':
      return entry.args;
    case 'node_args':
      return entry.nodeArgs;
    case 'interpreter':
      return entry.interpreter;
    case 'instances':
      return instancesOf(value);
    default: {
      const kind = kindOf(key);
      return kind === undefined ? value : KINDS[kind](value);
    }
  }
}

/** `npm`: neither a path nor a file of the project. */
function isBareName(script: unknown): script is string {
  return typeof script === 'string' && /^[\w-]+$/.test(script);
}

function kindOf(key: string): keyof typeof KINDS | undefined {
  return ({ ...STORED, ...AT_START } as Record<string, keyof typeof KINDS>)[key];
}

/** `max` and 0: as many as there are cores; below 0: so many fewer. */
function instancesOf(value: unknown): number {
  const cores = availableParallelism();
  const number = value === 'max' ? 0 : Number(value);
  return Math.max(1, number > 0 ? number : cores + number);
}

/** What PM2 has stored, for every key that can be compared with it. */
export function storedValues([first = {}]: readonly RawEntry[], entry: Pm2Entry): EntryValues {
  const { mode, script, cwd, args, nodeArgs, interpreter, instances } = entry;
  const values: Record<string, unknown> = {
    script,
    cwd,
    args,
    node_args: nodeArgs,
    interpreter,
    exec_mode: mode,
    instances: instances.length,
  };
  for (const key of [...Object.keys(STORED), ...Object.keys(AT_START)]) {
    const kind = kindOf(key)!;
    const value = first[key];
    values[key] = value === undefined || value === null ? undefined : KINDS[kind](value);
  }
  return values;
}

/** What PM2 does where nothing is declared, as far as a file may say the same. */
const DEFAULTS: EntryValues = { autorestart: true, wait_ready: false, watch: false };

/** The keys that are declared, and of which PM2 has another value. What PM2 does not store cannot be compared. Pure. */
export function differences(declared: EntryValues, stored: EntryValues): string[] {
  return Object.keys(declared).filter((key) => {
    if (!(key in stored)) return false;
    // A program that PM2 has looked up in PATH.
    if (key === 'script' && isBareName(declared[key])) return basename(String(stored[key])) !== declared[key];
    // A deploy raises it where a version starts slowly.
    if (key === 'listen_timeout' && Number(stored[key]) > Number(declared[key])) return false;
    return !isDeepStrictEqual(declared[key], stored[key] ?? DEFAULTS[key]);
  });
}

/** The keys that two declarations do not have alike. Pure. */
export function changes(before: EntryValues, after: EntryValues): string[] {
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...keys].filter(
    (key) => !isDeepStrictEqual(before[key] ?? DEFAULTS[key], after[key] ?? DEFAULTS[key]),
  );
}

/** The variables of `wanted` that `has` lacks or has otherwise, as `env.NAME`. Pure. */
export function otherVariables(
  wanted: Readonly<Record<string, string>>,
  has: Readonly<Record<string, string>>,
): string[] {
  return Object.keys(wanted)
    .filter((name) => has[name] !== wanted[name])
    .map((name) => `env.${name}`);
}

/** True where PM2 takes the new value of all these keys at a reload, and keeps its programs' places. */
export function isTakenByReload(changed: readonly string[], after: EntryValues): boolean {
  // What is no longer declared would stay as it was.
  return changed.every((key) => (key in STORED && after[key] !== undefined) || key.startsWith('env.'));
}

/** `10s` and the like; NaN for what PM2 would not take either. */
function amount(value: unknown, units: Readonly<Record<string, number>>): number {
  const text = String(value).trim();
  const unit = units[text.slice(-1)] ?? units[text.slice(-1).toUpperCase()];
  return unit === undefined ? Number(text) : Number(text.slice(0, -1)) * unit;
}

/** The variables of an `env` block as a program gets them. */
export function textValues(env: unknown): Record<string, string> {
  if (typeof env !== 'object' || env === null) return {};
  return Object.fromEntries(
    Object.entries(env)
      .filter(([, value]) => value !== undefined && value !== null)
      .map(([name, value]) => [name, typeof value === 'object' ? JSON.stringify(value) : String(value)]),
  );
}

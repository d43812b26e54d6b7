import { closeSync, openSync, readSync } from 'node:fs';
import { extname, isAbsolute, join } from 'node:path';
import { isFile } from '../host/files.js';
import type { Toolbox } from '../host/toolbox.js';
import type { Pm2Entry } from './pm2-client.js';

/** An application as PM2's config files have it. */
export type Config = Readonly<Record<string, unknown>>;

/**
 * The entry that PM2 would make of a config, as far as a rehearsal needs it. `fileOf`: where the script lies now that
 * will lie at a path once it is live.
 */
export function entryOf(config: Config, tools: Toolbox, fileOf: (path: string) => string): Pm2Entry {
  const cwd = String(config.cwd);
  const script = join(isAbsolute(String(config.script)) ? '/' : cwd, String(config.script));
  const named = config.interpreter ?? config.exec_interpreter;
  const interpreter = named === undefined ? interpreterOf(fileOf(script), tools) : String(named);
  const env = Object.entries((config.env as Record<string, unknown> | undefined) ?? {});
  return {
    mode: modeOf(config, interpreter),
    cwd,
    script,
    args: argumentWords(config.args),
    nodeArgs: argumentWords(config.node_args ?? config.interpreter_args),
    interpreter,
    waitReady: config.wait_ready === true,
    watch: Boolean(config.watch),
    env: Object.fromEntries(env.map(([name, value]) => [name, String(value)])),
    instances: [],
  };
}

/** Arguments as PM2 takes them: a list, or a text in which quotes hold words together. */
export function argumentWords(value: unknown): string[] {
  if (Array.isArray(value)) return value.map(String);
  const words = String(value ?? '').match(/"[^"]*"|'[^']*'|\S+/g) ?? [];
  return words.map((word) => word.replace(/^(["'])(.*)\1$/, '$2'));
}

/** PM2's own table, for scripts of which nobody says what runs them. */
const INTERPRETERS: Readonly<Record<string, string>> = {
  '.sh': 'bash',
  '.py': 'python3',
  '.rb': 'ruby',
  '.php': 'php',
  '.pl': 'perl',
};

function interpreterOf(file: string, tools: Toolbox): string {
  const ending = extname(file);
  if (ending === '.ts' || ending === '.tsx') return tools.find('bun') === undefined ? 'node' : 'bun';
  return INTERPRETERS[ending] ?? (ending === '' && isBinary(file) ? 'none' : 'node');
}

/** A program without a text in it: nothing has to run it. */
function isBinary(file: string): boolean {
  if (!isFile(file)) return false;
  const start = Buffer.alloc(512);
  const fd = openSync(file, 'r');
  try {
    return start.subarray(0, readSync(fd, start, 0, start.length, 0)).includes(0);
  } finally {
    closeSync(fd);
  }
}

/** Without a word in the file PM2 takes cluster mode where instances are asked for and Node runs them. */
function modeOf(config: Config, interpreter: string): Pm2Entry['mode'] {
  if (config.exec_mode !== undefined) return /cluster/.test(String(config.exec_mode)) ? 'cluster' : 'fork';
  return config.instances !== undefined && interpreter === 'node' ? 'cluster' : 'fork';
}

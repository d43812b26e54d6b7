import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { Failure } from '../../lib/report.js';
import { type CallOptions, type Ended, mustRun, runToEnd } from './run-program.js';

/** The programs of the host and the environment in which they are run. */
export interface Toolbox {
  readonly home: string;
  readonly env: NodeJS.ProcessEnv;
  /** The path of a program; undefined where it is not found. */
  find(name: string): string | undefined;
  /** A copy that looks in more folders first. */
  withFolders(folders: readonly string[]): Toolbox;
}

/**
 * Folders where version managers keep their programs. A non-interactive SSH session reads no profile, so its PATH
 * has none of them.
 */
export function managedFolders(home: string, list: (folder: string) => string[]): string[] {
  const newestFirst = (folder: string): string[] =>
    list(folder).sort((a, b) => b.localeCompare(a, 'en', { numeric: true }));
  const nvm = join(home, '.nvm/versions/node');
  const fnmRoots = [join(home, '.local/share/fnm'), join(home, '.fnm')];
  return [
    ...newestFirst(nvm).map((version) => join(nvm, version, 'bin')),
    ...fnmRoots.flatMap((root) => [
      join(root, 'aliases/default/bin'),
      ...newestFirst(join(root, 'node-versions')).map((version) =>
        join(root, 'node-versions', version, 'installation/bin'),
      ),
    ]),
    join(home, '.volta/bin'),
    join(home, '.asdf/shims'),
    join(home, '.local/share/mise/shims'),
    join(home, '.local/share/pnpm'),
    join(home, '.npm-global/bin'),
    join(home, '.local/bin'),
    join(home, '.yarn/bin'),
    join(home, '.bun/bin'),
    join(home, 'bin'),
  ];
}

/** The toolbox of this host: the Node that runs the worker first, then PATH, then the version managers. */
export function openToolbox(env: NodeJS.ProcessEnv): Toolbox {
  const home = env.HOME ?? '/';
  const managed = managedFolders(home, listFolder).filter(existsSync);
  const folders = [
    dirname(process.execPath),
    ...(env.PATH ?? '').split(delimiter),
    '/usr/local/bin',
    '/usr/bin',
    '/bin',
    ...managed,
  ];
  return toolboxOf(home, env, folders);
}

function toolboxOf(home: string, env: NodeJS.ProcessEnv, folders: readonly string[]): Toolbox {
  const unique = [...new Set(folders.filter((folder) => folder.startsWith('/')))];
  return {
    home,
    env: { ...env, PATH: unique.join(delimiter) },
    find: (name) => unique.map((folder) => join(folder, name)).find(isExecutable),
    withFolders: (first) => toolboxOf(home, env, [...first, ...unique]),
  };
}

function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

type Rest = Partial<CallOptions>;

/** Runs a program of the toolbox and returns how it ended. */
export function call(tools: Toolbox, words: readonly string[], rest: Rest = {}): Promise<Ended> {
  return runToEnd(found(tools, words), { cwd: tools.home, env: tools.env, ...rest });
}

/** The version that a program of the toolbox says it has; undefined where it is not found. */
export async function versionOf(tools: Toolbox, name: string): Promise<string | undefined> {
  if (tools.find(name) === undefined) return undefined;
  const ended = await call(tools, [name, '--version'], { timeout: 20_000 });
  return /\d+\.\d+[^\s]*/.exec(ended.stdout)?.[0];
}

/** Runs a program of the toolbox that is expected to succeed; resolves to its stdout. */
export function must(tools: Toolbox, words: readonly string[], rest: Rest = {}): Promise<string> {
  return mustRun(found(tools, words), { cwd: tools.home, env: tools.env, ...rest });
}

function found(tools: Toolbox, [name, ...args]: readonly string[]): string[] {
  const file = name!.startsWith('/') ? name : tools.find(name!);
  if (file === undefined)
    throw new Failure({
      message: `${name} is not found on the server.`,
      next: `Install ${name} for the user of the SSH connection, or put it where PATH of a non-interactive session finds it. Looked in: ${tools.env.PATH}`,
    });
  return [file, ...args];
}

import { readdirSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { Failure } from '../../lib/report.js';
import { isFile, isFolder } from '../host/files.js';
import { must, type Toolbox } from '../host/toolbox.js';
import type { Reporter } from '../run/reporter.js';
import { pm2Package } from './pm2-client.js';
import type { Config } from './pm2-config.js';

/** The names under which people keep it, in the order in which they are looked for. */
const STEMS = ['ecosystem', 'pm2', 'process'];
const ENDINGS = ['.config.js', '.config.cjs', '.config.mjs', '.json', '.config.json', '.yml', '.yaml'].concat(
  '.config.yml',
  '.config.yaml',
);
const NAMES = STEMS.flatMap((stem) => ENDINGS.map((ending) => stem + ending));

/** The ecosystem files of a folder: those with the usual names first, then `ecosystem.production.config.js` and the like. */
export function ecosystemFiles(folder: string): string[] {
  if (!isFolder(folder)) return [];
  const usual = NAMES.filter((name) => isFile(join(folder, name)));
  const named = readdirSync(folder)
    .filter((name) => !usual.includes(name) && isOfStem(name) && isFile(join(folder, name)))
    .sort();
  return [...usual, ...named];
}

function isOfStem(name: string): boolean {
  return (
    STEMS.slice(0, 2).some((stem) => name.startsWith(`${stem}.`)) &&
    ENDINGS.some((ending) => name.endsWith(ending))
  );
}

/** One application of an ecosystem file. */
export interface EcosystemApplication {
  /** Its name in the folder. */
  file: string;
  config: Config;
  /** Variables of the environment that the file reads while it is read; `*`: all of them. */
  reads: string[];
  /** What PM2 would not take of it. */
  faults: string[];
}

/**
 * The application of that name in the ecosystem files of a folder; undefined where no file has it. `preferred`: a file that is
 * looked into first. @throws a Failure where a file cannot be read before one has it.
 */
export async function findApplication(
  tools: Toolbox,
  folder: string,
  appName: string,
  preferred?: string,
): Promise<EcosystemApplication | undefined> {
  const files = ecosystemFiles(folder);
  const first = files.filter((file) => file === preferred);
  for (const file of [...first, ...files.filter((other) => other !== preferred)]) {
    const { apps, reads } = await readFile(tools, folder, file);
    const found = apps.find(({ config }) => nameOf(config) === appName);
    if (found) return { file, ...found, reads };
  }
  return undefined;
}

/** PM2 calls an application without a name after its script. */
function nameOf({ name, script }: Config): unknown {
  return name ?? basename(String(script ?? ''), extname(String(script ?? '')));
}

/**
 * Reads a file as PM2 does: what is JSON for PM2 may have comments, and YAML is read by the reader that PM2 brings. What the
 * file itself asks of the environment is noted; what Node asks meanwhile is not. PM2's own check says what it would not take.
 */
const READER = `
const { readFileSync } = require('node:fs');
const { createRequire } = require('node:module');
const { pathToFileURL } = require('node:url');
const [file, pm2] = process.argv.slice(1);
const reads = new Set();
const note = (name) => {
  const asks = new Error().stack.split('\\n')[3] ?? '';
  if (typeof name === 'string' && !/\\(?node:/.test(asks)) reads.add(name);
};
process.env = new Proxy(process.env, {
  get: (env, name) => (note(name), env[name]),
  has: (env, name) => (note(name), name in env),
  ownKeys: (env) => (note('*'), Reflect.ownKeys(env)),
});
const load = async () => {
  if (/\\.ya?ml$/.test(file)) return createRequire(pm2)('js-yaml').load(readFileSync(file, 'utf8'));
  if (file.endsWith('.json')) return require('node:vm').runInNewContext('(' + readFileSync(file, 'utf8').replace(/^\\uFEFF/, '') + '\\n)');
  const imported = async () => {
    const all = await import(pathToFileURL(file));
    return all.default ?? all;
  };
  if (file.endsWith('.mjs')) return imported();
  try {
    const all = require(file);
    return all.default ?? all;
  } catch (error) {
    if (error.code !== 'ERR_REQUIRE_ESM') throw error;
    return imported();
  }
};
const faultsOf = (config) => {
  try {
    return createRequire(pm2)('./lib/tools/Config').validateJSON(structuredClone(config)).errors.map(String);
  } catch {
    return [];
  }
};
load().then((all) => {
  const asked = [...reads];
  const apps = [all.apps ?? all.pm2 ?? all].flat().map((config) => ({ config, faults: faultsOf(config) }));
  process.stdout.write('\\n' + JSON.stringify({ apps, reads: asked }));
  process.exit(0);
}, (error) => {
  console.error(String(error && error.stack || error));
  process.exit(1);
});
`;

async function readFile(
  tools: Toolbox,
  folder: string,
  file: string,
): Promise<{ apps: Pick<EcosystemApplication, 'config' | 'faults'>[]; reads: string[] }> {
  const pm2 = join(pm2Package(tools) ?? folder, 'package.json');
  const out = await must(tools, ['node', '-e', READER, join(folder, file), pm2], {
    cwd: folder,
    timeout: 20_000,
  });
  return JSON.parse(out.slice(out.lastIndexOf('\n') + 1)) as Awaited<ReturnType<typeof readFile>>;
}

export interface EcosystemQuestion {
  tools: Toolbox;
  /** The folder that holds the file. */
  stage: string;
  appName: string;
  environment: string | undefined;
  reporter: Pick<Reporter, 'progress' | 'warn'>;
}

/** The application in the ecosystem file of a commit, with the variables of its environment; undefined without a file. */
export async function readEcosystem(question: EcosystemQuestion): Promise<Config | undefined> {
  const { tools, stage, appName, environment, reporter } = question;
  const [first] = ecosystemFiles(stage);
  if (first === undefined) return undefined;
  const found = await findApplication(tools, stage, appName);
  if (!found)
    throw new Failure({
      message: `${first} has no application named "${appName}".`,
      next: 'Correct app-name or the ecosystem file, or give start-command.',
    });
  const { file, config } = found;
  const { env, used, unused } = startEnvironment(config, environment);
  if (used !== undefined) reporter.progress(`${file}: ${used} is laid over env, as environment says`);
  else if (unused.length > 0)
    reporter.warn({
      message: `${file} has ${unused.join(', ')} for "${appName}", and ${
        environment === undefined ? 'no environment is given' : `environment is ${environment}`
      }: it is started with env alone.`,
      next: `If one of them is meant, give its name as environment (${unused[0]!.slice(ENV_BLOCK.length)}), or put its values into env.`,
    });
  return { ...config, env };
}

export const ENV_BLOCK = 'env_';

/**
 * The variables of an application in an ecosystem file: `env`, and over it the block named after the environment, as
 * `pm2 start --env <environment>` takes them. PM2 itself takes no block without being told.
 */
export function startEnvironment(
  app: Config,
  environment: string | undefined,
): { env: Record<string, unknown>; used?: string; unused: string[] } {
  const block = (name: string): Record<string, unknown> => {
    const value = app[name];
    return typeof value === 'object' && value !== null ? { ...value } : {};
  };
  const names = Object.keys(app).filter((name) => name.startsWith(ENV_BLOCK));
  const used = names.find((name) => name === ENV_BLOCK + environment);
  const port = app.port === undefined ? {} : { PORT: app.port };
  if (used === undefined) return { env: { ...block('env'), ...port }, unused: names };
  return {
    env: { ...block('env'), ...block(used), ...port },
    used,
    unused: names.filter((name) => name !== used),
  };
}

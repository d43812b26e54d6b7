import { isAbsolute, join } from 'node:path';
import { Failure } from '../base/report.js';
import { readText } from './files.js';
import { currentLink } from './layout.js';
import type { Entry } from './pm2.js';
import type { DeployRequest } from './protocol.js';
import { readProject, type Survey } from './survey.js';
import type { Teller } from './teller.js';
import { must } from './toolbox.js';

/** How PM2 starts an application that it does not know yet, and the same as an entry for the rehearsal. */
export interface FirstStart {
  /** What goes into PM2's config file. */
  config: Record<string, unknown>;
  entry: Entry;
}

const ECOSYSTEM_FILES = ['ecosystem.config.js', 'ecosystem.config.cjs', 'ecosystem.config.json'];

/** A command as PM2 can run it best: a script of Node in cluster mode where it is one, else through the shell. */
export function startOf(command: string): {
  script: string;
  args: string[];
  mode: 'cluster' | 'fork';
  shell: boolean;
} {
  const words = command.trim().split(/\s+/);
  const plain = !/["'$`\\&|;<>(){}*?!#~]/.test(command) && !/^\w+=/.test(words[0]!);
  const [first, second, ...rest] = words;
  if (plain && first === 'node' && second !== undefined && !second.startsWith('-'))
    return { script: second, args: rest, mode: 'cluster', shell: false };
  if (plain && first === 'next' && second === 'start')
    return {
      script: 'node_modules/next/dist/bin/next',
      args: ['start', ...rest],
      mode: 'cluster',
      shell: false,
    };
  return { script: '/bin/sh', args: ['-c', `exec ${command}`], mode: 'fork', shell: true };
}

/** The command behind `npm start` and the like; any other command stays as it is. */
export function unwrapped(command: string, scripts: Record<string, string> | undefined): string {
  const script = /^(?:npm|pnpm|yarn|bun)(?:\s+run)?\s+([\w:-]+)$/.exec(command.trim())?.[1];
  return (script === undefined ? undefined : scripts?.[script]) ?? command;
}

/** Decides how the application is started where PM2 has no entry: start-command, ecosystem file, package.json. */
export async function firstStart(
  found: Survey,
  request: DeployRequest,
  stage: string,
  teller: Pick<Teller, 'progress' | 'warn'>,
): Promise<FirstStart> {
  const cwd = currentLink(request.app.appPath);
  const config =
    request.startCommand === undefined ? await ecosystemEntry(found, request, stage, cwd, teller) : undefined;
  if (config) return { config, entry: asEntry(config) };
  const { packageJson } = readProject(stage);
  const command = request.startCommand ?? packageJson?.scripts?.start;
  if (command === undefined)
    throw new Failure({
      message: `PM2 does not know "${request.app.appName}", and the commit has no ecosystem file and no start script.`,
      next: 'Give start-command.',
    });
  const start = startOf(unwrapped(command, packageJson?.scripts));
  const made = {
    name: request.app.appName,
    script: isAbsolute(start.script) ? start.script : join(cwd, start.script),
    args: start.args,
    cwd,
    exec_mode: start.mode,
    instances: 1,
    kill_timeout: 10_000,
    ...(start.shell ? { interpreter: 'none' } : {}),
    env: request.app.healthPort === undefined ? {} : { PORT: String(request.app.healthPort) },
  };
  return { config: made, entry: asEntry(made) };
}

/** The application in the repository's ecosystem file, made to run in the live folder whatever the file says. */
async function ecosystemEntry(
  found: Survey,
  request: DeployRequest,
  stage: string,
  cwd: string,
  teller: Pick<Teller, 'progress' | 'warn'>,
): Promise<Record<string, unknown> | undefined> {
  const file = ECOSYSTEM_FILES.find((name) => readText(join(stage, name)) !== undefined);
  if (file === undefined) return undefined;
  const program = `const all = require(${JSON.stringify(join(stage, file))}); process.stdout.write('\\n' + JSON.stringify(all.apps ?? all));`;
  const out = await must(found.tools, ['node', '-e', program], { cwd: stage, timeout: 20_000 });
  const apps: unknown = JSON.parse(out.slice(out.lastIndexOf('\n') + 1));
  const list = (Array.isArray(apps) ? apps : [apps]) as Record<string, unknown>[];
  const app = list.find(({ name }) => name === request.app.appName);
  if (!app)
    throw new Failure({
      message: `${file} has no application named "${request.app.appName}".`,
      next: 'Correct app-name or the ecosystem file, or give start-command.',
    });
  const { environment } = request.app;
  const { env, used, unused } = environmentOf(app, environment);
  if (used !== undefined) teller.progress(`${file}: ${used} is laid over env, as environment says`);
  else if (unused.length > 0)
    teller.warn({
      message: `${file} has ${unused.join(', ')} for "${request.app.appName}", and ${
        environment === undefined ? 'no environment is given' : `environment is ${environment}`
      }: it is started with env alone.`,
      next: `If one of them is meant, give its name as environment (${unused[0]!.slice(ENV_BLOCK.length)}), or put its values into env.`,
    });
  const script = String(app.script ?? '');
  return { ...app, env, cwd, script: isAbsolute(script) ? script : join(cwd, script) };
}

const ENV_BLOCK = 'env_';

/**
 * The variables of an application in an ecosystem file: `env`, and over it the block named after the environment, as
 * `pm2 start --env <environment>` takes them. PM2 itself takes no block without being told.
 */
export function environmentOf(
  app: Readonly<Record<string, unknown>>,
  environment: string | undefined,
): { env: Record<string, unknown>; used?: string; unused: string[] } {
  const block = (name: string): Record<string, unknown> => {
    const value = app[name];
    return typeof value === 'object' && value !== null ? { ...value } : {};
  };
  const names = Object.keys(app).filter((name) => name.startsWith(ENV_BLOCK));
  const used = names.find((name) => name === ENV_BLOCK + environment);
  if (used === undefined) return { env: block('env'), unused: names };
  return { env: { ...block('env'), ...block(used) }, used, unused: names.filter((name) => name !== used) };
}

function asEntry(config: Record<string, unknown>): Entry {
  const words = (value: unknown): string[] =>
    Array.isArray(value)
      ? value.map(String)
      : String(value ?? '')
          .split(/\s+/)
          .filter(Boolean);
  const env = Object.entries((config.env as Record<string, unknown> | undefined) ?? {});
  return {
    mode: /cluster/.test(String(config.exec_mode ?? '')) ? 'cluster' : 'fork',
    cwd: String(config.cwd),
    script: String(config.script),
    args: words(config.args),
    nodeArgs: words(config.node_args),
    interpreter: String(config.interpreter ?? 'node'),
    waitReady: config.wait_ready === true,
    watch: Boolean(config.watch),
    env: Object.fromEntries(env.map(([name, value]) => [name, String(value)])),
    instances: [],
  };
}

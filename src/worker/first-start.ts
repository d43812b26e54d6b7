import { isAbsolute, join } from 'node:path';
import { Failure } from '../base/report.js';
import { readText } from './files.js';
import { currentLink } from './layout.js';
import type { Entry } from './pm2.js';
import type { DeployRequest } from './protocol.js';
import { readProject, type Survey } from './survey.js';
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
export async function firstStart(found: Survey, request: DeployRequest, stage: string): Promise<FirstStart> {
  const cwd = currentLink(request.app.appPath);
  const config =
    request.startCommand === undefined ? await ecosystemEntry(found, request, stage, cwd) : undefined;
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
  const script = String(app.script ?? '');
  return { ...app, cwd, script: isAbsolute(script) ? script : join(cwd, script) };
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

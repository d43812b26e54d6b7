import { isAbsolute, join, normalize, relative } from 'node:path';
import { isInside } from '../../lib/paths.js';
import { Failure } from '../../lib/report.js';
import { isFile } from '../host/files.js';
import type { Toolbox } from '../host/toolbox.js';
import type { AppRequest } from '../protocol.js';
import type { Reporter } from '../run/reporter.js';
import { currentLink } from '../state/layout.js';
import { argumentWords, type Config, entryOf } from './pm2-config.js';
import { readEcosystem } from './pm2-ecosystem.js';
import { type Start, startOf, unwrapped } from './start-command.js';
import type { FirstStart, NewBuild } from './supervisor.js';

/** A build that is to be started for the first time. */
export interface BuildPlace {
  tools: Toolbox;
  /** Where it lies now. */
  stage: string;
  /** Where it will lie: the symlink that is turned. */
  link: string;
}

/** Decides how the application is started where PM2 has no entry: start-command, ecosystem file, package.json. */
export async function firstStart(
  tools: Toolbox,
  { appName, appPath, environment, healthPort }: AppRequest,
  { folder: stage, startCommand, scripts, packageManager, reporter }: NewBuild,
): Promise<FirstStart> {
  const place: BuildPlace = { tools, stage, link: currentLink(appPath) };
  const application =
    startCommand === undefined
      ? await readEcosystem({ tools, stage, appName, environment, reporter })
      : undefined;
  if (application) return fromEcosystem(application, place, reporter);
  const command = startCommand ?? (scripts?.start === undefined ? undefined : `${packageManager} run start`);
  if (command === undefined)
    throw new Failure({
      message: `PM2 does not know "${appName}", and the commit has no ecosystem file and no start script.`,
      next: 'Give start-command.',
    });
  const port: Record<string, string> = healthPort === undefined ? {} : { PORT: String(healthPort) };
  const { env, ...how } = programOf(startOf(unwrapped(command, scripts)), place);
  return begun(
    {
      name: appName,
      ...how,
      cwd: place.link,
      instances: 1,
      kill_timeout: 10_000,
      env: { ...port, ...env },
    },
    place,
  );
}

/** Where Next.js keeps what `next` runs: in cluster mode PM2 must be given that, for there it runs only Node. */
const NEXT = 'node_modules/next/dist/bin/next';

interface Program {
  script: string;
  args: string[];
  exec_mode: 'cluster' | 'fork';
  interpreter?: 'none';
  env: Record<string, string>;
}

/** How PM2 runs a command best: a script of Node in cluster mode, else the program itself, else a shell. */
function programOf(start: Start, { tools, stage }: BuildPlace): Program {
  if (start.kind === 'node') {
    const { args, env } = start;
    return { script: scriptIn(stage, start.script), args, exec_mode: 'cluster', env };
  }
  if (start.kind === 'shell') return inShell(start.command);
  const { file, args, env } = start;
  if (file === 'next' && args[0] === 'start' && isFile(join(stage, NEXT)))
    return { script: `./${NEXT}`, args, exec_mode: 'cluster', env };
  const script = isAbsolute(file) ? file : (ownProgram(stage, file) ?? tools.find(file));
  if (script !== undefined) return { script, args, exec_mode: 'fork', interpreter: 'none', env };
  const assigned = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  return inShell([...assigned, file, ...args].join(' '));
}

/** A program of the commit or of its dependencies, from the root; undefined where it has none of that name. */
function ownProgram(stage: string, file: string): string | undefined {
  const path = file.includes('/') ? file : `node_modules/.bin/${file}`;
  return isFile(join(stage, path)) ? `./${normalize(path)}` : undefined;
}

/** As package managers run a script: with the programs of the dependencies in PATH. */
function inShell(command: string): Program {
  return {
    script: '/bin/sh',
    args: ['-c', `export PATH="$PWD/node_modules/.bin:$PATH"; ${command}`],
    exec_mode: 'fork',
    interpreter: 'none',
    env: {},
  };
}

/**
 * The file that Node runs for a script, from the folder that it starts in: Node also finds one without its ending,
 * PM2 does not.
 */
function scriptIn(folder: string, script: string): string {
  if (isAbsolute(script)) return script;
  const found = ['', '.js', '/index.js'].find((ending) => isFile(join(folder, script + ending)));
  if (found === undefined)
    throw new Failure({
      message: `The application is started by ${script}, which neither the commit has nor the build has made.`,
      next: 'Correct start-command, the start script or the ecosystem file.',
    });
  return `./${normalize(script + found)}`;
}

/** The application of an ecosystem file, made to run where it will lie, whatever the file says. */
export function fromEcosystem(
  application: Config,
  place: BuildPlace,
  reporter: Pick<Reporter, 'warn'>,
): FirstStart {
  const { tools, stage, link } = place;
  // `__dirname` in the file was the stage.
  const app = mapTexts(application, (text) => moved(text, stage, link)) as Config;
  const cwd = folderOf(app, link, reporter);
  const script = String(app.script ?? app.cmd ?? app.command ?? '');
  // PM2 hands a line of several words to a shell.
  if (script.includes(' '))
    return begun(
      { ...app, cwd, script: tools.find('bash') ?? '/bin/sh', args: ['-c', script], interpreter: 'none' },
      place,
    );
  const here = moved(cwd, link, stage);
  const given = moved(script, link, stage);
  const own = isAbsolute(given) && isInside(given, stage) ? relative(here, given) : given;
  const known = isAbsolute(own) || isFile(join(here, own)) ? own : tools.find(own);
  const found = known === undefined || !isAbsolute(known) ? scriptIn(here, own) : known;
  return begun({ ...app, cwd, script: found, args: argumentWords(app.args) }, place);
}

/** Where the application starts: a folder of its own below the live one, as a monorepo has it, or the live one. */
function folderOf(app: Config, link: string, reporter: Pick<Reporter, 'warn'>): string {
  if (app.cwd === undefined) return link;
  const given = String(app.cwd);
  const cwd = normalize(isAbsolute(given) ? given : join(link, given)).replace(/\/$/, '');
  if (isInside(cwd, link)) return cwd;
  reporter.warn({
    message: `The ecosystem file says cwd: ${given}, which is not below app-path: the application is started in ${link}.`,
    next: 'Leave cwd out, or give it from the root of the repository.',
  });
  return link;
}

function moved(text: string, from: string, to: string): string {
  return isInside(text, from) ? to + text.slice(from.length) : text;
}

function mapTexts(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === 'string') return change(value);
  if (Array.isArray(value)) return value.map((item) => mapTexts(item, change));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, mapTexts(item, change)]));
}

function begun(config: Config, { tools, stage, link }: BuildPlace): FirstStart {
  return { config, entry: entryOf(config, tools, (path) => moved(path, link, stage)) };
}

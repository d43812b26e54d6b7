import { realpathSync } from 'node:fs';
import { relative } from 'node:path';
import { definedOnly } from '../../lib/defined-only.js';
import { isInside } from '../../lib/paths.js';
import { type Problem, problemsOf } from '../../lib/report.js';
import { shortenList } from '../../lib/shorten-list.js';
import { isFolder, isSymlink } from '../host/files.js';
import { ageOf, elsewhereOn, portsHeldBy, readableAddress } from '../host/processes.js';
import type { Toolbox } from '../host/toolbox.js';
import type { AppRequest } from '../protocol.js';
import { liveFolder } from '../state/layout.js';
import { portOf } from './entry.js';
import {
  applicationsOf,
  findEntry,
  otherApplicationsIn,
  otherDaemons,
  type Pm2Entry,
  pm2Version,
  savedEntry,
} from './pm2-client.js';
import { entryRefusals, entryTraps } from './pm2-traps.js';
import { otherListener } from './pm2-watch.js';
import type { FoundApplication, SupervisorQuestion } from './supervisor.js';

/** Looks at how PM2 runs the application, and what of it stands against a deploy or will hurt. */
export async function lookAtPm2(
  tools: Toolbox,
  app: AppRequest,
  question: SupervisorQuestion,
): Promise<FoundApplication> {
  const pm2 = await pm2Version(tools);
  const seen: FoundApplication = { facts: definedOnly({ pm2 }), refusals: [], warnings: [] };
  if (tools.find('pm2') === undefined) {
    seen.refusals.push({
      message: 'pm2 is not found on the server.',
      next: 'Install it for the user of the SSH connection (npm install --global pm2), or give restart-command where another supervisor runs the application.',
    });
    return seen;
  }
  let entry: Pm2Entry | undefined;
  try {
    const listed = await findEntry(tools, app.appName);
    entry = listed && withoutDetour(listed, app.appPath);
  } catch (error) {
    seen.refusals.push(...problemsOf(error));
    return seen;
  }
  if (!entry) {
    await noteMissingEntry(seen, app, tools, question.layout);
    return seen;
  }
  const about = {
    appName: app.appName,
    appPath: app.appPath,
    next: question.next,
    layout: question.strategy,
  };
  seen.refusals.push(...entryRefusals(entry, about));
  seen.warnings.push(...entryTraps(entry, about), ...(await siblingTraps(app, tools)));
  const port = app.healthPort ?? portOf(entry);
  const held = portsHeldBy(new Set(entry.instances.map(({ pid }) => pid).filter((pid) => pid > 1)));
  const way = judgePort(app, { port, held, entry, age: youngest(entry) });
  if ('refusal' in way) seen.refusals.push(way.refusal);
  else if (way.port === undefined) {
    seen.facts.portless = true;
    entry = { ...entry, portless: true };
  } else {
    seen.facts.port = way.port;
    const stranger = otherListener(tools, way.port, entry.instances);
    if (stranger !== undefined) seen.refusals.push(...stranger.problems);
    const [elsewhere] = elsewhereOn(way.port);
    if (elsewhere !== undefined) seen.refusals.push(notOnLoopback(way.port, readableAddress(elsewhere)));
  }
  const status = entry.instances.every((instance) => instance.status === 'online') ? 'online' : 'not online';
  seen.facts.entry = {
    mode: entry.mode,
    instances: entry.instances.length,
    status: entry.instances.find((instance) => instance.status !== 'online')?.status ?? status,
    script: entry.script,
  };
  return { ...seen, entry };
}

/** Everything is asked on loopback: the version that serves, and the new one before it does. */
function notOnLoopback(port: number, address: string): Problem {
  return {
    message: `The application listens on ${address}:${port} alone, and it is asked on 127.0.0.1.`,
    next: 'Let it listen on 127.0.0.1 or on all addresses (HOST or HOSTNAME in the environment, -H of next start), and keep others out by the firewall.',
  };
}

/** Milliseconds after which a program that listens on nothing is taken for one that never will. */
const LONGEST_BOOT = 30_000;

/** The age of the youngest instance, in milliseconds; 0 where one is not running. */
function youngest({ instances }: Pm2Entry): number {
  return Math.min(...instances.map(({ pid }) => ageOf(pid) ?? 0));
}

/**
 * The port by which an application is judged, none where it has none, or why that cannot be known. In cluster mode PM2's
 * daemon holds the sockets, so that nobody sees whose they are. `held`: the ports that its own programs hold. Pure.
 */
export function judgePort(
  { appName, portless }: Pick<AppRequest, 'appName' | 'portless'>,
  {
    port,
    held,
    entry,
    age,
  }: {
    port: number | undefined;
    held: readonly number[];
    entry: Pick<Pm2Entry, 'mode' | 'env'>;
    age: number;
  },
): { port: number | undefined } | { refusal: Problem } {
  const listens = held[0] ?? port;
  if (portless === 'health-from' && listens !== undefined)
    return {
      refusal: {
        message: `"${appName}" listens on port ${listens}, and health-from: none would never ask it.`,
        next: `Leave health-from: none out. Where the port is not for requests, say "app-name: ${appName} none".`,
      },
    };
  if (portless !== undefined) return { port: undefined };
  if (port === undefined && entry.env.PORT?.includes('/'))
    return {
      refusal: {
        message: `"${appName}" listens on the Unix socket ${entry.env.PORT}, on which it cannot be asked.`,
        next: 'Give it a port on 127.0.0.1 (PORT), and the web server that address.',
      },
    };
  if (port !== undefined) return { port };
  if (held.length === 0 && entry.mode === 'fork' && age >= LONGEST_BOOT) return { port: undefined };
  return {
    refusal: {
      message: `The port of "${appName}" is not known: its PM2 entry has neither PORT nor -p / --port.`,
      next: `Give health-port${held[0] === undefined ? '' : ` (it listens on ${held[0]})`}, or set PORT in the ecosystem file. A program without a port: "app-name: ${appName} none".`,
    },
  };
}

/** Several applications of PM2 in one checkout, a web server and an API, say: a deploy restarts those that it names. */
async function siblingTraps(
  { appName, appPath, others: named = [] }: AppRequest,
  tools: Toolbox,
): Promise<Problem[]> {
  const live = liveFolder(appPath);
  const all = await otherApplicationsIn(tools, [appPath, ...(live === undefined ? [] : [live])], appName);
  const others = all.filter((name) => !named.includes(name));
  if (others.length === 0) return [];
  return [
    {
      message: `PM2 runs ${others.join(', ')} in ${appPath} too, and app-name does not name ${others.length === 1 ? 'it' : 'them'}: not restarted, ${others.length === 1 ? 'it goes' : 'they go'} on with the old code beside the new files.`,
      next: `Name them in app-name too, one per line, to be restarted after ${appName} and judged by PM2: ${[appName, ...others.map((name) => `${name} none`)].join(' / ')}. Or give each a step of its own after this one.`,
    },
  ];
}

/**
 * An entry that reaches a checkout through a symlink of the host, as if it were started in the checkout itself. Where
 * app-path is the symlink it stays: what it says then is which release it runs.
 */
function withoutDetour(entry: Pm2Entry, appPath: string): Pm2Entry {
  if (isSymlink(appPath) || !isFolder(appPath) || !isFolder(entry.cwd)) return entry;
  const below = relative(realpathSync(appPath), realpathSync(entry.cwd));
  const end = below === '' ? '' : `/${below}`;
  const detour = entry.cwd.slice(0, entry.cwd.length - end.length);
  if (below.startsWith('..') || detour + end !== entry.cwd || detour === appPath) return entry;
  const place = (text: string): string =>
    isInside(text, detour) ? appPath + text.slice(detour.length) : text;
  return { ...entry, cwd: place(entry.cwd), script: place(entry.script), args: entry.args.map(place) };
}

async function noteMissingEntry(
  { facts, refusals, warnings }: FoundApplication,
  app: AppRequest,
  tools: Toolbox,
  layout: SupervisorQuestion['layout'],
): Promise<void> {
  if (layout === 'absent') {
    if (app.healthPort === undefined)
      warnings.push({
        message: `PM2 does not know "${app.appName}" yet; its port is taken from the start command or ecosystem file.`,
      });
    else facts.port = app.healthPort;
    return;
  }
  if (savedEntry(tools, app.appName)) {
    refusals.push({
      message: `PM2 does not run "${app.appName}" now, but it is among what PM2 saved last: it was killed, or not started after a reboot.`,
      next: 'Run once on the server: pm2 resurrect (and pm2 startup, so that it also starts after a reboot).',
    });
    return;
  }
  refusals.push(unknownName(app, await applicationsOf(tools), otherDaemons(tools)));
}

/** What is said of a name that PM2 does not know, with those that it does. `daemons`: homes of other users' PM2. Pure. */
export function unknownName(
  { appName, appPath }: Pick<AppRequest, 'appName' | 'appPath'>,
  running: readonly { name: string; cwd: string }[],
  daemons: readonly string[],
): Problem {
  const here = running.filter(({ cwd }) => isInside(cwd, appPath)).map(({ name }) => name);
  const known = running.map(({ name }) => (here.includes(name) ? `${name} (in app-path)` : name));
  const sentences = [
    `PM2 does not know the application "${appName}".`,
    ...(known.length > 0 ? [`It runs ${shortenList(known)}.`] : []),
    ...(daemons.length > 0 ? [`Another PM2 runs here with the home ${daemons.join(', ')}.`] : []),
  ];
  return { message: sentences.join(' '), next: nextForName(here, known.length > 0, daemons) };
}

function nextForName(here: readonly string[], runsOthers: boolean, daemons: readonly string[]): string {
  const [name, ...more] = here;
  if (name !== undefined)
    return `Correct app-name: ${more.length === 0 ? name : `one of ${here.join(', ')}`}.`;
  if (daemons.length > 0) return 'Connect as the user that runs it.';
  return runsOthers
    ? 'Correct app-name or app-path, or start the application once.'
    : 'Look with "pm2 ls" and correct app-name, or start the application once.';
}

import { realpathSync } from 'node:fs';
import { relative } from 'node:path';
import { problemsOf } from '../../base/report.js';
import { isFolder, isSymlink } from '../host/files.js';
import { type Entry, findEntry, namesIn, otherDaemons, portOf, savedEntry } from '../host/pm2.js';
import type { Toolbox } from '../host/toolbox.js';
import type { AppRequest, HostFacts } from '../protocol.js';
import { liveFolder, type Strategy } from '../record/layout.js';
import { entryRefusals, entryTraps } from './entry-traps.js';

/** Looks at how the application is run, and adds what was found, refusals and traps to the facts. */
export async function lookAtPm2(
  facts: HostFacts,
  app: AppRequest,
  tools: Toolbox,
  next: boolean,
  strategy: Strategy,
): Promise<Entry | undefined> {
  if (app.restartCommand !== undefined) {
    if (app.healthPort === undefined)
      facts.refusals.push({
        message:
          'With restart-command the port of the application is not known, so nothing could be verified.',
        next: 'Give health-port.',
      });
    else facts.port = app.healthPort;
    return undefined;
  }
  if (tools.find('pm2') === undefined) {
    facts.refusals.push({
      message: 'pm2 is not found on the server.',
      next: 'Install it for the user of the SSH connection (npm install --global pm2), or give restart-command where another supervisor runs the application.',
    });
    return undefined;
  }
  let entry: Entry | undefined;
  try {
    const listed = await findEntry(tools, app.appName);
    entry = listed && withoutDetour(listed, app.appPath);
  } catch (error) {
    facts.refusals.push(...problemsOf(error));
    return undefined;
  }
  if (!entry) {
    noteMissingEntry(facts, app, tools);
    return undefined;
  }
  const about = { appName: app.appName, appPath: app.appPath, next, layout: strategy };
  facts.refusals.push(...entryRefusals(entry, about));
  facts.warnings.push(...entryTraps(entry, about));
  await warnOfSiblings(facts, app, tools);
  const port = app.healthPort ?? portOf(entry);
  if (port !== undefined) facts.port = port;
  else
    facts.refusals.push({
      message: `The port of "${app.appName}" is not known: its PM2 entry has neither PORT nor -p / --port.`,
      next: 'Give health-port, or set PORT in the ecosystem file.',
    });
  const status = entry.instances.every((instance) => instance.status === 'online') ? 'online' : 'not online';
  facts.entry = {
    mode: entry.mode,
    instances: entry.instances.length,
    status: entry.instances.find((instance) => instance.status !== 'online')?.status ?? status,
    script: entry.script,
  };
  return entry;
}

/** Several applications of PM2 in one checkout, a web server and an API, say: each deploy restarts its own alone. */
async function warnOfSiblings(
  facts: HostFacts,
  { appName, appPath }: AppRequest,
  tools: Toolbox,
): Promise<void> {
  const live = liveFolder(appPath);
  const others = await namesIn(tools, [appPath, ...(live === undefined ? [] : [live])], appName);
  if (others.length === 0) return;
  facts.warnings.push({
    message: `PM2 runs ${others.join(', ')} in ${appPath} too. Only ${appName} is restarted: until they are, they go on with the old code beside the new files.`,
    next: `Give each a step of its own after this one (app-name: ${others[0]}), or restart all of them with restart-command.`,
  });
}

/**
 * An entry that reaches a checkout through a symlink of the host, as if it were started in the checkout itself. Where
 * app-path is the symlink it stays: what it says then is which release it runs.
 */
function withoutDetour(entry: Entry, appPath: string): Entry {
  if (isSymlink(appPath) || !isFolder(appPath) || !isFolder(entry.cwd)) return entry;
  const below = relative(realpathSync(appPath), realpathSync(entry.cwd));
  const end = below === '' ? '' : `/${below}`;
  const detour = entry.cwd.slice(0, entry.cwd.length - end.length);
  if (below.startsWith('..') || detour + end !== entry.cwd || detour === appPath) return entry;
  const place = (text: string): string =>
    text === detour || text.startsWith(`${detour}/`) ? appPath + text.slice(detour.length) : text;
  return { ...entry, cwd: place(entry.cwd), script: place(entry.script), args: entry.args.map(place) };
}

function noteMissingEntry(facts: HostFacts, app: AppRequest, tools: Toolbox): void {
  if (facts.layout === 'absent') {
    if (app.healthPort === undefined)
      facts.warnings.push({
        message: `PM2 does not know "${app.appName}" yet; its port is taken from the start command or ecosystem file.`,
      });
    else facts.port = app.healthPort;
    return;
  }
  if (savedEntry(tools, app.appName)) {
    facts.refusals.push({
      message: `PM2 does not run "${app.appName}" now, but it is among what PM2 saved last: it was killed, or not started after a reboot.`,
      next: 'Run once on the server: pm2 resurrect (and pm2 startup, so that it also starts after a reboot).',
    });
    return;
  }
  const others = otherDaemons(tools);
  facts.refusals.push({
    message: `PM2 does not know the application "${app.appName}".${
      others.length > 0 ? ` Another PM2 runs here with the home ${others.join(', ')}.` : ''
    }`,
    next:
      others.length > 0
        ? 'Connect as the user that runs it.'
        : 'Look with "pm2 ls" and correct app-name, or start the application once.',
  });
}

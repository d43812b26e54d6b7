import { join } from 'node:path';
import { problemsOf } from '../../lib/report.js';
import { isFolder } from '../host/files.js';
import { call, type Toolbox } from '../host/toolbox.js';
import type { AppRequest } from '../protocol.js';
import { type Entry, portOf, withPort } from './entry.js';
import { daemonFolders, findEntry, isUnderPm2, pm2Home, save } from './pm2-client.js';
import { firstStart } from './pm2-first-start.js';
import { entryStanding, followEcosystem } from './pm2-follow.js';
import { keepEntry, keptEntryWords, readKept } from './pm2-kept-entry.js';
import { lookAtPm2 } from './pm2-look.js';
import { renewalOf } from './pm2-renewal.js';
import { longerReload, restartUnderPm2 } from './pm2-restart.js';
import { logWords, watchInstances } from './pm2-watch.js';
import type { Supervisor } from './supervisor.js';

/** PM2, which knows the application by its name. */
export function pm2Supervisor(tools: Toolbox, app: AppRequest): Supervisor {
  const { appName } = app;
  return {
    programFolders: () => daemonFolders(tools),
    look: (question) => lookAtPm2(tools, app, question),
    keeps: (pid) => isUnderPm2(tools, pid),
    rehearsalObstacle: (entry) =>
      app.portless !== undefined || entry?.portless
        ? 'it has no port, and beside the live one it would do real work twice'
        : fixedPort(entry),
    firstStart: (build) => firstStart(tools, app, build),
    follow: (build, live) => followEcosystem(tools, app, build, live),
    standing: (live) => entryStanding(tools, app, live),
    keepEntry: (file) => keepEntry(tools, appName, file),
    readKept: (file) => readKept(tools, appName, file),
    turnFile: () => {
      const home = pm2Home(tools);
      // Without its folder PM2 has never run here, so there is nobody to wait for.
      return isFolder(home) ? join(home, 'muva-deploy.turn') : undefined;
    },
    provenBy: 'programs',
    running: async (_port, entry) => ({
      instances: (entry ?? (await findEntry(tools, appName)))?.instances ?? [],
      programs: new Set(),
    }),
    longerWait: (entry, bootMs, longest) =>
      entry !== undefined && renewalOf(tools, entry, app.healthPort ?? portOf(entry)) === 'reload'
        ? longerReload(entry, bootMs, longest)
        : undefined,
    restart: (options) => restartUnderPm2(tools, app, options),
    watch: (restarted) => watchInstances(tools, appName, restarted),
    save: async () => {
      try {
        await save(tools, appName);
        return undefined;
      } catch (error) {
        return { message: problemsOf(error)[0]!.message, command: 'pm2 save' };
      }
    },
    remove: async () => {
      await call(tools, ['pm2', 'delete', appName], { timeout: 30_000 });
    },
    restartWords: `pm2 restart ${appName} && pm2 save`,
    keptEntryWords: (file) => keptEntryWords(appName, file),
    logWords: logWords(appName),
  };
}

/** An application that PM2 does not know yet gets its entry from the commit. */
function fixedPort(entry: Pick<Entry, 'args' | 'env'> | undefined): string | undefined {
  if (entry === undefined || entry.env.PORT !== undefined) return undefined;
  const movable = withPort(entry.args, 0).some((word, index) => word !== entry.args[index]);
  // Where its port cannot be moved it would take the live one.
  return movable ? undefined : 'the port stands neither in PORT nor in -p / --port of the PM2 entry';
}

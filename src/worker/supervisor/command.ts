import { definedOnly } from '../../lib/defined-only.js';
import { Failure } from '../../lib/report.js';
import { programsBehind } from '../host/processes.js';
import { explainEnd, lastLines } from '../host/run-program.js';
import { call, type Toolbox } from '../host/toolbox.js';
import type { AppRequest } from '../protocol.js';
import { daemonFolders, isUnderPm2, pm2Version } from './pm2-client.js';
import { awaitProof, restartedNothing, unprovenRestart } from './restart-proof.js';
import type { FoundApplication, Restarted, Supervisor, Watch } from './supervisor.js';

/**
 * A command that restarts whatever runs the application: nothing can be asked of that. The command may well be one of
 * PM2's, so a PM2 that is there is respected.
 */
export function commandSupervisor(tools: Toolbox, app: AppRequest, command: string): Supervisor {
  return {
    programFolders: () => daemonFolders(tools),
    look: () => lookForPort(tools, app),
    keeps: (pid) => isUnderPm2(tools, pid),
    rehearsalObstacle: () =>
      'with restart-command there is no PM2 entry that tells how the application is started',
    firstStart: async () => undefined,
    follow: async () => undefined,
    standing: async () => undefined,
    keepEntry: async () => undefined,
    readKept: async () => undefined,
    turnFile: () => undefined,
    provenBy: 'answers',
    running: async (port) => ({
      instances: [],
      programs: (port === undefined ? undefined : programsBehind(port)) ?? new Set(),
    }),
    longerWait: () => undefined,
    restart: () => runCommand(tools, app.appPath, command),
    watch: async (restarted) => watchPort(restarted),
    save: async () => undefined,
    remove: async () => undefined,
    restartWords: command,
    keptEntryWords: () => command,
    logWords: 'See its log on the server.',
  };
}

async function lookForPort(tools: Toolbox, { healthPort }: AppRequest): Promise<FoundApplication> {
  const pm2 = await pm2Version(tools);
  const facts = definedOnly({ pm2, port: healthPort });
  if (healthPort !== undefined) return { facts, refusals: [], warnings: [] };
  return {
    facts,
    refusals: [
      {
        message:
          'With restart-command the port of the application is not known, so nothing could be verified.',
        next: 'Give health-port.',
      },
    ],
    warnings: [],
  };
}

async function runCommand(tools: Toolbox, appPath: string, command: string): Promise<void> {
  const ended = await call(tools, ['/bin/sh', '-c', command], { cwd: appPath, timeout: 120_000 });
  if (ended.code !== 0)
    throw new Failure({
      message: `restart-command ${explainEnd(ended)}: ${lastLines(ended.tail, 5)}`,
      next: 'Run it by hand on the server.',
    });
}

/** The exit code of the command says nothing: only the programs behind the port and the answers do. */
function watchPort(restarted: Restarted): Watch {
  const { port, warn } = restarted;
  if (port === undefined)
    throw new Error('an application behind restart-command is looked at through its port');
  return {
    signal: new AbortController().signal,
    ownDelay: 0,
    end: async () => undefined,
    async prove() {
      const proof = await awaitProof({ ...restarted, port });
      if (proof.verdict === 'not-restarted') throw restartedNothing(port);
      if (proof.verdict === 'unknown') warn(unprovenRestart(port, proof));
      // What was healthy before there was a proof may have been the version that leaves.
      return proof.looks > 1;
    },
  };
}

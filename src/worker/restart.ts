import { join } from 'node:path';
import { Failure } from '../base/report.js';
import { isFolder, writeAtomically } from './files.js';
import type { FirstStart } from './first-start.js';
import { withTurn } from './lock.js';
import { findEntry, pm2Home, reload } from './pm2.js';
import { explainEnd, lastLines } from './program.js';
import type { AppRequest } from './protocol.js';
import type { StateFolder } from './state.js';
import type { Teller } from './teller.js';
import { call, type Toolbox } from './toolbox.js';

export interface RestartOptions {
  tools: Toolbox;
  app: AppRequest;
  state: StateFolder;
  /** PM2 had the entry a moment ago; saves a question on the way to a reload. */
  known?: boolean;
  /** How PM2 starts the application where it has no entry. */
  start?: FirstStart;
}

/** Brings what lies on the disk to life: PM2's reload, its first start, or the given command. */
export async function restart({ tools, app, state, known, start }: RestartOptions): Promise<void> {
  if (app.restartCommand !== undefined) return runRestartCommand(tools, app, app.restartCommand);
  if (known) {
    try {
      return await reload(tools, app.appName);
    } catch (error) {
      // Its daemon may have been killed meanwhile; then the ways below bring the application back.
      if ((await findEntry(tools, app.appName)) !== undefined) throw error;
    }
  }
  if ((await findEntry(tools, app.appName)) !== undefined) return reload(tools, app.appName);
  if (start !== undefined) return startFirst(tools, state, start);
  await resurrect(tools, app.appName);
  await reload(tools, app.appName);
}

export interface TurnOptions {
  tools: Toolbox;
  app: AppRequest;
  /** Milliseconds. */
  lockWait: number;
  teller: Pick<Teller, 'progress'>;
  signal: AbortSignal;
}

/** Does `work`, which restarts the application, when no other application of this PM2 is being switched. */
export async function inTurn<T>(options: TurnOptions, work: () => Promise<T>): Promise<T> {
  const { tools, app, lockWait, teller, signal } = options;
  const home = pm2Home(tools);
  // Without its folder PM2 has never run here, so there is nobody to wait for.
  if (app.restartCommand !== undefined || !isFolder(home)) return work();
  return withTurn(
    { file: join(home, 'muva-deploy.turn'), wait: lockWait, signal },
    () => teller.progress('waiting for another application of this server to be switched'),
    work,
  );
}

async function runRestartCommand(tools: Toolbox, app: AppRequest, command: string): Promise<void> {
  const ended = await call(tools, ['/bin/sh', '-c', command], {
    cwd: app.appPath,
    timeout: 120_000,
  });
  if (ended.code !== 0)
    throw new Failure({
      message: `restart-command ${explainEnd(ended)}: ${lastLines(ended.tail, 5)}`,
      next: 'Run it by hand on the server.',
    });
}

/** PM2's daemon was killed meanwhile: it is started again with what it saved last. */
async function resurrect(tools: Toolbox, appName: string): Promise<void> {
  const ended = await call(tools, ['pm2', 'resurrect'], { timeout: 60_000 });
  if ((await findEntry(tools, appName)) === undefined)
    throw new Failure({
      message: `PM2 has lost the application "${appName}", and "pm2 resurrect" did not bring it back: ${lastLines(ended.tail, 2)}`,
      next: 'Start it from its ecosystem file, then "pm2 save".',
    });
}

async function startFirst(tools: Toolbox, state: StateFolder, { config }: FirstStart): Promise<void> {
  const file = join(state.path, 'start.config.json');
  writeAtomically(file, JSON.stringify({ apps: [config] }));
  const ended = await call(tools, ['pm2', 'start', file], { timeout: 60_000 });
  if (ended.code !== 0)
    throw new Failure({
      message: `pm2 start ${explainEnd(ended)}: ${lastLines(ended.tail, 5)}`,
      next: 'Check start-command.',
    });
}

/** The words by which a person restarts the application. */
export function restartWords(app: AppRequest): string {
  return app.restartCommand ?? `pm2 reload ${app.appName} && pm2 save`;
}

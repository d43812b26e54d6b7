import { join } from 'node:path';
import { Failure, problemsOf } from '../../base/report.js';
import type { FirstStart } from '../build/first-start.js';
import { isFolder, writeAtomically } from '../host/files.js';
import { withTurn } from '../host/lock.js';
import { type Entry, findEntry, pm2Home, reload, save } from '../host/pm2.js';
import { explainEnd, lastLines } from '../host/program.js';
import { call, type Toolbox } from '../host/toolbox.js';
import type { AppRequest } from '../protocol.js';
import type { StateFolder } from '../record/state.js';
import type { Teller } from '../teller.js';

export interface RestartOptions {
  tools: Toolbox;
  app: AppRequest;
  state: StateFolder;
  /** As PM2 had it a moment ago; saves a question on the way to a reload. */
  entry?: Entry | undefined;
  /** Milliseconds that PM2 is to wait for each new instance; default: what it has stored. */
  listenTimeout?: number;
  /** How PM2 starts the application where it has no entry. */
  start?: FirstStart;
}

/** Brings what lies on the disk to life: PM2's reload, its first start, or the given command. */
export async function restart(options: RestartOptions): Promise<void> {
  const { tools, app, state, entry, listenTimeout, start } = options;
  if (app.restartCommand !== undefined) return runRestartCommand(tools, app, app.restartCommand);
  const found = (): Promise<Entry | undefined> => findEntry(tools, app.appName);
  if (entry) {
    try {
      return await reload(tools, app.appName, entry, listenTimeout);
    } catch (error) {
      // Its daemon may have been killed meanwhile; then the ways below bring the application back.
      if ((await found()) !== undefined) throw error;
    }
  }
  const now = await found();
  if (now !== undefined) return reload(tools, app.appName, now);
  if (start !== undefined) return startFirst(tools, state, start);
  await reload(tools, app.appName, await resurrect(tools, app.appName));
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
async function resurrect(tools: Toolbox, appName: string): Promise<Entry> {
  const ended = await call(tools, ['pm2', 'resurrect'], { timeout: 60_000 });
  const entry = await findEntry(tools, appName);
  if (entry) return entry;
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

/** Lets PM2 remember what it runs now. Where it cannot, that is a warning with `next`: the version itself is verified. */
export async function saveOrWarn(
  { tools, app }: { tools: Toolbox; app: AppRequest },
  teller: Pick<Teller, 'warn'>,
  next: string,
): Promise<void> {
  if (app.restartCommand !== undefined) return;
  try {
    await save(tools, app.appName);
  } catch (error) {
    teller.warn({ message: problemsOf(error)[0]!.message, next });
  }
}

/** The words by which a person restarts the application. */
export function restartWords(app: AppRequest): string {
  return app.restartCommand ?? `pm2 reload ${app.appName} && pm2 save`;
}

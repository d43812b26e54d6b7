import { join } from 'node:path';
import { formatDuration } from '../../lib/duration.js';
import { Failure } from '../../lib/report.js';
import { writeAtomically } from '../host/files.js';
import { explainEnd, lastLines } from '../host/run-program.js';
import { call, type Toolbox } from '../host/toolbox.js';
import type { AppRequest } from '../protocol.js';
import { type Entry, portOf } from './entry.js';
import { findEntry, LISTEN_TIMEOUT, renew } from './pm2-client.js';
import { renewalOf } from './pm2-renewal.js';
import type { FirstStart, LongerWait, RestartOptions } from './supervisor.js';

/** Brings what lies on the disk to life: by a reload or restart, or by a first start where PM2 has no entry. */
export async function restartUnderPm2(
  tools: Toolbox,
  { appName, healthPort }: Pick<AppRequest, 'appName' | 'healthPort'>,
  { state, wait, start }: RestartOptions,
): Promise<void> {
  const again = (found: Entry, listenTimeout?: number): Promise<void> =>
    renew(tools, appName, found, {
      how: renewalOf(tools, found, healthPort ?? portOf(found)),
      listenTimeout,
    });
  // Its programs are other ones now than before the build.
  const now = await findEntry(tools, appName);
  if (now) {
    try {
      return await again(now, wait);
    } catch (error) {
      // Its daemon may have been killed meanwhile; then the ways below bring the application back.
      if ((await findEntry(tools, appName)) !== undefined) throw error;
    }
  }
  if (start !== undefined) return startFirst(tools, state, start);
  await again(await resurrect(tools, appName));
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

async function startFirst(
  tools: Toolbox,
  state: RestartOptions['state'],
  { config }: FirstStart,
): Promise<void> {
  const file = join(state.path, 'start.config.json');
  writeAtomically(file, JSON.stringify({ apps: [config] }));
  const ended = await call(tools, ['pm2', 'start', file], { timeout: 60_000 });
  if (ended.code !== 0)
    throw new Failure({
      message: `pm2 start ${explainEnd(ended)}: ${lastLines(ended.tail, 5)}`,
      next: 'Check start-command.',
    });
}

/**
 * At a reload in cluster mode PM2 stops the old instance after `listen_timeout`, also where the new one does not listen
 * yet: a gap. Milliseconds to raise it to, from what the rehearsal took; undefined where it is long enough. A reload
 * happens beside the live load, so there must be twice the time, and four times are given. It is never made longer than
 * `longest`: after that the new version would be given up anyway.
 */
export function longerListenTimeout(
  entry: Pick<Entry, 'mode' | 'listenTimeout'> | undefined,
  bootMs: number | undefined,
  longest: number,
): number | undefined {
  if (entry?.mode !== 'cluster' || bootMs === undefined) return undefined;
  const current = entry.listenTimeout ?? LISTEN_TIMEOUT;
  if (2 * bootMs <= current) return undefined;
  const wanted = Math.min(Math.ceil((4 * bootMs) / 1_000) * 1_000, longest);
  return wanted > current ? wanted : undefined;
}

/** The same, with what a person is told of it. */
export function longerReload(
  entry: Entry | undefined,
  bootMs: number | undefined,
  longest: number,
): LongerWait | undefined {
  const ms = longerListenTimeout(entry, bootMs, longest);
  if (ms === undefined || bootMs === undefined) return undefined;
  return {
    ms,
    words: `the new version took ${formatDuration(bootMs)} until it listened: PM2 waits up to ${formatDuration(ms)} for it from now on (listen_timeout)`,
  };
}

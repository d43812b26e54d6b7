import { basename } from 'node:path';
import { descendsFrom, listenersOn } from '../host/processes.js';
import type { Toolbox } from '../host/toolbox.js';
import type { Entry } from './entry.js';
import { daemonPid, type Renewal } from './pm2-client.js';

const PACKAGE_MANAGERS = new Set([
  'pnpm',
  'pnpm.cjs',
  'npm',
  'npm-cli.js',
  'npx',
  'yarn',
  'yarn.js',
  'bun',
  'bunx',
]);

/** True where PM2 runs a package manager or a shell, which in turn runs the application. */
export function runsThroughWrapper({ script }: Pick<Entry, 'script'>): boolean {
  const name = basename(script);
  return PACKAGE_MANAGERS.has(name) || ['bash', 'sh', 'dash'].includes(name);
}

/** Who listens on the port: PM2's daemon for its instances, a program of the application itself, or nobody who is known. */
export type PortHolder = 'daemon' | 'application' | 'unknown';

/**
 * A reload starts the new program beside the old one. Where the port is not PM2's to share, the new one meets it taken,
 * ends, and is started again after `restart_delay`: a restart is the shorter gap, and no crash. Pure.
 */
export function renewalFor(entry: Pick<Entry, 'mode' | 'script'>, holder: PortHolder): 'reload' | 'restart' {
  if (entry.mode === 'fork' || holder === 'application') return 'restart';
  return holder === 'unknown' && runsThroughWrapper(entry) ? 'restart' : 'reload';
}

/** How the application is renewed, from who listens now. `port`: as far as it is known. */
export function renewalOf(tools: Toolbox, entry: Entry, port: number | undefined): Renewal['how'] {
  return renewalFor(entry, port === undefined ? 'unknown' : holderOf(tools, entry, port));
}

function holderOf(tools: Toolbox, { instances }: Entry, port: number): PortHolder {
  const listeners = listenersOn(port);
  const daemon = daemonPid(tools);
  if (listeners.some((pid) => pid === daemon)) return 'daemon';
  const own = new Set(instances.map(({ pid }) => pid));
  return listeners.some((pid) => descendsFrom(pid, own)) ? 'application' : 'unknown';
}

import { entryOn } from './ecosystem.js';
import type { Vps } from './vps.js';

/** The PM2 entry of people who began with `pm2 start npm -- start`, and wrote it down. */
export const NPM_ENTRY = {
  script: 'npm',
  args: 'start',
  kill_timeout: undefined,
  min_uptime: '2s',
  restart_delay: 4_000,
  max_memory_restart: '1G',
};

/** How often PM2 has started the application again, and how it is now. */
export async function restartsOf(vps: Vps): Promise<[number, string]> {
  const { restart_time, status } = await entryOn(vps);
  return [Number(restart_time), String(status)];
}

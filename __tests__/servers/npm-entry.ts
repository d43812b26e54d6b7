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
  const { stdout } = await vps.run('pm2 jlist');
  const line = stdout.split('\n').find((text) => text.startsWith('[{')) ?? '[]';
  const [listed] = JSON.parse(line) as { pm2_env: { restart_time: number; status: string } }[];
  if (listed === undefined) throw new Error(`PM2 runs nothing: ${stdout}`);
  return [listed.pm2_env.restart_time, listed.pm2_env.status];
}

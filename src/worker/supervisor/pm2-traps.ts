import { basename } from 'node:path';
import { isInside } from '../../lib/paths.js';
import type { Problem } from '../../lib/report.js';
import type { Pm2Entry } from './pm2-client.js';
import { runsThroughWrapper } from './pm2-renewal.js';

export interface EntryContext {
  appName: string;
  appPath: string;
  /** Next.js is among the dependencies. */
  next: boolean;
  layout: 'in-place' | 'releases' | 'adopt';
}

/** What makes a deploy through this entry impossible. */
export function entryRefusals(entry: Pm2Entry, { appName, appPath, layout }: EntryContext): Problem[] {
  if (isInside(entry.cwd, appPath)) return [];
  const pinned = layout === 'releases' && entry.cwd.includes('/releases/');
  return [
    {
      message: pinned
        ? `The PM2 entry "${appName}" is pinned to one release: its cwd is ${entry.cwd}, not ${appPath}. A reload would go on serving that release.`
        : `The PM2 entry "${appName}" runs in ${entry.cwd}, which is not below app-path ${appPath}.`,
      next: pinned
        ? `Run once on the server: pm2 delete ${appName}, then cd ${appPath} and start it from there (a short gap), then pm2 save.`
        : 'Correct app-path or app-name.',
    },
  ];
}

/** What does not stop a deploy but will hurt, each with its fix. Facts measured with PM2 7. */
export function entryTraps(entry: Pm2Entry, { appName, next }: EntryContext): Problem[] {
  const traps: Problem[] = [];
  const wrapper = runsThroughWrapper(entry);
  const script = next ? 'script: "node_modules/next/dist/bin/next", args: "start"' : 'the script itself';
  if (wrapper)
    traps.push({
      message:
        entry.mode === 'cluster'
          ? `PM2 runs ${basename(entry.script)} in cluster mode; it cannot share the port that way, so it is restarted, and each deploy is a gap of one start.`
          : `PM2 runs ${basename(entry.script)}, not the application: signals reach only the wrapper, and each deploy is a gap of one start.`,
      next: `In the ecosystem file use ${script} with exec_mode: "cluster", and deploy that with ecosystem: follow.`,
    });
  if (entry.mode === 'fork' && !wrapper)
    traps.push({
      message:
        'PM2 runs the application in fork mode: a reload stops it and then starts it, so requests fail for 0.4 to 4 seconds at each cutover.',
      next:
        entry.interpreter === 'none'
          ? `Cluster mode has no gap, but runs only Node: give PM2 the script behind ${basename(entry.script)} in the ecosystem file, with exec_mode: "cluster", and deploy that with ecosystem: follow.`
          : `Cluster mode with one instance has no gap: exec_mode: "cluster" in the ecosystem file, deployed with ecosystem: follow; or once pm2 delete ${appName}, and start it with -i 1.`,
    });
  if (entry.waitReady && next)
    traps.push({
      message:
        'wait_ready is on, but "next start" never says that it is ready: each reload waits for listen_timeout.',
      next: 'Remove wait_ready from the ecosystem file.',
    });
  if ((entry.killTimeout ?? 1_600) < 5_000)
    traps.push({
      message: `kill_timeout is ${entry.killTimeout ?? 1_600} ms: requests that take longer are cut at each reload.`,
      next: 'Set kill_timeout: 10000 in the ecosystem file.',
    });
  if (entry.watch)
    traps.push({
      message:
        'watch is on: PM2 restarts the application whenever a file changes, also in the middle of a cutover.',
      next: 'Set watch: false.',
    });
  return traps;
}

import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Starts a migrate run as a process of its own, to be killed; inputs as `name=value`. Its result is one line of JSON. */
export function startMigrateRun(
  folder: string,
  url: string,
  runId: string,
  ...inputs: readonly string[]
): ChildProcess {
  const script = fileURLToPath(new URL('migrate-process.js', import.meta.url));
  return spawn(process.execPath, [script, folder, url, runId, ...inputs], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
}

import { commandLine, quote } from '../../lib/shell.js';
import { asFailure } from '../ssh/ssh-error.js';
import type { Host } from './fleet.js';

/** Fixed text without quotes in it; folder, suffix and number come as words behind it. */
const SCRIPT =
  'cd -- "$1" && ls -1 | grep -E "^[0-9]{8}T[0-9]{6}Z-.*$2$" | sort -r | tail -n "+$3" | while IFS= read -r old; do rm -f -- "$old"; done';

/** Of the files in a folder whose names begin with a time (`20250101T120000Z-`), keeps only the newest. */
export async function keepNewest(
  host: Host,
  folder: string,
  suffix: string,
  keep: number,
  signal: AbortSignal,
): Promise<void> {
  const words = ['sh', folder, suffix, String(keep + 1)].map(quote).join(' ');
  await host.exec(`${commandLine('sh', '-c')} '${SCRIPT}' ${words}`, { signal }).catch((error: unknown) => {
    throw asFailure(error);
  });
}

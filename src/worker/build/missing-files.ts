import { join } from 'node:path';
import { Failure, problemsOf } from '../../lib/report.js';
import { shortenList } from '../../lib/shorten-list.js';
import { isFile, present } from '../host/files.js';
import { untrackedInLive } from '../host-files/untracked-files.js';
import type { HostState } from '../host-state/host-state.js';
import type { DeployRequest } from '../protocol.js';

/** What an application writes, and no build reads. */
const WRITTEN = /\.(log|pid|sock|sqlite3?|db|bak|gz|zip|sql|csv)$/i;

/** The files that may be settings or keys: of the root or a folder of it. Pure. */
export function mayBeSettings(paths: readonly string[]): string[] {
  return paths.filter((path) => path.split('/').length <= 2 && !WRITTEN.test(path));
}

/**
 * A failure with what the server has and the stage had not: a key (`serviceAccountKey.json`), settings (`config.env`) or an
 * `.npmrc` that nobody tracks, and that only people know to be needed. Nothing is added where all is there.
 */
export async function withMissingFiles(
  error: unknown,
  found: HostState,
  request: DeployRequest,
  folder: string,
): Promise<unknown> {
  if (!(error instanceof Failure) || found.live === undefined) return error;
  const untracked = await untrackedInLive(found, request).catch(() => []);
  const missing = mayBeSettings(untracked).filter(
    (path) => isFile(join(found.live!, path)) && !present(join(folder, path)),
  );
  if (missing.length === 0) return error;
  return new Failure([
    ...problemsOf(error),
    {
      message: `The server has files that are in no commit, and the new version did not: ${shortenList(missing)}.`,
      next: 'Name in shared-paths those that the build or the start needs.',
    },
  ]);
}

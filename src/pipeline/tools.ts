import type { Database, DatabaseAccess } from '../database/connection/connection.js';
import type { DatabaseSettings, Settings, VpsSettings } from '../inputs/settings.js';
import type { DatabaseConnection } from '../lib/database-address.js';
import { definedOnly } from '../lib/defined-only.js';
import type { Log } from '../lib/log.js';
import type { Fleet } from '../server/fleet/fleet.js';
import type { ServerWork } from '../server/fleet/server-work.js';
import type { VpsRun } from '../server/worker-requests.js';

/** What every phase works with. */
export interface Tools {
  readonly log: Log;
  /** Fires when a person cancels the run. */
  readonly signal: AbortSignal;
}

/** Settings with the database given for certain. */
export type DatabaseRun = Settings & { readonly database: DatabaseSettings };

/** The database of a run, and what is asked of it. */
export interface DatabaseWork extends DatabaseAccess {
  readonly settings: DatabaseRun;
}

/**
 * Everything that a run has to work with. A mode that cannot work without a part has that part for certain; phases are
 * handed the parts themselves, so none of them asks again whether there is one.
 */
export type Work = Tools & { readonly settings: Settings } & Parts;

type Parts =
  | { readonly mode: 'verify'; readonly database: DatabaseWork; readonly servers?: undefined }
  | { readonly mode: 'migrate'; readonly database: DatabaseWork; readonly servers?: ServerWork }
  | { readonly mode: 'redeploy'; readonly database?: undefined; readonly servers: ServerWork }
  | {
      readonly mode: 'plan' | 'health' | 'rollback' | 'deploy' | 'status';
      readonly database?: DatabaseWork;
      readonly servers?: ServerWork;
    };

/** How the parts are opened; nothing is connected to before the first message. */
export interface Openers {
  readonly database: (connection: DatabaseConnection) => Database;
  readonly fleet: (settings: VpsSettings) => Fleet;
}

/** Opens the parts that the settings give. The only place that asks which of them are there. */
export function workOf(settings: Settings, tools: Tools, open: Openers): Work {
  const onDatabase = (run: DatabaseRun): DatabaseWork => ({
    ...tools,
    settings: run,
    database: open.database(run.database.connection),
  });
  const onServers = (run: VpsRun): ServerWork => ({ ...tools, settings: run, fleet: open.fleet(run.vps) });
  const whole = { ...tools, settings };
  switch (settings.mode) {
    case 'verify':
      return { ...whole, mode: settings.mode, database: onDatabase(settings) };
    case 'redeploy':
      return { ...whole, mode: settings.mode, servers: onServers(settings) };
    case 'migrate':
      return {
        ...whole,
        mode: settings.mode,
        database: onDatabase(settings),
        ...definedOnly({ servers: hasServers(settings) ? onServers(settings) : undefined }),
      };
    default:
      return {
        ...whole,
        mode: settings.mode,
        ...definedOnly({
          database: hasDatabase(settings) ? onDatabase(settings) : undefined,
          servers: hasServers(settings) ? onServers(settings) : undefined,
        }),
      };
  }
}

function hasDatabase(settings: Settings): settings is DatabaseRun {
  return settings.database !== undefined;
}

function hasServers(settings: Settings): settings is VpsRun {
  return settings.vps !== undefined;
}

/** Closes what was opened; a part that fails to does not keep the other open. */
export async function closeWork({ database, servers }: Work): Promise<void> {
  await Promise.allSettled([database?.database.close(), servers?.fleet.close()]);
}

/** What phases are handed, made of settings and of what a test opened itself. */

import type { Database } from '../../src/database/connection/connection.js';
import type { Settings } from '../../src/inputs/settings.js';
import type { Log } from '../../src/lib/log.js';
import { type DatabaseWork, type Work, workOf } from '../../src/pipeline/tools.js';
import type { Fleet } from '../../src/server/fleet/fleet.js';
import type { ServerWork } from '../../src/server/fleet/server-work.js';

export interface Opened {
  database?: Database | undefined;
  fleet?: Fleet | undefined;
  log?: Log;
  signal?: AbortSignal;
}

export function workWith(settings: Settings, opened: Opened): Work {
  const { database, fleet, log = () => undefined, signal = new AbortController().signal } = opened;
  return workOf(
    settings,
    { log, signal },
    { database: () => database ?? unopened('database'), fleet: () => fleet ?? unopened('fleet') },
  );
}

export function databaseWork(settings: Settings, opened: Opened & { database: Database }): DatabaseWork {
  return workWith(settings, opened).database ?? unopened('database');
}

export function serverWork(settings: Settings, opened: Opened & { fleet: Fleet }): ServerWork {
  return workWith(settings, opened).servers ?? unopened('fleet');
}

function unopened(part: string): never {
  throw new Error(`the settings and what the test opened differ in the ${part}`);
}

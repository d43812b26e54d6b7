import type { Log } from './base/log.js';
import type { Database } from './database/connection/connection.js';
import type { Fleet } from './vps/fleet.js';

/** What a phase works with. Opened and closed by the corridor; a part that was not given is undefined. */
export interface Tools {
  readonly log: Log;
  /** Fires when a person cancels the run. */
  readonly signal: AbortSignal;
  readonly database?: Database;
  readonly fleet?: Fleet;
}

import type { Log } from '../base/log.js';
import type { Fleet } from './fleet.js';
import type { VpsRun } from './requests.js';

/** The servers of a run, what is asked of them, where what happens is told, and what stops it. */
export interface ServerWork {
  readonly fleet: Fleet;
  readonly settings: VpsRun;
  readonly log: Log;
  readonly signal: AbortSignal;
}

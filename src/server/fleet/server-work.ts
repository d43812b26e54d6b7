import type { Log } from '../../lib/log.js';
import type { VpsRun } from '../worker-requests.js';
import type { Fleet } from './fleet.js';

/** The servers of a run, what is asked of them, where what happens is told, and what stops it. */
export interface ServerWork {
  readonly fleet: Fleet;
  readonly settings: VpsRun;
  readonly log: Log;
  readonly signal: AbortSignal;
}

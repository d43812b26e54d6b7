import type { DeployRequest } from '../protocol.js';
import type { RunFolder } from '../state/run-folder.js';
import type { Held } from './hold.js';
import type { LiveLooks } from './live-looks.js';
import type { Reporter } from './reporter.js';

/** What every part of one deploy on this host works with. */
export interface DeployContext {
  request: DeployRequest;
  env: NodeJS.ProcessEnv;
  folder: RunFolder;
  reporter: Reporter;
  /** Fires on cancel and when the time is over, both only before the cutover. */
  signal: AbortSignal;
  /**
   * Waits for the word of the action where the run stops at this state; waiting is not counted as time of the deploy.
   * @throws a Failure where the action is gone, Cancelled
   */
  hold(at: Held, live?: LiveLooks): Promise<void>;
  /** Called once the cutover begins: from here on nothing stops the run but its own end. */
  commit(): void;
}

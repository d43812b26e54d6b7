import type { Step } from '../../lib/report.js';

/** How a rollback tells what it does, while it does it. */
export interface RollbackSteps {
  /** Runs `work` as a step of that name; `detail` words what came of it. */
  step<T>(name: string, work: () => Promise<T>, detail?: (value: T) => string | undefined): Promise<T>;
  /** A step that was timed elsewhere: inside a message. */
  add(step: Step): void;
  /** Steps that were not reached. */
  skip(...names: string[]): void;
}

import type { Problem } from '../../lib/report.js';

/** What a look found, and what it means for a deploy. */
export interface DeployCheck {
  /** One line for the step. */
  detail: string;
  refusals: Problem[];
  warnings: Problem[];
}

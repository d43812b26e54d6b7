import type { Problem } from '../../base/report.js';

/** What a look found, and what it means for a deploy. */
export interface Judgement {
  /** One line for the step. */
  detail: string;
  refusals: Problem[];
  warnings: Problem[];
}

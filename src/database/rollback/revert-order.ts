import type { Timeouts } from '../apply/migration-statement.js';
import type { PlacedStatement } from '../sql/parser.js';

/** Rows of a table are counted up to here; more is told as "more than". */
export const COUNT_UP_TO = 1_000_000;

export interface RevertRules extends Timeouts {
  /** Tables and columns may go though they hold rows that are not of what is undone. */
  readonly allowDataLoss: boolean;
  /** Nothing may go that holds something, whoever made it, whatever else is allowed: people have used it since. */
  readonly loseNothing?: boolean;
}

/** One down file, ready to run. */
export interface Down {
  version: string;
  source: string;
  statements: readonly PlacedStatement[];
}

export interface RevertOrder {
  /** Newest first. */
  downs: readonly Down[];
  /** Runs that are undone as a whole: the schema must then be as before the oldest of them. */
  whole: readonly string[];
  /** Runs of which something stays. */
  partly: readonly string[];
  rules: RevertRules;
  /** As `Database.role`. */
  role: string | undefined;
  /** Announces each reverted version while the message runs: RAISE INFO '<marker> <version>'; alone, a sign of life. */
  marker: string;
}

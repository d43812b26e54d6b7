import type { Problem } from '../../lib/report.js';
import type { LintFinding } from './lint.js';
import { type Effect, LATER } from './rules.js';

const WORDS: Readonly<Record<Effect, (lock: string) => string>> = {
  deletes: () => 'deletes data',
  changes: () => 'changes every row',
  unknown: () => 'whether it deletes data cannot be read beforehand',
  rewrites: (lock) => `rewrites its table, and locks it (${lock}) meanwhile`,
  locks: (lock) => `locks its table (${lock}) while it runs`,
  briefly: (lock) => `locks its table (${lock}) for a moment`,
};

/**
 * A finding in words for a person. `how`: `refused` where the deploy stops at it; else what a scratch database measured,
 * or why it did not.
 */
export function findingProblem(
  finding: LintFinding,
  how: 'refused' | { measured: string } | { why: string } | 'told' = 'told',
): Problem {
  const { rule, effect, at, statement, lock, instead, waits } = finding;
  const what = typeof how === 'object' && 'measured' in how ? how.measured : WORDS[effect](lock ?? 'none');
  const note = typeof how === 'object' && 'why' in how ? `; not measured: ${how.why}` : '';
  const setting =
    effect === 'unknown'
      ? 'Where that is known to be right: destructive-changes: warn, or allow.'
      : 'Where the data is to go: destructive-changes: warn, or allow.';
  // The marker is no advice to a file that waits already.
  const advice = [...(waits && instead === LATER ? [] : [instead]), ...(how === 'refused' ? [setting] : [])];
  return {
    message: `${statement}: ${what} (${rule})${note}`,
    at,
    ...(advice.length === 0 ? {} : { next: advice.join(' ') }),
  };
}

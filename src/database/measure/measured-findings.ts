import type { Problem } from '../../lib/report.js';
import { findingProblem } from '../lint/finding-problem.js';
import { isRisky, type LintFinding } from '../lint/lint.js';
import { oneLine } from '../sql/source-text.js';
import { describeMeasured, type Measured, strengthOf, strongestLock } from './held-locks.js';
import type { MeasuredPlan, MeasuredStatement } from './measure.js';

/** From here on a lock keeps writers or readers out. */
const BLOCKS = strengthOf('SHARE');

/**
 * The findings as they are told where statements were measured: what was seen takes the place of what the rules guessed,
 * also where it is nothing. What deletes data stays as it is: no lock tells that.
 */
export function measuredFindings(
  findings: readonly LintFinding[],
  { statements, why }: Pick<MeasuredPlan, 'statements' | 'why'>,
): { kept: LintFinding[]; told: Problem[] } {
  const kept: LintFinding[] = [];
  const told: Problem[] = [];
  for (const finding of findings) {
    const found = statements.find(
      ({ version, from }) => version === finding.version && from === finding.from,
    );
    const problem = toldOf(finding, found, why);
    if (problem === undefined) continue;
    kept.push(finding);
    told.push(problem);
  }
  for (const found of statements) {
    const unexpected = unexpectedOf(found, findings);
    if (unexpected) told.push(unexpected);
  }
  return { kept, told };
}

function toldOf(
  finding: LintFinding,
  found: MeasuredStatement | undefined,
  why: string | undefined,
): Problem | undefined {
  if (isRisky(finding)) return findingProblem(finding);
  if (found?.measured === undefined)
    return findingProblem(finding, { why: found?.why ?? why ?? 'it was not reached' });
  if (!blocks(found.measured)) return undefined;
  // The rules said that it is written anew, and it is not: nothing is left but a lock for a moment.
  if (finding.effect === 'rewrites' && found.measured.rewritten.length === 0) return undefined;
  return findingProblem(finding, { measured: `takes ${describeMeasured(found.measured)}` });
}

function blocks(measured: Measured): boolean {
  return measured.rewritten.length > 0 || strengthOf(strongestLock(measured)) >= BLOCKS;
}

/** A table that is written anew, of which no rule knew. */
function unexpectedOf(
  { measured, version, from, text, file, line }: MeasuredStatement,
  findings: readonly LintFinding[],
): Problem | undefined {
  if (!measured || measured.rewritten.length === 0) return undefined;
  if (findings.some((finding) => finding.version === version && finding.from === from)) return undefined;
  return {
    message: `${oneLine(text)}: takes ${describeMeasured(measured)} (measured-rewrite)`,
    at: { file, line, column: 1 },
    next: 'The table is locked until all its rows are written anew: run it at a quiet time, or in smaller steps.',
  };
}

/** What was measured, one line for each statement that touches what was there before. */
export function measuredLines({ statements, why }: MeasuredPlan): string[] {
  if (why !== undefined) return [`not measured: ${why}`];
  const lines = statements.flatMap((each) => {
    if (each.measured && each.measured.locks.length + each.measured.indexes.length === 0) return [];
    const what = each.measured ? describeMeasured(each.measured) : `not measured: ${each.why}`;
    return [`measured  ${each.version}:${each.line}  ${oneLine(each.text, 60)}: ${what}`];
  });
  const most = 50;
  return lines.length <= most ? lines : [...lines.slice(0, most), `and ${lines.length - most} more`];
}

/** For the step: how much of it was measured. */
export function describeMeasuredPlan({ statements, why }: MeasuredPlan): string {
  if (why !== undefined) return `not measured: ${why}`;
  const measured = statements.filter((each) => each.measured !== undefined).length;
  const rest = statements.length - measured;
  return `${measured} measured${rest > 0 ? `, ${rest} not` : ''}`;
}

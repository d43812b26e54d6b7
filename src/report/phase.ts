import { capitalize } from '../lib/capitalize.js';
import { definedOnly } from '../lib/defined-only.js';
import type { Log } from '../lib/log.js';
import {
  Cancelled,
  type Facts,
  type PhaseName,
  type PhaseReport,
  type Problem,
  problemsOf,
  type Step,
  type StepOutcome,
} from '../lib/report.js';
import { outcomeOfError, type StepReporter, stepReporter } from '../lib/steps.js';

/**
 * What a running phase records: its steps, told as they end, and the facts found so far. A step that throws ends the
 * phase.
 */
export interface PhaseRecord extends StepReporter {
  /** Assigned as soon as something is known, so that a failure later loses nothing. */
  readonly facts: Facts;
  /** Notes that what the phase changes is there from now on; the first time counts. */
  changed(): void;
  /** Sets the closing sentence. */
  summarise(text: string): void;
}

/**
 * Runs one phase and always returns a report: an error of any kind becomes a failed (or unknown) report that keeps every
 * step and fact recorded before it. `detail` stands behind the phase's name in the log. Never throws.
 */
export async function runPhase(
  phase: PhaseName,
  log: Log,
  detail: string | undefined,
  work: (record: PhaseRecord) => Promise<void>,
): Promise<PhaseReport> {
  const startedAt = Date.now();
  const steps: Step[] = [];
  const facts: Facts = {};
  let summary: string | undefined;
  let changedAt: number | undefined;
  const record: PhaseRecord = {
    ...stepReporter((step) => {
      steps.push(step);
      log({ kind: 'step', phase, step });
    }),
    facts,
    changed() {
      changedAt ??= performance.timeOrigin + performance.now();
    },
    summarise(text) {
      summary = text;
    },
  };
  log({ kind: 'phase-started', phase, facts, ...definedOnly({ detail }) });
  let outcome: StepOutcome = 'passed';
  let problems: Problem[] = [];
  let cancelled: true | undefined;
  try {
    await work(record);
  } catch (error) {
    outcome = outcomeOfError(error);
    if (error instanceof Cancelled) {
      // It is what a person wanted, so there is nothing to complain of.
      cancelled = true;
      summary ??= error.detail && `${capitalize(error.detail)}.`;
    } else problems = problemsOf(error);
  }
  const report: PhaseReport = {
    phase,
    outcome,
    startedAt,
    milliseconds: Date.now() - startedAt,
    steps,
    problems,
    ...(cancelled ? { cancelled } : {}),
    facts,
    ...definedOnly({ changedAt, summary }),
  };
  log({ kind: 'phase-ended', report });
  return report;
}

/** The report of a phase that was not reached or not asked for. */
export function skippedPhase(phase: PhaseName, why: string): PhaseReport {
  return {
    phase,
    outcome: 'skipped',
    startedAt: Date.now(),
    milliseconds: 0,
    steps: [],
    problems: [],
    facts: {},
    summary: why,
  };
}

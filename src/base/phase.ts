import { capital } from './capital.js';
import { given } from './given.js';
import type { Log } from './log.js';
import {
  Cancelled,
  type Facts,
  Failure,
  NotNeeded,
  type PhaseName,
  type PhaseReport,
  type Problem,
  problemsOf,
  type Step,
  type StepOutcome,
} from './report.js';

/** The pen of a running phase: it times steps, tells them, and gathers the facts found so far. */
export interface PhaseRecord {
  /** Assigned as soon as something is known, so that a failure later loses nothing. */
  readonly facts: Facts;
  /**
   * Runs `work` as a step; `detail` words what came of it. A throw marks the step failed and ends the phase; Cancelled
   * and NotNeeded mark it as skipped.
   */
  step<T>(name: string, work: () => Promise<T> | T, detail?: (value: T) => string | undefined): Promise<T>;
  /** Records a step that was timed elsewhere (inside one database message, on the VPS). */
  add(step: Step): void;
  /** Records steps that were not reached. */
  skip(...names: string[]): void;
  /** Sets the closing sentence. */
  summarise(text: string): void;
}

/**
 * Runs one phase and always returns a report: an error of any kind becomes a failed (or unknown) report
 * that keeps every step and fact recorded before it.
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
  const add = (step: Step): void => {
    steps.push(step);
    log({ kind: 'step', phase, step });
  };
  const record: PhaseRecord = {
    facts,
    add,
    async step(name, action, detail) {
      const from = Date.now();
      const done = (outcome: StepOutcome, said: string | undefined): void =>
        add({
          name,
          outcome,
          startedAt: from,
          milliseconds: Date.now() - from,
          ...(said ? { detail: said } : {}),
        });
      try {
        const value = await action();
        done('passed', detail?.(value));
        return value;
      } catch (error) {
        if (error instanceof Cancelled || error instanceof NotNeeded) done('skipped', error.message);
        else done(error instanceof Failure ? error.outcome : 'failed', undefined);
        throw error;
      }
    },
    skip(...names) {
      for (const name of names) add({ name, outcome: 'skipped', startedAt: Date.now(), milliseconds: 0 });
    },
    summarise(text) {
      summary = text;
    },
  };
  log({ kind: 'phase-started', phase, facts, ...given({ detail }) });
  let outcome: StepOutcome = 'passed';
  let problems: Problem[] = [];
  let cancelled: true | undefined;
  try {
    await work(record);
  } catch (error) {
    outcome = error instanceof Failure ? error.outcome : 'failed';
    if (error instanceof Cancelled) {
      // It is what a person wanted, so there is nothing to complain of.
      cancelled = true;
      summary ??= error.detail && `${capital(error.detail)}.`;
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
    ...given({ summary }),
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

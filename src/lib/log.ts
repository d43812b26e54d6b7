import {
  type Facts,
  type PhaseName,
  type PhaseReport,
  type Problem,
  problemKey,
  type Step,
} from './report.js';

/**
 * What work tells while it runs, the same on the runner and in the worker. The runner's log shows it; the worker writes
 * it into the events of its run, so these names and fields are read by other versions too.
 */
export type WorkEvent =
  /** Work that is under way and says so; no claim that anything is done. */
  | { kind: 'progress'; text: string }
  /** A step that has ended. */
  | StepEvent
  /** Output of a program: untrusted text, shown inside a group and escaped. */
  | { kind: 'output'; source: string; text: string }
  | { kind: 'warning'; problem: Problem };

interface StepEvent {
  kind: 'step';
  step: Step;
}

/** Everything a person is told while the work runs. The entry points decide how an entry looks. */
export type LogEntry =
  | Exclude<WorkEvent, StepEvent>
  | (StepEvent & { phase: PhaseName })
  /** `facts` grows while the phase runs: the truth so far, should it never end. */
  | { kind: 'phase-started'; phase: PhaseName; detail?: string; facts: Facts }
  | { kind: 'phase-ended'; report: PhaseReport }
  | { kind: 'line'; text: string }
  | { kind: 'notice'; problem: Problem }
  | { kind: 'problem'; problem: Problem }
  | { kind: 'debug'; text: string };

/** Takes an entry to where it is shown. Never throws. */
export type Log = (entry: LogEntry) => void;

/** Passes everything on, but no warning twice: what the plan warned of, the worker on the server sees again. */
export function eachWarningOnce(log: Log): Log {
  const told = new Set<string>();
  return (entry) => {
    if (entry.kind === 'warning') {
      const key = problemKey(entry.problem);
      if (told.has(key)) return;
      told.add(key);
    }
    log(entry);
  };
}

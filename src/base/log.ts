import {
  type Facts,
  type PhaseName,
  type PhaseReport,
  type Problem,
  problemKey,
  type Step,
} from './report.js';

/** Everything a person is told while the work runs. The doors decide how an entry looks. */
export type LogEntry =
  /** `facts` grows while the phase runs: the truth so far, should it never end. */
  | { kind: 'phase-started'; phase: PhaseName; detail?: string; facts: Facts }
  | { kind: 'step'; phase: PhaseName; step: Step }
  | { kind: 'phase-ended'; report: PhaseReport }
  /** Work that is under way and says so; printed, but no claim that anything is done. */
  | { kind: 'progress'; text: string }
  | { kind: 'line'; text: string }
  | { kind: 'notice'; problem: Problem }
  | { kind: 'warning'; problem: Problem }
  | { kind: 'problem'; problem: Problem }
  /** Output of a remote or local program: untrusted text, shown inside a group and made inert. */
  | { kind: 'output'; source: string; text: string }
  | { kind: 'debug'; text: string };

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

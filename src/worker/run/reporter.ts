import { closeSync, openSync } from 'node:fs';
import { type Redactor, redactor } from '../../lib/redact.js';
import type { Problem } from '../../lib/report.js';
import type { Sealer } from '../../lib/seal.js';
import { outcomeOfError, type StepReporter, stepReporter } from '../../lib/steps.js';
import { wholeLines } from '../../lib/whole-lines.js';
import { withReserve } from '../host/disk-reserve.js';
import { appendWhole } from '../host/files.js';
import type { OpenOutput } from '../host/run-program.js';
import type { RunResult, WorkerEvent } from '../protocol.js';
import type { RunFolder } from '../state/run-folder.js';

/**
 * Tells the action what happens, by the events of the run, and writes the full output of programs into the run's log.
 * Never throws: what cannot be written is left out, and is no error of the work.
 */
export interface Reporter {
  /** False where it could not be written. What the action acts on (`state`, `ended`) may use the room of the reserve. */
  event(event: WorkerEvent): boolean;
  progress(text: string): void;
  warn(problem: Problem): void;
  /** Everything warned about so far, for the result. */
  readonly warnings: Problem[];
  readonly step: StepReporter['step'];
  /** Takes the output of one program, line by line: all of it into the log, a bounded part to the action. */
  output(source: string): OpenOutput;
  /** Takes the output of a program into the log on the host alone, line by line. */
  readonly logged: OpenOutput;
  /** From now on every form of these values is `***` in all that is told or logged. The action cannot know them. */
  hide(secrets: Iterable<string>): void;
  /** A text without these values, for what is written down beside the events. */
  clean(text: string): string;
  /**
   * The last event. Tells too how much could not be written; where there is no room for all of it, the outcome and the
   * beginnings of the problems. False where not even these could be written: then the run has no result.
   */
  end(result: RunResult): boolean;
  close(): void;
}

/** Characters of one program's output that go to the action, and of one event; the rest stays in the log on the host. */
const MOST_TOLD = 256 * 1_024;
const LONGEST_CHUNK = 16 * 1_024;

/**
 * The fields that hold sentences for people. Names, commits, paths and outcomes are left alone: they are our own, and a
 * weak secret that equals one of them must not change what the action reads.
 */
const SPOKEN = new Set(['text', 'message', 'next', 'detail', 'notRehearsedWhy']);

/**
 * How a step ended that threw. It is not `skipped` where it was cancelled: a run is also stopped because its time is
 * over, and that fails. The action shows as skipped what it stopped itself.
 */
const endOfWorkerStep = (error: unknown): { outcome: 'failed' | 'unknown' } => ({
  outcome: outcomeOfError(error),
});

/** Opens the events and the log of a run. @throws the file system's error where they cannot be opened. */
export function openReporter(folder: RunFolder, seal: Sealer): Reporter {
  const events = openSync(folder.events, 'a', 0o600);
  const log = openSync(folder.log, 'a', 0o600);
  const warnings: Problem[] = [];
  let lost = 0;
  /** Never throws: false where nothing of it could be written. */
  const append = (fd: number, text: string, essential = false): boolean => {
    const write = (): void => appendWhole(fd, text);
    try {
      if (essential) withReserve(write);
      else write();
      return true;
    } catch {
      lost++;
      return false;
    }
  };
  const hidden = new Set<string>();
  let current = redactor(hidden);
  /** Of what is hidden at the time: more may be found while a program speaks. */
  const shown: Redactor = {
    redact: (text, before) => current.redact(text, before),
    settle: (text, by, before) => current.settle(text, by, before),
  };
  const event = (value: WorkerEvent): boolean => {
    const said = JSON.stringify(value, (name, item) =>
      typeof item === 'string' && SPOKEN.has(name) ? shown.redact(item) : item,
    );
    const whole = append(events, seal.line(said), value.kind === 'state' || value.kind === 'ended');
    if (whole) seal.written();
    return whole;
  };
  const toLog = (text: string): void => void append(log, text);
  return {
    event,
    warnings,
    progress: (text) => void event({ kind: 'progress', text }),
    warn(problem) {
      warnings.push(problem);
      event({ kind: 'warning', problem });
    },
    step: stepReporter((step) => void event({ kind: 'step', step }), endOfWorkerStep).step,
    output(source) {
      const tell = boundedOutput(event, source, toLog);
      return () => wholeLines(shown, tell);
    },
    logged: () => wholeLines(shown, toLog),
    clean: (text) => shown.redact(text),
    end(result) {
      const known = lost === 0 ? result : { ...result, warnings: [...result.warnings, leftOut(lost)] };
      return event({ kind: 'ended', result: known }) || event({ kind: 'ended', result: inShort(result) });
    },
    hide(secrets) {
      for (const secret of secrets) hidden.add(secret);
      current = redactor(hidden);
    },
    close() {
      closeSync(events);
      closeSync(log);
    },
  };
}

function boundedOutput(
  event: Reporter['event'],
  source: string,
  log: (text: string) => void,
): (text: string) => void {
  let told = 0;
  return (text) => {
    log(text);
    if (told >= MOST_TOLD) return;
    for (let at = 0; at < text.length && told < MOST_TOLD; at += LONGEST_CHUNK) {
      const part = text.slice(at, at + LONGEST_CHUNK);
      told += part.length;
      event({ kind: 'output', source, text: part });
    }
    if (told >= MOST_TOLD)
      event({ kind: 'output', source, text: '\n[more output: see output.log of this run on the server]\n' });
  };
}

function leftOut(count: number): Problem {
  return {
    message: `${count} ${count === 1 ? 'message' : 'messages'} of this run could not be written on the server and ${count === 1 ? 'is' : 'are'} missing above: its disk was full.`,
    next: 'Free some space there: df -h; df -i',
  };
}

/** A result that fits into one block of a disk: the beginnings of three problems, no checks, no warnings. */
function inShort({ problems, health: _, ...result }: RunResult): RunResult {
  const cut = ({ message, next }: Problem): Problem => ({
    message: message.slice(0, 500),
    ...(next === undefined ? {} : { next: next.slice(0, 500) }),
  });
  return { ...result, problems: problems.slice(0, 3).map(cut), warnings: [] };
}

/** A result with nothing found yet. */
export function emptyResult(outcome: RunResult['outcome'], warnings: Problem[]): RunResult {
  return { outcome, problems: [], warnings };
}

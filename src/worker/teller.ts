import { closeSync, openSync, writeSync } from 'node:fs';
import { type Redactor, redactor } from '../base/redact.js';
import { Failure, type Problem, type Step } from '../base/report.js';
import type { Sealer } from '../base/seal.js';
import { wholeLines } from '../base/whole-lines.js';
import type { OpenOutput } from './host/program.js';
import type { RunResult, WorkerEvent } from './protocol.js';
import type { RunFolder } from './record/run-folder.js';

/** Tells the action what happens: events of the run, and the full output of programs into the run's log. */
export interface Teller {
  event(event: WorkerEvent): void;
  progress(text: string): void;
  warn(problem: Problem): void;
  /** Everything warned about so far, for the result. */
  readonly warnings: Problem[];
  /** A timed step; `detail` words what came of it. A throw marks it failed. */
  step<T>(name: string, work: () => Promise<T>, detail?: (value: T) => string | undefined): Promise<T>;
  /** Takes the output of one program, line by line: all of it into the log, a bounded part to the action. */
  output(source: string): OpenOutput;
  /** Takes the output of a program into the log on the host alone, line by line. */
  readonly logged: OpenOutput;
  /** From now on every form of these values is `***` in all that is told or logged. The action cannot know them. */
  hide(secrets: Iterable<string>): void;
  /** A text without these values, for what is written down beside the events. */
  clean(text: string): string;
  close(): void;
}

/** Bytes of one program's output that go to the action; the rest stays in the log on the host. */
const MOST_TOLD = 256 * 1_024;
const LONGEST_CHUNK = 16 * 1_024;

/**
 * The fields in which people are spoken to. Names, commits, paths and outcomes are left alone: they are our own, and a
 * weak secret that equals one of them must not change what the action reads.
 */
const SPOKEN = new Set(['text', 'message', 'next', 'detail', 'notRehearsedWhy']);

export function openTeller(folder: RunFolder, seal: Sealer): Teller {
  const events = openSync(folder.events, 'a', 0o600);
  const log = openSync(folder.log, 'a', 0o600);
  const warnings: Problem[] = [];
  const hidden = new Set<string>();
  let current = redactor(hidden);
  /** Of what is hidden at the time: more may be found while a program speaks. */
  const shown: Redactor = {
    redact: (text, before) => current.redact(text, before),
    settle: (text, by, before) => current.settle(text, by, before),
  };
  const event = (value: WorkerEvent): void => {
    const said = JSON.stringify(value, (name, item) =>
      typeof item === 'string' && SPOKEN.has(name) ? shown.redact(item) : item,
    );
    writeSync(events, seal.line(said));
    seal.written();
  };
  const toLog = (text: string): void => void writeSync(log, text);
  return {
    event,
    warnings,
    progress: (text) => event({ kind: 'progress', text }),
    warn(problem) {
      warnings.push(problem);
      event({ kind: 'warning', problem });
    },
    step: (name, work, detail) => tellStep(event, name, work, detail),
    output(source) {
      const tell = boundedOutput(event, source, toLog);
      return () => wholeLines(shown, tell);
    },
    logged: () => wholeLines(shown, toLog),
    clean: (text) => shown.redact(text),
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

async function tellStep<T>(
  event: (value: WorkerEvent) => void,
  name: string,
  work: () => Promise<T>,
  detail?: (value: T) => string | undefined,
): Promise<T> {
  const startedAt = Date.now();
  const started = performance.now();
  const done = (outcome: Step['outcome'], said?: string): void =>
    event({
      kind: 'step',
      step: {
        name,
        outcome,
        startedAt,
        milliseconds: Math.round(performance.now() - started),
        ...(said ? { detail: said } : {}),
      },
    });
  try {
    const value = await work();
    done('passed', detail?.(value));
    return value;
  } catch (error) {
    done(error instanceof Failure ? error.outcome : 'failed');
    throw error;
  }
}

function boundedOutput(
  event: (value: WorkerEvent) => void,
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

/** A result with nothing found yet. */
export function emptyResult(outcome: RunResult['outcome'], warnings: Problem[]): RunResult {
  return { outcome, problems: [], warnings };
}

import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { INPUT_NAMES, type InputName, type ReadInput } from '../inputs/input-sources.js';
import { isSafeToQuote } from '../inputs/quote-if-safe.js';
import { MODES, type Run } from '../inputs/settings.js';
import { definedOnly } from '../lib/defined-only.js';
import type { Log } from '../lib/log.js';
import { mergeFacts } from '../lib/merge-facts.js';
import { type PhaseName, type PhaseReport, type Problem, problemsOf, type Report } from '../lib/report.js';
import { reportFile } from '../report/outputs.js';

/** What both entry points do around the pipeline, the same way. */

/** Reads every input once; later changes of the environment change nothing. */
export function snapshot(read: ReadInput): ReadInput {
  const values = new Map<InputName, string>(INPUT_NAMES.map((name) => [name, read(name)]));
  return (name) => values.get(name)!;
}

/** A value as given: it can hold whatever was pasted into the wrong input, and then it is not repeated. */
function safeOr(value: string, otherwise: string): string {
  return isSafeToQuote(value) ? value : otherwise;
}

/** What is known of a run from its first moment, also where it is refused or does not come back. */
export interface StartedRun {
  /** As given, unless that may be a secret which was pasted into the wrong input. */
  readonly mode: string;
  /** As the mode. */
  readonly environment?: string;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
}

export function startedRun(read: ReadInput, startedAt: number): StartedRun {
  const environment = read('environment');
  return {
    mode: safeOr(read('mode'), '(not a mode)'),
    ...(environment === '' ? {} : { environment: safeOr(environment, '(not a name)') }),
    startedAt,
  };
}

/** The line that every run begins with: what `rollback` has to be told later stands in it. */
export function firstLine({ mode }: StartedRun, run: Run): string {
  const commit = run.sha === undefined ? '' : `, commit ${run.sha.slice(0, 10)}`;
  return `muva-deploy ${mode}, run ${run.id} attempt ${run.attempt}${commit}`;
}

/** The report of a run that was refused before it began. */
export function refusedReport(run: StartedRun, problems: Problem[]): Report {
  const next = problems.find((problem) => problem.next !== undefined)?.next;
  return {
    ...run,
    outcome: 'failure',
    phases: [],
    problems,
    warnings: [],
    facts: {},
    ...definedOnly({ next }),
    milliseconds: Date.now() - run.startedAt,
  };
}

/** Hears what is told, so that the truth so far can be written when the work does not come back. */
export interface LogRecorder {
  readonly log: Log;
  readonly warnings: Problem[];
  /** What the plan said beside its steps: the batches and their files. */
  readonly planned: string[];
  /** The report of a run that did not come back; no problems where it was cancelled. */
  report(run: StartedRun, problems: Problem[]): Report;
}

const WRITING_PHASES: readonly PhaseName[] = ['prepare', 'migrate', 'redeploy', 'rollback'];

export function logRecorder(log: Log): LogRecorder {
  const ended: PhaseReport[] = [];
  const warnings: Problem[] = [];
  const planned: string[] = [];
  let open: Pick<PhaseReport, 'phase' | 'startedAt' | 'steps' | 'facts'> | undefined;
  return {
    warnings,
    planned,
    log(entry) {
      if (entry.kind === 'line' && open?.phase === 'plan') planned.push(entry.text.trim());
      if (entry.kind === 'warning') warnings.push(entry.problem);
      if (entry.kind === 'phase-started')
        open = { phase: entry.phase, startedAt: Date.now(), steps: [], facts: entry.facts };
      if (entry.kind === 'step' && open?.phase === entry.phase) open.steps.push(entry.step);
      if (entry.kind === 'phase-ended') {
        ended.push(entry.report);
        open = undefined;
      }
      log(entry);
    },
    report(run, problems) {
      const milliseconds = Date.now() - run.startedAt;
      const unknown = open !== undefined && WRITING_PHASES.includes(open.phase);
      const cancelled = problems.length === 0;
      // What was cancelled while it only looked needs no other reason.
      const why = cancelled && unknown ? [{ message: 'The run was cancelled.' }] : problems;
      const unfinished: PhaseReport[] =
        open === undefined
          ? []
          : [
              {
                ...open,
                outcome: unknown ? 'unknown' : 'failed',
                milliseconds: Date.now() - open.startedAt,
                problems: why,
                ...(cancelled ? { cancelled } : {}),
                summary: 'It was still under way when the time ran out.',
              },
            ];
      return {
        ...run,
        outcome: unknown ? 'unknown' : 'cancelled',
        phases: [...ended, ...unfinished],
        ...(open === undefined ? {} : { failedPhase: open.phase }),
        problems: why,
        warnings,
        facts: mergeFacts([...ended, ...unfinished]),
        // What was verified stays, though nobody watched it to the end.
        ...(open?.phase === 'watch' ? {} : { unsettled: true as const }),
        milliseconds,
      };
    },
  };
}

export interface Stoppable<T> {
  /** Undefined when the work did not come back within the grace time. */
  value?: T;
  /** What stopped it: a signal's name or an error that nobody caught. */
  stopped?: { signal: NodeJS.Signals } | { problems: Problem[] };
}

/**
 * A reader that went away, such as `| head`, a terminal that was closed or a runner that was killed, must not stop a
 * deploy half-way: what can no longer be told is not told. Called before the first word.
 */
export function ignoreClosedOutput(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
}

/** Errors that nobody caught, from the start of the process to its end: none may reach the log past our cleaning. */
export interface Crashes {
  /** Told of every error from now on, and of those that came before. */
  listen(listener: (problems: Problem[]) => void): void;
}

export function watchCrashes(): Crashes {
  const early: Problem[][] = [];
  let tell = (problems: Problem[]): void => void early.push(problems);
  const onCrash = (error: unknown): void => tell(problemsOf(error));
  process.on('uncaughtException', onCrash).on('unhandledRejection', onCrash);
  return {
    listen(listener) {
      tell = listener;
      for (const problems of early.splice(0)) listener(problems);
    },
  };
}

export interface StopOptions {
  readonly crashes: Crashes;
  /** Milliseconds for the work to come back by itself once it has been told to stop. */
  grace: number;
  /** Once it is being stopped, SIGINT ends the process at once, as a person at a terminal expects of a second Ctrl-C. */
  impatient: boolean;
  onStop: (why: string) => void;
  /** An error that turned up after the work had ended: told, but it changes nothing. */
  onStray: (problems: Problem[]) => void;
}

/**
 * Runs `work` until it ends, is stopped by a signal, or an error turns up that nobody caught (a library's socket
 * after its owner let go of it). The handlers stay for the rest of the process: a signal while the outputs are
 * being written must not lose them.
 */
export async function stoppable<T>(
  options: StopOptions,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<Stoppable<T>> {
  const controller = new AbortController();
  const result: Stoppable<T> = {};
  let ended = false;
  let late: NodeJS.Timeout | undefined;
  let giveUp = (): void => {};
  const tooLate = new Promise<void>((resolve) => {
    giveUp = resolve;
  });
  const stop = (stopped: NonNullable<Stoppable<T>['stopped']>, why: string): void => {
    if (ended || result.stopped !== undefined) return;
    result.stopped = stopped;
    options.onStop(why);
    controller.abort();
    late = setTimeout(giveUp, options.grace);
  };
  const onSignal = (signal: NodeJS.Signals): void => {
    // Never for a SIGHUP: a terminal that closes sends several, and nobody is there to be impatient.
    if (result.stopped !== undefined && options.impatient && signal === 'SIGINT') process.exit(130);
    stop({ signal }, `${signal} received: stopping what is under way`);
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal).on('SIGHUP', onSignal);
  options.crashes.listen((problems) => {
    if (ended) options.onStray(problems);
    else stop({ problems }, `unexpected error, stopping: ${problems[0]?.message ?? ''}`);
  });
  const finished = work(controller.signal).then(
    (value) => {
      if (!ended) result.value = value;
    },
    (error: unknown) => {
      if (!ended) result.stopped ??= { problems: problemsOf(error) };
    },
  );
  await Promise.race([finished, tooLate]);
  ended = true;
  clearTimeout(late);
  return result;
}

/** The pipeline's own report, or what was heard of a run that did not come back; with what stopped it. */
export function conclude(ended: Stoppable<Report>, recorder: LogRecorder, run: StartedRun): Report {
  const crash = ended.stopped !== undefined && 'problems' in ended.stopped ? ended.stopped.problems : [];
  const report = ended.value ?? recorder.report(run, crash);
  return {
    ...report,
    // What looks like a cancel from inside was our own stop after an error.
    ...(crash.length > 0 && report.outcome === 'cancelled' ? { outcome: 'failure' as const } : {}),
    problems: ended.value === undefined ? report.problems : [...crash, ...report.problems],
    warnings: [...new Set([...recorder.warnings, ...report.warnings])],
    planned: recorder.planned,
  };
}

/** Writes the report into a new file of the folder, readable by this user only; its path. */
export function writeReport(report: Report, run: Run, folder: string): string {
  const mode = MODES.find((known) => known === report.mode) ?? 'refused';
  const path = join(folder, `muva-deploy-${mode}-${randomBytes(4).toString('hex')}.json`);
  writeFileSync(path, reportFile(report, run), { mode: 0o600, flag: 'wx' });
  return path;
}

import { Cancelled, Failure, NotNeeded, type Step, type StepOutcome } from './report.js';

/** Reports the steps of some work, each once, when it has ended. The same on the runner and in the worker. */
export interface StepReporter {
  /**
   * Runs `work` as a timed step and returns its value; `detail` words what came of it.
   * @throws what `work` throws, after the step was reported as failed, unknown or skipped.
   */
  step<T>(name: string, work: () => Promise<T> | T, detail?: (value: T) => string | undefined): Promise<T>;
  /** Reports a step that was timed elsewhere (inside one database message, on the server). */
  add(step: Step): void;
  /** Reports steps that were not reached. */
  skip(...names: string[]): void;
}

/** What is reported of a step beside its name and its time. */
interface StepEnd {
  outcome: StepOutcome;
  detail?: string | undefined;
}

/** How a step ended that threw `error`: skipped where it was cancelled or turned out to be not needed. */
function endOfStep(error: unknown): StepEnd {
  if (error instanceof Cancelled || error instanceof NotNeeded)
    return { outcome: 'skipped', detail: error.message };
  return { outcome: outcomeOfError(error) };
}

/** The outcome of work that threw `error`: failed, unless a Failure says that it is not known. */
export function outcomeOfError(error: unknown): Failure['outcome'] {
  return error instanceof Failure ? error.outcome : 'failed';
}

/**
 * Makes a reporter. `tell` takes each step to where it is read (the runner's log, the events of a run in the worker) and
 * must not throw. `endOf` says how a step ended that threw.
 */
export function stepReporter(
  tell: (step: Step) => void,
  endOf: (error: unknown) => StepEnd = endOfStep,
): StepReporter {
  return {
    add: tell,
    async step(name, work, detail) {
      const startedAt = Date.now();
      const started = performance.now();
      const end = ({ outcome, detail: said }: StepEnd): void => {
        const milliseconds = Math.round(performance.now() - started);
        tell({ name, outcome, startedAt, milliseconds, ...(said ? { detail: said } : {}) });
      };
      let value: Awaited<ReturnType<typeof work>>;
      try {
        value = await work();
      } catch (error) {
        end(endOf(error));
        throw error;
      }
      end({ outcome: 'passed', detail: worded(() => detail?.(value)) });
      return value;
    },
    skip(...names) {
      for (const name of names) tell({ name, outcome: 'skipped', startedAt: Date.now(), milliseconds: 0 });
    },
  };
}

/** The words for what came of a step; none where making them fails, for the work has passed all the same. */
function worded(words: () => string | undefined): string | undefined {
  try {
    return words();
  } catch {
    return undefined;
  }
}

import { Failure, type Problem } from '../../lib/report.js';
import { readJournal } from './journal.js';
import { readPlan } from './plan.js';
import { notedReleases, readNote } from './releases.js';
import { readState, type StateFolder } from './state-folder.js';

/**
 * Refuses a state folder in which something lies that this version cannot read, before anything is done by the rest of
 * it: what a newer version wrote down may forbid exactly that. @throws a Failure that names all of it.
 */
export function refuseOtherFormats(state: StateFolder): void {
  const reads: (() => unknown)[] = [
    () => readState(state),
    () => readPlan(state),
    () => readJournal(state),
    ...notedReleases(state).map((release) => () => readNote(state, release)),
  ];
  const problems = reads.flatMap(problemsIn);
  if (problems.length > 0) throw new Failure(problems);
}

function problemsIn(read: () => unknown): Problem[] {
  try {
    read();
    return [];
  } catch (error) {
    if (error instanceof Failure) return error.problems;
    throw error;
  }
}

import { type Problem, problemOf } from './report.js';

/** Does work on which nothing else depends. Never throws: returns why it failed, where it did. */
export function catchProblem(work: () => void): Problem | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    return problemOf(error);
  }
}

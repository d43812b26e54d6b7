import type { PhaseReport } from '../lib/report.js';

/** True where a run was stopped while it watched: the new version is verified and stays, and only the watch was cut. */
export function isUnwatched(phases: readonly PhaseReport[]): boolean {
  return phases.some(({ phase, cancelled }) => phase === 'watch' && cancelled === true);
}

import type { Problem } from './report.js';

/** What is said of a connection input that is empty although something points to its part: it is not skipped silently. */
export const EMPTY_CONNECTION = 'is empty: secret not set, or not available to forks';

/** A connection that is empty although what earlier deploys left behind points to its part. */
export function emptyConnection(input: 'database-url' | 'ssh-host', next: string): Problem {
  return { message: `${input}: ${EMPTY_CONNECTION}`, next };
}

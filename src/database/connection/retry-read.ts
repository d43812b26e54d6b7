import { definedOnly } from '../../lib/defined-only.js';
import { retry } from '../../lib/retry.js';
import { errorMeaning } from './sql-error.js';

/** Sends a message that only reads, again where the connection was lost: whether the first one ran does not matter. */
export function retryRead<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  return retry(
    {
      tries: 4,
      deadline: 60_000,
      first: 250,
      longest: 4_000,
      ...definedOnly({ signal }),
      worthwhile: (error) => errorMeaning(error) !== 'stop',
    },
    work,
  );
}

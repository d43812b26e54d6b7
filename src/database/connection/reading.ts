import { given } from '../../base/given.js';
import { retry } from '../../base/retry.js';
import { errorMeaning } from './sql-error.js';

/** Sends a message that only reads, again where the connection was lost: whether the first one ran does not matter. */
export function reading<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  return retry(
    {
      tries: 4,
      deadline: 60_000,
      first: 250,
      longest: 4_000,
      ...given({ signal }),
      worthwhile: (error) => errorMeaning(error) !== 'stop',
    },
    work,
  );
}

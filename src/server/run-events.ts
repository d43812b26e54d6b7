import { definedOnly } from '../lib/defined-only.js';
import { Failure, type Problem } from '../lib/report.js';
import { unseal } from '../lib/seal.js';
import type { WorkerEvent } from '../worker/protocol.js';
import { parseWorkerEvent } from './worker-messages.js';

/**
 * The record of a run was changed by somebody else, so that it no longer tells what happened. The run itself goes on,
 * and what it did is found out by looking at the server.
 */
export class TamperedRecord extends Failure {
  constructor(prefix: string, why: string) {
    super(
      {
        message: `${prefix}${why}: what the run did there is not known from its record`,
        next: 'A program of the deploy user changes events.jsonl of the run, most likely the build. Look at what it does; the next run looks at what is live, and repairs it.',
      },
      'unknown',
    );
    this.name = 'TamperedRecord';
  }
}

/** What other programs may add to the record of a run before it is given up. */
const MOST_LINES = 1_000_000;
const MOST_CHARACTERS = 128 * 1_048_576;
/** What a worker may tell of itself: steps and warnings are kept until the end of the run. */
const MOST_KEPT = 5_000;

/** With what the record of a run is read. */
export interface RunEventsOptions {
  key: Buffer;
  /** Stands in front of what happened on this server. */
  prefix: string;
  /** Told once of each kind of line that is dropped. */
  onDropped: (problem: Problem) => void;
}

/** Reads the lines of a run's record: those that the worker has sealed, each once, in their order. */
export interface RunEvents {
  /** The event of a line; undefined where it is dropped. @throws TamperedRecord */
  read(line: string): WorkerEvent | undefined;
}

/** Begins at the first line of a run's record. */
export function runEvents({ key, prefix, onDropped }: RunEventsOptions): RunEvents {
  let next = 1;
  let kept = 0;
  const strange = { lines: 0, characters: 0 };
  const told = new Set<'stranger' | 'not understood' | 'too many'>();
  const drop = (kind: 'stranger' | 'not understood' | 'too many', why: string, next?: string): undefined => {
    if (!told.has(kind)) onDropped({ message: prefix + why, ...definedOnly({ next }) });
    told.add(kind);
    return undefined;
  };
  return {
    read(line) {
      const opened = unseal(key, line);
      if (opened === undefined || opened.n < next) {
        strange.lines += 1;
        strange.characters += line.length;
        if (strange.lines > MOST_LINES || strange.characters > MOST_CHARACTERS)
          throw new TamperedRecord(prefix, 'the record of the run on the server is flooded');
        return drop(
          'stranger',
          'another program than the worker writes into the record of this run on the server; what it writes is ignored',
          'It runs as the deploy user, and is most likely the build: look at what it does. SECURITY.md says what such a program can do.',
        );
      }
      if (opened.n > next)
        throw new TamperedRecord(prefix, `the record of the run on the server lacks line ${next}`);
      next += 1;
      const parsed = parseWorkerEvent(opened.event);
      if ('wrong' in parsed)
        return drop(
          'not understood',
          `the worker tells something that this version does not understand (${parsed.wrong}); it is ignored`,
          'Run the job again; where it stays, it is a fault of this action.',
        );
      const { value } = parsed;
      if (value.kind === 'step' || value.kind === 'warning') kept += 1;
      return kept > MOST_KEPT && (value.kind === 'step' || value.kind === 'warning')
        ? drop('too many', `the run tells more than ${MOST_KEPT} steps and warnings; the rest is left out`)
        : value;
    },
  };
}

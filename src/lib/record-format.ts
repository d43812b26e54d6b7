import type { Problem } from './report.js';

/**
 * Everything that a later run reads again, on the server and in the database, says in which format it was written. Two
 * versions of this action can take turns at one application, and the older one cannot know what the newer one means: it
 * refuses before it touches anything. The newer one reads what the older one wrote.
 *
 * Whoever changes what is written, so that this version would misread it, raises `newest`, and brings older records up to
 * the new form where they are read (`worker/host/records.ts`, `database/history/deploy-tables.ts`); where that cannot be done,
 * `oldest` is raised too. A field that may be missing, and that an older version may pass over, is no new format.
 */
export interface Formats {
  /** The oldest that can be read. */
  oldest: number;
  /** The newest that can be read, and the one that is written. */
  newest: number;
}

/** Of the files in the state folder on a server. */
export const SERVER_FORMATS: Formats = { oldest: 1, newest: 1 };

/** Of our four tables in a database. */
export const DATABASE_FORMATS: Formats = { oldest: 1, newest: 1 };

/** Whether a record can be read, by the format that it says it was written in. */
export type FormatVerdict = 'read' | 'newer' | 'older' | 'unmarked';

/** Whether what was written in a format can be read. Pure. `written` comes from outside and may be anything. */
export function judgeFormat(written: unknown, { oldest, newest }: Formats): FormatVerdict {
  if (typeof written !== 'number' || !Number.isSafeInteger(written) || written < 1) return 'unmarked';
  if (written > newest) return 'newer';
  return written < oldest ? 'older' : 'read';
}

/** What is told where it cannot be read; undefined where it can. `begin`: how to go on without what was written. */
export function formatProblem(
  what: string,
  written: unknown,
  known: Formats,
  begin: string,
): Problem | undefined {
  switch (judgeFormat(written, known)) {
    case 'read':
      return undefined;
    case 'newer':
      return {
        message: `${what} was written by a newer version of this action: in format ${written}, and this one reads up to ${known.newest}. Nothing was changed.`,
        next: 'Use that version here too: it stands behind "uses:" in the workflow of the last deploy.',
      };
    case 'older':
      return {
        message: `${what} was written by a version of this action that is too old: in format ${written}, and this one reads from ${known.oldest} on. Nothing was changed.`,
        next: `Deploy once with a version between the two; the change log says which. ${begin}`,
      };
    case 'unmarked':
      return {
        message: `${what} does not say in which format it was written: no released version of this action wrote it like this. Nothing was changed.`,
        next: begin,
      };
  }
}

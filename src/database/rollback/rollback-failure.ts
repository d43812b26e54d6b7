import { Failure, type Problem } from '../../lib/report.js';
import { withoutRowData } from '../apply/file-error.js';
import { SqlError } from '../connection/sql-error.js';
import { CODES } from '../history/error-codes.js';
import type { DownText, PreparedDown } from '../migrations/down-files.js';
import { describeDifference, type SchemaDifference } from '../schema/fingerprint.js';
import { indexOfCodePoint, positionIn } from '../sql/source-text.js';
import { COUNT_UP_TO } from './revert-order.js';

/** What a rollback deletes, or would delete. */
export interface Loss {
  /** `changed`: rows that a down file deletes or writes. */
  kind: 'table' | 'column' | 'emptied' | 'changed';
  /** Qualified and quoted. */
  name: string;
  /** Rows, or values that are not null; null where the role may not read them all. */
  rows: number | null;
  /** Created by what is undone. */
  own: boolean;
}

/** `table public.rooms (12 rows, created by what was undone)`. */
export function describeLoss({ kind, name, rows, own }: Loss): string {
  const unit = kind === 'column' ? 'value' : 'row';
  const count =
    rows === null
      ? `its ${unit}s cannot be counted`
      : `${rows > COUNT_UP_TO ? `more than ${COUNT_UP_TO}` : rows} ${unit}${rows === 1 ? '' : 's'}`;
  const what =
    kind === 'emptied' ? `all rows of ${name}` : kind === 'changed' ? `rows of ${name}` : `${kind} ${name}`;
  return `${what} (${count}${own ? ', created by what is undone' : ''})`;
}

/**
 * Why a rollback did not happen: nothing of it was committed. `index`: which of the down files failed, where one did.
 */
export function revertFailure(
  error: unknown,
  downs: readonly (DownText & Pick<PreparedDown, 'statements'>)[],
): { failure: Failure; index?: number } {
  if (error instanceof Failure) return { failure: error };
  if (!(error instanceof SqlError)) throw error;
  switch (error.code) {
    case CODES.dataLoss:
      return { failure: new Failure(dataLoss(error.message)) };
    case CODES.notAsBefore:
      return { failure: new Failure(notAsBefore(error.message)) };
    case CODES.gone:
      // Not a failure yet: whoever asked looks again.
      throw error;
  }
  for (const [index, { file, source, statements, unseen }] of downs.entries()) {
    for (const { from, to } of statements) {
      const offset = offsetIn(source.slice(from, to), error);
      if (offset === undefined) continue;
      const at = positionIn(file, source, from + offset);
      const problem = { ...told(error, unseen ? '' : source), at, next: NEXT };
      return { failure: new Failure(unseen ? withoutText(problem) : problem), index };
    }
  }
  return { failure: new Failure({ ...told(error, ''), next: NEXT }) };
}

const NEXT = 'Nothing of the database was undone.';

/** The same with the place alone: neither the line that stands there nor the word that an error of syntax quotes. */
export function withoutText(problem: Problem): Problem {
  const message = problem.message.replace(/ at or near ".*"/s, '');
  if (!problem.at) return { ...problem, message };
  const { text: _, ...at } = problem.at;
  return { ...problem, message, at };
}

function told(error: SqlError, source: string): Problem {
  const hint = error.hint === undefined ? '' : ` (${error.hint})`;
  return { message: `${withoutRowData(error, source)}${hint}`, code: error.code };
}

/** Where in a statement the error came from; 0 where only the statement is known, undefined where it was another. */
function offsetIn(statement: string, error: SqlError): number | undefined {
  if (error.internalQuery === statement && error.internalPosition !== undefined)
    return indexOfCodePoint(statement, error.internalPosition);
  return error.where?.includes(`SQL statement "${statement}"`) ? 0 : undefined;
}

function dataLoss(message: string): Problem[] {
  const losses = JSON.parse(message) as Loss[];
  const foreign = losses.filter(({ own }) => !own);
  return (foreign.length > 0 ? foreign : losses).map((loss) => ({
    message: loss.own
      ? `the down files would delete data that may have been written since: ${describeLoss(loss)}; nothing was undone`
      : `the down files would delete data that is not of this run: ${describeLoss(loss)}; nothing was undone`,
    code: CODES.dataLoss,
    next: 'Save the data first, or say allow-data-loss: true.',
  }));
}

function notAsBefore(message: string): Problem {
  const difference: SchemaDifference = { added: [], removed: [], altered: [] };
  for (const [word, kind, schema, name] of JSON.parse(message) as [
    keyof SchemaDifference,
    string,
    string,
    string,
  ][])
    difference[word].push({ kind, schema, name, hash: '' });
  return {
    message: `the down files do not give back the schema as it was before the run: ${describeDifference(difference)}; nothing was undone`,
    code: CODES.notAsBefore,
    next: 'Complete the down files.',
  };
}

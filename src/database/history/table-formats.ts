import { DATABASE_FORMATS, formatProblem } from '../../lib/record-format.js';
import { Failure, type Problem } from '../../lib/report.js';
import { OUR_TABLES } from './deploy-tables.js';
import type { TableFormats } from './history-message.js';

/** Another version of the action is at home in this database: nothing may be undone by this one, the code neither. */
export class OtherFormat extends Failure {}

/** One problem for each of our tables that another version made, and that this one cannot read. Pure. */
export function formatProblems(formats: TableFormats, known = DATABASE_FORMATS): Problem[] {
  return OUR_TABLES.flatMap((table) => {
    if (!(table in formats)) return [];
    const begin = `To go on without what it remembers (rollbacks of earlier runs, mostly): drop table ${table}; the next run makes it anew. The migration history is not touched by that.`;
    return formatProblem(`The table ${table}`, formats[table], known, begin) ?? [];
  });
}

import type { Problem } from '../../base/report.js';
import type { DatabaseSettings } from '../../settings/settings.js';
import type { Tools } from '../../tools.js';
import { failureOf } from '../connection/problem.js';
import { reading } from '../connection/reading.js';
import type { PlannedFile } from '../files/batches.js';
import type { Judgement } from './judgement.js';
import { judgeSchema, readSchemaRows, schemaFactsQuery } from './schema-facts.js';

/** True where a deploy would check more of the schema than what it tells. */
export function isRequired({ requiredTables, requiredFunctions, rls }: DatabaseSettings): boolean {
  return requiredTables.length > 0 || requiredFunctions.length > 0 || rls === 'all';
}

/** What of the schema is not as a deploy would require it, as it is now. Asks what verify asks, and counts nothing. */
export async function lookAtRequired(tools: Tools, rules: DatabaseSettings): Promise<Problem[]> {
  const { database, signal } = tools;
  if (!database) throw new Error('there is no database to look at');
  const wanted: DatabaseSettings = { ...rules, rowCounts: 'off' };
  const { message, deadline } = schemaFactsQuery(wanted, false);
  try {
    const results = await reading(signal, () => database.send(message, { deadline, signal }));
    return judgeSchema(readSchemaRows(results), wanted).facts.flatMap(({ problems }) => problems);
  } catch (error) {
    throw failureOf(error, 'looking at the required schema');
  }
}

/** A schema that is not as required stays so where nothing is pending; otherwise the pending files may mend it. */
export function judgeRequired(problems: readonly Problem[], pending: readonly PlannedFile[]): Judgement {
  if (problems.length === 0) return { detail: 'as required', refusals: [], warnings: [] };
  const detail = `${problems.length} ${problems.length === 1 ? 'fact is' : 'facts are'} not as required`;
  if (pending.length === 0)
    return {
      detail,
      refusals: problems.map((problem) => ({
        ...problem,
        message: `${problem.message}, and nothing is pending`,
      })),
      warnings: [],
    };
  const warning: Problem = {
    message: `not as required yet: ${problems.map(({ message }) => message).join('; ')}`,
    next: 'A deploy is refused at its end, and nothing of it is committed, unless what is pending mends that.',
  };
  return { detail: `${detail} yet`, refusals: [], warnings: [warning] };
}

import type { Problem } from '../../lib/report.js';
import type { DatabaseAccess } from '../connection/connection.js';
import { retryRead } from '../connection/retry-read.js';
import { failureOf } from '../connection/sql-problem.js';
import type { PlannedFile } from '../migrations/batches.js';
import { type CreatedByFiles, createdByFiles } from '../migrations/created-objects.js';
import type { DeployCheck } from './deploy-check.js';
import { type JudgedFact, judgeSchema, readSchemaRows, schemaFactsQuery } from './schema-facts.js';
import type { SchemaRules } from './schema-facts-sql.js';

/** True where a deploy would check more of the schema than what it tells. */
export function isRequired({ requiredTables, requiredFunctions, rls }: SchemaRules): boolean {
  return requiredTables.length > 0 || requiredFunctions.length > 0 || rls === 'all';
}

/** What a deploy would require of the schema, judged as it is now. Asks what verify asks, and counts nothing. */
export async function checkRequired(
  { database, signal }: DatabaseAccess,
  rules: SchemaRules,
): Promise<JudgedFact[]> {
  const wanted: SchemaRules = { ...rules, rowCounts: 'off' };
  const { message, deadline } = schemaFactsQuery(wanted, false);
  try {
    const results = await retryRead(signal, () => database.send(message, { deadline, signal }));
    return judgeSchema(readSchemaRows(results), wanted).facts;
  } catch (error) {
    throw failureOf(error, 'looking at the required schema');
  }
}

/**
 * A schema that is not as required stays so where nothing is pending. Where something is, its text shows what it makes:
 * what nothing makes is refused, as the deploy would be at its end; what cannot be told is warned of.
 */
export function judgeRequired(
  facts: readonly JudgedFact[],
  rules: Omit<SchemaRules, 'rowCounts'>,
  pending: readonly PlannedFile[],
): DeployCheck {
  const problems = facts.flatMap((fact) => fact.problems);
  if (pending.length === 0) {
    const refusals = problems.map((problem) => also(problem, 'and nothing is pending'));
    return { detail: detailOf(problems), refusals, warnings: [] };
  }
  const made = createdByFiles(pending);
  const { open, unclear } = sortOut(facts, rules, made);
  const warned = made.more ? [...open, ...unclear] : unclear;
  const refusals = made.more ? [] : open.map((problem) => also(problem, 'and no pending file mends that'));
  const warning: Problem = {
    message: `not as required yet: ${warned.map(({ message }) => message).join('; ')}`,
    next: 'A deploy is refused at its end, and nothing of it is committed, unless what is pending mends that.',
  };
  const yet = [...open, ...unclear];
  const detail =
    yet.length === 0 && problems.length > 0 ? 'as required once the pending files ran' : detailOf(yet);
  return { detail, refusals, warnings: warned.length === 0 ? [] : [warning] };
}

const also = (problem: Problem, why: string): Problem => ({
  ...problem,
  message: `${problem.message}, ${why}`,
});

function detailOf(problems: readonly Problem[]): string {
  if (problems.length === 0) return 'as required';
  return `${problems.length} ${problems.length === 1 ? 'fact is' : 'facts are'} not as required`;
}

/** What the text of the pending files does not mend, and what it cannot tell. What it mends is left out. */
function sortOut(
  facts: readonly JudgedFact[],
  { requiredTables, requiredFunctions, rls, rlsExcept }: Parameters<typeof judgeRequired>[1],
  made: CreatedByFiles,
): { open: Problem[]; unclear: Problem[] } {
  const open: Problem[] = [];
  const unclear: Problem[] = [];
  const take = (fact: JudgedFact, mended: boolean): void => void open.push(...(mended ? [] : fact.problems));
  // Facts come in the order of what is required, one for each.
  const tables = facts.filter(({ name }) => name.startsWith('table '));
  const functions = facts.filter(({ name }) => name.startsWith('function '));
  const judged = new Set<JudgedFact>([...tables, ...functions]);
  for (const [index, fact] of functions.entries())
    take(fact, made.function(requiredFunctions[index]!) !== undefined);
  for (const [index, fact] of tables.entries()) {
    const table = requiredTables[index]!;
    const by = made.table(table);
    take(fact, by !== undefined);
    const secured = made.rowSecurity(table) !== undefined;
    const ruled = made.policy(table) !== undefined;
    const qualified = fact.name.slice('table '.length);
    const isNew = fact.problems.length > 0 && by !== undefined;
    const excepted = rlsExcept.some(({ schema, name }) => schema === table.schema && name === table.name);
    if (isNew && rls !== 'off' && !excepted && !(secured && ruled))
      open.push({
        message: `${by} makes ${qualified} without ${secured ? 'a policy' : 'row level security'}`,
        next: 'Add to a migration: alter table ... enable row level security, and create policy ...; or set rls: off.',
      });
    const rows = facts.find(({ name }) => name === `row level security of ${qualified}`);
    if (!rows) continue;
    judged.add(rows);
    const isOn = rows.detail?.startsWith('on') === true;
    const hasPolicy = !/\b0 policies\b/.test(rows.detail ?? '');
    take(rows, (isOn || secured) && (hasPolicy || ruled));
  }
  for (const fact of facts) if (!judged.has(fact)) unclear.push(...fact.problems);
  return { open, unclear };
}

import { Failure } from '../../base/report.js';
import { pause } from '../../base/retry.js';
import { jsonField, lastRow } from '../connection/answer.js';
import type { IndexBuild } from '../history/migration-history.js';
import type { Statement } from '../sql/parser.js';
import { identifier, literal } from '../sql/sql-text.js';
import { type Alone, sendAlone } from './alone.js';
import type { ApplyTools } from './sent.js';

const DEADLINE = 30_000;
/** How long a killed build of ours may take to be gone from the server. */
const BUILDER_GONE_WITHIN = 60_000;

export interface WantedIndex {
  /** The table, as `to_regclass` reads it. */
  relation: string;
  /** The index, where the statement names one. */
  index?: string;
}

/**
 * What a CREATE INDEX CONCURRENTLY builds, with its schema: found as the statement will find it, under what its file
 * has set. Undefined for other statements.
 */
export async function buildOf(
  tools: ApplyTools,
  { kind, node }: Statement,
  alone: Alone,
): Promise<WantedIndex | undefined> {
  const { schemaname, relname } = (node.relation ?? {}) as { schemaname?: string; relname?: string };
  if (kind !== 'IndexStmt' || relname === undefined) return undefined;
  const schema = schemaname ?? (await schemaOf(tools, relname, alone));
  const parts = schema === undefined ? [] : [schema];
  return {
    relation: identifier(...parts, relname),
    ...(typeof node.idxname === 'string' ? { index: identifier(...parts, node.idxname) } : {}),
  };
}

/** The schema that a name without one means; undefined where there is no such relation. */
async function schemaOf(tools: ApplyTools, relname: string, alone: Alone): Promise<string | undefined> {
  const question = `select (select n.nspname::text from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.oid = pg_catalog.to_regclass(${literal(identifier(relname))})) as schema`;
  const results =
    alone.again === ''
      ? await tools.database.send(question, { deadline: DEADLINE, signal: tools.signal })
      : await sendAlone(tools, question, alone);
  const { schema } = lastRow(results);
  return typeof schema === 'string' ? schema : undefined;
}

/** The names of a table's invalid indexes: what a failed or killed concurrent build leaves behind. */
export async function invalidIndexes({ database, signal }: ApplyTools, relation: string): Promise<string[]> {
  const results = await database.send(
    `select coalesce(json_agg(i.indexrelid::regclass::text), '[]')::text as names from pg_index i
     where i.indrelid = to_regclass(${literal(relation)}) and not i.indisvalid`,
    { deadline: DEADLINE, signal },
  );
  return jsonField<string[]>(results, 'names') ?? [];
}

/**
 * Drops the invalid indexes that our own try left on a table; those that were there before are not ours. Waits until
 * nobody builds on that table any more. Does its work even when the run was cancelled.
 */
export async function dropLeftovers(tools: ApplyTools, build: IndexBuild, { rules }: Alone): Promise<void> {
  const { database, log } = tools;
  const patient = { ...tools, signal: new AbortController().signal };
  const until = performance.now() + BUILDER_GONE_WITHIN;
  for (;;) {
    const results = await database.send(
      `select count(*)::int as builders from pg_stat_progress_create_index where relid = to_regclass(${literal(build.relation)})`,
      { deadline: DEADLINE },
    );
    if (Number(lastRow(results).builders) === 0 || performance.now() > until) break;
    await pause(500);
  }
  for (const index of await invalidIndexes(patient, build.relation)) {
    if (build.before.includes(index)) continue;
    log({ kind: 'progress', text: `dropping ${index}, which an unfinished build of ours left invalid` });
    await sendAlone(patient, `drop index concurrently if exists ${index}`, { rules, again: '' });
  }
}

/**
 * CREATE INDEX CONCURRENTLY IF NOT EXISTS reports success over an invalid index of the same name. A Failure for that
 * trap; undefined where the index is as it should be.
 */
export async function trappedIndex(tools: ApplyTools, wanted: WantedIndex): Promise<Failure | undefined> {
  if (wanted.index === undefined) return undefined;
  const invalid = await invalidIndexes(tools, wanted.relation);
  const results = await tools.database.send(`select to_regclass(${literal(wanted.index)})::text as name`, {
    deadline: DEADLINE,
    signal: tools.signal,
  });
  const name = String(lastRow(results).name);
  if (!invalid.includes(name)) return undefined;
  return new Failure({
    message: `the index ${name} is invalid: a build that failed earlier left it, and IF NOT EXISTS takes it for good`,
    next: `It is not ours to drop. Run: drop index concurrently ${name};  and then deploy again.`,
  });
}

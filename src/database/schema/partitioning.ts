import { belongsTo, type SchemaDifference, type SchemaObject } from './fingerprint.js';

/**
 * What makes up a partition and comes and goes with it. Of one that stays, its row level security (a part of the
 * table), its policies and its grants are not among them.
 */
const COMES_WITH = new Set(['column', 'constraint', 'index', 'trigger', 'statistics', 'comment']);
/** These come and go with the table alone. */
const OF_THE_TABLE = new Set(['table', 'foreign table', 'grants on table', 'grants on foreign table']);

/**
 * A difference without the partitions that were made, attached, detached and dropped in between: jobs do that all the
 * time, and nobody writes it as a migration. Of a partition that only stands elsewhere now, its own rights still count.
 */
export function withoutPartitioning(difference: SchemaDifference): SchemaDifference {
  const all = Object.values(difference).flat() as SchemaObject[];
  const moved = new Set(
    all.filter(({ kind }) => kind === 'partition').map(({ schema, name }) => `${schema}.${name}`),
  );
  if (moved.size === 0) return difference;
  const isOf = (object: SchemaObject, kinds: ReadonlySet<string>): boolean =>
    kinds.has(object.kind) && (moved.has(`${object.schema}.${object.name}`) || belongsTo(object, moved));
  const kept = (list: readonly SchemaObject[], whole: boolean): SchemaObject[] =>
    list.filter(
      (object) =>
        object.kind !== 'partition' && !isOf(object, COMES_WITH) && !(whole && isOf(object, OF_THE_TABLE)),
    );
  return {
    added: kept(difference.added, true),
    removed: kept(difference.removed, true),
    altered: kept(difference.altered, false),
  };
}

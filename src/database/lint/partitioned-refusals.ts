import type { Problem } from '../../lib/report.js';
import type { PlannedFile } from '../migrations/batches.js';
import type { Node } from '../sql/parse-tree.js';
import { positionIn } from '../sql/source-text.js';
import type { CatalogFacts } from './catalog-facts.js';
import { commandsOf, type StatementNode } from './known-objects.js';

/** PostgreSQL 18 takes foreign keys that are NOT VALID on partitioned tables. */
const NOT_VALID_KEYS = 180_000;

/** What PostgreSQL refuses on a partitioned table, and would say only when what stands before it in the file is done. */
export function refusedByPartitioned(
  { file, source, shape }: Pick<PlannedFile, 'file' | 'source' | 'shape'>,
  facts: CatalogFacts,
): Problem[] {
  const partitioned = ({ schemaname, relname }: Node): boolean =>
    facts.relations.some(
      (each) =>
        (each.kind === 'p' || each.kind === 'I') &&
        each.name === relname &&
        (schemaname ?? each.schema) === each.schema,
    );
  return (shape.statements ?? []).flatMap((statement) => {
    const refused = refusalOf(statement, partitioned, facts.serverVersion);
    return refused === undefined ? [] : [{ ...refused, at: positionIn(file, source, statement.from) }];
  });
}

function refusalOf(
  { kind, node }: StatementNode,
  partitioned: (relation: Node) => boolean,
  version: number,
): Problem | undefined {
  const relation = (node.relation ?? {}) as Node;
  if (kind === 'IndexStmt' && node.concurrent === true && partitioned(relation))
    return {
      message: `CREATE INDEX CONCURRENTLY is refused by PostgreSQL here: ${String(relation.relname)} is partitioned`,
      next: 'CREATE INDEX ... ON ONLY it, CREATE INDEX CONCURRENTLY on each partition, then ALTER INDEX ... ATTACH PARTITION for each.',
    };
  if (kind !== 'AlterTableStmt' || !partitioned(relation)) return undefined;
  for (const { subtype, def } of commandsOf(node)) {
    const { Constraint: added } = (def ?? {}) as { Constraint?: Node };
    if (subtype !== 'AT_AddConstraint' || !added) continue;
    if (added.contype === 'CONSTR_FOREIGN' && added.skip_validation === true && version < NOT_VALID_KEYS)
      return {
        message: `a foreign key that is NOT VALID is refused by PostgreSQL here: ${String(relation.relname)} is partitioned`,
        next: 'Add it NOT VALID to each partition, validate it there, then add it to the partitioned table.',
      };
    if (added.indexname !== undefined)
      return {
        message: `ADD CONSTRAINT ... USING INDEX is refused by PostgreSQL here: ${String(relation.relname)} is partitioned`,
        next: 'A unique index on the partitioned table, built partition by partition, does the same.',
      };
  }
  return undefined;
}

import type { Problem } from '../../lib/report.js';
import type { Node } from '../sql/parse-tree.js';
import { positionIn } from '../sql/source-text.js';
import type { PlannedFile } from './batches.js';

/** One problem for each statement that changes rows of a schema which a backup leaves out. */
export function platformWrites(files: readonly PlannedFile[], schemas: readonly string[]): Problem[] {
  return files.flatMap(({ file, source, shape }) =>
    (shape.statements ?? []).flatMap(({ kind, node, from }) =>
      writtenRelations(kind, node)
        .filter(({ schemaname }) => schemas.includes(String(schemaname)))
        .map(({ schemaname, relname }) => ({
          message: `changes rows of ${String(schemaname)}.${String(relname)}, which the backup does not hold`,
          at: positionIn(file, source, from),
          next: 'Say backup-platform-data: on, or rest on the backups of Supabase for these rows.',
        })),
    ),
  );
}

/** The tables whose rows a statement changes itself, also inside WITH. */
function writtenRelations(kind: string, node: Node): Node[] {
  const { ctes } = (node.withClause ?? {}) as { ctes?: { CommonTableExpr?: { ctequery?: Node } }[] };
  const inside = (ctes ?? []).flatMap(({ CommonTableExpr: each }) =>
    Object.entries(each?.ctequery ?? {}).flatMap(([inner, query]) => writtenRelations(inner, query as Node)),
  );
  return [...ownRelations(kind, node), ...inside];
}

function ownRelations(kind: string, node: Node): Node[] {
  switch (kind) {
    case 'InsertStmt':
    case 'UpdateStmt':
    case 'DeleteStmt':
    case 'MergeStmt':
      return [node.relation as Node];
    case 'CopyStmt':
      return node.is_from === true && node.relation ? [node.relation as Node] : [];
    case 'TruncateStmt':
      return ((node.relations as { RangeVar: Node }[] | undefined) ?? []).map(({ RangeVar }) => RangeVar);
    default:
      return [];
  }
}

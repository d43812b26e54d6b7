import type { SourcePosition } from '../base/report.js';
import type { PlannedFile } from './batches.js';
import { type Rule, rulesFor, tableName } from './finding-rules.js';
import type { Statement } from './parser.js';
import { oneLine, positionIn } from './source-text.js';

/** A statement that deletes data, or that holds a lock under which the application has to wait. */
export interface Finding extends Rule {
  at: SourcePosition;
  /** The statement in one short line. */
  statement: string;
}

/**
 * Finds destructive and locking statements in files that are to be applied. What the same files create first holds no
 * data and nobody waits for it, so it is left out. Statements inside functions and DO blocks are not looked into.
 */
export function findRisks(files: readonly PlannedFile[]): Finding[] {
  const created = new Set<string>();
  const findings: Finding[] = [];
  for (const file of files) {
    for (const statement of file.shape.statements ?? []) {
      for (const found of rulesFor(statement, created)) {
        findings.push({
          ...found,
          at: positionIn(file.file, file.source, statement.from),
          statement: oneLine(file.shape.source.slice(statement.from, statement.to)),
        });
      }
      const made = createdTable(statement);
      if (made !== undefined) created.add(made);
    }
  }
  return findings;
}

function createdTable({ kind, node }: Statement): string | undefined {
  if (kind === 'CreateStmt') return tableName(node.relation);
  if (kind === 'CreateTableAsStmt') return tableName((node.into as { rel?: unknown } | undefined)?.rel);
  return undefined;
}

import type { SourcePosition } from '../../lib/report.js';
import { oneLine, positionIn } from '../sql/source-text.js';
import type { PlannedFile } from './batches.js';
import { createdTables } from './created-tables.js';
import { type LintRule, rulesFor } from './lint-rules.js';

/** A statement that deletes data, or that holds a lock under which the application has to wait. */
export interface LintFinding extends LintRule {
  at: SourcePosition;
  /** The statement in one short line. */
  statement: string;
  /** Its file waits until health has passed, by its own marker or that of a file before it. */
  waits: boolean;
}

/**
 * Finds destructive and locking statements in files that are to be applied. What the same files create first holds no
 * data and nobody waits for it, so it is left out. Statements inside functions and DO blocks are not looked into.
 */
export function lintFiles(files: readonly PlannedFile[]): LintFinding[] {
  const tables = createdTables();
  const findings: LintFinding[] = [];
  let waits = false;
  for (const file of files) {
    waits ||= file.afterHealth;
    for (const statement of file.shape.statements ?? []) {
      for (const found of rulesFor(statement, tables)) {
        findings.push({
          ...found,
          at: positionIn(file.file, file.source, statement.from),
          statement: oneLine(file.shape.source.slice(statement.from, statement.to)),
          waits,
        });
      }
      tables.follow(statement);
    }
    tables.endFile();
  }
  return findings;
}

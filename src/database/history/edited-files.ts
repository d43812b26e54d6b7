import { basename } from 'node:path';
import type { Problem } from '../../lib/report.js';
import type { Database, SendOptions } from '../connection/connection.js';
import { jsonField } from '../connection/results.js';
import { retryRead } from '../connection/retry-read.js';
import type { MigrationFile } from '../migrations/migration-files.js';
import { splitAsCli } from '../migrations/split-statements.js';
import { positionIn } from '../sql/source-text.js';
import { skipBlanks } from '../sql/sql-lexer.js';
import { textArray } from '../sql/sql-text.js';
import { statementKind } from '../sql/statement-kind.js';
import { HISTORY_TABLE } from './deploy-tables.js';
import type { FileRules } from './pending-files.js';
import { textHash, textHashSql } from './text-hash.js';

/** Statements are compared for this many edited files; for the others it is said only that they were edited. */
const COMPARED = 20;

/**
 * Names, for each applied file that has changed since, the first statement that differs from what was recorded. What
 * was recorded may hold the secret that was taken out of the file: its text never leaves the database, only hashes do.
 */
export async function editedProblems(
  database: Database,
  edited: readonly MigrationFile[],
  rule: FileRules['editedMigrations'],
  sending: SendOptions,
): Promise<Problem[]> {
  if (edited.length === 0 || rule === 'allow') return [];
  const versions = textArray(edited.slice(0, COMPARED).map((file) => file.version));
  const message = `select coalesce(json_object_agg(version, array(
    select ${textHashSql('s')} from unnest(statements) with ordinality u(s, n) order by n)), '{}')::text as recorded
    from ${HISTORY_TABLE} where version = any (${versions})`;
  const results = await retryRead(sending.signal, () => database.send(message, sending));
  const recorded = jsonField<Record<string, string[]>>(results, 'recorded') ?? {};
  return edited.map((file) => {
    const hashes = recorded[file.version];
    const { at, words } = hashes
      ? firstDifference(file, hashes)
      : { at: positionIn(file.file, file.source, 0), words: '' };
    return {
      message: `${basename(file.file)} was edited after it was applied${words}`,
      at,
      next: 'The edit does not reach this database: put the file back, and make the change in a new migration.',
    };
  });
}

/** Where the file first says something else than what was recorded; white space and semicolons do not count. */
function firstDifference(
  file: Pick<MigrationFile, 'file' | 'source'>,
  recorded: readonly string[],
): { at: NonNullable<Problem['at']>; words: string } {
  let index = 0;
  const statements = splitAsCli(file.source);
  for (const [number, statement] of statements.entries()) {
    const from = file.source.indexOf(statement, index);
    if (recorded[number] !== textHash(statement)) {
      const kind = statementKind(statement);
      const which = `its statement ${number + 1}${kind === undefined ? '' : ` (${kind})`}`;
      const how = recorded[number] === undefined ? 'was not recorded' : 'is not the one that was recorded';
      return {
        // Comments before a statement belong to it, as the CLI has it.
        at: positionIn(file.file, file.source, skipBlanks(file.source, from)),
        words: `: ${which} ${how}`,
      };
    }
    index = from + statement.length;
  }
  return {
    at: positionIn(file.file, file.source, index),
    words: `: ${recorded.length} ${recorded.length === 1 ? 'statement was' : 'statements were'} recorded, and it has ${statements.length}`,
  };
}

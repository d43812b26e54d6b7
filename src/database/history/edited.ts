import { basename } from 'node:path';
import type { Problem } from '../../base/report.js';
import type { DatabaseSettings } from '../../settings/settings.js';
import { jsonField } from '../connection/answer.js';
import type { Database, SendOptions } from '../connection/connection.js';
import { reading } from '../connection/reading.js';
import type { MigrationFile } from '../files/migration-files.js';
import { splitAsCli } from '../files/split.js';
import { oneLine, positionIn } from '../sql/source-text.js';
import { textArray } from '../sql/sql-text.js';
import { HISTORY_TABLE } from './bookmark.js';
import { textHash } from './migration-history.js';

/** Statements are fetched for this many edited files; for the others it is said only that they were edited. */
const COMPARED = 20;

/** Names, for each applied file that has changed since, the first statement that differs from what was recorded. */
export async function editedProblems(
  database: Database,
  edited: readonly MigrationFile[],
  rule: DatabaseSettings['editedMigrations'],
  sending: SendOptions,
): Promise<Problem[]> {
  if (edited.length === 0 || rule === 'allow') return [];
  const versions = textArray(edited.slice(0, COMPARED).map((file) => file.version));
  const message = `select coalesce(json_object_agg(version, statements), '{}')::text as recorded from ${HISTORY_TABLE} where version = any (${versions})`;
  const results = await reading(sending.signal, () => database.send(message, sending));
  const recorded = jsonField<Record<string, string[] | null>>(results, 'recorded') ?? {};
  return edited.map((file) => {
    const { at, words } = firstDifference(file, recorded[file.version] ?? []);
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
  for (const [number, statement] of splitAsCli(file.source).entries()) {
    const from = file.source.indexOf(statement, index);
    const before = recorded[number];
    if (before === undefined || textHash(before) !== textHash(statement)) {
      const was = before === undefined ? 'nothing' : oneLine(before, 60);
      return {
        at: positionIn(file.file, file.source, from),
        words: `: recorded was ${was}, the file says ${oneLine(statement, 60)}`,
      };
    }
    index = from + statement.length;
  }
  return {
    at: positionIn(file.file, file.source, index),
    words: ': recorded were more statements than the file has now',
  };
}

import { basename } from 'node:path';
import type { Problem } from '../../lib/report.js';
import { titleOf } from '../migrations/batches.js';
import type { MigrationFile } from '../migrations/migration-files.js';
import { splitAsCli } from '../migrations/split-statements.js';
import { textHash } from './text-hash.js';

/** What is recorded of a version. */
export interface RecordedText {
  version: string;
  name: string | null;
  /** As textHash; null where no text was recorded. */
  textHash: string | null;
  /** SHA-256 of the file that we applied; null where another tool applied it. */
  checksum: string | null;
}

/** Whether a file says something else than what was recorded; false where nothing tells. */
export function isEdited(file: Pick<MigrationFile, 'source' | 'checksum'>, row: RecordedText): boolean {
  // The text decides, not the bytes: a checkout with other line endings is no edit.
  if (row.textHash !== null) return !hasText(file, row.textHash);
  return row.checksum !== null && row.checksum !== file.checksum;
}

/** The text as a whole, or as it is recorded statement by statement. */
export function hasText({ source }: Pick<MigrationFile, 'source'>, hash: string): boolean {
  return hash === textHash(source) || hash === textHash(splitAsCli(source).join('\n'));
}

/**
 * Why a file whose version is recorded was never run: under that version another one was, as when two branches took
 * the same time stamp. Undefined where it was run, also where it has only been renamed since.
 */
export function neverRun(file: MigrationFile, row: RecordedText): Problem | undefined {
  if (!row.name || row.name === file.name) return undefined;
  const known = row.textHash !== null || row.checksum !== null;
  if (known && !isEdited(file, row)) return undefined;
  return {
    message: `${basename(file.file)} was never run: version ${file.version} is recorded as ${titleOf(row)}`,
    at: { file: file.file, line: 1, column: 1 },
    next: `Give ${basename(file.file)} a later version, so that it runs. Where it is ${titleOf(row)} under another name, and the database is as it says: supabase migration repair --status applied ${file.version}.`,
  };
}

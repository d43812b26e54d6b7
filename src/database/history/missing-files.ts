import { basename } from 'node:path';
import type { Problem } from '../../lib/report.js';
import { shortenList } from '../../lib/shorten-list.js';
import type { Database, SendOptions } from '../connection/connection.js';
import { jsonField } from '../connection/results.js';
import { retryRead } from '../connection/retry-read.js';
import { titleOf } from '../migrations/batches.js';
import type { MigrationFile } from '../migrations/migration-files.js';
import { splitAsCli } from '../migrations/split-statements.js';
import { textArray } from '../sql/sql-text.js';
import { HISTORY_TABLE } from './deploy-tables.js';
import { hasText, type RecordedText } from './same-version.js';
import { textHash, textHashSql } from './text-hash.js';

/** So many versions without a file are looked for in the files that are there. */
const LOOKED_FOR = 50;

/** Where the text of a recorded version stands now. */
interface Likeness {
  row: RecordedText;
  file: MigrationFile;
  how: 'renumbered' | 'squashed';
}

/**
 * What there is to say of recorded versions that have no file: where the text of one stands in another file, that it
 * was renumbered or squashed, and how the history is told. Texts never leave the database, only hashes do.
 */
export async function missingProblem(
  database: Database,
  missing: readonly RecordedText[],
  { files, recorded }: { files: readonly MigrationFile[]; recorded: ReadonlySet<string> },
  sending: SendOptions,
): Promise<Problem> {
  const alike = await likenesses(database, missing, files, sending);
  const rest = missing.filter((row) => !alike.some((each) => each.row === row));
  const told = alike.map(
    ({ row, file, how }) =>
      `${basename(file.file)} holds ${how === 'renumbered' ? 'the text' : 'the statements'} of ${titleOf(row)}`,
  );
  const applied = new Set(alike.map(({ file }) => file.version).filter((version) => !recorded.has(version)));
  const repair = [
    `supabase migration repair --status reverted ${alike.map(({ row }) => row.version).join(' ')}`,
    ...(applied.size > 0 ? [`supabase migration repair --status applied ${[...applied].join(' ')}`] : []),
  ].join(' && ');
  const next = [
    ...(alike.length > 0
      ? [`${shortenList(told, 5)}: where it was renumbered or squashed, tell the history so: ${repair}.`]
      : []),
    ...(rest.length > 0
      ? [
          `Get the files${alike.length > 0 ? ` of ${shortenList(rest.map(titleOf))}` : ''}: merge the branch that holds them, or run \`supabase migration fetch\`. Do not delete the rows: what they did is in the database. missing-migrations: warn goes on without them.`,
        ]
      : []),
  ];
  return {
    message: `${missing.length} applied ${missing.length === 1 ? 'version has' : 'versions have'} no file here: ${shortenList(missing.map(titleOf), 10)}`,
    next: next.join(' '),
  };
}

async function likenesses(
  database: Database,
  missing: readonly RecordedText[],
  files: readonly MigrationFile[],
  sending: SendOptions,
): Promise<Likeness[]> {
  const found: Likeness[] = [];
  const rest: RecordedText[] = [];
  for (const row of missing.slice(0, LOOKED_FOR)) {
    const { textHash: hash } = row;
    const file = hash === null ? undefined : files.find((each) => hasText(each, hash));
    if (file) found.push({ row, file, how: 'renumbered' });
    else if (hash !== null) rest.push(row);
  }
  if (rest.length === 0) return found;
  const message = `select coalesce(json_object_agg(version, array(
    select ${textHashSql('s')} from unnest(statements) u(s))), '{}')::text as recorded
    from ${HISTORY_TABLE} where version = any (${textArray(rest.map(({ version }) => version))})`;
  const results = await retryRead(sending.signal, () => database.send(message, sending));
  const recorded = jsonField<Record<string, string[]>>(results, 'recorded') ?? {};
  for (const file of files) {
    const hashes = new Set(splitAsCli(file.source).map(textHash));
    for (const row of rest) {
      const own = recorded[row.version] ?? [];
      const holds = own.length > 0 && own.every((hash) => hashes.has(hash));
      if (holds && !found.some((each) => each.row === row)) found.push({ row, file, how: 'squashed' });
    }
  }
  return found;
}

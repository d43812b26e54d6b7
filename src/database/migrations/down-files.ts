import { Failure, type Problem } from '../../lib/report.js';
import type { Parse, PlacedStatement } from '../sql/parser.js';
import { blank } from '../sql/source-text.js';
import { afterToken, skipBlanks } from '../sql/sql-lexer.js';
import { classify } from './classify.js';
import type { FileShape } from './file-shape.js';
import { whyNonTransactional } from './non-transactional.js';
import { openFolder, outside, type ProjectFolder } from './project-folder.js';

/** A down file as it was recorded or found. */
export interface DownText {
  version: string;
  name: string;
  /** The place that errors name, also where only the recorded text is left; nothing is read by it. */
  file: string;
  source: string;
  /** It stands so in the database alone, and may hold what was taken out of the file: it is run, and never shown. */
  unseen?: true;
}

/** The name of the down file beside a migration. Version and name may come from a database: it is no path. */
export function downName(version: string, name: string): string {
  return `${version}_${name}.down.sql`;
}

/** The folder in which down files lie beside their migrations; undefined where the checkout has none. */
export async function openDowns(
  workingDirectory: string,
  migrationsDir: string,
): Promise<ProjectFolder | undefined> {
  try {
    return await openFolder(workingDirectory, migrationsDir);
  } catch (error) {
    if (error instanceof Failure) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new Failure(unreadable(migrationsDir, code));
  }
}

/**
 * The down file of that name, for a migration that this action did not apply; undefined where there is none.
 * One that is there and cannot be read is a Failure: a schema must not be kept because of a wrong encoding.
 * `shown`: its path, for messages.
 */
export function readDownFile(folder: ProjectFolder, name: string, shown: string): string | undefined {
  const bytes = folder.read(name);
  if (bytes === undefined) return undefined;
  if (bytes === 'outside') throw new Failure(outside(shown));
  if (bytes === 'no file') throw new Failure(unreadable(shown, 'it is no file'));
  if ('code' in bytes) throw new Failure(unreadable(shown, bytes.code));
  const text = bytes.toString('utf8');
  if (bytes.includes(0) || !Buffer.from(text, 'utf8').equals(bytes))
    throw new Failure({ message: `${shown} is not valid UTF-8`, next: 'Save the file as UTF-8.' });
  return text.replace(/^\ufeff/, '');
}

function unreadable(shown: string, why: string | undefined): Problem {
  return {
    message: `${shown} cannot be read: ${why ?? 'error'}`,
    next: 'Check the file and its permissions.',
  };
}

export interface PreparedDown {
  source: string;
  /** Where its statements stand in the source; they are run one by one, so that an error has a place. */
  statements: PlacedStatement[];
  notices: Problem[];
  problems: Problem[];
}

/**
 * A down file made fit for one transaction: its own BEGIN and COMMIT blanked as in a migration, and CONCURRENTLY
 * blanked too, because what undoes a run is undone as a whole or not at all. All offsets are kept.
 */
export function prepareDown(down: DownText, parse: Parse): PreparedDown {
  const shape = classify(down.file, down.source, parse);
  if (shape.problems.length > 0)
    return { source: shape.source, statements: [], notices: [], problems: shape.problems };
  const { source, plain, never } = forOneTransaction(shape);
  const notices = [...shape.notices, ...shape.remarks.map(({ problem }) => problem)];
  const problems: Problem[] = [];
  if (shape.statements?.some(({ kind }) => kind === 'TransactionStmt'))
    problems.push({
      message: `${down.file} uses savepoints, which a down file cannot have`,
      next: 'Remove them: the down file runs in one transaction with its history row.',
    });
  if (shape.transactions > 1)
    problems.push({
      message: `${down.file} has COMMITs of its own, which a down file cannot have`,
      next: 'Remove them: the down file runs in one transaction with its history row.',
    });
  for (const { what } of never)
    problems.push({
      message: `${down.file} holds ${what}, which cannot run in a transaction`,
      next: 'Write the down file without it, or undo this migration by hand and use rollback-database: records.',
    });
  if (plain > 0)
    notices.push({
      message: `${down.file}: CONCURRENTLY is left out, because the rollback is one transaction; the table is locked meanwhile`,
    });
  // Where our parser did not understand the file, the server of another version may: it gets the whole.
  const whole = source.trim() === '' ? [] : [{ from: 0, to: source.length }];
  return { source, statements: shape.statements ?? whole, notices, problems };
}

/**
 * A file's text with CONCURRENTLY blanked: `plain` counts how often. `never`: the statements that no transaction can
 * hold in any form, such as VACUUM.
 */
export function forOneTransaction(shape: Pick<FileShape, 'source' | 'statements'>): {
  source: string;
  plain: number;
  never: { what: string; from: number; to: number }[];
} {
  let { source } = shape;
  let plain = 0;
  const never: { what: string; from: number; to: number }[] = [];
  for (const statement of shape.statements ?? []) {
    const what = whyNonTransactional(statement);
    if (what === undefined) continue;
    const { from, to } = statement;
    const word = what.endsWith('CONCURRENTLY') ? concurrently(source, from, to) : undefined;
    if (word === undefined) never.push({ what, from, to });
    else {
      source = blank(source, word, word + 'concurrently'.length);
      plain++;
    }
  }
  return { source, plain, never };
}

/** Where the keyword stands in a statement that has it: the word itself, and not behind a dot, where it is a name. */
function concurrently(source: string, from: number, to: number): number | undefined {
  let before = '';
  for (let index = skipBlanks(source, from); index < to; ) {
    const next = afterToken(source, index);
    const token = source.slice(index, next);
    if (token.toLowerCase() === 'concurrently' && before !== '.') return index;
    before = token;
    index = skipBlanks(source, next);
  }
  return undefined;
}

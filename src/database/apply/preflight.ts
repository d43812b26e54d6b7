import type { Problem } from '../../lib/report.js';
import type { Database, SendOptions } from '../connection/connection.js';
import { retryRead } from '../connection/retry-read.js';
import { SqlError } from '../connection/sql-error.js';
import { sqlProblem } from '../connection/sql-problem.js';
import { CODES } from '../history/error-codes.js';
import type { PlannedFile } from '../migrations/batches.js';
import { psqlVariable } from '../migrations/psql-commands.js';
import { indexOfCodePoint, positionIn } from '../sql/source-text.js';

const PREFIX = `do $muva$begin raise exception using errcode = '${CODES.parsed}'; end$muva$;\n`;
const BETWEEN = '\n;\n';

/**
 * Lets the server parse every file without running anything: it parses a whole message before it runs the first
 * statement, and the first statement raises. All files go in one message; only a broken one costs another.
 */
export async function preflight(
  database: Database,
  files: readonly PlannedFile[],
  options: SendOptions,
): Promise<Problem[]> {
  const problems: Problem[] = [];
  // A file that the local parser doubts may hold an open quote that would swallow its neighbours: it goes alone.
  for (const file of files.filter((each) => each.shape.doubt)) {
    const wrong = await parseAtServer(database, [file], options);
    if (wrong) problems.push(wrong.problem);
  }
  let rest = files.filter((file) => !file.shape.doubt);
  while (rest.length > 0) {
    const wrong = await parseAtServer(database, rest, options);
    if (!wrong) break;
    problems.push(wrong.problem);
    rest = rest.filter((file) => file !== wrong.file);
  }
  return problems;
}

async function parseAtServer(
  database: Database,
  files: readonly PlannedFile[],
  options: SendOptions,
): Promise<{ file: PlannedFile; problem: Problem } | undefined> {
  const message = PREFIX + files.map((file) => file.shape.source).join(BETWEEN);
  try {
    await retryRead(options.signal, () => database.send(message, options));
  } catch (error) {
    if (!(error instanceof SqlError)) throw error;
    if (error.code === CODES.parsed) return undefined;
    return blame(message, files, error);
  }
  throw new Error('the preflight message ran: the server did not stop at its first statement');
}

function blame(
  message: string,
  files: readonly PlannedFile[],
  error: SqlError,
): { file: PlannedFile; problem: Problem } {
  const index = indexOfCodePoint(message, error.position ?? 1);
  let from = PREFIX.length;
  let found = files[0]!;
  let start = from;
  for (const file of files) {
    if (index < from) break;
    found = file;
    start = from;
    from += file.shape.source.length + BETWEEN.length;
  }
  const variable = psqlVariable(found.source, index - start);
  const next =
    variable === undefined
      ? 'Correct the file; nothing was applied.'
      : `${variable} is a variable of psql, which nothing fills in here. Write the value itself, or take it from a table or a setting; a password belongs into no file: set it by hand.`;
  return {
    file: found,
    problem: { ...sqlProblem(error, next), at: positionIn(found.file, found.source, index - start) },
  };
}

import { formatProblem, SERVER_FORMATS } from '../../lib/record-format.js';
import { Failure } from '../../lib/report.js';
import { quote } from '../../lib/shell.js';
import { readText, writeAtomically } from './files.js';

/** JSON that a later run reads again, perhaps one of another version: each says its format. */

/** One record as text, on one line. */
export function recordText(value: object): string {
  return JSON.stringify({ format: SERVER_FORMATS.newest, ...value });
}

export function writeRecord(file: string, value: object): void {
  writeAtomically(file, `${recordText(value)}\n`);
}

/** What a record holds, without its format. `what`: what it is, for the message. @throws a Failure where it cannot be read. */
export function parseRecord<T extends object>(text: string, file: string, what = file): T {
  const begin = `Look what it is; to go on without it, move it away: mv ${quote(file)} ${quote(`${file}.old`)}`;
  let value: (T & { format?: unknown }) | null;
  try {
    value = JSON.parse(text) as typeof value;
  } catch {
    throw new Failure({ message: `${what} is torn: it is no JSON. Nothing was changed.`, next: begin });
  }
  const problem = formatProblem(what, value?.format, SERVER_FORMATS, begin);
  if (problem !== undefined) throw new Failure(problem);
  const { format: _, ...rest } = value!;
  return rest as unknown as T;
}

/** What the file holds; undefined where there is none. @throws a Failure where it cannot be read. */
export function readRecord<T extends object>(file: string): T | undefined {
  const text = readText(file);
  return text === undefined ? undefined : parseRecord<T>(text, file);
}

/**
 * The same for what only tells who is at work: nothing is decided by it that a kernel's lock does not decide. undefined
 * also where it cannot be read.
 */
export function readMark<T extends object>(file: string): T | undefined {
  try {
    return readRecord<T>(file);
  } catch (error) {
    if (error instanceof Failure) return undefined;
    throw error;
  }
}

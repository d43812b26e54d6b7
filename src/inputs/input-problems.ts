import type { NameProblem } from './checks/names.js';
import type { InputReader } from './input-reader.js';
import { INPUT_NAMES, type InputName, type ReadInput, type TextInput } from './input-sources.js';
import { holdsPrivateKey, quoteEntryIfSafe } from './quote-if-safe.js';

export function checked(
  reader: InputReader,
  name: TextInput,
  check: (value: string) => NameProblem,
): string | undefined {
  const value = reader.value(name);
  if (value !== undefined) addInputProblem(reader, name, check(value));
  return value;
}

export function addInputProblem(reader: InputReader, name: InputName, complaint: NameProblem): void {
  if (complaint) reader.complain(name, complaint.wrong, complaint.right);
}

/** Complains about every entry of a list that does not pass, each by its name. */
export function addEntryProblems(
  reader: InputReader,
  name: InputName,
  entries: readonly string[],
  check: (entry: string) => NameProblem,
): void {
  entries.forEach((entry, index) => {
    const complaint = check(entry);
    if (complaint)
      reader.complain(name, `${quoteEntryIfSafe(entry, index)} ${complaint.wrong}`, complaint.right);
  });
}

/** Secrets get swapped: a private key in any input but its own is told as that, once and without its text. */
export function addMisplacedKeyProblems(reader: InputReader, read: ReadInput): void {
  for (const name of INPUT_NAMES) {
    if (name === 'ssh-private-key' || name === 'env-file' || !holdsPrivateKey(read(name))) continue;
    reader.refuse(
      name,
      'is a private key, which belongs into ssh-private-key',
      'Swap the two. If it was a variable and not a secret, make a new key: variables are shown in the log.',
    );
  }
}

import { INPUT_NAMES, type InputName, type ReadInput, type TextInput } from './inputs.js';
import type { Complaint } from './names.js';
import type { InputReader } from './readers.js';
import { holdsPrivateKey, shownEntry } from './shown.js';

export function checked(
  reader: InputReader,
  name: TextInput,
  check: (value: string) => Complaint,
): string | undefined {
  const value = reader.value(name);
  if (value !== undefined) complainAbout(reader, name, check(value));
  return value;
}

export function complainAbout(reader: InputReader, name: InputName, complaint: Complaint): void {
  if (complaint) reader.complain(name, complaint.wrong, complaint.right);
}

/** Complains about every entry of a list that does not pass, each by its name. */
export function complainAboutEntries(
  reader: InputReader,
  name: InputName,
  entries: readonly string[],
  check: (entry: string) => Complaint,
): void {
  entries.forEach((entry, index) => {
    const complaint = check(entry);
    if (complaint) reader.complain(name, `${shownEntry(entry, index)} ${complaint.wrong}`, complaint.right);
  });
}

/** Secrets get swapped: a private key in any input but its own is told as that, once and without its text. */
export function complainAboutMisplacedKeys(reader: InputReader, read: ReadInput): void {
  for (const name of INPUT_NAMES) {
    if (name === 'ssh-private-key' || name === 'env-file' || !holdsPrivateKey(read(name))) continue;
    reader.refuse(
      name,
      'is a private key, which belongs into ssh-private-key',
      'Swap the two. If it was a variable and not a secret, make a new key: variables are shown in the log.',
    );
  }
}

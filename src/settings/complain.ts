import type { InputName } from './inputs.js';
import type { Complaint } from './names.js';
import type { InputReader } from './readers.js';

export function checked(
  reader: InputReader,
  name: InputName,
  check: (value: string) => Complaint,
): string | undefined {
  const value = reader.optional(name);
  if (value !== undefined) complainAbout(reader, name, check(value));
  return value;
}

export function complainAbout(reader: InputReader, name: InputName, complaint: Complaint): void {
  if (complaint) reader.complain(name, complaint.wrong, complaint.right);
}

import { stripVTControlCharacters } from 'node:util';

/**
 * One line of untrusted text (a program's output, a server's message) with nothing in it that a terminal or the
 * GitHub runner would obey: no escape sequences or control characters, no `::command::` at its start, and none
 * of the older `##[command]` that the runner obeys anywhere in a line.
 */
export function inertLine(line: string): string {
  // A progress bar rewrites its line with carriage returns; what stood there last is what a person would see.
  const shown = line.replace(/\r+$/, '');
  const last = shown.slice(shown.lastIndexOf('\r') + 1);
  const plain = stripVTControlCharacters(last).replace(/[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]/g, '');
  return plain.replaceAll('##[', '# #[').replace(/^(\s*):(?=:)/, '$1: ');
}

/** Untrusted text as inert lines, without empty lines at its end. */
export function inertLines(text: string): string[] {
  const lines = text.split(/\r?\n/).map(inertLine);
  while (lines.length > 0 && lines.at(-1)!.trim() === '') lines.pop();
  return lines;
}

/**
 * Quotes one word for a POSIX shell, whatever it holds.
 * @throws Error on a NUL byte, which cannot be passed in an argument.
 */
export function quote(word: string): string {
  if (word.includes('\0')) throw new Error('a NUL byte cannot be part of a shell word');
  if (/^[A-Za-z0-9_/:=.,@%+-]+$/.test(word) && !word.startsWith('-') && !word.startsWith('=')) return word;
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

/** A command line from its words, each quoted. @throws Error on a NUL byte. */
export function commandLine(...words: string[]): string {
  return words.map((word) => (/^-[A-Za-z0-9-]+$/.test(word) ? word : quote(word))).join(' ');
}

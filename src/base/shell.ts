/** One word for a POSIX shell, safe whatever it holds. NUL cannot be passed in an argument and is refused. */
export function quote(word: string): string {
  if (word.includes('\0')) throw new Error('a NUL byte cannot be part of a shell word');
  if (/^[A-Za-z0-9_/:=.,@%+-]+$/.test(word) && !word.startsWith('-') && !word.startsWith('=')) return word;
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

/** A command line from its words, each quoted. */
export function commandLine(...words: string[]): string {
  return words.map((word) => (/^-[A-Za-z0-9-]+$/.test(word) ? word : quote(word))).join(' ');
}

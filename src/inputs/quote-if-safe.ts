/**
 * How a value may stand in a complaint. Any input can hold a secret that was pasted into the wrong place, and the log
 * and the report of a refused run are read by many: so a value is quoted only where it is short and plainly harmless.
 */

/** Characters of the longest value that is quoted. */
const LONGEST = 40;

/** What names, paths, lists, numbers and their misspellings are made of; no `@`, no `:`, no line break. */
const PLAIN = /^[\p{L}\p{M}\p{N} ._,/;*?"'()~+-]*$/u;

/** Letters and digits without a break, as keys and tokens have them and words do not. */
const TOKEN = /(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{12}|[A-Za-z0-9]{20}/;

export function isSafeToQuote(value: string): boolean {
  return value.length <= LONGEST && PLAIN.test(value) && !TOKEN.test(value);
}

/** The subject of a complaint about a whole value: the value itself, or how long it is. */
export function quoteIfSafe(value: string): string {
  return isSafeToQuote(value) ? JSON.stringify(value) : `a value of ${value.length} characters`;
}

/** The subject of a complaint about one entry of a list; `index` counts from 0. */
export function quoteEntryIfSafe(entry: string, index: number): string {
  return isSafeToQuote(entry) ? JSON.stringify(entry) : `entry ${index + 1}`;
}

/** True for what can only be a private key, whole or cut, whatever input it was pasted into. */
export function holdsPrivateKey(value: string): boolean {
  return /-----BEGIN [A-Z0-9 ]*PRIVATE KEY|PuTTY-User-Key-File|b3BlbnNzaC1rZXktdjE/.test(value);
}

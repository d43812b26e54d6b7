import { randomBytes } from 'node:crypto';

/** A text literal, right whatever standard_conforming_strings says. */
export function literal(text: string | null | undefined): string {
  if (text === null || text === undefined) return 'null';
  if (text.includes('\0')) throw new Error('a NUL character cannot be part of SQL');
  const quoted = text.replaceAll("'", "''");
  return quoted.includes('\\') ? ` E'${quoted.replaceAll('\\', '\\\\')}'` : `'${quoted}'`;
}

/** An identifier, always quoted. */
export function identifier(...parts: string[]): string {
  return parts.map((part) => `"${part.replaceAll('"', '""')}"`).join('.');
}

/** A dollar-quoted text whose tag does not occur in it. */
export function dollarQuote(text: string): string {
  const tag = freeTag(text);
  return `${tag}${text}${tag}`;
}

/** A dollar-quote tag that does not occur in `text`; random, so that no file can be written to end its own quote. */
function freeTag(text: string): string {
  for (;;) {
    const tag = `$m${randomBytes(8).toString('hex')}$`;
    if (!text.includes(tag)) return tag;
  }
}

/** An array of texts. */
export function textArray(items: readonly string[]): string {
  return items.length === 0 ? "'{}'::text[]" : `array[${items.map(literal).join(',')}]::text[]`;
}

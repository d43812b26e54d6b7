import { inertLine } from '../base/inert.js';

const STRUCTURE = /[\\`*_{}[\]()<>#+!|~&$]/g;

/**
 * Untrusted text as Markdown that shows exactly that text: everything that Markdown or HTML would read as
 * structure becomes a character reference, and mentions and issue references are kept from linking.
 */
export function escapeText(text: string): string {
  return text
    .split(/\r?\n/)
    .map((line) => inertLine(line).replace(STRUCTURE, reference))
    .join('<br>')
    .replace(/@(?=\w)/g, '@&#8203;')
    .replace(/&#35;(?=\d)/g, '&#35;&#8203;');
}

/** Untrusted text in a fixed-width font, on one line; safe inside a table cell. */
export function code(text: string): string {
  if (text === '') return '';
  const shown = text
    .split(/\r?\n/)
    .map(inertLine)
    .join(' ')
    .replace(STRUCTURE, reference)
    .replace(/@(?=\w)/g, '@&#8203;');
  return `<code>${shown}</code>`;
}

/** Untrusted text as a preformatted block. */
export function block(lines: readonly string[]): string {
  const text = lines.map((line) => inertLine(line).replace(/[&<>]/g, reference)).join('\n');
  return `<pre>${text}</pre>`;
}

/** A link whose target was made by us; the text is escaped. */
export function link(text: string, url: string | undefined): string {
  return url === undefined ? code(text) : `<a href="${url.replace(/[&<>"|]/g, reference)}">${code(text)}</a>`;
}

/**
 * A table of cells that are Markdown already; rows above `most` are counted instead of shown, and a last column
 * with nothing in it is left out.
 */
export function table(head: readonly string[], rows: readonly (readonly string[])[], most = 200): string[] {
  if (rows.length === 0) return [];
  const columns = rows.some((row) => row.at(-1) !== '') ? head.length : head.length - 1;
  const line = (cells: readonly string[]): string => `| ${cells.slice(0, columns).join(' | ')} |`;
  const rest = rows.length - most;
  return [
    '',
    line(head),
    line(head.map(() => '---')),
    ...rows.slice(0, most).map(line),
    ...(rest > 0 ? ['', `${rest} more rows are in the report file.`] : []),
    '',
  ];
}

/** A part that a reader opens; blank lines around it, because Markdown inside HTML needs them. */
export function folded(title: string, lines: readonly string[]): string[] {
  return lines.length === 0
    ? []
    : ['<details><summary>' + title + '</summary>', '', ...lines, '', '</details>', ''];
}

function reference(character: string): string {
  return `&#${character.codePointAt(0)};`;
}

const STRUCTURE = /[\\`*_{}[\]()<>#+!|~&$]/g;
const ADDRESS = /https?:\/\/[^\s<>"'`{}|\\^]+/g;

/**
 * Untrusted text as Markdown that shows exactly that text: everything that Markdown or HTML would read as structure
 * becomes a character reference, and mentions and issue references are kept from linking. Addresses become links.
 */
export function escapeText(text: string): string {
  return text.split(/\r?\n/).map(escapeLine).join('<br>');
}

function escapeLine(line: string): string {
  let shown = '';
  let from = 0;
  for (const match of line.matchAll(ADDRESS)) {
    const address = withoutSentence(match[0]);
    shown += characters(line.slice(from, match.index)) + markdownLink(address, address);
    from = match.index + address.length;
  }
  return shown + characters(line.slice(from));
}

/** An address without what belongs to the sentence around it: a full stop, or a bracket that was opened before it. */
function withoutSentence(address: string): string {
  const count = (character: string): number => address.split(character).length - 1;
  const opened = (close: string, open: string): boolean =>
    address.endsWith(close) && count(close) > count(open);
  if (/[.,;:!?*_~]$/.test(address) || opened(')', '(') || opened(']', '['))
    return withoutSentence(address.slice(0, -1));
  return address;
}

/**
 * GitHub makes links of addresses in the source, and takes our references for a part of them; so none is left in it
 * that looks like one. An element around @ and # hides them from GitHub, and is not there when the text is copied.
 */
function characters(text: string): string {
  return text
    .replace(STRUCTURE, reference)
    .replace(/:(?=\/\/)/g, reference)
    .replace(/(?<=\bww)w(?=\.)/gi, reference)
    .replace(/@/g, '<span>@</span>')
    .replace(/&#35;(?=\d)/g, '<span>&#35;</span>');
}

/** A word or a number in a table: what a server told may be anything. */
export function tableCell(value: string | number | null | undefined): string {
  return escapeText(String(value ?? ''));
}

/** Untrusted text in a fixed-width font, on one line; safe inside a table cell. */
export function inlineCode(text: string): string {
  if (text === '') return '';
  return `<code>${characters(text.split(/\r?\n/).join(' '))}</code>`;
}

/** Untrusted text as a preformatted block. */
export function codeBlock(lines: readonly string[]): string {
  const text = lines.map((line) => line.replace(/[&<>]/g, reference)).join('\n');
  return `<pre>${text}</pre>`;
}

/** A link to an address of http or https; the text is escaped. */
export function markdownLink(text: string, url: string | undefined): string {
  return url === undefined
    ? inlineCode(text)
    : `<a href="${url.replace(/[&<>"|$]/g, reference)}">${inlineCode(text)}</a>`;
}

/**
 * A table of cells that are Markdown already; rows above `most` are counted instead of shown, and a last column
 * with nothing in it is left out.
 */
export function markdownTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  most = 200,
): string[] {
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
export function foldedSection(title: string, lines: readonly string[]): string[] {
  return lines.length === 0
    ? []
    : ['<details><summary>' + title + '</summary>', '', ...lines, '', '</details>', ''];
}

function reference(character: string): string {
  return `&#${character.codePointAt(0)};`;
}

/** A start tag with its attributes (names in lower case, values decoded). */
export interface Tag {
  name: string;
  attributes: ReadonlyMap<string, string>;
}

/** Elements whose content is text up to their own end tag, whatever it looks like. */
const RAW_TEXT = new Set(['script', 'style', 'title', 'textarea', 'xmp', 'iframe', 'noembed', 'noframes']);

const SPACE = new Set([' ', '\t', '\n', '\r', '\f']);

/**
 * The start tags of a page in order, found as the HTML standard's tokenizer finds them: comments, declarations and
 * the text of scripts are stepped over, quotes may hold `>`. Never throws, and takes linear time.
 */
export function* startTags(html: string): Generator<Tag> {
  let at = 0;
  for (;;) {
    at = html.indexOf('<', at);
    if (at < 0) return;
    const next = html[at + 1] ?? '';
    if (html.startsWith('<!--', at)) at = after(html, '-->', at + 4);
    else if (next === '!' || next === '?' || next === '/') at = after(html, '>', at + 2);
    else if (isLetter(next)) {
      const { tag, end } = readTag(html, at + 1);
      at = end;
      if (RAW_TEXT.has(tag.name)) at = endOfRawText(html, tag.name, end);
      yield tag;
    } else at += 1;
  }
}

function after(html: string, mark: string, from: number): number {
  const found = html.indexOf(mark, from);
  return found < 0 ? html.length : found + mark.length;
}

function readTag(html: string, start: number): { tag: Tag; end: number } {
  let at = start;
  while (at < html.length && !SPACE.has(html[at]!) && html[at] !== '>' && html[at] !== '/') at += 1;
  const name = html.slice(start, at).toLowerCase();
  const attributes = new Map<string, string>();
  for (;;) {
    while (at < html.length && (SPACE.has(html[at]!) || html[at] === '/')) at += 1;
    if (at >= html.length) break;
    if (html[at] === '>') {
      at += 1;
      break;
    }
    const attribute = readAttribute(html, at);
    // The first of two attributes of one name counts, as in browsers.
    if (!attributes.has(attribute.name)) attributes.set(attribute.name, attribute.value);
    at = attribute.end;
  }
  return { tag: { name, attributes }, end: at };
}

function readAttribute(html: string, start: number): { name: string; value: string; end: number } {
  let at = start;
  // A `=` at the very start belongs to the name, so at least one character is always taken.
  do at += 1;
  while (at < html.length && !SPACE.has(html[at]!) && !'=/>'.includes(html[at]!));
  const name = html.slice(start, at).toLowerCase();
  let next = at;
  while (SPACE.has(html[next] ?? '')) next += 1;
  if (html[next] !== '=') return { name, value: '', end: at };
  next += 1;
  while (SPACE.has(html[next] ?? '')) next += 1;
  const quote = html[next];
  if (quote === '"' || quote === "'") {
    const close = html.indexOf(quote, next + 1);
    const end = close < 0 ? html.length : close;
    return { name, value: decode(html.slice(next + 1, end)), end: Math.min(html.length, end + 1) };
  }
  let end = next;
  while (end < html.length && !SPACE.has(html[end]!) && html[end] !== '>') end += 1;
  return { name, value: decode(html.slice(next, end)), end };
}

/** The place of the end tag `</name` that closes raw text, or the end of the page. */
function endOfRawText(html: string, name: string, from: number): number {
  let at = from;
  for (;;) {
    at = html.indexOf('</', at);
    if (at < 0) return html.length;
    const end = at + 2 + name.length;
    const follows = html[end];
    const closes = follows === undefined || SPACE.has(follows) || follows === '>' || follows === '/';
    if (closes && html.slice(at + 2, end).toLowerCase() === name) return at;
    at += 2;
  }
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

/** The character references that turn up in URLs; anything else stays as it is. */
function decode(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(
    /&(?:#(\d{1,7})|#[xX]([0-9A-Fa-f]{1,6})|(amp|lt|gt|quot|apos));/g,
    (whole, ...found) => {
      const [decimal, hex, name] = found as (string | undefined)[];
      if (name !== undefined) return ENTITIES[name] ?? whole;
      const point = decimal === undefined ? Number.parseInt(hex!, 16) : Number(decimal);
      return point > 0 && point <= 0x10ffff ? String.fromCodePoint(point) : whole;
    },
  );
}

function isLetter(character: string): boolean {
  return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z');
}

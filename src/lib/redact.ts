import { isUnmaskable, secretForms } from './secret.js';

/**
 * The one way from a text of any origin (a program's output, a server's message, a name in a file) to what may be
 * shown: escape sequences go first, or they would cut a secret in two; then the secrets; then whatever the GitHub
 * runner would obey. All that is printed, logged, or leaves the run in a file or a request went through it.
 */
export interface Redactor {
  /** The whole of a text as it may be shown; `before` is the end of what was shown of it already. */
  redact(text: string, before?: string): string;
  /** The beginning of a text that goes on. By `lines`, only whole lines are shown. */
  settle(text: string, by: 'lines' | 'characters', before?: string): Settled;
}

/** The beginning of a text, divided into what can be shown now and what has to wait. */
export interface Settled {
  /** What can be shown whatever comes. */
  shown: string;
  /** What has to wait, because a secret has begun there. */
  rest: string;
  /** The end of what is shown, a few characters: what comes next may make a secret of them. */
  before: string;
}

/** `secrets` as they were given; every form of each is hidden. */
export function redactor(secrets: Iterable<string>): Redactor {
  const search = searchFor(secrets);
  const hide = (text: string): string => masked(text, search(text).hits);
  /** What a person would see, with the secrets still in it, unless a carriage return stands inside one. */
  const seen = (text: string): string =>
    withoutEscapes(text)
      .split('\n')
      .map((line) => (line.includes('\r') ? lastWritten(hide(line)) : line))
      .join('\n');
  return {
    redact(text, before = '') {
      const plain = seen(text);
      return escapeCommands(masked(plain, behind(before, plain, search).hits));
    },
    settle(text, by, before = '') {
      const end = by === 'characters' ? unfinishedEscape(text) : text.length;
      const plain = seen(text.slice(0, end));
      const { hits, open } = behind(before, plain, search);
      const at = cutBefore(plain, hits, open, by);
      const last = hits.findLast(({ from }) => from < at);
      return {
        shown: escapeCommands(masked(plain.slice(0, at), hits)),
        rest: plain.slice(at) + text.slice(end),
        before: lastShown(last === undefined ? before + plain.slice(0, at) : plain.slice(last.to, at)),
      };
    },
  };
}

/**
 * Escape sequences as ECMA-48 has them: CSI (colours and movements, with `:` in newer ones), strings (titles, links)
 * up to their end, and all others. Node's own stripVTControlCharacters knows fewer of them.
 */
const ESCAPES =
  /(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x90\x98\x9c-\x9f\n]*(?:\x07|\x1b\\|\x9c)|\x1b[ -/]*[0-~]/g;

/**
 * What is not seen: control characters but the tab and line breaks, marks that turn the direction of writing, and
 * characters without a width; the joiners that scripts and emoji need are left.
 */
const UNSEEN =
  /[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2064\u2066-\u2069\ufeff]/g;

function withoutEscapes(text: string): string {
  return text.replace(ESCAPES, '').replace(UNSEEN, '');
}

/** Characters of the longest escape sequence that is waited for. */
const LONGEST_ESCAPE = 1_024;

/** Where an escape sequence begins that the text does not end; its length where there is none. */
function unfinishedEscape(text: string): number {
  const from = Math.max(0, text.length - LONGEST_ESCAPE);
  const at = text
    .slice(from)
    .search(/(?:\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b\x9c\n]*\x1b?|[ -/]*)|\x9b[0-?]*[ -/]*)$/);
  return at < 0 ? text.length : from + at;
}

/** A place in a text, from its first character to behind its last. */
interface Span {
  from: number;
  to: number;
}

interface Found {
  /** In order, none touching another's characters. */
  hits: Span[];
  /** From here on the text may be the beginning of a secret that it does not end. */
  open: number;
}

/**
 * A line break inside a secret, with the blanks around it: what wraps lines (base64, a terminal, an indented listing)
 * puts one anywhere. A carriage return is one too: what it overwrites was printed all the same.
 */
const BREAK = /(?<![ \t])[ \t]*[\r\n][ \t\r\n]*/g;

/**
 * Characters by which the forms of secrets are found; none is shorter. So many at the end of a text are waited for: with
 * fewer, most lines would wait for the next one.
 */
const HEAD = 4;
/** Characters of a line break with its blanks that are looked at behind a text. */
const LONGEST_GAP = 1_000;

/** A function that finds the forms of secrets in a text without escapes, also where line breaks cut them. */
function searchFor(secrets: Iterable<string>): (plain: string) => Found {
  const byHead = new Map<string, string[]>();
  for (const form of formsOf(secrets)) {
    const head = form.slice(0, HEAD);
    byHead.set(head, [...(byHead.get(head) ?? []), form]);
  }
  return (plain) => {
    const { text, at } = withoutBreaks(plain);
    const hits: Span[] = [];
    let open = text.length;
    for (let from = 0; from + HEAD <= text.length && byHead.size > 0; from++) {
      for (const form of byHead.get(text.slice(from, from + HEAD)) ?? []) {
        if (text.startsWith(form, from)) addSpan(hits, { from, to: from + form.length });
        else if (from + form.length > text.length && form.startsWith(text.slice(from)))
          open = Math.min(open, from);
      }
    }
    return {
      hits: hits.map(({ from, to }) => ({ from: at(from), to: at(to - 1) + 1 })),
      open: open === text.length ? plain.length : at(open),
    };
  };
}

function formsOf(secrets: Iterable<string>): Set<string> {
  const forms = new Set<string>();
  for (const secret of secrets)
    for (const form of secretForms(secret)) {
      const { text } = withoutBreaks(withoutEscapes(form));
      if (!isUnmaskable(text)) forms.add(text);
    }
  return forms;
}

/** What is found in a text that goes on behind another one, in places of the text. */
function behind(before: string, plain: string, search: (plain: string) => Found): Found {
  const { hits, open } = search(before + plain);
  const place = (at: number): number => Math.max(0, at - before.length);
  return { hits: hits.map(({ from, to }) => ({ from: place(from), to: place(to) })), open: place(open) };
}

/** The last characters of a text, too few for a secret that is waited for, and whether a line break follows them. */
function lastShown(text: string): string {
  const atBreak = /[\r\n][ \t\r\n]*$/.test(text.slice(-LONGEST_GAP));
  return withoutBreaks(text).text.slice(1 - HEAD) + (atBreak ? '\n' : '');
}

/** Adds a span that begins no earlier than the last one; one that overlaps it becomes a part of it. */
function addSpan(spans: Span[], span: Span): void {
  const last = spans.at(-1);
  if (last !== undefined && span.from < last.to) last.to = Math.max(last.to, span.to);
  else spans.push(span);
}

/** A text without its line breaks, and where each of its characters stood. */
function withoutBreaks(plain: string): { text: string; at: (index: number) => number } {
  const parts: { text: string; from: number; moved: number }[] = [];
  let from = 0;
  let gone = 0;
  for (const { 0: gap, index } of plain.matchAll(BREAK)) {
    parts.push({ text: plain.slice(from, index), from: from - gone, moved: gone });
    from = index + gap.length;
    gone += gap.length;
  }
  if (gone === 0) return { text: plain, at: (index) => index };
  parts.push({ text: plain.slice(from), from: from - gone, moved: gone });
  return {
    text: parts.map(({ text }) => text).join(''),
    at: (index) => index + parts.findLast((part) => part.from <= index)!.moved,
  };
}

/** The spans that begin in the text as `***`. */
function masked(text: string, spans: readonly Span[]): string {
  let shown = '';
  let from = 0;
  for (const span of spans) {
    if (span.from >= text.length) break;
    shown += `${text.slice(from, span.from)}***`;
    from = span.to;
  }
  return shown + text.slice(from);
}

/** How much of a text can be shown: what lies before `open`, and cuts no hit and, by lines, no line. */
function cutBefore(text: string, hits: readonly Span[], open: number, by: 'lines' | 'characters'): number {
  const lineStart = (index: number): number =>
    by === 'lines' ? text.lastIndexOf('\n', index - 1) + 1 : index;
  let at = open === 0 ? 0 : lineStart(open);
  for (const { from, to } of [...hits].reverse())
    if (from < at && at < to) at = from === 0 ? 0 : lineStart(from);
  return at;
}

/** A progress bar rewrites its line with carriage returns; what stood there last is what a person would see. */
function lastWritten(line: string): string {
  const shown = line.replace(/\r+$/, '');
  return shown.slice(shown.lastIndexOf('\r') + 1);
}

/**
 * Lines with nothing in them that the GitHub runner would obey: no `::command::` at their start, and none of the older
 * `##[command]`, which it obeys anywhere in a line.
 */
function escapeCommands(text: string): string {
  return text
    .split('\n')
    .map((line) => line.replaceAll('##[', '# #[').replace(/^(\s*):(?=:)/, '$1: '))
    .join('\n');
}

/**
 * Splits a migration as the Supabase CLI (3.1) does when it fills `schema_migrations.statements`, quirk for quirk, so
 * that `supabase migration list`, `db push --dry-run` and `migration fetch` see rows they would have written themselves.
 * It is no parser and nothing is run from it: what runs is decided by PostgreSQL's own grammar.
 */
export function splitAsCli(source: string): string[] {
  const statements: string[] = [];
  let start = 0;
  let state: SplitState = READY;
  for (let end = 0; end < source.length; ) {
    end = nextOfInterest(state, { source, start, end });
    if (end === source.length) break;
    const character = String.fromCodePoint(source.codePointAt(end)!);
    end += character.length;
    const after = next(state, character, { source, start, end });
    state = after ?? READY;
    if (after === undefined) {
      keep(statements, source.slice(start, end));
      start = end;
    }
  }
  keep(statements, source.slice(start));
  return statements;
}

function keep(statements: string[], token: string): void {
  const statement = token.replace(/;+$/, '').trim();
  if (statement !== '') statements.push(statement);
}

/** What ends a state in which most characters mean nothing; the last letter of ATOMIC is among them. */
const MEANS_SOMETHING = /[$'"\-/\\;()cC]/g;
const LINE_END = /[\n\r]/g;

/** Long literals are jumped over: inside them nothing matters but their end. So is all else that changes no state. */
function nextOfInterest(state: SplitState, token: Token): number {
  const { source, start, end } = token;
  let inner = state;
  let atomic = false;
  while (inner.in === 'parentheses' || inner.in === 'atomic') {
    atomic ||= inner.in === 'atomic';
    inner = inner.inner;
  }
  // In BEGIN ATOMIC any letter may end a word that matters.
  if (inner.in === 'ready' && !atomic) return indexOf(MEANS_SOMETHING, source, end);
  if (inner.in === 'line' && !atomic) return indexOf(LINE_END, source, end);
  if (inner.in === 'quote' && !inner.closing && !inner.escapes) {
    const found = source.indexOf(inner.delimiter, end);
    return found === -1 ? source.length : found;
  }
  if (inner.in === 'dollar') {
    const { length } = inner.delimiter;
    const found = source.indexOf(inner.delimiter, Math.max(start, end - length + 1));
    return found === -1 ? source.length : found + length - 1;
  }
  return end;
}

/** Where the next match begins at or behind `from`; the end of the text where there is none. */
function indexOf(pattern: RegExp, source: string, from: number): number {
  pattern.lastIndex = from;
  return pattern.exec(source)?.index ?? source.length;
}

/** What has been read of the current statement: `source` from `start` to `end`. */
interface Token {
  source: string;
  start: number;
  end: number;
}

interface Quote {
  in: 'quote';
  delimiter: string;
  /** An E'' string, where a backslash hides the next character. */
  escapes: boolean;
  /** The delimiter was just read: another one is a character of the string. */
  closing: boolean;
  hidden: boolean;
}

type SplitState =
  | { in: 'ready' | 'dash' | 'line' | 'escape' }
  /** `fresh`: a delimiter ended just now, so that its last character begins no other. */
  | { in: 'block'; depth: number; fresh: boolean }
  | Quote
  /** Behind an E'' string, which goes on in the next quotes where a line end stands between. */
  | { in: 'behind'; newline: boolean; dashes: number }
  | { in: 'tag'; from: number }
  | { in: 'dollar'; delimiter: string }
  /** Nested parentheses all end at the first one that closes. */
  | { in: 'parentheses'; inner: SplitState }
  /** BEGIN ATOMIC, up to an END that begins a statement. `from`: where the inner statement begins. */
  | { in: 'atomic'; inner: SplitState; from: number; begun: boolean; ending: boolean };

const READY: SplitState = { in: 'ready' };

/** The state after one more character; undefined at the end of a statement. */
function next(state: SplitState, character: string, token: Token): SplitState | undefined {
  switch (state.in) {
    case 'ready':
      return fromReady(character, token);
    case 'dash':
      return character === '-' ? { in: 'line' } : fromReady(character, token);
    case 'line':
      return isLineEnd(character) ? READY : state;
    case 'escape':
      return READY;
    case 'block':
      return inBlock(state, character, token);
    case 'quote':
      return inQuote(state, character, token);
    case 'behind':
      return behindQuote(state, character, token);
    case 'tag':
      if (character === '$') return { in: 'dollar', delimiter: token.source.slice(state.from, token.end) };
      return isNamePart(character) ? state : fromReady(character, token);
    case 'dollar':
      return endsWith(token, state.delimiter) ? READY : state;
    case 'parentheses': {
      const inner = next(state.inner, character, token) ?? READY;
      if (inner.in === 'ready' && character === ')') return READY;
      return inner === state.inner ? state : { ...state, inner };
    }
    case 'atomic':
      return inAtomic(state, character, token);
  }
}

function fromReady(character: string, token: Token): SplitState | undefined {
  const at = token.end - character.length;
  switch (character) {
    case '$':
      return followsName(token, at) ? READY : { in: 'tag', from: at };
    case "'":
      return quoteState(character, isKeyword({ ...token, end: at }, 'E'));
    case '"':
      return quoteState(character, false);
    case '-':
      return { in: 'dash' };
    case '/':
      return { in: 'block', depth: 0, fresh: false };
    case '\\':
      return { in: 'escape' };
    case ';':
      return undefined;
    case '(':
      return { in: 'parentheses', inner: READY };
    case 'c':
    case 'C':
      return isBeginAtomic(token)
        ? { in: 'atomic', inner: READY, from: token.end, begun: false, ending: false }
        : READY;
    default:
      return READY;
  }
}

function quoteState(delimiter: string, escapes: boolean): Quote {
  return { in: 'quote', delimiter, escapes, closing: false, hidden: false };
}

function inQuote(state: Quote, character: string, token: Token): SplitState | undefined {
  if (state.closing) {
    if (character === state.delimiter) return { ...state, closing: false };
    return state.escapes
      ? behindQuote({ in: 'behind', newline: false, dashes: 0 }, character, token)
      : fromReady(character, token);
  }
  if (state.hidden) return { ...state, hidden: false };
  if (state.escapes && character === '\\') return { ...state, hidden: true };
  return character === state.delimiter ? { ...state, closing: true } : state;
}

function behindQuote(
  state: SplitState & { in: 'behind' },
  character: string,
  token: Token,
): SplitState | undefined {
  const { newline, dashes } = state;
  if (dashes === 2) return isLineEnd(character) ? { in: 'behind', newline: true, dashes: 0 } : state;
  if (character === '-') return { ...state, dashes: dashes + 1 };
  if (dashes === 0 && isBlank(character)) return { ...state, newline: newline || isLineEnd(character) };
  if (dashes === 0 && newline && character === "'") return quoteState(character, true);
  return fromReady(character, token);
}

function inBlock(
  state: SplitState & { in: 'block' },
  character: string,
  token: Token,
): SplitState | undefined {
  const step = state.fresh ? 0 : endsWith(token, '/*') ? 1 : endsWith(token, '*/') ? -1 : 0;
  if (state.depth === 0 && step === 0) return fromReady(character, token);
  const depth = state.depth + step;
  return depth === 0 ? READY : { in: 'block', depth, fresh: step !== 0 };
}

function inAtomic(
  state: SplitState & { in: 'atomic' },
  character: string,
  token: Token,
): SplitState | undefined {
  if (state.ending && !isNamePart(character)) return fromReady(character, token);
  const inner = next(state.inner, character, token);
  if (inner === undefined)
    return { in: 'atomic', inner: READY, from: token.end, begun: false, ending: false };
  const after = { ...state, inner, ending: false };
  if (inner.in !== 'ready' || state.begun || !isKeyword(token, 'END')) return after;
  const leading = token.source.slice(state.from, token.end - 'END'.length);
  return onlyComments(leading) ? { ...after, ending: true } : { ...after, begun: true };
}

function isBeginAtomic(token: Token): boolean {
  if (!isKeyword(token, 'ATOMIC')) return false;
  let end = token.end - 'ATOMIC'.length;
  while (end > token.start && isBlank(token.source.charAt(end - 1))) end--;
  return isKeyword({ ...token, end }, 'BEGIN');
}

/** True where the text read so far ends with this word, as a word of its own. */
function isKeyword(token: Token, word: string): boolean {
  return endsWith(token, word) && !followsName(token, token.end - word.length);
}

function endsWith({ source, start, end }: Token, text: string): boolean {
  const from = end - text.length;
  return from >= start && source.slice(from, end).toUpperCase() === text.toUpperCase();
}

function followsName({ source, start }: Token, index: number): boolean {
  return index > start && isNamePart(source.charAt(index - 1));
}

function isNamePart(character: string): boolean {
  return character.charCodeAt(0) >= 128 || /[A-Za-z0-9_$]/.test(character);
}

function isLineEnd(character: string): boolean {
  return character === '\n' || character === '\r';
}

function isBlank(character: string): boolean {
  return ' \t\n\r\f\v'.includes(character);
}

function onlyComments(text: string): boolean {
  for (let index = 0; index < text.length; ) {
    if (isBlank(text.charAt(index))) index++;
    else if (text.startsWith('--', index)) {
      const end = text.slice(index).search(/[\n\r]/);
      if (end === -1) return true;
      index += end + 1;
    } else if (text.startsWith('/*', index)) index = endOfBlock(text, index);
    else return false;
  }
  return true;
}

function endOfBlock(text: string, from: number): number {
  let index = from + 2;
  for (let depth = 1; index < text.length; ) {
    const delimiter = text.slice(index, index + 2);
    index += delimiter === '/*' || delimiter === '*/' ? 2 : 1;
    if (delimiter === '/*') depth++;
    else if (delimiter === '*/' && --depth === 0) break;
  }
  return index;
}

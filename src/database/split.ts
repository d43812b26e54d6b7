/**
 * Splits a migration as the Supabase CLI does when it fills `schema_migrations.statements`, quirk for quirk, so that
 * `supabase migration list`, `db push --dry-run` and `migration fetch` see rows they would have written themselves.
 * It is no parser and nothing is run from it: what runs is decided by PostgreSQL's own grammar.
 */
export function splitAsCli(source: string): string[] {
  const statements: string[] = [];
  let start = 0;
  let state: State = READY;
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

/** Long literals are jumped over: inside them nothing matters but their end. */
function nextOfInterest(state: State, token: Token): number {
  const { source, start, end } = token;
  let inner = state;
  while (inner.in === 'atomic') inner = inner.inner;
  if (inner.in === 'quote' && !inner.closing) {
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

/** What has been read of the current statement: `source` from `start` to `end`. */
interface Token {
  source: string;
  start: number;
  end: number;
}

type State =
  | { in: 'ready' | 'dash' | 'escape' }
  | { in: 'block'; depth: number }
  | { in: 'quote'; delimiter: string; closing: boolean }
  | { in: 'tag'; from: number }
  | { in: 'dollar'; delimiter: string }
  /** Inside parentheses or BEGIN ATOMIC ... END, where a semicolon ends nothing. */
  | { in: 'atomic'; inner: State; delimiter: string };

const READY: State = { in: 'ready' };

/** The state after one more character; undefined at the end of a statement. */
function next(state: State, character: string, token: Token): State | undefined {
  switch (state.in) {
    case 'ready':
      return fromReady(character, token);
    case 'dash':
      return character === '-' ? { in: 'dollar', delimiter: '\n' } : fromReady(character, token);
    case 'escape':
      return READY;
    case 'block':
      return inBlock(state.depth, character, token);
    case 'quote':
      if (character === state.delimiter) return { ...state, closing: !state.closing };
      return state.closing ? fromReady(character, token) : state;
    case 'tag':
      if (character === '$') return { in: 'dollar', delimiter: token.source.slice(state.from, token.end) };
      return /[\p{L}\p{Nd}_]/u.test(character) ? state : fromReady(character, token);
    case 'dollar':
      return endsWith(token, state.delimiter) ? READY : state;
    case 'atomic': {
      // A semicolon inside ends nothing, so the inner state stays as it was.
      const inner = next(state.inner, character, token) ?? state.inner;
      const closed = inner.in === 'ready' && endsWith(token, state.delimiter);
      if (closed) return READY;
      return inner === state.inner ? state : { ...state, inner };
    }
  }
}

function fromReady(character: string, token: Token): State | undefined {
  switch (character) {
    case '$':
      return { in: 'tag', from: token.end - 1 };
    case "'":
    case '"':
      return { in: 'quote', delimiter: character, closing: false };
    case '-':
      return { in: 'dash' };
    case '/':
      return { in: 'block', depth: 0 };
    case '\\':
      return { in: 'escape' };
    case ';':
      return undefined;
    case '(':
      return { in: 'atomic', inner: READY, delimiter: ')' };
    case 'c':
    case 'C': {
      const before = token.end - 'atomic'.length - 1;
      const atomic =
        endsWith(token, 'ATOMIC') && before >= token.start && /\s/.test(token.source.charAt(before));
      return atomic ? { in: 'atomic', inner: READY, delimiter: 'END' } : READY;
    }
    default:
      return READY;
  }
}

function inBlock(depth: number, character: string, token: Token): State | undefined {
  if (endsWith(token, '/*')) return { in: 'block', depth: depth + 1 };
  if (depth === 0) return fromReady(character, token);
  if (!endsWith(token, '*/')) return { in: 'block', depth };
  return depth === 1 ? READY : { in: 'block', depth: depth - 1 };
}

function endsWith({ source, start, end }: Token, text: string): boolean {
  const from = end - text.length;
  return from >= start && source.slice(from, end).toUpperCase() === text.toUpperCase();
}

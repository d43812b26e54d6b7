const DOLLAR_TAG = /\$(?:[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*)?\$/y;
const WORD = /[A-Za-z_\u0080-\uffff][A-Za-z0-9_$\u0080-\uffff]*/y;
/** A quote behind a line end goes on with the string before it, under the same rules; only comments may stand between. */
const CONTINUED = /(?:[ \t\f\v]|--[^\r\n]*(?=[\r\n]))*[\r\n](?:[ \t\f\v\r\n]|--[^\r\n]*(?=[\r\n]))*'/y;

/**
 * The index after the token that starts at `index`, by SQL's lexical rules: a quoted text, a comment, a word, or one
 * character. What is not closed goes to the end.
 */
export function afterToken(source: string, index: number): number {
  const character = source[index]!;
  if (character === "'" || character === '"') return afterQuote(source, index, character, false);
  const two = source.slice(index, index + 2);
  if (two === '--' || two === '/*') return afterComment(source, index);
  if (character === '$') {
    const tag = match(DOLLAR_TAG, source, index);
    if (tag === undefined) return index + 1;
    const end = source.indexOf(tag, index + tag.length);
    return end === -1 ? source.length : end + tag.length;
  }
  const word = match(WORD, source, index);
  if (word === undefined) return index + 1;
  const after = index + word.length;
  // E'...' is the only quote in which a backslash hides the next character.
  return /^e$/i.test(word) && source[after] === "'" ? afterQuote(source, after, "'", true) : after;
}

function match(pattern: RegExp, source: string, index: number): string | undefined {
  pattern.lastIndex = index;
  return pattern.exec(source)?.[0];
}

function afterQuote(source: string, from: number, quote: string, escapes: boolean): number {
  let index = from + 1;
  while (index < source.length) {
    if (escapes && source[index] === '\\') index += 2;
    else if (source[index] === quote) {
      if (source[index + 1] === quote) index += 2;
      else {
        const more = escapes ? match(CONTINUED, source, index + 1) : undefined;
        if (more === undefined) return index + 1;
        index += 1 + more.length;
      }
    } else index++;
  }
  return source.length;
}

const LINE_COMMENT = /--[^\r\n]*/y;

function afterComment(source: string, from: number): number {
  const line = match(LINE_COMMENT, source, from);
  if (line !== undefined) return from + line.length;
  let depth = 0;
  let index = from;
  while (index < source.length) {
    const two = source.slice(index, index + 2);
    if (two === '/*') depth++;
    else if (two === '*/') depth--;
    else {
      index++;
      continue;
    }
    index += 2;
    if (depth === 0) return index;
  }
  return source.length;
}

/** White space and comments left off the start: the index where the first word begins. */
export function skipBlanks(source: string, from: number): number {
  let index = from;
  for (;;) {
    const two = source.slice(index, index + 2);
    if (/^\s/.test(two)) index++;
    else if (two === '--' || two === '/*') index = afterComment(source, index);
    else return index;
  }
}

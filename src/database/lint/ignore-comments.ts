import { afterToken } from '../sql/sql-lexer.js';

/** Whether a comment of the file's author says that a rule is not to be told, of one statement or of the whole file. */
export type IsIgnored = (rule: string) => boolean;

const FOR_STATEMENT = 'squawk-ignore';
const FOR_FILE = 'squawk-ignore-file';

/**
 * The comments `-- squawk-ignore rule, rule` that stand before or inside each statement, and `-- squawk-ignore-file` for
 * all of them; without a rule they mean every one.
 */
export function ignoreComments(
  source: string,
  statements: readonly { from: number; to: number }[],
): (statement: { from: number; to: number }) => IsIgnored {
  if (!source.includes(FOR_STATEMENT)) return () => () => false;
  const comments = commentsIn(source);
  const ofFile = comments.flatMap(({ text }) => rulesIn(text, FOR_FILE) ?? []);
  const starts = new Map(statements.map(({ from }, index) => [from, statements[index - 1]?.to ?? 0]));
  return ({ from, to }) => {
    const after = starts.get(from) ?? from;
    const own = comments
      .filter(({ index }) => index >= after && index < to)
      .flatMap(({ text }) => rulesIn(text, FOR_STATEMENT) ?? []);
    const ignored = [...ofFile, ...own];
    return (rule) => ignored.includes(EVERY) || ignored.includes(rule);
  };
}

const EVERY = '';

/** The rules that a comment names behind the word; undefined where it begins with another one. */
function rulesIn(comment: string, word: string): string[] | undefined {
  const [first, ...rules] = comment.replaceAll(',', ' ').replaceAll(':', ' ').split(/\s+/).filter(Boolean);
  if (first !== word) return undefined;
  return rules.length === 0 ? [EVERY] : rules;
}

function commentsIn(source: string): { index: number; text: string }[] {
  const found: { index: number; text: string }[] = [];
  for (let index = 0; index < source.length; ) {
    const next = afterToken(source, index);
    const token = source.slice(index, next);
    if (token.startsWith('--')) found.push({ index, text: token.slice(2) });
    if (token.startsWith('/*')) found.push({ index, text: token.slice(2, -2) });
    index = next;
  }
  return found;
}

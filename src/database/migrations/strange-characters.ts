import { codePoint } from '../../lib/invisible.js';
import type { Problem } from '../../lib/report.js';
import { positionIn } from '../sql/source-text.js';
import { afterToken } from '../sql/sql-lexer.js';

/** Blanks of Unicode, and characters of no width: PostgreSQL takes each for a letter. */
const STRANGE = /[\u0085\u00a0\u00ad\u061c\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff]/u;

/** Names the first of these characters that stands in a word outside of quotes and comments. */
export function strangeCharacter(file: string, source: string): Problem | undefined {
  if (!STRANGE.test(source)) return undefined;
  for (let index = 0; index < source.length; ) {
    const next = afterToken(source, index);
    const token = source.slice(index, next);
    const found = /^['"$/-]|^[eE]'/.test(token) ? undefined : STRANGE.exec(token);
    if (found)
      return {
        message: `${codePoint(found[0])} stands here, which looks like a blank or like nothing and which PostgreSQL takes for a letter`,
        at: positionIn(file, source, index + found.index),
        next: 'Type the place anew, with plain blanks.',
      };
    index = next;
  }
  return undefined;
}

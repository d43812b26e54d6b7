import { textStart } from '../../lib/cut-text.js';
import { afterToken, skipBlanks } from '../sql/sql-lexer.js';

/** What a file's comments say to this action. */
export interface DeployMarker {
  /** `-- deploy: after-health` stands before the first statement. */
  afterHealth: boolean;
  /** Comments that look like it and are not: what was meant is not done, so they must not be passed over. */
  wrong: { index: number; comment: string; next: string }[];
}

const EXACT = /^--\s*deploy:\s*after-health\s*$/i;
/** `-- deploy: something` at the top can only be meant for this action. */
const ADDRESSED = /^-+\s*deploy\s{0,20}[:=]/i;
/** Words that are meant as the marker, wherever they stand; with a colon whatever follows, without one nothing. */
const ALIKE =
  /^(?:-+|\/\*)[\s*]*deploy\s{0,20}(?:[:=]\s{0,20}after[\s_-]{0,20}health|after[\s_-]{0,20}health[\s.*/]*$)/i;
/** A file without this needs no reading to its end. */
const MAYBE = /deploy\s{0,20}[:=]?\s{0,20}after[\s_-]{0,20}health/i;

const RIGHT = 'a line of its own before the first statement: -- deploy: after-health';

/** Reads the comments of a file; pg_dump's `\restrict` line and a BEGIN do not count as its first statement. */
export function readMarker(source: string): DeployMarker {
  const marker: DeployMarker = { afterHealth: false, wrong: [] };
  const start = firstStatement(source);
  const complain = (index: number, comment: string, next: string): void => {
    marker.wrong.push({ index, comment: textStart(comment.split(/[\r\n]/, 1)[0]!, 60), next });
  };
  for (const { index, comment } of comments(source, 0, start)) {
    if (EXACT.test(comment)) marker.afterHealth = true;
    else if (ADDRESSED.test(comment) || ALIKE.test(comment))
      complain(index, comment, `Write it as ${RIGHT}. Or word the comment differently.`);
  }
  if (marker.afterHealth || !MAYBE.test(source.slice(start))) return marker;
  for (const { index, comment } of comments(source, start, source.length))
    if (ALIKE.test(comment))
      complain(
        index,
        comment,
        `It is behind the first statement, where it says nothing. Write it as ${RIGHT}. Or word the comment differently.`,
      );
  return marker;
}

/** The index of the first word that is to be run. */
function firstStatement(source: string): number {
  for (let index = 0; ; ) {
    index = skipBlanks(source, index);
    if (source[index] === ';') index++;
    else if (source[index] === '\\') index = endOfLine(source, index);
    else if (/^(?:begin|start)\b/i.test(source.slice(index, index + 6)))
      index = afterSemicolon(source, index);
    else return index;
  }
}

function endOfLine(source: string, index: number): number {
  const end = source.indexOf('\n', index);
  return end === -1 ? source.length : end;
}

function afterSemicolon(source: string, from: number): number {
  let index = from;
  while (index < source.length && source[index] !== ';') index = afterToken(source, index);
  return index;
}

function* comments(source: string, from: number, to: number): Generator<{ index: number; comment: string }> {
  for (let index = from; index < to; ) {
    if (source[index] === '\\') index = endOfLine(source, index);
    const next = index < to ? afterToken(source, index) : to;
    const two = source.slice(index, index + 2);
    if (two === '--' || two === '/*') yield { index, comment: source.slice(index, next) };
    index = next;
  }
}

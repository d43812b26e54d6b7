import type { ArgumentType, FunctionName } from '../../lib/sql-names.js';
import { splitList } from '../lists.js';
import { quoteIfSafe } from '../quote-if-safe.js';
import { parseQualifiedName } from './names.js';

/** The words of SQL for types that the catalogue calls otherwise. */
const WORDS: Readonly<Record<string, string>> = {
  int: 'int4',
  integer: 'int4',
  bigint: 'int8',
  smallint: 'int2',
  real: 'float4',
  float: 'float8',
  'double precision': 'float8',
  dec: 'numeric',
  decimal: 'numeric',
  boolean: 'bool',
  char: 'bpchar',
  character: 'bpchar',
  'character varying': 'varchar',
  'bit varying': 'varbit',
  timestamp: 'timestamp',
  'timestamp without time zone': 'timestamp',
  'timestamp with time zone': 'timestamptz',
  'time without time zone': 'time',
  'time with time zone': 'timetz',
};

/**
 * Reads `touch`, `touch()`, `app.price(integer, text[])`. Types are given without names, defaults and OUT arguments, as
 * PostgreSQL tells functions apart by them.
 */
export function parseFunctionName(text: string): FunctionName | { wrong: string; right: string } {
  const right = 'Write function, schema.function or function(integer, text): the types alone, () for none.';
  const complaint = { wrong: `${quoteIfSafe(text)} is not a function name`, right };
  const open = openingParenthesis(text);
  const parsed = parseQualifiedName((open === -1 ? text : text.slice(0, open)).trim());
  if ('wrong' in parsed)
    return parsed.wrong.endsWith('is not a table name') ? complaint : { ...parsed, right };
  if (open === -1) return parsed;
  if (!text.endsWith(')')) return complaint;
  const list = text.slice(open + 1, -1).trim();
  // An empty item is left out by the list, and would be a mistake here.
  if (/(^|,)\s*(,|$)/.test(list) && list !== '') return complaint;
  const types = splitList(list, { parentheses: true }).map(parseType);
  const wrong = types.find((type) => 'wrong' in type);
  return wrong ? { ...wrong, right } : { ...parsed, arguments: types as ArgumentType[] };
}

function parseType(text: string): ArgumentType | { wrong: string } {
  const [, base = '', , array] =
    /^(.*?)\s*(\(\s*\d+\s*(?:,\s*\d+\s*)?\))?\s*((?:\[\d*\])*)$/s.exec(text) ?? [];
  const words = base.toLowerCase().replaceAll(/\s+/g, ' ');
  if (Object.hasOwn(WORDS, words)) return { name: WORDS[words]!, array: array !== '' };
  const parsed = parseQualifiedName(base);
  if ('wrong' in parsed) return { wrong: `${quoteIfSafe(text)} is not a type` };
  const { schema, name } = parsed;
  const qualified = /^("([^"]|"")+"|[^".]+)\./.test(base);
  return { ...(qualified ? { schema } : {}), name, array: array !== '' };
}

/** Outside of double quotes. */
function openingParenthesis(text: string): number {
  let quoted = false;
  for (const [index, character] of [...text].entries()) {
    if (character === '"') quoted = !quoted;
    if (character === '(' && !quoted) return [...text].slice(0, index).join('').length;
  }
  return -1;
}

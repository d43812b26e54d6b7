import { constantText, type Node, setConfigs } from '../sql/parse-tree.js';
import type { Statement } from '../sql/parser.js';

/**
 * The statements of a file that sets statement_timeout itself, as they have to reach the server: a time-out counts from
 * the beginning of a statement that the server is sent, so what follows such a SET is sent statement by statement, and
 * together again where the file has turned the time-out off. Undefined where no SET has anything behind it.
 */
export function timedGroups(statements: readonly Statement[]): Statement[][] | undefined {
  const groups: Statement[][] = [[]];
  let limited = false;
  for (const statement of statements) {
    const last = groups[groups.length - 1]!;
    const before = last[last.length - 1];
    if (before && (limited || ownTimeout(before) !== undefined)) groups.push([statement]);
    else last.push(statement);
    const own = ownTimeout(statement);
    if (own !== undefined) limited = own === 'limited';
  }
  return groups.length > 1 ? groups : undefined;
}

/** What a statement makes of the time-out that statements have; undefined where it does not set it. */
export function ownTimeout({ kind, node }: Statement): 'limited' | 'off' | undefined {
  if (kind === 'VariableSetStmt') {
    if (String(node.name).toLowerCase() !== 'statement_timeout') return undefined;
    // Without a value it is the role's own again.
    return isZero((node.args as unknown[] | undefined)?.[0]) ? 'off' : 'limited';
  }
  if (kind !== 'SelectStmt') return undefined;
  const call = setConfigs(node).find((each) => each?.name?.toLowerCase() === 'statement_timeout');
  if (call === undefined) return undefined;
  return call.value !== undefined && ZERO.test(call.value) ? 'off' : 'limited';
}

const ZERO = /^\s*0+(?:\.0*)?\s*(?:us|ms|s|min|h|d)?\s*$/;

function isZero(expression: unknown): boolean {
  const text = constantText(expression);
  if (text !== undefined) return ZERO.test(text);
  const { ival } = ((expression as Node | undefined)?.A_Const ?? {}) as { ival?: { ival?: number } };
  return ival !== undefined && (ival.ival ?? 0) === 0;
}

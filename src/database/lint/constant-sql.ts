import { constantText, type Node, strings } from '../sql/parse-tree.js';
import { identifier, literal } from '../sql/sql-text.js';

/**
 * The text that an expression gives whatever the database holds: constants, what is put together of them by `||`, and
 * format() of constants. Undefined for every other one.
 */
export function constantSql(expression: unknown): string | undefined {
  const constant = constantText(expression);
  if (constant !== undefined) return constant;
  const { A_Expr: joined, FuncCall: call, TypeCast: cast } = (expression ?? {}) as Record<string, Node>;
  if (cast) return constantSql(cast.arg);
  if (joined && strings(joined.name)[0] === '||') {
    const [left, right] = [constantSql(joined.lexpr), constantSql(joined.rexpr)];
    return left === undefined || right === undefined ? undefined : left + right;
  }
  if (strings(call?.funcname).at(-1) !== 'format') return undefined;
  const [template, ...values] = ((call?.args as unknown[] | undefined) ?? []).map(constantSql);
  return template === undefined ? undefined : formatted(template, values);
}

const QUOTED: Readonly<Record<string, (text: string) => string>> = { s: String, I: identifier, L: literal };

/** As format() does it with %s, %I, %L and %%; undefined where a value is no constant, or stands by number or width. */
function formatted(template: string, values: (string | undefined)[]): string | undefined {
  const left = [...values];
  let text = '';
  for (let index = 0; index < template.length; index++) {
    const character = template.charAt(index);
    if (character !== '%') {
      text += character;
      continue;
    }
    const next = template.charAt(++index);
    if (next === '%') text += '%';
    else {
      const value = left.shift();
      const quote = QUOTED[next];
      if (value === undefined || quote === undefined) return undefined;
      text += quote(value);
    }
  }
  return text;
}

import { afterToken, skipBlanks } from './sql-lexer.js';
import { dollarQuote } from './sql-text.js';

/** A piece of SQL in the body of a PL/pgSQL function or DO block. */
export interface BodyPart {
  /** `statement`: the body runs it; `expression`: it is computed; `dynamic`: the text that it gives is run (EXECUTE). */
  kind: 'statement' | 'expression' | 'dynamic';
  /** As PostgreSQL's own grammar takes it: a statement, or a whole SELECT that gives the value. */
  sql: string;
  /** The text in the body. */
  text: string;
  /** The line of the body in which its statement starts, from 1. */
  line: number;
}

/** The pieces of a body, in the order in which they stand; undefined for a body that cannot be parsed. */
export type ParseBody = (body: string) => BodyPart[] | undefined;

/** What PL/pgSQL's own parser gives: nodes under their type's name, as everywhere in PostgreSQL's trees. */
type Tree = { readonly [field: string]: unknown };

/** Loads PL/pgSQL's real parser, which comes with the SQL one. */
export async function loadBodyParser(): Promise<ParseBody> {
  const library = await import('libpg-query');
  await library.loadModule();
  return (body) => {
    const { exitCode } = process;
    try {
      const tree: unknown = library.parsePlPgSQLSync(`do ${dollarQuote(body)}`);
      return [...partsOf(tree, 1, false)];
    } catch {
      // Where its memory ends, the library sets the exit code of the whole process.
      process.exitCode = exitCode;
      return undefined;
    }
  };
}

/** Fields of a statement whose value is the text of another one. */
const DYNAMIC: Readonly<Record<string, string>> = {
  PLpgSQL_stmt_dynexecute: 'query',
  PLpgSQL_stmt_dynfors: 'query',
  PLpgSQL_stmt_return_query: 'dynquery',
  PLpgSQL_stmt_open: 'dynquery',
};

function* partsOf(tree: unknown, line: number, dynamic: boolean): Generator<BodyPart> {
  if (Array.isArray(tree)) for (const item of tree) yield* partsOf(item, line, false);
  else if (typeof tree === 'object' && tree !== null)
    for (const [name, value] of Object.entries(tree)) {
      if (name === 'PLpgSQL_expr') yield* partOf(value as Tree, line, dynamic);
      else {
        const own = typeof value === 'object' && value !== null ? (value as Tree).lineno : undefined;
        const text = DYNAMIC[name];
        const fields: [string, unknown][] =
          text === undefined ? [] : Object.entries(value as Tree).filter(([field]) => field === text);
        for (const [, field] of fields) yield* partsOf(field, Number(own ?? line), true);
        const rest =
          fields.length === 0
            ? value
            : Object.fromEntries(Object.entries(value as Tree).filter(([field]) => field !== text));
        yield* partsOf(rest, Number(own ?? line), dynamic);
      }
    }
}

/** How the parser says that a text is no statement: an expression, or an assignment to one, two or three names. */
const STATEMENT = 0;
const EXPRESSION = 2;

function* partOf({ query, parseMode }: Tree, line: number, dynamic: boolean): Generator<BodyPart> {
  const text = String(query);
  if ((parseMode ?? STATEMENT) === STATEMENT) yield { kind: 'statement', sql: text, text, line };
  else {
    const value = parseMode === EXPRESSION ? text : assigned(text);
    yield { kind: dynamic ? 'dynamic' : 'expression', sql: `select ${value}`, text, line };
  }
}

/** What stands behind the first `:=` or `=` of an assignment. */
function assigned(text: string): string {
  for (
    let index = skipBlanks(text, 0);
    index < text.length;
    index = skipBlanks(text, afterToken(text, index))
  )
    if (text[index] === '=') return text.slice(index + 1);
  return text;
}

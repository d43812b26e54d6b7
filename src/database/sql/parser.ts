import { byteToIndex, indexOfCodePoint } from './source-text.js';
import { skipBlanks } from './sql-lexer.js';
import { withoutRows } from './without-rows.js';

/** One top-level statement of a file, as PostgreSQL's own grammar sees it. */
export interface Statement {
  /** The node's type in PostgreSQL's parse tree, such as CreateStmt. */
  kind: string;
  /** The node itself; its fields are named as in PostgreSQL's parsenodes.h. */
  node: Record<string, unknown>;
  /** UTF-16 indexes of its text in the file, from its first word, without the semicolon. */
  from: number;
  to: number;
  /** Of a REINDEX or CLUSTER: what it names is partitioned. */
  partitioned?: true;
}

/** Where a statement stands, and what it is where the parser understood it. */
export type PlacedStatement = Pick<Statement, 'from' | 'to'> & Partial<Statement>;

export type ParsedSql =
  | { statements: Statement[]; wrong?: undefined }
  /** What the parser does not understand, and where. Another version's server might: it has the last word. */
  | { statements?: undefined; wrong: { message: string; index: number } }
  /** The parser's memory did not suffice. */
  | { statements?: undefined; wrong?: undefined; tooLarge: true };

export type Parse = (source: string) => ParsedSql;

/** A shorter text that cannot be parsed is a fault of the parser. */
const LARGEST_FAULT = 1024 * 1024;

interface RawStatement {
  stmt?: Record<string, Record<string, unknown>>;
  stmt_location?: number;
  stmt_len?: number;
}

/**
 * PostgreSQL's real parser, as WebAssembly. Loaded only when something is pending: it takes 30 ms to start and more
 * to leave, because V8 would compile all of it again in the background and wait for that at exit; the flag forbids it.
 */
export async function loadParser(): Promise<Parse> {
  const { setFlagsFromString } = await import('node:v8');
  setFlagsFromString('--wasm-tiering-budget=2000000000');
  const library = await import('libpg-query');
  await library.loadModule();
  return (whole) => {
    const source = withoutRows(whole);
    // The library takes no empty text, and none that holds a NUL.
    if (source.trim() === '') return { statements: [] };
    const { exitCode } = process;
    try {
      const tree = library.parseSync(source) as unknown as { stmts?: RawStatement[] };
      return { statements: placed(source, tree.stmts ?? []) };
    } catch (error) {
      // Where its memory ends, the library sets the exit code of the whole process.
      process.exitCode = exitCode;
      const details = (error as { sqlDetails?: { message: string; cursorPosition: number } }).sqlDetails;
      // Out of memory, it says so, ends itself or gives nothing; texts of another size can be parsed all the same.
      if (!details || details.message === 'out of memory') {
        if (source.length < LARGEST_FAULT) throw error;
        return { tooLarge: true };
      }
      return {
        wrong: { message: details.message, index: indexOfCodePoint(source, details.cursorPosition + 1) },
      };
    }
  };
}

function placed(source: string, raw: RawStatement[]): Statement[] {
  const toIndex = byteToIndex(source);
  return raw.map(({ stmt = {}, stmt_location = 0, stmt_len = 0 }) => {
    const [kind = '', node = {}] = Object.entries(stmt)[0] ?? [];
    const start = toIndex(stmt_location);
    // No length means: to the end of the text.
    const to = stmt_len === 0 ? source.length : toIndex(stmt_location + stmt_len);
    return { kind, node, from: skipBlanks(source, start), to };
  });
}

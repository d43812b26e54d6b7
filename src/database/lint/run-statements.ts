import { definedOnly } from '../../lib/defined-only.js';
import { isOff, type Node, optionOf, optionText, strings } from '../sql/parse-tree.js';
import type { Parse, Statement } from '../sql/parser.js';
import type { ParseBody } from '../sql/plpgsql.js';
import type { CatalogFacts } from './catalog-facts.js';
import { constantSql } from './constant-sql.js';
import type { StatementNode } from './known-objects.js';
import { calledFunctions } from './volatile-functions.js';

/** A statement that a file runs: one of its own, or one inside a DO block, a function that it calls, or an EXECUTE. */
export interface RunStatement extends StatementNode {
  /** UTF-16 index of the place in the file to name. */
  index: number;
  text: string;
  /** The function whose body holds it. */
  inside?: string;
  /** Its text stands in the database alone, and may hold what must not be shown. */
  unseen?: true;
  /** It runs whatever the database holds: nothing inside a body does for certain. */
  surely: boolean;
}

/** What a file runs and nobody can read beforehand: the text is put together at run time, or has no body that can be parsed. */
export interface UnreadText extends Omit<RunStatement, keyof StatementNode> {
  why: 'not constant' | 'not parsed';
}

export type RunText = RunStatement | UnreadText;

export function isUnread(text: RunText): text is UnreadText {
  return 'why' in text;
}

interface Body {
  name: string;
  language: string;
  source: string;
  /** Of BEGIN ATOMIC and RETURN, which the parser has read with the function: its statements, instead of a text. */
  statements?: StatementNode[];
  unseen?: true;
}

export interface SqlParsers {
  parse: Parse;
  parseBody: ParseBody;
}

/** Reads what statements run, and learns from each what the functions that it makes would. */
export interface RunReader {
  /** All that a statement of a file runs, itself first; `source`: the file's text. */
  read(statement: Statement, source: string): RunText[];
  /** The names of functions that were called and whose bodies are not known here. */
  readonly asked: ReadonlySet<string>;
}

/** How deep functions that call functions are followed. */
const DEEPEST = 8;

export function runReader({ parse, parseBody }: SqlParsers, facts?: CatalogFacts): RunReader {
  const bodies = new Map<string, Body[]>();
  for (const { schema, name, language, body } of facts?.functions ?? [])
    if (language !== null && body !== null)
      add(bodies, name, { name: `${schema}.${name}`, unseen: true, ...bodyOf(language, body, parse) });
  const asked = new Set<string>();

  interface Place extends Omit<RunStatement, keyof StatementNode | 'surely' | 'text'> {
    depth: number;
    called: readonly string[];
  }

  const placed = (place: Place, text: string): Omit<RunStatement, keyof StatementNode> => ({
    index: place.index,
    text,
    surely: place.depth === 0,
    ...(place.inside === undefined ? {} : { inside: place.inside }),
    ...(place.unseen === undefined ? {} : { unseen: place.unseen }),
  });

  const readNode = (statement: StatementNode, text: string, place: Place): RunText[] => {
    const found: RunText[] = [{ ...statement, ...placed(place, text) }];
    const { kind, node } = statement;
    for (const query of innerQueries(statement)) found.push(...readNode(query, text, place));
    if (kind === 'CreateFunctionStmt') learn(node);
    if (kind === 'DoStmt') found.push(...readBody(doBody(node), place));
    // The call of CALL is no expression in the tree.
    if (RUNS_CALLS.has(kind))
      found.push(...readCalls(kind === 'CallStmt' ? { FuncCall: node.funccall } : node, place));
    return found;
  };

  const learn = (node: Node): void => {
    const parts = strings(node.funcname);
    const name = parts.at(-1) ?? '';
    const language = optionText(optionOf(node.options, 'language'))?.toLowerCase() ?? 'sql';
    const { List: texts } = (optionOf(node.options, 'as')?.arg ?? {}) as { List?: Node };
    const source = strings(texts?.items)[0];
    const statements = atomicStatements(node);
    // A later one replaces what the catalog has.
    if (source !== undefined || statements !== undefined)
      bodies.set(name, [
        { name: parts.join('.'), language, source: source ?? '', ...definedOnly({ statements }) },
      ]);
  };

  const readCalls = (tree: unknown, place: Place): RunText[] =>
    calledFunctions(tree).flatMap((parts) => {
      const name = parts.at(-1) ?? '';
      const known = bodies.get(name);
      if (known === undefined) asked.add(name);
      if (place.depth >= DEEPEST || place.called.includes(name)) return [];
      const called = [...place.called, name];
      return (known ?? []).flatMap((body) =>
        readBody(body, { ...place, called, inside: body.name, ...(body.unseen ? { unseen: true } : {}) }),
      );
    });

  /** `at`: where the body itself stands in the file, for its statements' own places. */
  const readBody = (body: Body, outer: Place, at?: { source: string; index: number }): RunText[] => {
    const place = { ...outer, depth: outer.depth + 1 };
    if (body.statements) return body.statements.flatMap((each) => readNode(each, 'a statement', place));
    if (body.language === 'sql') return readText(body.source, place);
    if (body.language !== 'plpgsql') return [];
    const parts = parseBody(body.source);
    if (!parts) return [{ why: 'not parsed', ...placed(place, body.name) }];
    return parts.flatMap((part) => {
      const own = at === undefined ? place : { ...place, index: placeOf(part, body.source, at.index) };
      if (part.kind === 'statement') return readText(part.sql, own);
      const value = selected(parse(part.sql).statements?.[0]);
      const calls = readCalls(value, own);
      if (part.kind === 'expression') return calls;
      const text = constantSql(value);
      return text === undefined
        ? [...calls, { why: 'not constant', ...placed(own, `execute ${part.text}`) }]
        : readText(text, own);
    });
  };

  /** What cannot be parsed here fails on the server too. */
  const readText = (text: string, place: Place): RunText[] =>
    (parse(text).statements ?? []).flatMap((each) => readNode(each, text.slice(each.from, each.to), place));

  return {
    asked,
    read(statement, source) {
      const { kind, node, from, to } = statement;
      const place: Place = { index: from, depth: 0, called: [] };
      const text = source.slice(from, to);
      if (kind !== 'DoStmt') return readNode(statement, text, place);
      const body = doBody(node);
      const index = source.indexOf(body.source, from);
      const at = index === -1 || index > to ? undefined : { source, index };
      return [{ kind, node, ...placed(place, text) }, ...readBody(body, place, at)];
    },
  };
}

function add(bodies: Map<string, Body[]>, name: string, body: Body): void {
  bodies.set(name, [...(bodies.get(name) ?? []), body]);
}

/** Statements whose expressions are computed when they run; others only keep them. */
const RUNS_CALLS = new Set([
  'SelectStmt',
  'InsertStmt',
  'UpdateStmt',
  'DeleteStmt',
  'MergeStmt',
  'CallStmt',
  'CreateTableAsStmt',
]);

/** The statements that a statement runs with it: its WITH, and what is explained, prepared or made a table of. */
function innerQueries({ kind, node }: StatementNode): StatementNode[] {
  const { ctes } = (node.withClause ?? {}) as { ctes?: { CommonTableExpr?: { ctequery?: Node } }[] };
  const queries = (ctes ?? []).map(({ CommonTableExpr }) => CommonTableExpr?.ctequery);
  const runs = kind !== 'ExplainStmt' || isAnalyzed(node);
  if (/^(?:ExplainStmt|PrepareStmt|CreateTableAsStmt)$/.test(kind) && runs)
    queries.push(node.query as Node | undefined);
  return queries.flatMap((query) =>
    Object.entries(query ?? {}).map(([name, value]) => ({ kind: name, node: value as Node })),
  );
}

function isAnalyzed({ options }: Node): boolean {
  const option = optionOf(options, 'analyze');
  return option !== undefined && !isOff(option);
}

/** A body as the catalog gives it: of BEGIN ATOMIC the whole definition. */
function bodyOf(
  language: string,
  body: string,
  parse: Parse,
): Pick<Body, 'language' | 'source' | 'statements'> {
  const [first] = language === 'sql' ? (parse(body).statements ?? []) : [];
  const statements = first?.kind === 'CreateFunctionStmt' ? atomicStatements(first.node) : undefined;
  return { language, source: body, ...definedOnly({ statements }) };
}

/** The statements of BEGIN ATOMIC ... END, or what RETURN computes; undefined for a body that is a text. */
function atomicStatements({ sql_body }: Node): StatementNode[] | undefined {
  const { List: outer, ReturnStmt: returned } = (sql_body ?? {}) as { List?: Node; ReturnStmt?: Node };
  if (returned) return [{ kind: 'SelectStmt', node: returned }];
  const [inner] = (outer?.items as { List?: Node }[] | undefined) ?? [];
  return (inner?.List?.items as Node[] | undefined)?.flatMap((each) =>
    Object.entries(each).map(([kind, node]) => ({ kind, node: node as Node })),
  );
}

function doBody({ args }: Node): Body {
  const { String: body } = (optionOf(args, 'as')?.arg ?? {}) as { String?: { sval?: string } };
  const language = optionText(optionOf(args, 'language'))?.toLowerCase() ?? 'plpgsql';
  return { name: 'the DO block', language, source: body?.sval ?? '' };
}

/** The first expression that a SELECT gives. */
function selected(statement: Statement | undefined): unknown {
  const [target] = (statement?.node.targetList as Node[] | undefined) ?? [];
  return (target?.ResTarget as Node | undefined)?.val;
}

/** Where a piece of a body stands in the file; `from`: where the body begins. */
function placeOf({ line, text }: { line: number; text: string }, body: string, from: number): number {
  let start = 0;
  for (let at = 1; at < line; at++) {
    const end = body.indexOf('\n', start);
    if (end === -1) break;
    start = end + 1;
  }
  const found = body.indexOf(text, start);
  return from + (found === -1 ? start : found);
}

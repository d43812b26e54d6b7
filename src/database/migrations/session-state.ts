import {
  constantText,
  droppedNames,
  isTemporary,
  madeRelation,
  type Node,
  nodesOf,
  setConfigs,
  strings,
} from '../sql/parse-tree.js';
import type { Statement } from '../sql/parser.js';
import type { Segment } from './file-shape.js';

/** What is wrong with a statement, and where it starts. */
interface Wrong {
  index: number;
  message: string;
  next: string;
}

/** What a part counts on that another has made, and that is lost where they do not share a session. */
interface Lost extends Wrong {
  made: number;
  used: number;
}

const NEXT = 'Put what belongs together into one part of the file, or into a file of its own.';

/**
 * A file that is run in parts leaves its session's settings after each part as they were. What the file sets for its
 * session is therefore noted in each later part, to be set again. What cannot be made again (temporary tables,
 * prepared statements, cursors) binds the parts to one session where a later one counts on it.
 */
export function carryOver(segments: readonly Segment[]): { wrong: Wrong[]; lost: Lost[] } {
  const wrong: Wrong[] = [];
  const bound: Lost[] = [];
  const sessionSetup: Statement[] = [];
  let made: (Own & { part: number })[] = [];
  segments.forEach((segment, part) => {
    segment.sessionSetup = [...sessionSetup];
    for (const statement of segment.statements) {
      const lost = made.find((own) => own.part < part && countsOn(statement, own));
      if (lost)
        bound.push({
          index: statement.from,
          message: `${lost.what} ${lost.name} does not last until here: the file is committed in parts, and they do not share a session`,
          next: NEXT,
          made: lost.part,
          used: part,
        });
      const effect = effectOf(statement);
      if (effect === 'set') sessionSetup.push(statement);
      if (effect === 'cleared') sessionSetup.length = 0;
      if (effect === 'unclear' && part < segments.length - 1)
        wrong.push({
          index: statement.from,
          message: 'what set_config sets here is lost in the parts of the file that follow',
          next: `Write it with SET, or with constants and alone in its SELECT. Or: ${NEXT}`,
        });
      const making = makes(statement);
      made = made.filter((own) => !drops(statement, own) && !(making && isSameObject(own, making)));
      if (making) made.push({ ...making, part });
    }
  });
  return { wrong, lost: bound };
}

/**
 * Whether a statement sets something for its session; `unclear`: it does, but cannot simply be repeated; `cleared`:
 * nothing that was set is left.
 */
function effectOf({ kind, node }: Statement): 'set' | 'unclear' | 'cleared' | undefined {
  if (kind === 'DiscardStmt' && node.target === 'DISCARD_ALL') return 'cleared';
  if (kind === 'VariableSetStmt') {
    // What ends with a transaction ends with its part.
    const passing = node.is_local === true || /^TRANSACTION/.test(String(node.name));
    return passing ? undefined : 'set';
  }
  if (kind !== 'SelectStmt') return undefined;
  const calls = setConfigs(node);
  if (!calls.some((call) => call && !call.local)) return undefined;
  const constant = calls.every((call) => call?.name !== undefined && call.value !== undefined);
  return constant && node.fromClause === undefined ? 'set' : 'unclear';
}

/** Something that only its session has. */
interface Own {
  what: 'the temporary relation' | 'the prepared statement' | 'the cursor' | 'the function';
  name: string;
}

function isSameObject(one: Own, other: Own): boolean {
  return one.what === other.what && one.name === other.name;
}

function makes({ kind, node }: Statement): Own | undefined {
  if (kind === 'PrepareStmt') return { what: 'the prepared statement', name: String(node.name) };
  if (kind === 'DeclareCursorStmt') return { what: 'the cursor', name: String(node.portalname) };
  if (kind === 'CreateFunctionStmt' && strings(node.funcname)[0] === 'pg_temp')
    return { what: 'the function', name: strings(node.funcname).join('.') };
  const relation = madeRelation(kind, node);
  return relation && isTemporary(relation)
    ? { what: 'the temporary relation', name: String(relation.relname) }
    : undefined;
}

function drops({ kind, node }: Statement, { what, name }: Own): boolean {
  if (kind === 'DeallocateStmt') return what === 'the prepared statement' && node.name === name;
  if (kind === 'ClosePortalStmt') return what === 'the cursor' && node.portalname === name;
  // A name without its schema may be the session's own.
  const own = ([schema, ...rest]: string[]): boolean =>
    rest.length === 0 ? schema === name : schema === 'pg_temp' && rest[0] === name;
  return kind === 'DropStmt' && what === 'the temporary relation' && droppedNames(node).some(own);
}

function countsOn(statement: Statement, own: Own): boolean {
  const { what, name } = own;
  const making = makes(statement);
  // Made anew it is another one; but IF NOT EXISTS takes the one before.
  if (making && isSameObject(making, own) && statement.node.if_not_exists !== true) return false;
  if (drops(statement, own)) return true;
  for (const node of nodesOf({ [statement.kind]: statement.node })) {
    switch (what) {
      case 'the prepared statement':
        if ((node.ExecuteStmt as Node | undefined)?.name === name) return true;
        break;
      case 'the cursor':
        if ((node.FetchStmt as Node | undefined)?.portalname === name) return true;
        break;
      case 'the function':
        if (strings((node.FuncCall as Node | undefined)?.funcname).join('.') === name) return true;
        break;
      case 'the temporary relation':
        if (node.relname === name && (node.schemaname ?? 'pg_temp') === 'pg_temp') return true;
        // nextval takes a name as text, and the body of a DO block is text.
        if (constantText(node) === name) return true;
        if (statement.kind === 'DoStmt' && mentions(String(node.sval ?? ''), name)) return true;
    }
  }
  return false;
}

function mentions(body: string, name: string): boolean {
  return body
    .toLowerCase()
    .split(/[^\p{L}\p{N}_$]+/u)
    .includes(name.toLowerCase());
}

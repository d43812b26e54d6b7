import { droppedNames, isTemporary, madeRelation, type Node, strings } from '../sql/parse-tree.js';
import type { Statement } from '../sql/parser.js';
import { identifier } from '../sql/sql-text.js';
import { searchPathAfter, USUAL_PATH } from './created-tables.js';

/** Something that a file makes, as the catalog can be asked for it. Names are quoted where a server is to find them by it. */
export interface MadeThing {
  kind:
    | 'schema'
    | 'relation'
    | 'column'
    | 'constraint'
    | 'policy'
    | 'row security'
    | 'trigger'
    | 'type'
    | 'enum value'
    | 'function';
  /** Plain for what is looked for on another thing, and for schemas; else quoted, with its schema. */
  name: string;
  /** What it is part of, quoted. */
  on?: string;
  /** Of a column: its type, quoted, and what stands in parentheses behind it. */
  type?: string;
  modifiers?: string;
  /** The letters of relkind or typtype that it may have. */
  letters?: string;
}

/** One step of what the files do to each other's things: `thing` undefined where it goes. `file`: its index. */
export interface MadeStep {
  file: number;
  key: string;
  thing?: MadeThing;
}

export interface LeftBehind {
  steps: MadeStep[];
  /** By the file's index: what of it leaves nothing that a catalog could be asked for. */
  unjudged: Map<number, Set<string>>;
}

/** What files make, change and drop again, in order, as far as their text shows it. */
export function leftBehind(files: readonly (readonly Statement[] | undefined)[]): LeftBehind {
  const unjudged = new Map<number, Set<string>>();
  const book = stepBook();
  files.forEach((statements, file) => {
    const doubt = (why: string | undefined): void => {
      if (why !== undefined) unjudged.set(file, (unjudged.get(file) ?? new Set()).add(why));
    };
    if (!statements) doubt('it cannot be parsed here');
    let path = USUAL_PATH;
    for (const statement of statements ?? []) {
      path = searchPathAfter(statement, path);
      follow(statement, book.at(file, path));
      doubt(unjudgedPart(statement));
    }
  });
  return { steps: book.steps, unjudged };
}

/** What of a statement no look at the catalog can tell. */
function unjudgedPart({ kind, node }: Statement): string | undefined {
  if (/^(InsertStmt|UpdateStmt|DeleteStmt|MergeStmt|CopyStmt|TruncateStmt)$/.test(kind)) return 'data';
  if (/^(GrantStmt|GrantRoleStmt|AlterDefaultPrivilegesStmt)$/.test(kind)) return 'grants';
  if (kind === 'CreateFunctionStmt') return "functions' text";
  if (kind === 'DoStmt') return 'DO blocks';
  if (kind === 'CallStmt' || (kind === 'SelectStmt' && node.intoClause === undefined)) return 'calls';
  return undefined;
}

interface Book {
  set(key: string[], thing: MadeThing): void;
  /** It and all that is part of it. */
  remove(key: string[]): void;
  move(from: string[], to: string[], rename: (thing: MadeThing) => MadeThing): void;
  /** With the schema that a name without one belongs to. */
  full(schema: unknown, name: unknown): [schema: string, name: string];
}

/** Keys are paths: what is part of a thing begins with that thing's own. */
function stepBook(): { steps: MadeStep[]; at(file: number, path: string): Book } {
  const steps: MadeStep[] = [];
  const there = new Map<string, MadeThing>();
  const keyOf = (parts: readonly string[]): string => JSON.stringify(parts).slice(1, -1);
  const below = (key: string): string[] =>
    [...there.keys()].filter((each) => each === key || each.startsWith(`${key},`));
  const put = (file: number, key: string, thing?: MadeThing): void => {
    if (thing) there.set(key, thing);
    else there.delete(key);
    steps.push(thing ? { file, key, thing } : { file, key });
  };
  return {
    steps,
    at: (file, path) => ({
      set: (key, thing) => put(file, keyOf(key), thing),
      remove(key) {
        const indexes = [...there].filter(
          ([, { kind, on }]) => kind === 'relation' && on === identifier(...key),
        );
        for (const each of [...below(keyOf(key)), ...indexes.map(([index]) => index)]) put(file, each);
      },
      move(from, to, rename) {
        const [old, fresh] = [keyOf(from), keyOf(to)];
        for (const each of below(old)) {
          const thing = there.get(each)!;
          put(file, each);
          put(file, fresh + each.slice(old.length), rename(thing));
        }
      },
      full: (schema, name) => [schema === undefined ? path : String(schema), String(name)],
    }),
  };
}

function follow(statement: Statement, book: Book): void {
  const { kind, node } = statement;
  const make = MAKERS[kind];
  if (make) make(node, book);
  else makeRelation(kind, node, book);
}

const MAKERS: Readonly<Record<string, (node: Node, book: Book) => void>> = {
  CreateSchemaStmt: ({ schemaname, if_not_exists }, book) => {
    // Of one that may be there it tells nothing that it is.
    if (schemaname !== undefined && if_not_exists !== true)
      book.set([String(schemaname)], { kind: 'schema', name: String(schemaname) });
  },
  CreateEnumStmt(node, book) {
    const [schema, name] = named(node.typeName, book);
    const type = identifier(schema, name);
    book.set([schema, name], { kind: 'type', name: type, letters: 'e' });
    for (const label of strings(node.vals))
      book.set([schema, name, label], { kind: 'enum value', name: label, on: type });
  },
  AlterEnumStmt(node, book) {
    const [schema, name] = named(node.typeName, book);
    if (node.oldVal !== undefined) book.remove([schema, name, String(node.oldVal)]);
    const label = String(node.newVal);
    book.set([schema, name, label], { kind: 'enum value', name: label, on: identifier(schema, name) });
  },
  CompositeTypeStmt({ typevar }, book) {
    const { schemaname, relname } = typevar as Node;
    const [schema, name] = book.full(schemaname, relname);
    book.set([schema, name], { kind: 'type', name: identifier(schema, name), letters: 'c' });
  },
  CreateDomainStmt(node, book) {
    const [schema, name] = named(node.domainname, book);
    book.set([schema, name], { kind: 'type', name: identifier(schema, name), letters: 'd' });
  },
  CreateRangeStmt(node, book) {
    const [schema, name] = named(node.typeName, book);
    book.set([schema, name], { kind: 'type', name: identifier(schema, name), letters: 'r' });
  },
  CreateFunctionStmt(node, book) {
    const [schema, name] = named(node.funcname, book);
    const signature = `${identifier(schema, name)}(${argumentTypes(node.parameters).join(', ')})`;
    book.set([schema, 'function', signature], { kind: 'function', name: signature });
  },
  IndexStmt({ idxname, relation }, book) {
    if (idxname === undefined) return;
    const [schema, table] = relationName(relation, book);
    const key = [schema, String(idxname)];
    const on = identifier(schema, table);
    book.set(key, { kind: 'relation', name: identifier(...key), on, letters: 'iI' });
  },
  CreateTrigStmt: ({ trigname, relation }, book) => setOn('trigger', relation, trigname, book),
  CreatePolicyStmt: ({ policy_name, table }, book) => setOn('policy', table, policy_name, book),
  AlterTableStmt(node, book) {
    const table = relationName(node.relation, book);
    for (const each of (node.cmds as Node[] | undefined) ?? [])
      alterTable(each.AlterTableCmd as Node, table, node.relation, book);
  },
  RenameStmt: rename,
  AlterObjectSchemaStmt(node, book) {
    if (!node.relation) return;
    const from = relationName(node.relation, book);
    moveRelation(from, [String(node.newschema), from[1]], book);
  },
  DropStmt: drop,
};

function makeRelation(kind: string, node: Node, book: Book): void {
  const base = kind === 'CreateForeignTableStmt' ? (node.base as Node | undefined) : node;
  const relation = base && madeRelation(kind === 'CreateForeignTableStmt' ? 'CreateStmt' : kind, base);
  if (!relation || isTemporary(relation)) return;
  const [schema, name] = relationName(relation, book);
  const table = identifier(schema, name);
  book.set([schema, name], { kind: 'relation', name: table, letters: lettersOf(kind, node) });
  for (const element of (base.tableElts as Node[] | undefined) ?? []) {
    const column = element.ColumnDef as Node | undefined;
    const constraint = element.Constraint as Node | undefined;
    if (column) setColumn(column, [schema, name], book);
    if (constraint) setOn('constraint', relation, constraint.conname, book);
  }
}

function lettersOf(kind: string, node: Node): string {
  if (kind === 'ViewStmt') return 'v';
  if (kind === 'CreateSeqStmt') return 'S';
  if (kind === 'CreateForeignTableStmt') return 'f';
  return node.objtype === 'OBJECT_MATVIEW' ? 'm' : 'rp';
}

function setColumn(column: Node, [schema, name]: readonly string[], book: Book): void {
  const on = identifier(schema!, name!);
  const typed = column.typeName ? columnType(column.typeName as Node) : {};
  const thing: MadeThing = { kind: 'column', name: String(column.colname), on, ...typed };
  book.set([schema!, name!, 'column', thing.name], thing);
}

function setOn(
  kind: 'trigger' | 'policy' | 'constraint',
  relation: unknown,
  name: unknown,
  book: Book,
): void {
  if (name === undefined) return;
  const [schema, table] = relationName(relation, book);
  book.set([schema, table, kind, String(name)], { kind, name: String(name), on: identifier(schema, table) });
}

function alterTable(command: Node, table: [string, string], relation: unknown, book: Book): void {
  const { subtype, name, def } = command;
  const { ColumnDef: column, Constraint: constraint } = (def ?? {}) as {
    ColumnDef?: Node;
    Constraint?: Node;
  };
  const key = [...table, 'column', String(name)];
  if (subtype === 'AT_AddColumn' && column) setColumn(column, table, book);
  if (subtype === 'AT_EnableRowSecurity')
    book.set([...table, 'row security'], { kind: 'row security', name: '', on: identifier(...table) });
  if (subtype === 'AT_DisableRowSecurity') book.remove([...table, 'row security']);
  if (subtype === 'AT_DropColumn') book.remove(key);
  if (subtype === 'AT_AlterColumnType' && column) setColumn({ ...column, colname: name }, table, book);
  if (subtype === 'AT_AddConstraint') setOn('constraint', relation, constraint?.conname, book);
  if (subtype === 'AT_DropConstraint') book.remove([...table, 'constraint', String(name)]);
}

const RENAMED_ON: Readonly<Record<string, 'column' | 'trigger' | 'policy' | 'constraint'>> = {
  OBJECT_COLUMN: 'column',
  OBJECT_TRIGGER: 'trigger',
  OBJECT_POLICY: 'policy',
  OBJECT_TABCONSTRAINT: 'constraint',
};

function rename(node: Node, book: Book): void {
  const fresh = String(node.newname);
  const part = RENAMED_ON[String(node.renameType)];
  if (node.relation && part) {
    const on = [...relationName(node.relation, book), part];
    book.move([...on, String(node.subname)], [...on, fresh], (thing) => ({ ...thing, name: fresh }));
  } else if (node.relation) {
    const from = relationName(node.relation, book);
    moveRelation(from, [from[0], fresh], book);
  } else if (node.renameType === 'OBJECT_TYPE' || node.renameType === 'OBJECT_DOMAIN') {
    const from = named((node.object as { List?: Node } | undefined)?.List?.items, book);
    moveRelation(from, [from[0], fresh], book);
  }
}

/** A type is moved alike. */
function moveRelation(from: [string, string], to: [string, string], book: Book): void {
  const [old, fresh] = [identifier(...from), identifier(...to)];
  book.move(from, to, (thing) =>
    thing.on === old ? { ...thing, on: fresh } : thing.name === old ? { ...thing, name: fresh } : thing,
  );
}

const DROPPED_ON: Readonly<Record<string, string>> = {
  OBJECT_POLICY: 'policy',
  OBJECT_TRIGGER: 'trigger',
};

function drop(node: Node, book: Book): void {
  const part = DROPPED_ON[String(node.removeType)];
  if (node.removeType === 'OBJECT_SCHEMA') for (const name of strings(node.objects)) book.remove([name]);
  else if (node.removeType === 'OBJECT_TYPE' || node.removeType === 'OBJECT_DOMAIN')
    for (const each of (node.objects as { TypeName?: Node }[] | undefined) ?? [])
      book.remove(named(each.TypeName?.names, book));
  else if (node.removeType === 'OBJECT_FUNCTION' || node.removeType === 'OBJECT_PROCEDURE')
    dropFunctions(node, book);
  else
    for (const parts of droppedNames(node)) {
      const own = parts.length - (part ? 1 : 0);
      const table = book.full(parts[own - 2], parts[own - 1]);
      book.remove(part ? [...table, part, parts[own]!] : table);
    }
}

function dropFunctions(node: Node, book: Book): void {
  for (const each of (node.objects as { ObjectWithArgs?: Node }[] | undefined) ?? []) {
    const { objname, objargs } = each.ObjectWithArgs ?? {};
    const [schema, name] = named(objname, book);
    const types = ((objargs as { TypeName?: Node }[] | undefined) ?? []).map(({ TypeName = {} }) =>
      typeName(TypeName),
    );
    book.remove([schema, 'function', `${identifier(schema, name)}(${types.join(', ')})`]);
  }
}

function relationName(relation: unknown, book: Book): [string, string] {
  const { schemaname, relname } = (relation ?? {}) as Node;
  return book.full(schemaname, relname);
}

function named(list: unknown, book: Book): [string, string] {
  const parts = strings(list);
  return book.full(parts[parts.length - 2], parts[parts.length - 1]);
}

/** Only those that a function is known by: neither OUT nor TABLE. */
function argumentTypes(parameters: unknown): string[] {
  return ((parameters as { FunctionParameter?: Node }[] | undefined) ?? []).flatMap(
    ({ FunctionParameter: own }) => {
      if (!own || own.mode === 'FUNC_PARAM_OUT' || own.mode === 'FUNC_PARAM_TABLE') return [];
      return [typeName(own.argType as Node)];
    },
  );
}

function typeName({ names, arrayBounds }: Node): string {
  const parts = strings(names);
  const plain = parts.length === 1 ? SERIAL[parts[0]!] : undefined;
  return `${plain ?? identifier(...parts)}${arrayBounds === undefined ? '' : '[]'}`;
}

const SERIAL: Readonly<Record<string, string>> = {
  smallserial: 'int2',
  serial2: 'int2',
  serial: 'int4',
  serial4: 'int4',
  bigserial: 'int8',
  serial8: 'int8',
};

/** What stands in parentheses is compared only where the server writes it the same way. */
function columnType(type: Node): Pick<MadeThing, 'type' | 'modifiers'> {
  const numbers = ((type.typmods as Node[] | undefined) ?? []).map(
    (each) => (each.A_Const as { ival?: { ival?: number } } | undefined)?.ival?.ival ?? 0,
  );
  const word = strings(type.names).at(-1);
  const comparable = word === 'varchar' || word === 'bpchar' || (word === 'numeric' && numbers.length === 2);
  return {
    type: typeName(type),
    ...(comparable && numbers.length > 0 ? { modifiers: numbers.join(',') } : {}),
  };
}

import { basename } from 'node:path';
import type { ArgumentType, FunctionName, QualifiedName } from '../../lib/sql-names.js';
import { madeRelation, type Node, nodesOf, setConfigs, strings } from '../sql/parse-tree.js';
import type { Statement } from '../sql/parser.js';
import type { PlannedFile } from './batches.js';

/** What the pending files make, as far as their text shows it. Each answer is the name of the file that does. */
export interface CreatedByFiles {
  table(wanted: QualifiedName): string | undefined;
  function(wanted: FunctionName): string | undefined;
  /** Row level security is switched on. */
  rowSecurity(table: QualifiedName): string | undefined;
  policy(table: QualifiedName): string | undefined;
  /** They also run what the text does not show: DO blocks, functions, extensions. It may make anything. */
  more: boolean;
}

interface Created {
  /** Undefined where the name has none: the search path decides, and any schema may be meant. */
  schema: string | undefined;
  name: string;
  file: string;
  arguments?: ArgumentType[];
}

export function createdByFiles(files: readonly PlannedFile[]): CreatedByFiles {
  const tables: Created[] = [];
  const functions: Created[] = [];
  const secured: Created[] = [];
  const policies: Created[] = [];
  let more = false;
  for (const { file, shape } of files) {
    const name = basename(file);
    if (!shape.statements) more = true;
    for (const statement of shape.statements ?? []) {
      const { kind, node } = statement;
      const relation = (of: unknown): Created => {
        const { schemaname, relname } = (of ?? {}) as Node;
        return { schema: textOf(schemaname), name: String(relname), file: name };
      };
      const made = createdTable(statement);
      if (made) tables.push(relation(made));
      if (kind === 'RenameStmt' && node.renameType === 'OBJECT_TABLE')
        tables.push({ ...relation(node.relation), name: String(node.newname) });
      if (kind === 'AlterObjectSchemaStmt' && node.objectType === 'OBJECT_TABLE')
        tables.push({ ...relation(node.relation), schema: String(node.newschema) });
      if (kind === 'CreateFunctionStmt')
        functions.push({ ...qualifiedName(node.funcname), file: name, ...argumentsOf(node) });
      if (kind === 'AlterTableStmt' && subtypes(node).includes('AT_EnableRowSecurity'))
        secured.push(relation(node.relation));
      if (kind === 'CreatePolicyStmt') policies.push(relation(node.table));
      more ||= isOpaque(statement);
    }
  }
  return {
    table: (wanted) => find(tables, wanted),
    function: (wanted) =>
      find(
        functions.filter((each) => sameArguments(wanted.arguments, each.arguments)),
        wanted,
      ),
    rowSecurity: (table) => find(secured, table),
    policy: (table) => find(policies, table),
    more,
  };
}

function find(made: readonly Created[], { schema, name }: QualifiedName): string | undefined {
  return made.find((each) => each.name === name && (each.schema ?? schema) === schema)?.file;
}

function createdTable({ kind, node }: Statement): Node | undefined {
  if (kind === 'CreateForeignTableStmt') return (node.base as Node | undefined)?.relation as Node | undefined;
  return /^(CreateStmt|CreateTableAsStmt|SelectStmt)$/.test(kind) ? madeRelation(kind, node) : undefined;
}

function subtypes({ cmds }: Node): unknown[] {
  return ((cmds as Node[] | undefined) ?? []).map(
    (each) => (each.AlterTableCmd as Node | undefined)?.subtype,
  );
}

/** Runs what cannot be read here; setting a value for the session makes nothing. */
function isOpaque({ kind, node }: Statement): boolean {
  if (/^(DoStmt|CallStmt|ExecuteStmt|CreateExtensionStmt)$/.test(kind)) return true;
  if (kind !== 'SelectStmt') return false;
  const calls = [...nodesOf(node)].filter((each) => each.FuncCall !== undefined).length;
  return calls > setConfigs(node).filter((call) => call !== undefined).length;
}

function qualifiedName(list: unknown): Pick<Created, 'schema' | 'name'> {
  const parts = strings(list);
  return {
    schema: parts.length > 1 ? parts[parts.length - 2] : undefined,
    name: parts[parts.length - 1] ?? '',
  };
}

/** The arguments by which a function is told from others of its name: neither OUT nor TABLE. */
function argumentsOf({ parameters }: Node): { arguments: ArgumentType[] } {
  const all = ((parameters as Node[] | undefined) ?? []).map((each) => each.FunctionParameter as Node);
  const given = all.filter(({ mode }) => mode !== 'FUNC_PARAM_OUT' && mode !== 'FUNC_PARAM_TABLE');
  return {
    arguments: given.map(({ argType }) => {
      const { names, arrayBounds } = argType as Node;
      const { schema, name } = qualifiedName(names);
      return { ...(schema === undefined ? {} : { schema }), name, array: arrayBounds !== undefined };
    }),
  };
}

function sameArguments(
  wanted: readonly ArgumentType[] | undefined,
  made: readonly ArgumentType[] = [],
): boolean {
  if (wanted === undefined) return true;
  if (wanted.length !== made.length) return false;
  return wanted.every(({ schema, name, array }, index) => {
    const other = made[index]!;
    const anySchema = schema === undefined || other.schema === undefined || schema === other.schema;
    return name === other.name && array === other.array && anySchema;
  });
}

function textOf(value: unknown): string | undefined {
  return value === undefined ? undefined : String(value);
}

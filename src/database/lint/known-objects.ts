import { type CreatedTables, createdTables } from '../migrations/created-tables.js';
import { droppedNames, type Node, strings } from '../sql/parse-tree.js';
import type { Statement } from '../sql/parser.js';
import type { CatalogFacts } from './catalog-facts.js';
import { isMadeVolatile, usualVolatility } from './volatile-functions.js';

/** A statement as the rules see it. */
export type StatementNode = Pick<Statement, 'kind' | 'node'>;

/** What is known of the objects that a statement names: from the statements before it, and from a catalog where one was asked. */
export interface KnownObjects extends Pick<CreatedTables, 'isNew' | 'areNew'> {
  isPartitioned(relation: unknown): boolean;
  /** Each index of a DROP INDEX was made by the files, went with a constraint, or is not there. */
  areNewIndexes(drop: Node): boolean;
  /** Each schema of a DROP SCHEMA was made by the files. */
  areNewSchemas(drop: Node): boolean;
  /** A CHECK that has looked at all rows says that the column is not null. */
  isProvenNotNull(relation: unknown, column: unknown): boolean;
  /** The constraint was added NOT VALID in the same transaction. */
  isJustAdded(relation: unknown, constraint: unknown): boolean;
  /** The file makes a policy for the table behind this statement. */
  getsPolicy(relation: unknown): boolean;
  /** A function may give another value for each row. */
  isVolatile(name: readonly string[]): boolean;
  /** The server's version as PostgreSQL numbers it; 0 where none was asked. */
  readonly serverVersion: number;
}

/** Takes in statement after statement. */
export interface ObjectBook extends KnownObjects {
  beginFile(statements: readonly StatementNode[]): void;
  /** `surely`: as CreatedTables.follow. */
  follow(statement: StatementNode, surely: boolean): void;
  endFile(): void;
}

interface NotNullCheck {
  table: string;
  column: string;
  name: string;
  valid: boolean;
}

export function objectBook(facts?: CatalogFacts): ObjectBook {
  const asked = new Set(facts?.asked.relations);
  /** What the catalog knows of them stands under another name. */
  const renamedSchemas = new Set<string>();
  const there = (schema: string | undefined, name: string): boolean | undefined =>
    asked.has(name) && !renamedSchemas.has(schema ?? '')
      ? facts?.relations.some((each) => each.name === name && (schema ?? each.schema) === each.schema)
      : undefined;
  const tables = createdTables(there);
  const indexes = new Set<string>();
  const schemas = new Set<string>();
  const partitioned = new Set(
    (facts?.relations ?? []).filter(({ kind }) => kind === 'p' || kind === 'I').map(({ name }) => name),
  );
  let checks: NotNullCheck[] = [...(facts?.notNullChecks ?? [])];
  let justAdded: [table: string, constraint: string][] = [];
  let policies: string[] = [];
  const volatile = new Map<string, boolean>();

  const followCommand = (table: string, command: Node): void => {
    const { Constraint: constraint } = (command.def ?? {}) as { Constraint?: Node };
    const name = String(constraint?.conname ?? command.name);
    switch (command.subtype) {
      case 'AT_AddConstraint': {
        const valid = constraint?.skip_validation !== true;
        if (!valid) justAdded.push([table, name]);
        if (constraint?.conname !== undefined) indexes.add(name);
        const column = notNullColumn(constraint?.raw_expr);
        if (column !== undefined) checks.push({ table, column, name, valid });
        break;
      }
      case 'AT_ValidateConstraint':
        checks = checks.map((each) =>
          each.table === table && each.name === name ? { ...each, valid: true } : each,
        );
        break;
      case 'AT_DropConstraint':
        // The index of a UNIQUE or PRIMARY KEY goes with it.
        indexes.add(name);
        checks = checks.filter((each) => each.table !== table || each.name !== name);
    }
  };

  return {
    isNew: tables.isNew,
    areNew: tables.areNew,
    serverVersion: facts?.serverVersion ?? 0,
    isPartitioned: (relation) => partitioned.has(nameOf(relation)),
    areNewIndexes: (drop) =>
      droppedNames(drop).every((parts) => {
        const [name = '', schema] = [...parts].reverse();
        return indexes.has(name) || there(schema, name) === false;
      }),
    areNewSchemas: ({ objects }) => strings(objects).every((name) => schemas.has(name)),
    isProvenNotNull: (relation, column) =>
      checks.some((each) => each.valid && each.table === nameOf(relation) && each.column === column),
    isJustAdded: (relation, constraint) =>
      justAdded.some(([table, name]) => table === nameOf(relation) && name === constraint),
    getsPolicy: (table) => policies.includes(nameOf(table)),
    isVolatile: (parts) => {
      const [name = '', schema] = [...parts].reverse();
      const made = volatile.get(name);
      if (made !== undefined) return made;
      const found = (facts?.functions ?? []).filter(
        (each) => each.name === name && (schema ?? each.schema) === each.schema,
      );
      return found.length > 0 ? found.some((each) => each.volatile) : usualVolatility(name) === true;
    },
    beginFile(statements) {
      policies = statements.flatMap(({ kind, node }) =>
        kind === 'CreatePolicyStmt' ? [nameOf(node.table)] : [],
      );
      justAdded = [];
    },
    follow({ kind, node }, surely) {
      tables.follow({ kind, node }, surely);
      if (kind === 'IndexStmt') indexes.add(String(node.idxname ?? usualIndexName(node)));
      if (kind === 'CreateSchemaStmt' && node.if_not_exists !== true && surely)
        schemas.add(String(node.schemaname));
      if (kind === 'RenameStmt' && node.renameType === 'OBJECT_SCHEMA')
        renamedSchemas.add(String(node.newname));
      if (kind === 'CreateStmt' && node.partspec !== undefined) partitioned.add(nameOf(node.relation));
      if (kind === 'CreateFunctionStmt')
        volatile.set(strings(node.funcname).at(-1) ?? '', isMadeVolatile(node));
      if (kind === 'AlterTableStmt')
        for (const command of commandsOf(node)) followCommand(nameOf(node.relation), command);
    },
    endFile: () => tables.endFile(),
  };
}

/** What an ALTER TABLE does, command by command. */
export function commandsOf({ cmds }: Node): Node[] {
  return ((cmds as Node[] | undefined) ?? []).map(({ AlterTableCmd: command }) => command as Node);
}

function nameOf(relation: unknown): string {
  return String(((relation ?? {}) as Node).relname);
}

/** The column of a CHECK that says no more than that it is not null. */
function notNullColumn(expression: unknown): string | undefined {
  const { NullTest: test } = (expression ?? {}) as { NullTest?: Node };
  const { ColumnRef: column } = (test?.arg ?? {}) as { ColumnRef?: Node };
  return test?.nulltesttype === 'IS_NOT_NULL' ? strings(column?.fields).at(-1) : undefined;
}

/** The name that PostgreSQL gives an index without one, where it is not taken. */
function usualIndexName({ relation, indexParams }: Node): string {
  const columns = ((indexParams as Node[] | undefined) ?? []).map(({ IndexElem: element }) =>
    String((element as Node).name ?? 'expr'),
  );
  return [nameOf(relation), ...columns, 'idx'].join('_');
}

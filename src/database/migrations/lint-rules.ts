import { type Node, strings } from '../sql/parse-tree.js';
import type { Statement } from '../sql/parser.js';
import type { CreatedTables } from './created-tables.js';

/** What is said about a kind of statement, wherever it stands. */
export interface LintRule {
  /** As squawk names it, where squawk has that rule. */
  rule: string;
  /** The strongest table lock that it takes. */
  lock: string;
  /** Data is gone afterwards. */
  destructive: boolean;
  /** What to write instead. */
  instead: string;
}

const EXCLUSIVE = 'ACCESS EXCLUSIVE';
/** What is left to do where the old code still uses it; of no help in a file that waits for health already. */
export const LATER =
  'Stop using it in the code first, and drop it in a file marked "-- deploy: after-health".';
const WHICH = 'Say with WHERE which rows are meant, in batches where there are many.';

const rule = (name: string, lock: string, destructive: boolean, instead: string): LintRule => ({
  rule: name,
  lock,
  destructive,
  instead,
});

/** The rules that a statement breaks, with those that are written inside it; `tables`: what the same files made before. */
export function rulesFor({ kind, node }: StatementNode, tables: CreatedTables): LintRule[] {
  return [
    ...rulesOf({ kind, node }, tables),
    ...inner({ kind, node }).flatMap((each) => rulesFor(each, tables)),
  ];
}

type StatementNode = Pick<Statement, 'kind' | 'node'>;

/** The statements that a statement runs with it: its WITH, and what is explained, prepared or made a table of. */
function inner({ kind, node }: StatementNode): StatementNode[] {
  const { ctes } = (node.withClause ?? {}) as { ctes?: { CommonTableExpr?: { ctequery?: Node } }[] };
  const queries = (ctes ?? []).map(({ CommonTableExpr }) => CommonTableExpr?.ctequery);
  if (kind === 'ExplainStmt' || kind === 'PrepareStmt' || kind === 'CreateTableAsStmt')
    queries.push(node.query as Node | undefined);
  return queries.flatMap((query) =>
    Object.entries(query ?? {}).map(([name, value]) => ({ kind: name, node: value as Node })),
  );
}

/** A WHERE that keeps nothing out, as safeupdate is told by: `where true`, `where 1 = 1`. */
function isConstant(where: unknown): boolean {
  const { A_Const: constant, A_Expr: expression } = (where ?? {}) as { A_Const?: Node; A_Expr?: Node };
  if (constant) return true;
  return expression !== undefined && isConstant(expression.lexpr) && isConstant(expression.rexpr);
}

function rulesOf({ kind, node }: StatementNode, tables: CreatedTables): LintRule[] {
  // What may have been there before can lose data; that the application waits for it is not likely enough to be told.
  const isNew = (relation: unknown): boolean => tables.isNew(relation, false);
  switch (kind) {
    case 'DropStmt':
      return dropRules(node, tables);
    case 'DropOwnedStmt':
      return [rule('drop-owned', EXCLUSIVE, true, 'Drop by name what has to go.')];
    case 'MergeStmt': {
      const clauses = (node.mergeWhenClauses as { MergeWhenClause?: Node }[] | undefined) ?? [];
      const deletes = clauses.some(({ MergeWhenClause }) => MergeWhenClause?.commandType === 'CMD_DELETE');
      return deletes && !tables.isNew(node.relation, true)
        ? [
            rule(
              'merge-delete',
              'ROW EXCLUSIVE',
              true,
              'DELETE with a WHERE says plainly which rows have to go.',
            ),
          ]
        : [];
    }
    case 'DropdbStmt':
      return [rule('ban-drop-database', EXCLUSIVE, true, 'Drop databases by hand.')];
    case 'TruncateStmt': {
      const relations = (node.relations as { RangeVar?: Node }[] | undefined) ?? [];
      if (relations.every(({ RangeVar }) => tables.isNew(RangeVar, true))) return [];
      const cascade = node.behavior === 'DROP_CASCADE';
      return [
        rule(
          cascade ? 'ban-truncate-cascade' : 'truncate',
          EXCLUSIVE,
          true,
          'DELETE with a WHERE, where only some rows have to go.',
        ),
      ];
    }
    case 'DeleteStmt':
    case 'UpdateStmt': {
      const all = node.whereClause === undefined || isConstant(node.whereClause);
      if (!all || tables.isNew(node.relation, true)) return [];
      const word = kind === 'DeleteStmt' ? 'delete' : 'update';
      return [rule(`${word}-without-where`, 'ROW EXCLUSIVE', true, WHICH)];
    }
    case 'IndexStmt':
      if (node.concurrent === true || isNew(node.relation)) return [];
      return [
        rule(
          'require-concurrent-index-creation',
          'SHARE',
          false,
          'CREATE INDEX CONCURRENTLY in a file of its own: writes go on meanwhile.',
        ),
      ];
    case 'RenameStmt':
      return isNew(node.relation) ? [] : renameRules(String(node.renameType));
    case 'AlterTableStmt':
      return alterRules(node).filter(({ destructive }) => !tables.isNew(node.relation, destructive));
    case 'VacuumStmt':
      return options(node.options).includes('full')
        ? [rule('vacuum-full', EXCLUSIVE, false, 'Plain VACUUM: it locks nobody out.')]
        : [];
    case 'ClusterStmt':
      return [
        rule(
          'cluster',
          EXCLUSIVE,
          false,
          'It rewrites the table under a full lock: run it by hand at a quiet time.',
        ),
      ];
    case 'ReindexStmt':
      return options(node.params).includes('concurrently')
        ? []
        : [rule('reindex', EXCLUSIVE, false, 'REINDEX ... CONCURRENTLY.')];
    default:
      return [];
  }
}

function options(list: unknown): string[] {
  return Array.isArray(list)
    ? list.map((item: { DefElem?: { defname?: string } }) => item.DefElem?.defname ?? '')
    : [];
}

function dropRules(node: Node, tables: CreatedTables): LintRule[] {
  switch (node.removeType) {
    case 'OBJECT_TABLE':
      return tables.areNew(node) ? [] : [rule('ban-drop-table', EXCLUSIVE, true, LATER)];
    case 'OBJECT_SCHEMA':
      return [rule('drop-schema', EXCLUSIVE, true, LATER)];
    case 'OBJECT_TYPE':
    case 'OBJECT_DOMAIN':
      return node.behavior === 'DROP_CASCADE'
        ? [
            rule(
              'drop-type-cascade',
              EXCLUSIVE,
              true,
              'Without CASCADE it fails where a column still has the type.',
            ),
          ]
        : [];
    case 'OBJECT_EXTENSION':
      return node.behavior === 'DROP_CASCADE'
        ? [
            rule(
              'drop-extension-cascade',
              EXCLUSIVE,
              true,
              'Without CASCADE it fails where something still depends on it.',
            ),
          ]
        : [];
    case 'OBJECT_INDEX':
      return node.concurrent === true
        ? []
        : [
            rule(
              'require-concurrent-index-deletion',
              EXCLUSIVE,
              false,
              'DROP INDEX CONCURRENTLY in a file of its own.',
            ),
          ];
    default:
      return [];
  }
}

function renameRules(type: string): LintRule[] {
  if (type === 'OBJECT_COLUMN')
    return [
      rule(
        'renaming-column',
        EXCLUSIVE,
        false,
        'Add the new column, fill it, move the code over, drop the old one after health.',
      ),
    ];
  if (type === 'OBJECT_TABLE')
    return [
      rule('renaming-table', EXCLUSIVE, false, 'Keep a view under the old name until no code uses it.'),
    ];
  return [];
}

interface Command {
  subtype?: string;
  def?: { Constraint?: Constraint; ColumnDef?: { constraints?: { Constraint?: Constraint }[] } };
}

interface Constraint {
  contype?: string;
  skip_validation?: boolean;
  indexname?: string;
  raw_expr?: Record<string, unknown>;
}

function alterRules(node: Node): LintRule[] {
  // ALTER INDEX, ALTER VIEW and the like come as the same node, and lock no table.
  if (node.objtype !== 'OBJECT_TABLE') return [];
  const commands = (node.cmds as { AlterTableCmd?: Command }[] | undefined) ?? [];
  return commands.flatMap(({ AlterTableCmd: command = {} }) => commandRules(command));
}

function commandRules({ subtype, def }: Command): LintRule[] {
  switch (subtype) {
    case 'AT_DropColumn':
      return [rule('ban-drop-column', EXCLUSIVE, true, LATER)];
    case 'AT_AlterColumnType':
      return [
        rule(
          'changing-column-type',
          EXCLUSIVE,
          false,
          'Most changes rewrite the table: add a new column, fill it, switch, drop the old one after health.',
        ),
      ];
    case 'AT_SetNotNull':
      return [
        rule(
          'adding-not-nullable-field',
          EXCLUSIVE,
          false,
          'Add CHECK (column IS NOT NULL) NOT VALID, VALIDATE it in a later file, then SET NOT NULL.',
        ),
      ];
    case 'AT_AddConstraint':
      return constraintRules(def?.Constraint ?? {});
    case 'AT_AddColumn':
      return columnRules(
        (def?.ColumnDef?.constraints ?? []).map(({ Constraint: constraint = {} }) => constraint),
      );
    default:
      return [];
  }
}

function constraintRules({ contype, skip_validation, indexname }: Constraint): LintRule[] {
  if (contype === 'CONSTR_FOREIGN' && skip_validation !== true)
    return [
      rule(
        'adding-foreign-key-constraint',
        'SHARE ROW EXCLUSIVE',
        false,
        'Add it NOT VALID, and VALIDATE CONSTRAINT in a later file.',
      ),
    ];
  if (contype === 'CONSTR_CHECK' && skip_validation !== true)
    return [
      rule(
        'constraint-missing-not-valid',
        EXCLUSIVE,
        false,
        'Add it NOT VALID, and VALIDATE CONSTRAINT in a later file.',
      ),
    ];
  if ((contype === 'CONSTR_UNIQUE' || contype === 'CONSTR_PRIMARY') && indexname === undefined)
    return [
      rule(
        'disallowed-unique-constraint',
        EXCLUSIVE,
        false,
        'CREATE UNIQUE INDEX CONCURRENTLY first, then ADD CONSTRAINT ... USING INDEX.',
      ),
    ];
  return [];
}

function columnRules(constraints: readonly Constraint[]): LintRule[] {
  const types = constraints.map(({ contype }) => contype);
  const found: LintRule[] = [];
  const fallback = constraints.find(({ contype }) => contype === 'CONSTR_DEFAULT');
  if (
    types.includes('CONSTR_NOTNULL') &&
    !fallback &&
    !types.includes('CONSTR_IDENTITY') &&
    !types.includes('CONSTR_GENERATED')
  )
    found.push(
      rule(
        'adding-required-field',
        EXCLUSIVE,
        false,
        'Without a DEFAULT it fails on a table with rows, and on the inserts of the old code.',
      ),
    );
  if (fallback?.raw_expr && 'FuncCall' in fallback.raw_expr && !isStable(fallback.raw_expr.FuncCall))
    found.push(
      rule(
        'adding-field-with-default',
        EXCLUSIVE,
        false,
        'A default that differs for each row rewrites the table: add the column, fill it in batches, then set the default.',
      ),
    );
  if (types.includes('CONSTR_PRIMARY') || types.includes('CONSTR_UNIQUE'))
    found.push(
      rule(
        'disallowed-unique-constraint',
        EXCLUSIVE,
        false,
        'Add the column, CREATE UNIQUE INDEX CONCURRENTLY, then ADD CONSTRAINT ... USING INDEX.',
      ),
    );
  return found;
}

/** Calls that give one value for the whole statement: the table is not rewritten for them. */
const STABLE = new Set([
  'now',
  'current_timestamp',
  'statement_timestamp',
  'transaction_timestamp',
  'timezone',
]);

function isStable(call: unknown): boolean {
  return STABLE.has(strings((call as Node | undefined)?.funcname).at(-1) ?? '');
}

import { type Node, optionOf, strings } from '../sql/parse-tree.js';
import { commandsOf, type KnownObjects, type StatementNode } from './known-objects.js';
import { calledFunctions } from './volatile-functions.js';

/** What a statement does to the rows that are there, and to those who use them meanwhile. */
export type Effect =
  /** Data is gone afterwards. */
  | 'deletes'
  /** Every row has other values afterwards. */
  | 'changes'
  /** Whether it deletes data cannot be read. */
  | 'unknown'
  /** The table is written anew under its lock. */
  | 'rewrites'
  /** The lock is held for as long as there are rows to look at. */
  | 'locks'
  /** The lock is held for a moment; what matters is what others meet afterwards. */
  | 'briefly';

/** One kind of statement that a plan has something to say of. */
export interface LintRule {
  /** As squawk names it, where squawk has that rule. */
  readonly name: string;
  readonly when: (statement: StatementNode, known: KnownObjects) => boolean;
  /** The strongest lock on a table that was there before; undefined where none is taken. */
  readonly lock: string | undefined;
  readonly effect: Effect;
  /** What to write instead. */
  readonly advice: string;
  /** The same where the table is partitioned, and PostgreSQL refuses what is advised otherwise. */
  readonly partitioned?: string;
}

const EXCLUSIVE = 'ACCESS EXCLUSIVE';
/** What is left to do where the old code still uses it; of no help in a file that waits for health already. */
export const LATER =
  'Stop using it in the code first, and drop it in a file marked "-- deploy: after-health".';
const WHICH = 'Say with WHERE which rows are meant, in batches where there are many.';
const NOT_VALID = 'Add it NOT VALID, and VALIDATE CONSTRAINT in a later file.';
const FILL =
  'It rewrites the table: add the column without it, fill it in batches, then set the default or add the constraint.';
const QUIET = 'It rewrites the table under a full lock: run it at a quiet time.';
const EACH_PARTITION =
  'CREATE INDEX ... ON ONLY the partitioned table, CREATE INDEX CONCURRENTLY on each partition in files of their own, then ALTER INDEX ... ATTACH PARTITION for each.';

/** One row a rule: name, when, lock, effect, advice. Those that delete data come first, and are told first. */
export const LINT_RULES: readonly LintRule[] = [
  rule(
    'ban-drop-table',
    drops('OBJECT_TABLE', (node, known) => !known.areNew(node)),
    EXCLUSIVE,
    'deletes',
    LATER,
  ),
  rule(
    'ban-drop-column',
    alters('AT_DropColumn', (_, node, known) => !known.isNew(node.relation, true)),
    EXCLUSIVE,
    'deletes',
    LATER,
  ),
  rule(
    'drop-attribute',
    ({ kind, node }) =>
      kind === 'AlterTableStmt' &&
      node.objtype === 'OBJECT_TYPE' &&
      commandsOf(node).some(({ subtype }) => subtype === 'AT_DropColumn'),
    undefined,
    'deletes',
    'Every value of the type loses the attribute. Stop using it in the code first, and drop it in a file marked "-- deploy: after-health".',
  ),
  rule(
    'drop-schema',
    drops('OBJECT_SCHEMA', (node, known) => !known.areNewSchemas(node)),
    EXCLUSIVE,
    'deletes',
    LATER,
  ),
  rule(
    'drop-type-cascade',
    ({ kind, node }) =>
      kind === 'DropStmt' && /^OBJECT_(?:TYPE|DOMAIN)$/.test(String(node.removeType)) && cascades(node),
    EXCLUSIVE,
    'deletes',
    'Without CASCADE it fails where a column still has the type.',
  ),
  rule(
    'drop-extension-cascade',
    drops('OBJECT_EXTENSION', (node) => cascades(node)),
    EXCLUSIVE,
    'deletes',
    'Without CASCADE it fails where something still depends on it.',
  ),
  rule('drop-owned', isKind('DropOwnedStmt'), undefined, 'deletes', 'Drop by name what has to go.'),
  rule('ban-drop-database', isKind('DropdbStmt'), undefined, 'deletes', 'Drop databases by hand.'),
  rule(
    'ban-truncate-cascade',
    truncates((node) => cascades(node)),
    EXCLUSIVE,
    'deletes',
    'DELETE with a WHERE, where only some rows have to go.',
  ),
  rule(
    'truncate',
    truncates((node) => !cascades(node)),
    EXCLUSIVE,
    'deletes',
    'DELETE with a WHERE, where only some rows have to go.',
  ),
  rule('delete-without-where', touchesAllRows('DeleteStmt'), 'ROW EXCLUSIVE', 'deletes', WHICH),
  rule(
    'merge-delete',
    ({ kind, node }, known) =>
      kind === 'MergeStmt' &&
      ((node.mergeWhenClauses as { MergeWhenClause?: Node }[] | undefined) ?? []).some(
        ({ MergeWhenClause: clause }) => clause?.commandType === 'CMD_DELETE',
      ) &&
      !known.isNew(node.relation, true),
    'ROW EXCLUSIVE',
    'deletes',
    'DELETE with a WHERE says plainly which rows have to go.',
  ),
  rule('update-without-where', touchesAllRows('UpdateStmt'), 'ROW EXCLUSIVE', 'changes', WHICH),

  rule(
    'adding-field-with-default',
    addsColumn((column, known) => rewritesFor(column, known)),
    EXCLUSIVE,
    'rewrites',
    FILL,
  ),
  rule(
    'changing-column-type',
    alters('AT_AlterColumnType', onOldTable),
    EXCLUSIVE,
    'rewrites',
    'Most changes rewrite the table: add a new column, fill it, switch, drop the old one after health.',
  ),
  rule('set-logged', alters('AT_SetLogged', onOldTable), EXCLUSIVE, 'rewrites', QUIET),
  rule(
    'set-unlogged',
    alters('AT_SetUnLogged', onOldTable),
    EXCLUSIVE,
    'rewrites',
    `${QUIET} After a crash it is empty.`,
  ),
  rule('set-tablespace', alters('AT_SetTableSpace', onOldTable), EXCLUSIVE, 'rewrites', QUIET),
  rule('set-access-method', alters('AT_SetAccessMethod', onOldTable), EXCLUSIVE, 'rewrites', QUIET),
  rule('move-tablespace', isKind('AlterTableMoveAllStmt'), EXCLUSIVE, 'rewrites', QUIET),
  rule(
    'vacuum-full',
    ({ kind, node }) => kind === 'VacuumStmt' && optionOf(node.options, 'full') !== undefined,
    EXCLUSIVE,
    'rewrites',
    'Plain VACUUM: it locks nobody out.',
  ),
  rule(
    'cluster',
    ({ kind, node }, known) => kind === 'ClusterStmt' && !isNewRelation(node, known),
    EXCLUSIVE,
    'rewrites',
    QUIET,
  ),
  rule(
    'refresh-materialized-view',
    ({ kind, node }, known) =>
      kind === 'RefreshMatViewStmt' && node.concurrent !== true && !isNewRelation(node, known),
    EXCLUSIVE,
    'rewrites',
    'REFRESH MATERIALIZED VIEW CONCURRENTLY, which needs a unique index on it: readers go on meanwhile.',
  ),

  rule(
    'require-concurrent-index-creation',
    ({ kind, node }, known) =>
      kind === 'IndexStmt' &&
      node.concurrent !== true &&
      !isNewRelation(node, known) &&
      !(known.isPartitioned(node.relation) && isOnly(node.relation)),
    'SHARE',
    'locks',
    'CREATE INDEX CONCURRENTLY in a file of its own: writes go on meanwhile.',
    EACH_PARTITION,
  ),
  rule(
    'require-concurrent-index-deletion',
    drops('OBJECT_INDEX', (node, known) => node.concurrent !== true && !known.areNewIndexes(node)),
    EXCLUSIVE,
    'briefly',
    'DROP INDEX CONCURRENTLY in a file of its own.',
  ),
  rule(
    'reindex',
    ({ kind, node }, known) =>
      kind === 'ReindexStmt' &&
      optionOf(node.params, 'concurrently') === undefined &&
      !(node.relation !== undefined && known.isNew(node.relation, false)),
    'SHARE',
    'locks',
    'REINDEX ... CONCURRENTLY: plain, it also locks the indexes (ACCESS EXCLUSIVE), which readers wait for.',
  ),
  rule(
    'adding-foreign-key-constraint',
    addsConstraint('CONSTR_FOREIGN', ({ skip_validation }) => skip_validation !== true),
    'SHARE ROW EXCLUSIVE',
    'locks',
    `It locks both tables. ${NOT_VALID}`,
    'It locks both tables. Add it NOT VALID to each partition and validate it there in a later file; then to the partitioned table, which takes those over.',
  ),
  rule(
    'adding-foreign-key-constraint',
    addsColumn((column) => constraintTypes(column).includes('CONSTR_FOREIGN')),
    EXCLUSIVE,
    'locks',
    `It locks the other table too (SHARE ROW EXCLUSIVE). Add the column first, then the foreign key: ${NOT_VALID}`,
  ),
  rule(
    'constraint-missing-not-valid',
    either(
      addsConstraint('CONSTR_CHECK', ({ skip_validation }) => skip_validation !== true),
      addsColumn((column) => constraintTypes(column).includes('CONSTR_CHECK')),
    ),
    EXCLUSIVE,
    'locks',
    NOT_VALID,
  ),
  rule(
    'disallowed-unique-constraint',
    either(
      addsConstraint('CONSTR_UNIQUE', withoutIndex),
      addsConstraint('CONSTR_PRIMARY', withoutIndex),
      addsColumn((column) =>
        constraintTypes(column).some((type) => type === 'CONSTR_UNIQUE' || type === 'CONSTR_PRIMARY'),
      ),
    ),
    EXCLUSIVE,
    'locks',
    'CREATE UNIQUE INDEX CONCURRENTLY first, then ADD CONSTRAINT ... USING INDEX.',
    EACH_PARTITION.replace('CREATE INDEX ...', 'CREATE UNIQUE INDEX ...').replace(
      'CREATE INDEX CONCURRENTLY',
      'CREATE UNIQUE INDEX CONCURRENTLY',
    ),
  ),
  rule(
    'adding-exclusion-constraint',
    addsConstraint('CONSTR_EXCLUSION'),
    EXCLUSIVE,
    'locks',
    'Its index cannot be built CONCURRENTLY: add it at a quiet time, or while the table is small.',
  ),
  rule(
    'adding-not-nullable-field',
    alters(
      'AT_SetNotNull',
      (command, node, known) =>
        onOldTable(command, node, known) && !known.isProvenNotNull(node.relation, command.name),
    ),
    EXCLUSIVE,
    'locks',
    'Add CHECK (column IS NOT NULL) NOT VALID, VALIDATE it in a later file, then SET NOT NULL.',
  ),
  rule(
    'validating-at-once',
    alters(
      'AT_ValidateConstraint',
      (command, node, known) =>
        known.isJustAdded(node.relation, command.name) && onOldTable(command, node, known),
    ),
    EXCLUSIVE,
    'locks',
    'VALIDATE CONSTRAINT in a later file: here the lock of ADD CONSTRAINT is held until all rows are looked at.',
  ),
  rule(
    'adding-required-field',
    addsColumn((column) => needsValue(column)),
    EXCLUSIVE,
    'briefly',
    'Without a DEFAULT it fails on a table with rows, and on the inserts of the old code.',
  ),
  rule(
    'ban-alter-domain-with-add-constraint',
    ({ kind, node }) =>
      kind === 'AlterDomainStmt' &&
      (node.def as { Constraint?: Node } | undefined)?.Constraint !== undefined &&
      (node.def as { Constraint?: Node }).Constraint?.skip_validation !== true,
    'SHARE',
    'locks',
    'It looks at all tables that have the domain. Add it NOT VALID, and VALIDATE CONSTRAINT in a later file.',
  ),
  rule(
    'detach-partition',
    alters(
      'AT_DetachPartition',
      (command, node, known) => !isConcurrent(command) && onOldTable(command, node, known),
    ),
    EXCLUSIVE,
    'briefly',
    'DETACH PARTITION ... CONCURRENTLY in a file of its own: both tables stay in use.',
  ),
  rule(
    'attach-partition',
    alters('AT_AttachPartition', (command, _, known) => !known.isNew(partitionOf(command)?.name, false)),
    EXCLUSIVE,
    'locks',
    'The rows of the new partition are looked at, under a lock on it: a validated CHECK that says the same as its bounds spares that.',
  ),
  rule(
    'lock-table',
    ({ kind, node }, known) =>
      kind === 'LockStmt' &&
      Number(node.mode) === ACCESS_EXCLUSIVE_MODE &&
      !relationsOf(node).every((relation) => known.isNew(relation, false)),
    EXCLUSIVE,
    'locks',
    'It keeps readers out until the file is committed: leave locking to the statements, or take a weaker lock.',
  ),

  rule(
    'renaming-column',
    ({ kind, node }, known) =>
      kind === 'RenameStmt' && node.renameType === 'OBJECT_COLUMN' && !isNewRelation(node, known),
    EXCLUSIVE,
    'briefly',
    'Add the new column, fill it, move the code over, drop the old one after health.',
  ),
  rule(
    'renaming-table',
    either(
      ({ kind, node }, known) =>
        kind === 'RenameStmt' && node.renameType === 'OBJECT_TABLE' && !isNewRelation(node, known),
      ({ kind, node }, known) =>
        kind === 'AlterObjectSchemaStmt' && node.objectType === 'OBJECT_TABLE' && !isNewRelation(node, known),
    ),
    EXCLUSIVE,
    'briefly',
    'Keep a view under the old name until no code uses it.',
  ),
  rule(
    'ban-drop-not-null',
    alters('AT_DropNotNull', onOldTable),
    EXCLUSIVE,
    'briefly',
    'The old code may meet NULL where it counts on a value: see that it can.',
  ),
  rule(
    'disable-row-level-security',
    alters('AT_DisableRowSecurity', onOldTable),
    EXCLUSIVE,
    'briefly',
    'Every role that has rights on the table sees and writes all rows from then on: revoke those rights, or keep the policies.',
  ),
  rule(
    'drop-policy',
    drops('OBJECT_POLICY', (node, known) =>
      droppedPolicyTables(node).some((table) => !known.getsPolicy(table) && !known.isNew(table, false)),
    ),
    EXCLUSIVE,
    'briefly',
    'The file makes no policy for that table again: see that who needs the rows still gets them, and nobody else.',
  ),
];

/** LockStmt.mode of ACCESS EXCLUSIVE, as lockdefs.h numbers them. */
const ACCESS_EXCLUSIVE_MODE = 8;

type When = LintRule['when'];

function rule(
  name: string,
  when: When,
  lock: string | undefined,
  effect: Effect,
  advice: string,
  partitioned?: string,
): LintRule {
  return { name, when, lock, effect, advice, ...(partitioned === undefined ? {} : { partitioned }) };
}

function isKind(name: string): When {
  return ({ kind }) => kind === name;
}

function either(...all: When[]): When {
  return (statement, known) => all.some((when) => when(statement, known));
}

function drops(type: string, also: (node: Node, known: KnownObjects) => boolean): When {
  return ({ kind, node }, known) => kind === 'DropStmt' && node.removeType === type && also(node, known);
}

function cascades({ behavior }: Node): boolean {
  return behavior === 'DROP_CASCADE';
}

function relationsOf({ relations }: Node): Node[] {
  return ((relations as { RangeVar?: Node }[] | undefined) ?? []).flatMap(({ RangeVar: relation }) =>
    relation ? [relation] : [],
  );
}

function truncates(also: (node: Node) => boolean): When {
  return ({ kind, node }, known) =>
    kind === 'TruncateStmt' &&
    also(node) &&
    !relationsOf(node).every((relation) => known.isNew(relation, true));
}

function touchesAllRows(name: string): When {
  return ({ kind, node }, known) =>
    kind === name &&
    (node.whereClause === undefined || isConstant(node.whereClause)) &&
    !known.isNew(node.relation, true);
}

/** A WHERE that keeps nothing out, as safeupdate is told by: `where true`, `where 1 = 1`. */
function isConstant(where: unknown): boolean {
  const { A_Const: constant, A_Expr: expression } = (where ?? {}) as { A_Const?: Node; A_Expr?: Node };
  if (constant) return true;
  return expression !== undefined && isConstant(expression.lexpr) && isConstant(expression.rexpr);
}

/** That the application waits for a table of the same files is not likely enough to be told, even where it may be older. */
function isNewRelation({ relation }: Node, known: KnownObjects): boolean {
  return known.isNew(relation, false);
}

function onOldTable(_: Node, node: Node, known: KnownObjects): boolean {
  return !isNewRelation(node, known);
}

/** ALTER INDEX, ALTER VIEW and the like come as the same node, and lock no table. */
function alters(subtype: string, also: (command: Node, node: Node, known: KnownObjects) => boolean): When {
  return ({ kind, node }, known) =>
    kind === 'AlterTableStmt' &&
    node.objtype === 'OBJECT_TABLE' &&
    commandsOf(node).some((command) => command.subtype === subtype && also(command, node, known));
}

function addsConstraint(type: string, also: (constraint: Node) => boolean = () => true): When {
  return alters('AT_AddConstraint', (command, node, known) => {
    const { Constraint: constraint = {} } = (command.def ?? {}) as { Constraint?: Node };
    return constraint.contype === type && also(constraint) && onOldTable(command, node, known);
  });
}

function withoutIndex({ indexname }: Node): boolean {
  return indexname === undefined;
}

function addsColumn(also: (column: Node, known: KnownObjects) => boolean): When {
  return alters('AT_AddColumn', (command, node, known) => {
    const { ColumnDef: column = {} } = (command.def ?? {}) as { ColumnDef?: Node };
    return also(column, known) && onOldTable(command, node, known);
  });
}

function constraintsOfColumn({ constraints }: Node): Node[] {
  return ((constraints as { Constraint?: Node }[] | undefined) ?? []).flatMap(({ Constraint: constraint }) =>
    constraint ? [constraint] : [],
  );
}

function constraintTypes(column: Node): unknown[] {
  return constraintsOfColumn(column).map(({ contype }) => contype);
}

const SERIAL = new Set(['serial', 'bigserial', 'smallserial', 'serial2', 'serial4', 'serial8']);

function isSerial({ typeName }: Node): boolean {
  return SERIAL.has(strings((typeName as Node | undefined)?.names).at(-1) ?? '');
}

/** Each row gets a value of its own, so that all of them are written anew. */
function rewritesFor(column: Node, known: KnownObjects): boolean {
  return (
    isSerial(column) ||
    constraintsOfColumn(column).some(({ contype, generated_kind, raw_expr }) => {
      if (contype === 'CONSTR_IDENTITY') return true;
      // A virtual one, of PostgreSQL 18, is computed when it is read.
      if (contype === 'CONSTR_GENERATED') return generated_kind !== 'v';
      return contype === 'CONSTR_DEFAULT' && calledFunctions(raw_expr).some((name) => known.isVolatile(name));
    })
  );
}

function needsValue(column: Node): boolean {
  const types = constraintTypes(column);
  const filled = ['CONSTR_DEFAULT', 'CONSTR_IDENTITY', 'CONSTR_GENERATED'].some((type) =>
    types.includes(type),
  );
  return types.includes('CONSTR_NOTNULL') && !filled && !isSerial(column);
}

function partitionOf({ def }: Node): Node | undefined {
  return (def as { PartitionCmd?: Node } | undefined)?.PartitionCmd;
}

function isConcurrent(command: Node): boolean {
  return partitionOf(command)?.concurrent === true;
}

function isOnly(relation: unknown): boolean {
  return (relation as Node | undefined)?.inh !== true;
}

/** The tables that a DROP POLICY names, each as a relation. */
function droppedPolicyTables({ objects }: Node): Node[] {
  return ((objects as Node[] | undefined) ?? []).map(({ List: list }) => {
    const parts = strings((list as Node | undefined)?.items).slice(0, -1);
    const [relname, schemaname] = parts.reverse();
    return { relname, ...(schemaname === undefined ? {} : { schemaname }) };
  });
}

import { isOff, type Node, optionOf } from '../sql/parse-tree.js';
import type { Statement } from '../sql/parser.js';

/** Every kind of statement that PostgreSQL refuses inside a transaction and that a file may hold. */
export type NonTransactionalKind =
  | 'create-index'
  | 'drop-index'
  | 'detach-partition'
  | 'create-database'
  | 'drop-database'
  | 'create-tablespace'
  | 'drop-tablespace'
  | 'create-subscription'
  | 'drop-subscription'
  | 'add-publication'
  | 'drop-publication'
  | 'set-publication'
  | 'reindex'
  | 'vacuum'
  | 'cluster'
  | 'move-database'
  | 'alter-system'
  | 'discard-all';

interface Kind {
  /** What a person calls it. */
  name: string;
  is: (statement: Pick<Statement, 'kind' | 'node' | 'partitioned'>) => boolean;
}

/** A change of a subscription's publications that also asks the publisher for its tables: it does unless told not to. */
function isRefreshed(node: Node, kind: string): boolean {
  return node.kind === kind && !isOff(optionOf(node.options, 'refresh'));
}

const KINDS: Readonly<Record<NonTransactionalKind, Kind>> = {
  'create-index': {
    name: 'CREATE INDEX CONCURRENTLY',
    is: ({ kind, node }) => kind === 'IndexStmt' && node.concurrent === true,
  },
  'drop-index': {
    name: 'DROP INDEX CONCURRENTLY',
    is: ({ kind, node }) => kind === 'DropStmt' && node.concurrent === true,
  },
  'detach-partition': {
    name: 'DETACH PARTITION CONCURRENTLY',
    is: ({ kind, node }) => kind === 'AlterTableStmt' && detachedConcurrently(node) !== undefined,
  },
  'create-database': {
    name: 'CREATE DATABASE',
    is: ({ kind }) => kind === 'CreatedbStmt',
  },
  'drop-database': { name: 'DROP DATABASE', is: ({ kind }) => kind === 'DropdbStmt' },
  'create-tablespace': {
    name: 'CREATE TABLESPACE',
    is: ({ kind }) => kind === 'CreateTableSpaceStmt',
  },
  'drop-tablespace': {
    name: 'DROP TABLESPACE',
    is: ({ kind }) => kind === 'DropTableSpaceStmt',
  },
  'create-subscription': {
    name: 'CREATE SUBSCRIPTION',
    is: ({ kind }) => kind === 'CreateSubscriptionStmt',
  },
  'drop-subscription': {
    name: 'DROP SUBSCRIPTION',
    is: ({ kind }) => kind === 'DropSubscriptionStmt',
  },
  'add-publication': {
    name: 'ALTER SUBSCRIPTION ... ADD PUBLICATION',
    is: ({ kind, node }) =>
      kind === 'AlterSubscriptionStmt' && isRefreshed(node, 'ALTER_SUBSCRIPTION_ADD_PUBLICATION'),
  },
  'drop-publication': {
    name: 'ALTER SUBSCRIPTION ... DROP PUBLICATION',
    is: ({ kind, node }) =>
      kind === 'AlterSubscriptionStmt' && isRefreshed(node, 'ALTER_SUBSCRIPTION_DROP_PUBLICATION'),
  },
  'set-publication': {
    name: 'ALTER SUBSCRIPTION ... PUBLICATION',
    is: ({ kind, node }) =>
      kind === 'AlterSubscriptionStmt' &&
      (node.kind === 'ALTER_SUBSCRIPTION_REFRESH' || isRefreshed(node, 'ALTER_SUBSCRIPTION_SET_PUBLICATION')),
  },
  reindex: {
    name: 'REINDEX',
    is: ({ kind, node, partitioned = false }) =>
      kind === 'ReindexStmt' &&
      (partitioned ||
        optionOf(node.params, 'concurrently') !== undefined ||
        /DATABASE|SYSTEM|SCHEMA/.test(String(node.kind))),
  },
  vacuum: {
    name: 'VACUUM',
    is: ({ kind, node }) => kind === 'VacuumStmt' && node.is_vacuumcmd === true,
  },
  cluster: {
    name: 'CLUSTER',
    is: ({ kind, node, partitioned = false }) =>
      kind === 'ClusterStmt' && (partitioned || node.relation === undefined),
  },
  'move-database': {
    name: 'ALTER DATABASE ... SET TABLESPACE',
    is: ({ kind, node }) =>
      kind === 'AlterDatabaseStmt' && optionOf(node.options, 'tablespace') !== undefined,
  },
  'alter-system': {
    name: 'ALTER SYSTEM',
    is: ({ kind }) => kind === 'AlterSystemStmt',
  },
  'discard-all': {
    name: 'DISCARD ALL',
    is: ({ kind, node }) => kind === 'DiscardStmt' && node.target === 'DISCARD_ALL',
  },
};

/** The kind of a statement that cannot run in a transaction; undefined for one that can. */
export function nonTransactional(
  statement: Pick<Statement, 'kind' | 'node' | 'partitioned'>,
): NonTransactionalKind | undefined {
  const kinds = Object.keys(KINDS) as NonTransactionalKind[];
  return kinds.find((kind) => KINDS[kind].is(statement));
}

/** What a statement is called, where PostgreSQL refuses it inside a transaction; undefined where it may be inside. */
export function whyNonTransactional(
  statement: Pick<Statement, 'kind' | 'node' | 'partitioned'>,
): string | undefined {
  const kind = nonTransactional(statement);
  return kind && KINDS[kind].name;
}

/** The partition that a DETACH PARTITION CONCURRENTLY takes off; undefined for any other ALTER TABLE. */
export function detachedConcurrently({ cmds }: Node): Node | undefined {
  for (const { AlterTableCmd: command } of (cmds as { AlterTableCmd?: Node }[] | undefined) ?? []) {
    const { PartitionCmd: partition } = (command?.def ?? {}) as { PartitionCmd?: Node };
    if (command?.subtype === 'AT_DetachPartition' && partition?.concurrent === true)
      return partition.name as Node;
  }
  return undefined;
}

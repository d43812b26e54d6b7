import type { Node } from '../sql/parse-tree.js';
import type { Statement } from '../sql/parser.js';

/** The name of a relation; a schema that is not given may be any. */
export interface RelationName {
  schema: string | undefined;
  name: string;
}

/**
 * What a REINDEX or CLUSTER names: no transaction can hold it where that is partitioned, which its text does not tell.
 * Undefined for every other statement.
 */
export function askedRelation({ kind, node }: Statement): RelationName | undefined {
  const asked =
    kind === 'ClusterStmt' || (kind === 'ReindexStmt' && /_(?:TABLE|INDEX)$/.test(String(node.kind)));
  return asked && node.relation !== undefined ? nameOf(node.relation) : undefined;
}

/** The relations whose kind decides how these statements run: those that are named, and what named indexes stand on. */
export function relationsToAsk(statements: readonly Statement[]): RelationName[] {
  const asked = statements.flatMap((statement) => askedRelation(statement) ?? []);
  if (asked.length === 0) return [];
  return [
    ...asked,
    ...statements.flatMap(({ kind, node }) => (kind === 'IndexStmt' ? nameOf(node.relation) : [])),
  ];
}

/** Whether a relation is partitioned: one of `there`, or made so by these statements. */
export function isPartitioned(
  there: readonly RelationName[],
  statements: readonly Statement[],
): (relation: RelationName) => boolean {
  const found = [...there];
  const holds = (relation: RelationName): boolean => found.some((each) => mayBe(each, relation));
  for (const { kind, node } of statements) {
    if (kind === 'CreateStmt' && node.partspec !== undefined) found.push(nameOf(node.relation));
    if (kind === 'IndexStmt' && node.idxname !== undefined && holds(nameOf(node.relation)))
      found.push({ schema: nameOf(node.relation).schema, name: String(node.idxname) });
  }
  return holds;
}

function mayBe(one: RelationName, other: RelationName): boolean {
  return (
    one.name === other.name &&
    (one.schema === undefined || other.schema === undefined || one.schema === other.schema)
  );
}

function nameOf(relation: unknown): RelationName {
  const { schemaname, relname } = (relation ?? {}) as Node;
  return { schema: schemaname === undefined ? undefined : String(schemaname), name: String(relname) };
}

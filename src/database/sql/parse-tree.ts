/** A node of PostgreSQL's parse tree: fields as in parsenodes.h; a nested node stands under its type's name. */
export type Node = Record<string, unknown>;

/** Every node of a tree, the outer one first. */
export function* nodesOf(tree: unknown): Generator<Node> {
  if (Array.isArray(tree)) for (const item of tree) yield* nodesOf(item);
  else if (typeof tree === 'object' && tree !== null) {
    yield tree as Node;
    for (const value of Object.values(tree)) yield* nodesOf(value);
  }
}

/** The parts of a name, or any other list of String nodes. */
export function strings(list: unknown): string[] {
  return ((list as Node[] | undefined) ?? []).flatMap((item) => {
    const value = (item.String as { sval?: string } | undefined)?.sval;
    return value === undefined ? [] : [value];
  });
}

/** What a DROP names, each as its parts. */
export function droppedNames({ objects }: Node): string[][] {
  return ((objects as Node[] | undefined) ?? []).map((object) =>
    strings((object.List as Node | undefined)?.items),
  );
}

/** An option of a statement, such as WITH (name = ...); undefined where it is not given. */
export function optionOf(options: unknown, name: string): Node | undefined {
  for (const { DefElem: option } of (options as { DefElem?: Node }[] | undefined) ?? [])
    if (option?.defname === name) return option;
  return undefined;
}

/** True of an option that is given as false, off or 0. */
export function isOff(option: Node | undefined): boolean {
  const { Integer: number } = (option?.arg ?? {}) as { Integer?: { ival?: number } };
  return number ? (number.ival ?? 0) === 0 : /^(?:false|off)$/i.test(optionText(option) ?? '');
}

/** The text of an option's value, which may be a word; undefined where it has none, or a number. */
export function optionText(option: Node | undefined): string | undefined {
  const { String: text, TypeName: word } = (option?.arg ?? {}) as {
    String?: { sval?: string };
    TypeName?: { names?: unknown };
  };
  return text?.sval ?? (word && strings(word.names).join('.'));
}

/** The text of a constant; undefined for other constants and anything else. */
export function constantText(expression: unknown): string | undefined {
  const constant = (expression as Node | undefined)?.A_Const as { sval?: { sval?: string } } | undefined;
  return constant?.sval === undefined ? undefined : (constant.sval.sval ?? '');
}

/** The relation that a statement makes, where it makes one that holds rows, a view or a sequence. */
export function madeRelation(kind: string, node: Node): Node | undefined {
  const into = (node.intoClause ?? node.into) as { rel?: Node } | undefined;
  switch (kind) {
    case 'CreateStmt':
      return node.relation as Node;
    case 'ViewStmt':
      return node.view as Node;
    case 'CreateSeqStmt':
      return node.sequence as Node;
    case 'SelectStmt':
    case 'CreateTableAsStmt':
      return into?.rel;
    default:
      return undefined;
  }
}

/** True of a relation that its session alone has. */
export function isTemporary({ relpersistence, schemaname }: Node): boolean {
  return relpersistence === 't' || schemaname === 'pg_temp';
}

/** The calls of set_config that a SELECT's list holds; undefined for each other expression in it. */
export function setConfigs({ targetList }: Node): (SetConfig | undefined)[] {
  return ((targetList as Node[] | undefined) ?? []).map((target) =>
    setConfig((target.ResTarget as Node | undefined)?.val as Node | undefined),
  );
}

export interface SetConfig {
  /** Undefined where it is no constant. */
  name: string | undefined;
  value: string | undefined;
  /** True where it is certain that the setting ends with the transaction. */
  local: boolean;
}

function setConfig(expression: Node | undefined): SetConfig | undefined {
  const call = expression?.FuncCall as Node | undefined;
  const names = strings(call?.funcname);
  if (names[names.length - 1] !== 'set_config' || !(names.length === 1 || names[0] === 'pg_catalog'))
    return undefined;
  const [name, value, local] = (call?.args as Node[] | undefined) ?? [];
  return { name: constantText(name), value: constantText(value), local: isTrue(local) };
}

function isTrue(expression: Node | undefined): boolean {
  const { boolval } = (expression?.A_Const ?? {}) as { boolval?: { boolval?: boolean } };
  return boolval?.boolval === true || /^(?:t|true|on|y|yes|1)$/i.test(constantText(expression) ?? '');
}

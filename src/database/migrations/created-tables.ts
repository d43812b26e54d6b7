import {
  constantText,
  droppedNames,
  isTemporary,
  madeRelation,
  type Node,
  setConfigs,
} from '../sql/parse-tree.js';
import type { Statement } from '../sql/parser.js';

/** The tables that the files at hand make themselves: they hold nothing of before, and nobody waits for them. */
export interface CreatedTables {
  /** `sure`: it cannot have been there before, as one that is made IF NOT EXISTS can. */
  isNew(relation: unknown, sure: boolean): boolean;
  /** The same for each name of a DROP TABLE. */
  areNew(drop: Node): boolean;
  /**
   * Takes in what a statement makes, drops and renames, and under which search path it goes on. `surely`: it runs
   * whatever the database holds, as nothing inside an IF does.
   */
  follow(statement: Pick<Statement, 'kind' | 'node'>, surely?: boolean): void;
  /** Where names without a schema lead to by now. */
  searchPath(): string;
  /** A file leaves no temporary table and no search path to the next one. */
  endFile(): void;
}

/** Where names without a schema lead to by default. */
export const USUAL_PATH = 'public';
/** The schema of temporary tables, which hides every other one. */
const TEMPORARY = 'pg_temp';

type Key = readonly [schema: string, name: string];

/** Whether a relation was there before the files; undefined where no database was asked. */
export type WasThere = (schema: string | undefined, name: string) => boolean | undefined;

/** What is known of a name: made by the files for certain, perhaps by them, or there before under another name. */
type Origin = 'new' | 'perhaps new' | 'old';

export function createdTables(wasThere: WasThere = () => undefined): CreatedTables {
  /** By schema, then by name. */
  const made = new Map<string, Map<string, Origin>>();
  let path = USUAL_PATH;
  const look = ([schema, name]: Key): Origin | undefined => made.get(schema)?.get(name);
  const forget = ([schema, name]: Key): void => void made.get(schema)?.delete(name);
  const note = ([schema, name]: Key, origin: Origin): void => {
    made.set(schema, (made.get(schema) ?? new Map<string, Origin>()).set(name, origin));
  };
  const keyOf = (schema: unknown, name: unknown): Key => {
    if (schema !== undefined) return [String(schema), String(name)];
    const own: Key = [TEMPORARY, String(name)];
    return look(own) === undefined ? [path, String(name)] : own;
  };
  const keyOfRelation = (relation: unknown): Key => {
    const { schemaname, relname } = (relation ?? {}) as Node;
    return keyOf(schemaname, relname);
  };
  const keysOfDrop = (drop: Node): Key[] =>
    droppedNames(drop).map((parts) => keyOf(parts[parts.length - 2], parts[parts.length - 1]));
  const move = (from: Key, to: Key): void => {
    const origin = look(from);
    forget(from);
    note(to, origin ?? 'old');
  };
  /** `schema`: as it was written, since a name without one may mean any. */
  const isNew = (key: Key, schema: string | undefined, sure: boolean): boolean => {
    const origin = look(key);
    if (origin === 'new' || origin === 'old') return origin === 'new';
    // What was not there when the files were planned can only be theirs.
    return wasThere(schema, key[1]) === false || (origin === 'perhaps new' && !sure);
  };
  return {
    isNew(relation, sure) {
      const { schemaname } = (relation ?? {}) as Node;
      return isNew(keyOfRelation(relation), schemaname === undefined ? undefined : String(schemaname), sure);
    },
    areNew: (drop) =>
      droppedNames(drop).every((parts) => {
        const [name, schema] = [...parts].reverse();
        return isNew(keyOf(schema, name), schema, true);
      }),
    searchPath: () => path,
    follow({ kind, node }, surely = true) {
      path = searchPathAfter({ kind, node }, path);
      if (kind === 'DropStmt' && node.removeType === 'OBJECT_TABLE') keysOfDrop(node).forEach(forget);
      if (kind === 'RenameStmt' && node.renameType === 'OBJECT_TABLE') {
        const { schemaname } = node.relation as Node;
        const from = keyOfRelation(node.relation);
        move(from, [String(schemaname ?? from[0]), String(node.newname)]);
      }
      if (kind === 'AlterObjectSchemaStmt' && node.objectType === 'OBJECT_TABLE') {
        const { relname } = node.relation as Node;
        move(keyOfRelation(node.relation), [String(node.newschema), String(relname)]);
      }
      const relation = isTable(kind) ? madeRelation(kind, node) : undefined;
      if (!relation) return;
      const sure = node.if_not_exists !== true && surely;
      const schema = isTemporary(relation) ? TEMPORARY : String(relation.schemaname ?? path);
      const key: Key = [schema, String(relation.relname)];
      // What is known of it stays: a second IF NOT EXISTS does not make it doubtful.
      if (sure || look(key) === undefined) note(key, sure ? 'new' : 'perhaps new');
    },
    endFile() {
      path = USUAL_PATH;
      made.delete(TEMPORARY);
    },
  };
}

function isTable(kind: string): boolean {
  return kind === 'CreateStmt' || kind === 'CreateTableAsStmt' || kind === 'SelectStmt';
}

/** The schema that names without one belong to behind a statement; a text of its own where the path is not plain. */
export function searchPathAfter({ kind, node }: Pick<Statement, 'kind' | 'node'>, before: string): string {
  if (kind === 'VariableSetStmt') {
    if (node.kind === 'VAR_RESET_ALL') return USUAL_PATH;
    if (node.name !== 'search_path') return before;
    return firstSchema(((node.args as unknown[] | undefined) ?? []).map((name) => constantText(name) ?? ''));
  }
  if (kind !== 'SelectStmt') return before;
  const set = setConfigs(node).find((call) => call?.name === 'search_path');
  return set
    ? firstSchema((set.value ?? '').split(',').map((name) => name.trim().replaceAll('"', '')))
    : before;
}

/** Where things are made: the first schema of a path, "$user" left out, which hardly anybody has. */
function firstSchema(names: readonly string[]): string {
  return names.find((name) => name !== '$user') ?? USUAL_PATH;
}

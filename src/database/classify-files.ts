import { definedOnly } from '../lib/defined-only.js';
import type { Database, SendOptions } from './connection/connection.js';
import { jsonField } from './connection/results.js';
import { type PartialMigration, standsUpTo } from './history/partial-migration.js';
import type { PlannedFile } from './migrations/batches.js';
import { classify } from './migrations/classify.js';
import type { MigrationFile } from './migrations/migration-files.js';
import { nonTransactional } from './migrations/non-transactional.js';
import { askedRelation, isPartitioned, type RelationName, relationsToAsk } from './migrations/partitioned.js';
import { loadParser } from './sql/parser.js';
import { positionIn } from './sql/source-text.js';
import { textArray } from './sql/sql-text.js';

/** What a database tells of files; absent where none may be asked. */
export interface Asked {
  partials?: readonly PartialMigration[];
  catalog?: (names: readonly string[]) => Promise<CatalogAnswer>;
}

/** Finds out how each of these files must be run. */
export async function classifyAll(
  due: readonly MigrationFile[],
  { partials = [], catalog }: Asked,
): Promise<PlannedFile[]> {
  const parse = await loadParser();
  const planned = due.map((file) => {
    const partial = partials.find(({ version }) => version === file.version);
    const stands = partial && standsUpTo(file.source, partial);
    const begun = definedOnly({ stands });
    return { ...file, begun, shape: classify(file.file, file.source, parse, begun) };
  });
  const statements = planned.flatMap(({ shape }) => shape.statements ?? []);
  const names = relationsToAsk(statements).map(({ name }) => name);
  const moved = statements.filter((statement) => nonTransactional(statement) === 'move-database');
  // Asked of hardly any deploy, so it is a message of its own.
  const found = names.length + moved.length > 0 ? await catalog?.(names) : undefined;
  const partitioned = isPartitioned(found?.partitioned ?? [], statements);
  return planned.map(({ begun, ...file }) => {
    const own = file.shape.statements ?? [];
    if (own.some((statement) => partitioned(askedRelation(statement) ?? NOTHING)))
      file.shape = classify(file.file, file.source, parse, { ...begun, partitioned });
    for (const statement of own)
      if (moved.includes(statement) && statement.node.dbname === found?.database)
        file.shape.problems.push({
          message: 'PostgreSQL moves no database to another tablespace from within',
          at: positionIn(file.file, file.source, statement.from),
          next: 'Remove the statement, and run it from another database.',
        });
    return file;
  });
}

const NOTHING = { schema: undefined, name: '' };

export interface CatalogAnswer {
  database: string;
  /** Of the names that were asked for. */
  partitioned: RelationName[];
}

export async function askCatalog(
  database: Database,
  names: readonly string[],
  sending: SendOptions,
): Promise<CatalogAnswer> {
  const message = `select json_build_object('database', current_database(), 'partitioned', array(
    select json_build_object('schema', nspname, 'name', relname) from pg_class c join pg_namespace n on n.oid = relnamespace
    where relkind in ('p', 'I') and relname = any (${textArray(names)})))::text as catalog`;
  const answer = jsonField<CatalogAnswer>(await database.send(message, sending), 'catalog');
  if (!answer) throw new Error('the look at the catalog gave no row');
  return answer;
}

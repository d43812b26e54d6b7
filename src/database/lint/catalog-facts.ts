import type { Database, SendOptions } from '../connection/connection.js';
import { jsonField } from '../connection/results.js';
import { PLATFORM_SCHEMAS } from '../schema/platform-schemas.js';
import { literal, textArray } from '../sql/sql-text.js';

/** What a lint asks a database for: plain names, of any schema. */
export interface CatalogQuestion {
  relations: readonly string[];
  functions: readonly string[];
}

/** What is there of what was asked for. */
export interface CatalogFacts {
  /** What was asked for: nothing is known of other names. */
  asked: CatalogQuestion;
  /** As PostgreSQL numbers it, such as 170009. */
  serverVersion: number;
  /** `kind`: a letter of pg_class.relkind. */
  relations: { schema: string; name: string; kind: string }[];
  /** CHECK constraints that say that a column is not null. */
  notNullChecks: { schema: string; table: string; column: string; name: string; valid: boolean }[];
  functions: CatalogFunction[];
}

export interface CatalogFunction {
  schema: string;
  name: string;
  volatile: boolean;
  /** Of the project's own: its language and body, or its whole definition where it is BEGIN ATOMIC; null for those of PostgreSQL, extensions and the platform. */
  language: string | null;
  body: string | null;
}

/** Characters of all bodies together that are fetched; what is longer is not looked into. */
const LARGEST_BODY = 100_000;

/** Asks for all of it in one message. */
export async function askCatalogFacts(
  database: Database,
  { relations, functions }: CatalogQuestion,
  sending: SendOptions,
): Promise<CatalogFacts> {
  const platform = PLATFORM_SCHEMAS.map(literal).join(', ');
  const message = `select json_build_object(
  'serverVersion', current_setting('server_version_num')::int,
  'relations', array(select json_build_object('schema', nspname, 'name', relname, 'kind', relkind)
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = relnamespace
    where relname = any (${textArray(relations)})),
  'notNullChecks', array(select json_build_object('schema', nspname, 'table', relname, 'column', attname, 'name', conname, 'valid', convalidated)
    from pg_catalog.pg_constraint k join pg_catalog.pg_class c on c.oid = conrelid
    join pg_catalog.pg_namespace n on n.oid = relnamespace
    join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = conkey[1]
    where contype = 'c' and cardinality(conkey) = 1 and relname = any (${textArray(relations)})
      and pg_catalog.pg_get_expr(conbin, conrelid) = pg_catalog.format('(%I IS NOT NULL)', attname)),
  'functions', array(select json_build_object('schema', nspname, 'name', proname, 'volatile', provolatile = 'v',
      'language', case when own then lanname end,
      'body', case when own and pg_catalog.length(prosrc) <= ${LARGEST_BODY}
        -- The body of BEGIN ATOMIC is kept parsed, and can be had with its definition alone.
        then case when prosrc = '' and lanname = 'sql' then pg_catalog.pg_get_functiondef(p.oid) else prosrc end end)
    from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = pronamespace
    join pg_catalog.pg_language l on l.oid = prolang
    cross join lateral (select nspname !~ '^pg_' and nspname not in (${platform}) and lanname in ('sql', 'plpgsql')
      and not exists (select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_proc'::regclass
        and d.objid = p.oid and d.deptype = 'e') as own) o
    where proname = any (${textArray(functions)}))
)::text as facts`;
  const facts = jsonField<Omit<CatalogFacts, 'asked'>>(await database.send(message, sending), 'facts');
  if (!facts) throw new Error('the look at what the files name gave no row');
  return { ...facts, asked: { relations, functions } };
}

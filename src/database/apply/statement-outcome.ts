import { detachedConcurrently, type NonTransactionalKind } from '../migrations/non-transactional.js';
import { droppedNames, type Node, optionOf, optionText, strings } from '../sql/parse-tree.js';
import type { Statement } from '../sql/parser.js';
import { identifier, literal, textArray } from '../sql/sql-text.js';
import { INDEX_SHAPE, indexAsWritten } from './index-shape.js';

/** What was there before a statement was sent, and what is there now: JSON, by kind. */
export type ObjectFacts = Readonly<Record<string, unknown>>;

/** Whether a statement was done that was sent, and of which nobody of ours is at work any more. */
export type OutcomeVerdict =
  | { state: 'done' | 'not done' }
  /** Not done, but it left something that is ours: SQL that removes it, each in a message of its own. */
  | { state: 'left over'; drop: { what: string; sql: string }[] }
  /** Begun, and to be ended by another statement. */
  | { state: 'half done'; what: string; finish: string }
  /** Somebody else is at work on the same thing. */
  | { state: 'busy'; who: Worker }
  /** It cannot be told, and why. */
  | { state: 'unclear'; why: string };

export interface Worker {
  pid: number;
  /** Application or role. */
  name: string;
  seconds: number;
}

/** How to tell, for one kind of statement, whether one that was sent was done. */
export interface OutcomeCheck {
  /**
   * PL/pgSQL that puts into `muva_before` (jsonb) what is there, to be run before the statement is sent and under what
   * the statement's file has set. `muva_relation` (regclass) and `muva_shape` (text) are there to be used.
   */
  before: (statement: Statement, text: string) => string;
  /** An SQL expression, to be evaluated with an empty search_path: what is there now, as jsonb. */
  now: (before: ObjectFacts) => string;
  judge: (before: ObjectFacts, now: unknown) => OutcomeVerdict;
}

/**
 * What to do where a statement was sent outside a transaction and its answer, or the record that it was done, was lost.
 * `repeat`: send it again; done twice it does no harm, and what a cut try of it leaves is taken up by the next.
 * A statement that is not in this table is never sent outside a transaction.
 */
export const RECOVERY: Readonly<Record<NonTransactionalKind, OutcomeCheck | 'repeat'>> = {
  'create-index': {
    before: ({ node }, text) => `
  muva_relation := to_regclass(${literal(relationName(node.relation as Node))});
  if muva_relation is not null then
    ${indexAsWritten(text, node.unique === true)}
  end if;
  muva_before := jsonb_build_object('relation', muva_relation::oid::bigint, 'name', ${literal(node.idxname as string | undefined)}::text,
    'orTaken', ${node.if_not_exists === true}, 'shape', muva_shape,
    'indexes', coalesce((select jsonb_agg(indexrelid::bigint) from pg_index where indrelid = muva_relation), '[]'));`,
    now: ({ relation }) => indexesWhere(`i.indrelid = ${oid(relation)}`),
    judge: (before, now) => judgeIndex(before as unknown as BeforeIndex, now as FoundIndex[]),
  },
  'drop-index': {
    before: ({ node }) =>
      oidBefore(`to_regclass(${literal(identifier(...(droppedNames(node)[0] ?? [''])))})`, node),
    now: ({ oid: index }) => `to_jsonb(exists (select from pg_class where oid = ${oid(index)}))`,
    judge: judgeDropped,
  },
  'detach-partition': {
    before: ({ node }) => `
  select jsonb_build_object('parent', inhparent::bigint, 'partition', inhrelid::bigint,
      'pending', to_jsonb(i) -> 'inhdetachpending') into muva_before
    from pg_inherits i where inhparent = to_regclass(${literal(relationName(node.relation as Node))})
      and inhrelid = to_regclass(${literal(relationName(detachedConcurrently(node) ?? {}))});`,
    now: ({ parent, partition }) => `(select jsonb_build_object('pending', to_jsonb(i) -> 'inhdetachpending',
      'parent', inhparent::regclass::text, 'partition', inhrelid::regclass::text)
    from pg_inherits i where inhparent = ${oid(parent)} and inhrelid = ${oid(partition)})`,
    judge: (before, now) => judgeDetached(before, now as FoundPartition | null),
  },
  'create-database': {
    before: ({ node }) =>
      namedBefore('pg_database', 'datname', String(node.dbname), {
        owner: `coalesce(${literal(optionText(optionOf(node.options, 'owner')))}, current_user)`,
      }),
    now: ({
      name,
      owner,
    }) => `(select jsonb_build_object('asWritten', pg_get_userbyid(datdba) = ${literal(String(owner))})
      from pg_database where datname = ${literal(String(name))})`,
    judge: judgeMade('database'),
  },
  'drop-database': {
    before: ({ node }) =>
      oidBefore(`(select oid from pg_database where datname = ${literal(String(node.dbname))})`, node),
    now: ({ oid: database }) => `to_jsonb(exists (select from pg_database where oid = ${oid(database)}))`,
    judge: judgeDropped,
  },
  'create-tablespace': {
    before: ({ node }) =>
      namedBefore('pg_tablespace', 'spcname', String(node.tablespacename), {
        location: literal(String(node.location ?? '')),
      }),
    // Without a location the server makes one, inside its own folder.
    now: ({
      name,
      location,
    }) => `(select jsonb_build_object('asWritten', ${literal(String(location).replace(/\/+$/, ''))} in ('', pg_tablespace_location(oid)))
      from pg_tablespace where spcname = ${literal(String(name))})`,
    judge: judgeMade('tablespace'),
  },
  'drop-tablespace': {
    before: ({ node }) =>
      oidBefore(
        `(select oid from pg_tablespace where spcname = ${literal(String(node.tablespacename))})`,
        node,
      ),
    now: ({ oid: space }) => `to_jsonb(exists (select from pg_tablespace where oid = ${oid(space)}))`,
    judge: judgeDropped,
  },
  'create-subscription': {
    before: ({ node }) =>
      namedBefore(
        'pg_subscription',
        'subname',
        String(node.subname),
        { publications: `to_jsonb(${textArray(strings(node.publication))})` },
        // Every database of a server may have a subscription of the same name.
        OWN_DATABASE('subdbid'),
      ),
    now: ({ name, publications }) => `(select jsonb_build_object('asWritten',
        to_jsonb(subpublications) @> ${json(publications)} and ${json(publications)} @> to_jsonb(subpublications))
      from pg_subscription where subname = ${literal(String(name))} and ${OWN_DATABASE('subdbid')})`,
    judge: judgeMade('subscription'),
  },
  'drop-subscription': {
    before: ({ node }) => oidBefore(subscription(node), node),
    now: ({ oid: found }) => `to_jsonb(exists (select from pg_subscription where oid = ${oid(found)}))`,
    judge: judgeDropped,
  },
  'add-publication': {
    before: publicationsBefore,
    now: publicationsNow,
    judge: ({ names }, now) =>
      Array.isArray(now) && (names as string[]).every((name) => now.includes(name)) ? DONE : NOT_DONE,
  },
  'drop-publication': {
    before: publicationsBefore,
    now: publicationsNow,
    judge: ({ names }, now) =>
      Array.isArray(now) && !(names as string[]).some((name) => now.includes(name)) ? DONE : NOT_DONE,
  },
  reindex: {
    before: ({ node }) => `
  muva_before := jsonb_build_object('scope', ${reindexScope(node)},
    'indexes', (select coalesce(jsonb_agg(indexrelid::bigint), '[]') from pg_index where not indisvalid));`,
    // What REINDEX CONCURRENTLY makes beside an index, or leaves of the old one.
    now: () => indexesWhere("not i.indisvalid and c.relname ~ '_cc(new|old)[0-9]*$'"),
    judge: (before, now) => judgeReindex(before as unknown as BeforeReindex, now as FoundIndex[]),
  },
  'set-publication': 'repeat',
  vacuum: 'repeat',
  cluster: 'repeat',
  'move-database': 'repeat',
  'alter-system': 'repeat',
  'discard-all': 'repeat',
};

const DONE: OutcomeVerdict = { state: 'done' };
const NOT_DONE: OutcomeVerdict = { state: 'not done' };

const oid = (value: unknown): string => (typeof value === 'number' ? `${value}::oid` : 'null::oid');
const json = (value: unknown): string => `${literal(JSON.stringify(value ?? null))}::jsonb`;
const OWN_DATABASE = (column: string): string =>
  `${column} = (select oid from pg_database where datname = current_database())`;

function relationName({ schemaname, relname }: Node): string {
  return identifier(...(typeof schemaname === 'string' ? [schemaname] : []), String(relname));
}

/** What is to be dropped is known by its oid: another one of its name, made since, is never taken for it. */
function oidBefore(found: string, { missing_ok }: Node): string {
  return `
  muva_before := jsonb_build_object('oid', (${found})::oid::bigint, 'ifExists', ${missing_ok === true});`;
}

function judgeDropped(before: ObjectFacts, there: unknown): OutcomeVerdict {
  if (typeof before.oid !== 'number') return before.ifExists === true ? DONE : NOT_DONE;
  return there === true ? NOT_DONE : DONE;
}

/** What is made under a name that is one in the server, or among `scope`. `fields`: more that its look needs, SQL by name. */
function namedBefore(
  catalog: string,
  column: string,
  name: string,
  fields: Record<string, string>,
  scope = 'true',
): string {
  const more = Object.entries(fields).map(([field, sql]) => `, '${field}', ${sql}`);
  return `
  muva_before := jsonb_build_object('name', ${literal(name)}::text,
    'there', exists (select from ${catalog} where ${column} = ${literal(name)} and ${scope})${more.join('')});`;
}

function judgeMade(what: string): OutcomeCheck['judge'] {
  return ({ name, there }, now) => {
    if (there === true || now === null) return NOT_DONE;
    return (now as { asWritten: boolean }).asWritten
      ? DONE
      : {
          state: 'unclear',
          why: `there is a ${what} ${String(name)} now, which is not as the file writes it`,
        };
  };
}

function subscription({ subname }: Node): string {
  return `(select oid from pg_subscription where subname = ${literal(String(subname))} and ${OWN_DATABASE('subdbid')})`;
}

function publicationsBefore({ node }: Statement): string {
  return `
  muva_before := jsonb_build_object('oid', ${subscription(node)}::bigint, 'names', to_jsonb(${textArray(strings(node.publication))}));`;
}

function publicationsNow(before: ObjectFacts): string {
  return `(select to_jsonb(subpublications) from pg_subscription where oid = ${oid(before.oid)})`;
}

interface FoundPartition {
  pending: boolean | null;
  parent: string;
  partition: string;
}

function judgeDetached(before: ObjectFacts, now: FoundPartition | null): OutcomeVerdict {
  if (typeof before.partition !== 'number') return NOT_DONE;
  if (now === null) return DONE;
  // Pending before we began, it is somebody else's: the server says so when it is tried again.
  if (now.pending !== true || before.pending === true) return NOT_DONE;
  return {
    state: 'half done',
    what: `the partition ${now.partition} is half detached`,
    finish: `alter table ${now.parent} detach partition ${now.partition} finalize`,
  };
}

interface BeforeIndex {
  /** Null where there was no such table. */
  relation: number | null;
  /** Null where the server names it. */
  name: string | null;
  /** IF NOT EXISTS. */
  orTaken: boolean;
  /** Of the index that the statement makes; null where that could not be found out. */
  shape: string | null;
  /** The oids of all indexes that the table had. */
  indexes: number[];
}

export interface FoundIndex {
  oid: number;
  relation: number;
  name: string;
  /** With its schema, quoted. */
  index: string;
  valid: boolean;
  shape: string;
  /** Who builds it at this moment. */
  builder: Worker | null;
}

function indexesWhere(condition: string): string {
  return `(select coalesce(jsonb_agg(jsonb_build_object('oid', i.indexrelid::bigint, 'relation', i.indrelid::bigint,
      'name', c.relname, 'index', i.indexrelid::regclass::text, 'valid', i.indisvalid, 'shape', ${INDEX_SHAPE},
      'builder', (select ${WORKER} from pg_stat_progress_create_index p join pg_stat_activity a using (pid)
        where p.index_relid = i.indexrelid and ${OWN_DATABASE('p.datid')} and p.pid <> pg_backend_pid() limit 1)) order by i.indexrelid), '[]')
    from pg_index i join pg_class c on c.oid = i.indexrelid join pg_am am on am.oid = c.relam where ${condition})`;
}

/** Of a row `a` of pg_stat_activity. */
export const WORKER = `jsonb_build_object('pid', a.pid, 'name', coalesce(nullif(a.application_name, ''), a.usename::text, a.backend_type),
    'seconds', round(extract(epoch from clock_timestamp() - coalesce(a.query_start, a.backend_start))))`;

/**
 * Ours is what was not there before we began, and bears the name that the statement gives, or where it gives none, is
 * what the statement makes.
 */
export function judgeIndex(before: BeforeIndex, now: readonly FoundIndex[]): OutcomeVerdict {
  const fresh = now.filter(({ oid: index }) => !before.indexes.includes(index));
  const named = before.name !== null;
  if (!named && before.shape === null && fresh.length > 0)
    return {
      state: 'unclear',
      why: 'the table has a new index, and which one the statement makes is not known',
    };
  const ours = fresh.filter(({ name, shape }) => (named ? name === before.name : shape === before.shape));
  const [index, twin] = ours;
  if (!index) return NOT_DONE;
  if (twin)
    return {
      state: 'unclear',
      why: `${index.index} and ${twin.index} are both new, and both what the file writes`,
    };
  if (index.builder) return { state: 'busy', who: index.builder };
  const asWritten = before.shape !== null && index.shape === before.shape;
  if (!index.valid && (asWritten || before.shape === null))
    return { state: 'left over', drop: [dropping(index)] };
  // IF NOT EXISTS takes any index of that name.
  if (asWritten || (before.orTaken && index.valid)) return DONE;
  return {
    state: 'unclear',
    why:
      before.shape === null
        ? `there is an index ${index.index} now, which could not be compared with the file`
        : `there is an index ${index.index} now, which is not as the file writes it`,
  };
}

/** The index of the name that a CREATE INDEX gives, where it is invalid. */
export function invalidNamed(before: ObjectFacts, now: unknown): string | undefined {
  return (now as FoundIndex[]).find(({ name, valid }) => name === before.name && !valid)?.index;
}

interface BeforeReindex {
  /** The tables; null for all. */
  scope: number[] | null;
  /** The oids of indexes that were invalid before. */
  indexes: number[];
}

/** What is named by a REINDEX: tables, with the tables that their large values are kept in; null for the database. */
function reindexScope({ relation, kind, name }: Node): string {
  const regclass = relation ? `to_regclass(${literal(relationName(relation as Node))})` : undefined;
  const named = regclass
    ? `select ${regclass}::oid as oid union select relid from pg_partition_tree(${regclass})`
    : `select oid from pg_class where relnamespace = (select oid from pg_namespace where nspname = ${literal(String(name))})`;
  if (!regclass && kind !== 'REINDEX_OBJECT_SCHEMA') return 'null::jsonb';
  return `(with named as (${named}),
      tables as (select oid from named union select indrelid from pg_index where indexrelid in (select oid from named))
    select jsonb_agg(t.oid::bigint) from (select oid from tables union all
      select reltoastrelid from pg_class where oid in (select oid from tables)) t)`;
}

export function judgeReindex(before: BeforeReindex, now: readonly FoundIndex[]): OutcomeVerdict {
  const left = now.filter(
    ({ oid: index, relation }) =>
      !before.indexes.includes(index) && (before.scope === null || before.scope.includes(relation)),
  );
  const builder = left.find((index) => index.builder)?.builder;
  if (builder) return { state: 'busy', who: builder };
  return left.length === 0 ? NOT_DONE : { state: 'left over', drop: left.map(dropping) };
}

function dropping({ index }: FoundIndex): { what: string; sql: string } {
  return { what: index, sql: `drop index concurrently if exists ${index}` };
}

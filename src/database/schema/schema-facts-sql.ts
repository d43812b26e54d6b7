import type { ArgumentType, FunctionName, QualifiedName } from '../../lib/sql-names.js';
import { CODES } from '../history/error-codes.js';
import { identifier, literal, textArray } from '../sql/sql-text.js';
import { PLATFORM_SCHEMAS } from './platform-schemas.js';

/** What the schema has to be like. */
export interface SchemaRules {
  readonly requiredTables: readonly QualifiedName[];
  readonly requiredFunctions: readonly FunctionName[];
  /** Tables that `rls` does not judge. */
  readonly rlsExcept: readonly QualifiedName[];
  /** Row level security: of the required tables, of all in schema public, or of none. */
  readonly rls: 'required' | 'all' | 'off';
  readonly rowCounts: 'estimate' | 'exact' | 'off';
}

/** What is checked, and how strictly; the same SQL serves the migration's own transaction and the verify phase. */
export interface FactsScope {
  rules: SchemaRules;
  /** Also what can only be told, not refused, inside a migration's transaction. */
  thorough: boolean;
  /** An invalid index fails the check; otherwise it is only told, because this run cannot have left it. */
  invalidIndexFails: boolean;
}

const unnested = (
  names: SchemaRules['requiredTables'],
): string => `unnest(${textArray(names.map(({ schema }) => schema))}, ${textArray(names.map(({ name }) => name))})
  with ordinality as w(schema, name, position)`;

/**
 * The tables in question with what the catalogue knows of them: those required and all of `public`, without the
 * tables that extensions brought.
 */
function tablesSql(rules: SchemaRules): string {
  return `
wanted_tables as materialized (select * from ${unnested(rules.requiredTables)}),
tables as materialized (
  select c.oid, n.nspname::text as schema, c.relname::text as name, c.relkind, c.relrowsecurity as rls,
    c.relforcerowsecurity as forced, c.reltuples, c.relpages, w.position, coalesce(p.policies, 0) as policies,
    format('%I.%I', n.nspname, c.relname) as qualified
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
    left join wanted_tables w on w.schema = n.nspname and w.name = c.relname
    left join (select polrelid, count(*)::int as policies from pg_policy group by polrelid) p on p.polrelid = c.oid
  where c.relkind in ('r', 'p', 'f', 'v', 'm') and (n.nspname = 'public' or w.position is not null)
    and not exists (select from pg_depend e where e.classid = 'pg_class'::regclass and e.objid = c.oid and e.deptype = 'e'))`;
}

/** Rows (fact, outcome, detail, problem, next), in the order in which they are told; outcome passed, failed or warned. */
export function factsSql(scope: FactsScope): string {
  const { rules } = scope;
  const parts = [
    tableFacts,
    functionFacts(rules),
    ...(rules.rls === 'off' ? [] : [rules.rls === 'all' ? rlsOfAll(rules) : rlsOfRequired(rules)]),
    ...(rules.rls === 'required' && scope.thorough ? [idlePolicies(rules)] : []),
    ...(scope.thorough ? [notValid, invalidIndexes(scope.invalidIndexFails), sequences] : []),
  ];
  return `with ${tablesSql(rules)}
select * from (\n${parts.map((part, index) => `select ${index} as part, f.* from (${part}) f`).join('\nunion all\n')}) f
order by part, position`;
}

const tableFacts = `
  select w.position, 'table ' || format('%I.%I', w.schema, w.name) as fact,
    case when t.relkind in ('r', 'p', 'f') then 'passed' else 'failed' end as outcome, null::text as detail,
    case when t.oid is null then 'table ' || format('%I.%I', w.schema, w.name) || ' does not exist'
      when t.relkind in ('v', 'm') then format('%I.%I', w.schema, w.name) || ' is a view, not a table' end as problem,
    'Add the migration that creates it, or correct required-tables.' as next
  from wanted_tables w left join tables t on t.schema = w.schema and t.name = w.name`;

/** The types of the arguments of each function as JSON, as to_regtype reads them; empty where any will do. */
const argumentTypes = (rules: SchemaRules): string =>
  textArray(
    rules.requiredFunctions.map((wanted) =>
      wanted.arguments ? JSON.stringify(wanted.arguments.map(typeText)) : '',
    ),
  );

/** Quoted, so that none of it is a word of SQL, over which to_regtype would stumble. */
const typeText = ({ schema, name, array }: ArgumentType): string =>
  `${schema === undefined ? identifier(name) : identifier(schema, name)}${array ? '[]' : ''}`;

const functionFacts = (rules: SchemaRules): string => `
  select w.position, 'function ' || w.shown as fact,
    case when count(p.oid) > 0 then 'passed' else 'failed' end as outcome,
    case when count(p.oid) > 1 then count(p.oid) || ' with this name' end as detail,
    case when count(p.oid) = 0 then 'function ' || w.shown || ' does not exist' || coalesce('; there is ' || (
      select string_agg(o.oid::regprocedure::text, ', ' order by o.oid) from pg_proc o join pg_namespace m on m.oid = o.pronamespace
      where m.nspname = w.schema and o.proname = w.name), '') end as problem,
    'Add the migration that creates it, or correct required-functions.' as next
  from (
    select f.position, f.schema, f.name, case when f.arguments <> '' then a.types end as types,
      format('%I.%I', f.schema, f.name) || case when f.arguments <> '' then '(' || a.shown || ')' else '' end as shown
    from unnest(${textArray(rules.requiredFunctions.map(({ schema }) => schema))},
        ${textArray(rules.requiredFunctions.map(({ name }) => name))}, ${argumentTypes(rules)})
        with ordinality as f(schema, name, arguments, position),
      lateral (select coalesce(string_agg(coalesce(to_regtype(t)::oid::text, '?'), ' ' order by i), '') as types,
          coalesce(string_agg(coalesce(to_regtype(t)::text, t), ', ' order by i), '') as shown
        from jsonb_array_elements_text(nullif(f.arguments, '')::jsonb) with ordinality as x(t, i)) a) w
    left join pg_namespace n on n.nspname = w.schema
    left join pg_proc p on p.pronamespace = n.oid and p.proname = w.name
      and (w.types is null or p.proargtypes::text = w.types)
  group by w.position, w.schema, w.name, w.shown`;

/** Tables of the platform, such as auth.users, may be required; who reads their rows is not the project's to say. */
const ofTheProject = `t.schema not in (${PLATFORM_SCHEMAS.map(literal).join(', ')})`;

/** The tables whose rows `rls` judges: neither the platform's nor those that rls-except names. */
const judged = ({ rlsExcept }: SchemaRules): string =>
  rlsExcept.length === 0
    ? ofTheProject
    : `${ofTheProject} and (t.schema, t.name) not in (${rlsExcept
        .map(({ schema, name }) => `(${literal(schema)}, ${literal(name)})`)
        .join(', ')})`;

const rlsProblem = `case when not t.rls then 'row level security is off on ' || t.qualified
      when t.policies = 0 then t.qualified || ' has row level security on but no policy: nobody it applies to can read it' end`;

const rlsNext = `'Add to a migration: alter table ... enable row level security, and create policy ...; or set rls: off.'`;

const rlsOfRequired = (rules: SchemaRules): string => `
  select t.position, 'row level security of ' || t.qualified as fact,
    case when t.rls and t.policies > 0 then 'passed' else 'failed' end as outcome,
    concat_ws(', ', case when t.rls then 'on' else 'off' end, case when t.forced then 'forced' end,
      t.policies || case t.policies when 1 then ' policy' else ' policies' end) as detail,
    ${rlsProblem} as problem, ${rlsNext} as next
  from tables t where t.position is not null and t.relkind in ('r', 'p') and ${judged(rules)}`;

const rlsOfAll = (rules: SchemaRules): string => `
  select 1 as position, 'row level security of every table in public' as fact,
    case when count(*) filter (where ${rlsProblem} is not null) = 0 then 'passed' else 'failed' end as outcome,
    count(*) || ' tables, ' || count(*) filter (where t.forced) || ' of them forced' as detail,
    string_agg(${rlsProblem}, E'\\n' order by t.qualified) as problem, ${rlsNext} as next
  from tables t where (t.schema = 'public' or t.position is not null) and t.relkind in ('r', 'p') and ${judged(rules)}`;

/**
 * Policies on a table whose row level security is off protect nothing, and look as if they did. Of the tables in
 * question this is a failure of their own; of others, which may have been so for years, it is told.
 */
const idlePolicies = (rules: SchemaRules): string => `
  select 1 as position, 'no policy without row level security' as fact,
    case when count(*) = 0 then 'passed' else 'warned' end as outcome, null::text as detail,
    string_agg('the policies of ' || t.qualified || ' have no effect: its row level security is off', E'\\n' order by t.qualified) as problem,
    'Add to a migration: alter table ... enable row level security; or drop the policies.' as next
  from tables t where t.policies > 0 and not t.rls and t.position is null and ${judged(rules)}`;

const userSchemas = `n.nspname !~ '^pg_' and n.nspname not in (${PLATFORM_SCHEMAS.map(literal).join(', ')})`;

/** An index on a partitioned table is invalid until its parts are attached, and one being built until it is done. */
const invalidIndexes = (fails: boolean): string => `
  select 1 as position, 'no invalid index' as fact,
    case when count(*) = 0 then 'passed' else '${fails ? 'failed' : 'warned'}' end as outcome, null::text as detail,
    string_agg('index ' || format('%I.%I', n.nspname, x.relname) || ' is invalid: no query uses it', E'\\n' order by x.relname) as problem,
    'Drop it with drop index concurrently, then create it again.' as next
  from pg_index i join pg_class x on x.oid = i.indexrelid join pg_namespace n on n.oid = x.relnamespace
  where not i.indisvalid and x.relkind = 'i' and ${userSchemas}
    and not exists (select from pg_stat_progress_create_index b where b.index_relid = i.indexrelid)`;

/** Never a failure: adding it NOT VALID, to be validated by a later file, is what is advised for a large table. */
const notValid = `
  select 1 as position, 'no constraint left NOT VALID' as fact,
    case when count(*) = 0 then 'passed' else 'warned' end as outcome, null::text as detail,
    string_agg('constraint ' || quote_ident(k.conname) || ' on ' || format('%I.%I', n.nspname, c.relname)
      || ' is NOT VALID: existing rows were never checked', E'\\n' order by c.relname, k.conname) as problem,
    'Validate it in a migration of its own: alter table ... validate constraint ...; in a file marked -- deploy: after-health it does not block the application.' as next
  from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
  where not k.convalidated and ${userSchemas}`;

/**
 * A sequence that has used four fifths of what it, or the column it fills, can hold. Reading one takes a lock that
 * is kept until the transaction ends, so those of a bigint, which never come near it, are left alone.
 */
const sequences = `
  select 1 as position, 'no sequence near its end' as fact,
    case when count(*) = 0 then 'passed' else 'warned' end as outcome, null::text as detail,
    string_agg(format('sequence %s has used %s %% of its numbers', s.qualified, round(100 * s.used)), E'\\n' order by s.qualified) as problem,
    'Change the column (and the sequence) to bigint before it is full.' as next
  from (
    select format('%I.%I', n.nspname, c.relname) as qualified,
      case when has_sequence_privilege(c.oid, 'SELECT, USAGE') then pg_sequence_last_value(c.oid)::numeric end
        / limits.most as used
    from pg_sequence q join pg_class c on c.oid = q.seqrelid join pg_namespace n on n.oid = c.relnamespace
      left join pg_depend d on d.classid = 'pg_class'::regclass and d.objid = c.oid and d.refclassid = 'pg_class'::regclass
        and d.refobjsubid > 0 and d.deptype in ('a', 'i')
      left join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
      cross join lateral (select least(q.seqmax, case a.atttypid when 'int2'::regtype then 32767
        when 'int4'::regtype then 2147483647 else q.seqmax end) as most) limits
    where limits.most <= 2147483647 and q.seqincrement > 0 and not q.seqcycle and ${userSchemas}) s
  where s.used >= 0.8`;

/**
 * A DO block that asks every table with row level security, as role anon, whether it gives a row; all inside a
 * sub-transaction that is rolled back. Leaves {"schema.table": answer} in `muva.probe`: rows, none, denied, or the
 * SQLSTATE of another refusal; under "" why the probe could not be made or ended early.
 */
export function probeSql(rules: SchemaRules): string {
  const scope = rules.rls === 'all' ? `(schema = 'public' or position is not null)` : 'position is not null';
  return `
declare answers text[] := '{}'; answer text; ended text; filled boolean; item record;
begin
  if not exists (select from pg_roles where rolname = 'anon') then
    perform set_config('muva.probe', '{"": "no role anon"}', true);
    return;
  end if;
  begin
    set local role anon;
    set local transaction_read_only = on;
    for item in with ${tablesSql(rules)} select * from tables t
      where rls and relkind in ('r', 'p') and ${scope} and ${judged(rules)} order by relpages, qualified
    loop
      begin
        execute format('select exists (select from %s)', item.qualified) into filled;
        -- Undone at once: its locks go with it, so that a thousand tables do not fill the server's lock table.
        raise exception using errcode = '${CODES.undone}';
      exception when sqlstate '${CODES.undone}' then
        answer := case when not filled then 'none' when exists (
          select from pg_policy p, unnest(p.polroles) r where p.polrelid = item.oid and p.polpermissive and p.polcmd in ('r', '*')
            and (r = 0 or pg_has_role('anon', r, 'USAGE'))) then 'rows by policy' else 'rows' end;
        when insufficient_privilege then answer := 'denied';
        when query_canceled then raise;
        when others then answer := sqlstate;
      end;
      -- An array grows in place; a jsonb would be copied for each table.
      answers := answers || array[item.qualified, answer];
    end loop;
    raise exception using errcode = '${CODES.undone}';
  exception when sqlstate '${CODES.undone}' then null;
    when query_canceled then ended := 'time';
    when others then ended := sqlstate;
  end;
  perform set_config('muva.probe', (jsonb_object(answers)
    || case when ended is null then '{}' else jsonb_build_object('', ended) end)::text, true);
end`;
}

/** A DO block that counts rows, smallest tables first, until the statement timeout; leaves {"schema.table": rows} in `muva.counts`. */
export function countsSql(rules: SchemaRules): string {
  return `
declare counts text[] := '{}'; rows bigint; item record;
begin
  begin
    -- Better no number than one that row level security made smaller.
    perform set_config('row_security', 'off', true);
    for item in with ${tablesSql(rules)} select * from tables where relkind in ('r', 'p') order by relpages, qualified loop
      begin
        execute format('select count(*) from %s', item.qualified) into rows;
        raise exception using errcode = '${CODES.undone}';
      exception when sqlstate '${CODES.undone}' then
        counts := counts || array[item.qualified, rows::text];
        when query_canceled then raise;
        when others then null;
      end;
    end loop;
  exception when query_canceled then null;
  end;
  perform set_config('muva.counts', (select coalesce(jsonb_object_agg(key, value::bigint), '{}') from jsonb_each_text(jsonb_object(counts)))::text, true);
end`;
}

/**
 * The tables with rows and size. A table that somebody holds exclusively is not measured but estimated, because
 * asking for its size would wait for that lock.
 */
export function tableListSql(rules: SchemaRules): string {
  const scope = rules.requiredTables.length > 0 && rules.rls !== 'all' ? 'where position is not null' : '';
  return `with ${tablesSql(rules)}, locked as materialized (
  select distinct relation from pg_locks where mode = 'AccessExclusiveLock' and relation is not null)
select t.schema, t.name, t.rls, t.forced, t.policies, t.qualified,
  case when t.relkind = 'p' then (select sum(nullif(c.reltuples, -1)) from pg_partition_tree(t.oid) i join pg_class c on c.oid = i.relid where i.isleaf)
    when t.oid not in (select relation from locked) and pg_relation_size(t.oid) = 0 and t.relkind = 'r' then 0
    when t.reltuples > 0 then t.reltuples
    else nullif(pg_stat_get_live_tuples(t.oid), 0) end::bigint as estimate,
  case when t.relkind = 'p' then (select coalesce(sum(pg_total_relation_size(i.relid)), 0) from pg_partition_tree(t.oid) i
        where i.isleaf and i.relid::oid not in (select relation from locked))
    when t.oid in (select relation from locked) then t.relpages::bigint * 8192
    else coalesce(pg_total_relation_size(t.oid), 0) end::bigint as bytes
from (select * from tables where relkind in ('r', 'p', 'f')) t ${scope}
order by t.schema collate "C", t.name collate "C"`;
}

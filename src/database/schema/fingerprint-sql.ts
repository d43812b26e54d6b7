import { PLATFORM_SCHEMAS } from './platform-schemas.js';

/*
 * One catalogue query that describes every object of a schema that people make: what the comparison of two
 * moments rests on. Kept apart from the code that uses it, because it is read as SQL.
 */

/**
 * Settings under which the server writes definitions the same way for every role and session: the search path
 * decides which names are qualified, the others how constants in defaults and expressions are written.
 */
export const DETERMINISTIC_SETTINGS: Readonly<Record<string, string>> = {
  search_path: 'pg_catalog',
  quote_all_identifiers: 'off',
  timezone: 'UTC',
  datestyle: 'ISO, YMD',
  intervalstyle: 'postgres',
  extra_float_digits: '1',
  bytea_output: 'hex',
  standard_conforming_strings: 'on',
};

const platform = PLATFORM_SCHEMAS.map((schema) => `'${schema}'`).join(', ');

/** Privileges as sorted words; `acl` may be null, then the default of the kind of object is meant. */
const privileges = (acl: string, kind: string, owner: string): string => `
  (select coalesce(string_agg(
      case a.grantee when 0 then 'public' else pg_get_userbyid(a.grantee)::text end
        || '=' || a.privilege_type || case when a.is_grantable then '*' else '' end,
      ',' order by case a.grantee when 0 then 'public' else pg_get_userbyid(a.grantee)::text end collate "C",
        a.privilege_type collate "C", a.is_grantable), '')
   from aclexplode(coalesce(${acl}, acldefault(${kind}, ${owner}))) a)`;

const sorted = (array: string): string =>
  `(select coalesce(string_agg(o, ',' order by o collate "C"), '') from unnest(${array}) o)`;

/** The options of a column that people set; PostgreSQL 15.20 of Debian writes one of its own into every new column. */
const DECLARED_OPTIONS = `array(select o from unnest(a.attoptions) o where o ~ '^(n_distinct|n_distinct_inherited)=')`;

const notOfExtension = (catalogue: string, oid: string): string =>
  `not exists (select from pg_depend e where e.classid = '${catalogue}'::regclass and e.objid = ${oid} and e.deptype = 'e')`;

const relationKind = (kind: string): string => `case ${kind} when 'r' then 'table' when 'p' then 'table'
  when 'v' then 'view' when 'm' then 'materialized view' when 'f' then 'foreign table' when 'S' then 'sequence'
  when 'c' then 'type' else 'relation' end`;

/** The name of an owner, from its oid, as SQL. */
type OwnerAsSql = (oid: string) => string;

/** The parts of the union: kind, schema, name and definition of every object of one catalogue. */
const kindQueries = (owner: OwnerAsSql): readonly string[] => [
  `select 'schema', nspname, '', ${owner('nspowner')} from schemas`,
  `select 'grants on schema', nspname, '', ${privileges('nspacl', `'n'`, 'nspowner')} from schemas`,
  `select ${relationKind('c.relkind')}, c.nspname, c.relname,
     concat_ws('|', ${owner('c.relowner')}, c.relkind, c.relpersistence, c.relrowsecurity, c.relforcerowsecurity,
       case when c.relkind in ('r', 'p', 'm') then c.relreplident end, ${sorted('c.reloptions')},
       case when c.relkind in ('v', 'm') then pg_get_viewdef(c.oid) end,
       case when c.relkind = 'p' then pg_get_partkeydef(c.oid) end,
       (select amname from pg_am where pg_am.oid = c.relam),
       (select string_agg(i.inhparent::regclass::text, ',' order by i.inhseqno) from pg_inherits i
         where i.inhrelid = c.oid and not c.relispartition),
       (select concat_ws('|', q.seqtypid::regtype, q.seqstart, q.seqincrement, q.seqmax, q.seqmin, q.seqcache, q.seqcycle)
          from pg_sequence q where q.seqrelid = c.oid),
       (select string_agg(d.refobjid::regclass::text || '.' || a.attname, ',' order by d.refobjsubid)
          from pg_depend d join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
         where c.relkind = 'S' and d.classid = 'pg_class'::regclass and d.objid = c.oid and d.refobjsubid > 0
           and d.refclassid = 'pg_class'::regclass and d.deptype in ('a', 'i')),
       (select v.srvname || ${sorted('f.ftoptions')} from pg_foreign_table f join pg_foreign_server v on v.oid = f.ftserver
         where f.ftrelid = c.oid))
   from relations c`,
  // A row of its own, because attaching and detaching are of others' making more often than not.
  `select 'partition', c.nspname, c.relname, concat_ws('|', i.inhparent::regclass, pg_get_expr(c.relpartbound, c.oid))
   from relations c join pg_inherits i on i.inhrelid = c.oid where c.relispartition`,
  `select 'grants on ' || ${relationKind('c.relkind')}, c.nspname, c.relname,
     ${privileges('c.relacl', `case c.relkind when 'S' then 's' else 'r' end::"char"`, 'c.relowner')}
   from relations c where c.relkind <> 'c'`,
  `select 'column', c.nspname, c.relname || '.' || a.attname,
     concat_ws('|', format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, a.attgenerated, a.attstorage,
       pg_get_expr(d.adbin, d.adrelid), nullif(a.attcollation, t.typcollation)::regcollation,
       case when a.attacl is not null then ${privileges('a.attacl', `'c'`, 'c.relowner')} end, ${sorted(DECLARED_OPTIONS)})
   from relations c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
     join pg_type t on t.oid = a.atttypid
     left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
   where c.relkind in ('r', 'p', 'f', 'c')`,
  // Constraints that only repeat NOT NULL (a row of their own since PostgreSQL 18) are told by their column.
  `select 'constraint', c.nspname, k.conname || ' on ' || c.relname,
     concat_ws('|', pg_get_constraintdef(k.oid), k.convalidated)
   from relations c join pg_constraint k on k.conrelid = c.oid and k.contype not in ('n', 't')
   -- To each partition of a table that is referenced the server makes a constraint of its own.
   where k.conparentid = 0 or c.relispartition`,
  `select 'constraint', s.nspname, k.conname || ' on ' || t.typname, concat_ws('|', pg_get_constraintdef(k.oid), k.convalidated)
   from pg_type t join schemas s on s.oid = t.typnamespace join pg_constraint k on k.contypid = t.oid and k.contype <> 'n'`,
  `select 'index', c.nspname, x.relname || ' on ' || c.relname,
     concat_ws('|', pg_get_indexdef(i.indexrelid), i.indisvalid, i.indisclustered, i.indisreplident)
   from relations c join pg_index i on i.indrelid = c.oid join pg_class x on x.oid = i.indexrelid
   where not exists (select from pg_constraint k where k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x'))`,
  `select 'policy', n.nspname, p.polname || ' on ' || c.relname,
     concat_ws('|', p.polcmd, p.polpermissive, (select string_agg(case r when 0 then 'public' else pg_get_userbyid(r)::text end, ','
         order by case r when 0 then 'public' else pg_get_userbyid(r)::text end collate "C") from unnest(p.polroles) r),
       'using ' || pg_get_expr(p.polqual, p.polrelid), 'check ' || pg_get_expr(p.polwithcheck, p.polrelid))
   from pg_policy p join pg_class c on c.oid = p.polrelid join pg_namespace n on n.oid = c.relnamespace
   where ${notOfExtension('pg_policy', 'p.oid')}`,
  `select 'trigger', n.nspname, t.tgname || ' on ' || c.relname, concat_ws('|', pg_get_triggerdef(t.oid), t.tgenabled)
   from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_namespace n on n.oid = c.relnamespace
     join pg_proc f on f.oid = t.tgfoid
   where not t.tgisinternal and ${notOfExtension('pg_class', 'c.oid')}
     and (c.relnamespace in (select oid from schemas) or f.pronamespace in (select oid from schemas))`,
  `select 'rule', c.nspname, r.rulename || ' on ' || c.relname, concat_ws('|', pg_get_ruledef(r.oid), r.ev_enabled)
   from relations c join pg_rewrite r on r.ev_class = c.oid and r.rulename <> '_RETURN'`,
  `select case p.prokind when 'p' then 'procedure' when 'a' then 'aggregate' else 'function' end, p.nspname, p.signature,
     concat_ws('|', ${owner('p.proowner')}, case when p.prokind <> 'a' then pg_get_functiondef(p.oid) end,
       (select concat_ws(',', g.aggkind, g.aggtransfn, g.aggfinalfn, g.aggcombinefn, g.aggtranstype::regtype, g.agginitval,
          p.prorettype::regtype) from pg_aggregate g where g.aggfnoid = p.oid))
   from functions p`,
  `select 'grants on function', p.nspname, p.signature, ${privileges('p.proacl', `'f'`, 'p.proowner')} from functions p`,
  `select 'type', s.nspname, t.typname,
     concat_ws('|', ${owner('t.typowner')}, t.typtype,
       (select string_agg(e.enumlabel, ',' order by e.enumsortorder) from pg_enum e where e.enumtypid = t.oid),
       case when t.typtype = 'd' then concat_ws(',', format_type(t.typbasetype, t.typtypmod), t.typnotnull, t.typdefault,
         t.typcollation::regcollation) end,
       (select concat_ws(',', r.rngsubtype::regtype, r.rngsubdiff, r.rngcanonical) from pg_range r where r.rngtypid = t.oid))
   from pg_type t join schemas s on s.oid = t.typnamespace
   where t.typtype in ('e', 'd', 'r', 'b') and t.typcategory <> 'A' and ${notOfExtension('pg_type', 't.oid')}`,
  `select 'grants on type', s.nspname, t.typname, ${privileges('t.typacl', `'T'`, 't.typowner')}
   from pg_type t join schemas s on s.oid = t.typnamespace where t.typacl is not null
     and ${notOfExtension('pg_type', 't.oid')}`,
  `select 'statistics', s.nspname, x.stxname, pg_get_statisticsobjdef(x.oid)
   from pg_statistic_ext x join schemas s on s.oid = x.stxnamespace`,
  `select 'operator', s.nspname, o.oid::regoperator::text, o.oprcode::text
   from pg_operator o join schemas s on s.oid = o.oprnamespace where ${notOfExtension('pg_operator', 'o.oid')}`,
  `select 'collation', s.nspname, c.collname, '' from pg_collation c join schemas s on s.oid = c.collnamespace
   where ${notOfExtension('pg_collation', 'c.oid')}`,
  `select 'text search configuration', s.nspname, c.cfgname, '' from pg_ts_config c
     join schemas s on s.oid = c.cfgnamespace where ${notOfExtension('pg_ts_config', 'c.oid')}`,
  `select 'text search dictionary', s.nspname, d.dictname, d.dictinitoption from pg_ts_dict d
     join schemas s on s.oid = d.dictnamespace where ${notOfExtension('pg_ts_dict', 'd.oid')}`,
  `select 'operator class', s.nspname, o.opcname, '' from pg_opclass o join schemas s on s.oid = o.opcnamespace
   where ${notOfExtension('pg_opclass', 'o.oid')}`,
  `select 'cast', '', format_type(c.castsource, null) || ' as ' || format_type(c.casttarget, null),
     concat_ws('|', c.castfunc::regprocedure, c.castcontext)
   from pg_cast c where c.oid >= 16384 and ${notOfExtension('pg_cast', 'c.oid')}`,
  `select 'extension', n.nspname, e.extname, '' from pg_extension e join pg_namespace n on n.oid = e.extnamespace`,
  `select 'foreign server', '', v.srvname, concat_ws('|', w.fdwname, v.srvtype, v.srvversion, ${sorted('v.srvoptions')})
   from pg_foreign_server v join pg_foreign_data_wrapper w on w.oid = v.srvfdw where ${notOfExtension('pg_foreign_server', 'v.oid')}`,
  `select 'event trigger', '', e.evtname, concat_ws('|', e.evtevent, e.evtfoid::regproc, e.evtenabled, e.evttags::text)
   from pg_event_trigger e join pg_proc f on f.oid = e.evtfoid where f.pronamespace in (select oid from schemas)`,
  `select 'publication', '', p.pubname, concat_ws('|', ${owner('p.pubowner')}, (to_jsonb(p) - 'oid' - 'pubowner')::text)
   from publications p`,
  `select 'publication table', '', t.pubname || ': ' || t.schemaname || '.' || t.tablename,
     concat_ws('|', to_jsonb(t) ->> 'rowfilter',
       (select string_agg(a.attname, ',' order by a.attname collate "C") from pg_attribute a where a.attrelid = r.prrelid
          and a.attnum = any (string_to_array(translate(to_jsonb(r) ->> 'prattrs', '[],', ''), ' ')::int2[])))
   from pg_publication_tables t join publications p on p.pubname = t.pubname
     join pg_class c on c.relname = t.tablename join pg_namespace n on n.oid = c.relnamespace and n.nspname = t.schemaname
     left join pg_publication_rel r on r.prpubid = p.oid and r.prrelid = c.oid
   -- The server lists the partitions of what is published; people publish the whole.
   where not p.puballtables and n.nspname not in (${platform}) and not (c.relispartition and r.oid is null)`,
  `select 'publication table', '', p.pubname || ': ' || n.nspname || '.' || c.relname, ''
   from pg_publication_rel r join publications p on p.oid = r.prpubid join pg_class c on c.oid = r.prrelid
     join pg_namespace n on n.oid = c.relnamespace
   where c.relkind = 'p' and not p.pubviaroot and n.nspname not in (${platform})`,
  `select 'default privileges', coalesce(n.nspname, ''), pg_get_userbyid(d.defaclrole) || ': ' || d.defaclobjtype::text,
     ${privileges('d.defaclacl', 'd.defaclobjtype', 'd.defaclrole')}
   from pg_default_acl d left join pg_namespace n on n.oid = d.defaclnamespace
   where d.defaclnamespace = 0 or d.defaclnamespace in (select oid from schemas)`,
  `select 'comment', coalesce(i.schema, ''), i.type || ' ' || i.identity, d.description
   from (select * from pg_description where objoid >= 16384 or classoid = 'pg_namespace'::regclass) d,
     pg_identify_object(d.classoid, d.objoid, d.objsubid) i
   where case when i.type = 'schema' then i.name in (select nspname from schemas)
       else i.schema is null or i.schema in (select nspname from schemas) end
     and i.type not in ('extension', 'event trigger')
     and not exists (select from pg_depend e where e.classid = d.classoid and e.objid = d.objoid and e.deptype = 'e')`,
  // Another major version writes definitions differently: told as such, not as a thousand changed objects.
  `select 'server', '', 'major version', (current_setting('server_version_num')::int / 10000)::text`,
];

/**
 * Every object as a row: kind, schema, name, hash. Works from PostgreSQL 13 and for any role, and must run under
 * DETERMINISTIC_SETTINGS. The order of columns is left out on purpose: a down file cannot give it back.
 */
export const OBJECTS_QUERY = objectsQuery((oid) => `pg_get_userbyid(${oid})::text`);

/** The same whoever owns the objects: for comparing databases in which that is not the same role. */
export const OWNERLESS_OBJECTS_QUERY = objectsQuery(() => `''`);

function objectsQuery(owner: OwnerAsSql): string {
  return `
with schemas as materialized (
  select n.oid, n.nspname::text, n.nspowner, n.nspacl from pg_namespace n
  where n.nspname !~ '^pg_' and n.nspname not in (${platform}) and ${notOfExtension('pg_namespace', 'n.oid')}
), relations as materialized (
  select c.*, s.nspname from pg_class c join schemas s on s.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S', 'c') and ${notOfExtension('pg_class', 'c.oid')}
), functions as materialized (
  select p.*, s.nspname, p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')' as signature
  from pg_proc p join schemas s on s.oid = p.pronamespace where ${notOfExtension('pg_proc', 'p.oid')}
), publications as materialized (
  -- Of the platform: what its roles own, and what publishes its tables alone.
  select p.* from pg_publication p
  where pg_get_userbyid(p.pubowner) !~ '^supabase_' and (
    not exists (select from pg_publication_tables t where t.pubname = p.pubname)
    or exists (select from pg_publication_tables t where t.pubname = p.pubname and t.schemaname not in (${platform})))
), described(kind, schema, name, definition) as (
${kindQueries(owner).join('\nunion all\n')}
)
select kind::text, schema::text, name::text,
  left(encode(sha256(convert_to(coalesce(definition, ''), 'UTF8')), 'hex'), 16) as hash
from described`;
}

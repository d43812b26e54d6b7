/** The SQL with which a scratch database is filled and emptied again; read as SQL, so it is kept apart. */
import { PLATFORM_SCHEMAS } from '../schema/platform-schemas.js';
import { literal } from '../sql/sql-text.js';

/** The schema that says that what stands beside it was made here, and may be dropped. */
const MARKER = 'muva_measure';
/** Held by the session that fills a scratch database, from its first statement to its last. */
const LOCK = 7_263_840_115;

const projectSchema = `n.nspname !~ '^pg_' and n.nspname not in (${[MARKER, ...PLATFORM_SCHEMAS].map(literal).join(', ')})`;
const notOfExtension = (catalog: string, oid: string): string =>
  `not exists (select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.${catalog}'::pg_catalog.regclass and d.objid = ${oid} and d.deptype = 'e')`;

/** Stands before each message: behind a connection that was lost and made again, somebody else may have the database. */
export const STILL_OURS = `do $held$ begin
  if not exists (select from pg_catalog.pg_locks where pid = pg_catalog.pg_backend_pid() and locktype = 'advisory'
      and (classid::bigint << 32 | objid::bigint) = ${LOCK}) then raise exception 'the session of the scratch database is gone'; end if;
end $held$;\n`;

/** One row: the server's identifier (null where it may not be read), the lock, what is there, and whether we left it. */
export const LOOK_AT_SCRATCH = `select pg_catalog.json_build_object(
  'mine', pg_catalog.pg_try_advisory_lock(${LOCK}),
  'left', exists (select from pg_catalog.pg_namespace where nspname = '${MARKER}'),
  'objects', array(select relname::text from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and ${projectSchema} and ${notOfExtension('pg_class', 'c.oid')}
    union all select proname::text from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
      where ${projectSchema} and ${notOfExtension('pg_proc', 'p.oid')} limit 10))::text as scratch`;

/** One row: who the server is. Asked alone, because not everybody may. */
export const SYSTEM_IDENTIFIER =
  'select system_identifier::text as identifier from pg_catalog.pg_control_system()';

/** Notes what is there, so that what is not in the note may be dropped. */
export const BEGIN_SCRATCH = `create schema ${MARKER};
create table ${MARKER}.before as
  select 'schema' as kind, nspname::text as name from pg_catalog.pg_namespace
  union all select 'extension', extname from pg_catalog.pg_extension
  union all select 'publication', pubname from pg_catalog.pg_publication
  union all select 'event trigger', evtname from pg_catalog.pg_event_trigger
  union all select 'policy', pg_catalog.format('%I on %I.%I', policyname, schemaname, tablename) from pg_catalog.pg_policies;`;

/** What a file sets for its session must not reach what comes behind it. */
export const LEAVE_SESSION =
  'reset session authorization; reset role; reset all; discard temp; deallocate all; close all; unlisten *;';

/** Drops all that came since the note was made, and the note. */
export const END_SCRATCH = `do $clean$ declare item record; begin
  for item in select kind, name from (
      select 'event trigger' as kind, evtname::text as name from pg_catalog.pg_event_trigger
      union all select 'publication', pubname from pg_catalog.pg_publication
      union all select 'policy', pg_catalog.format('%I on %I.%I', policyname, schemaname, tablename) from pg_catalog.pg_policies
      union all select 'schema', nspname from pg_catalog.pg_namespace where nspname !~ '^pg_'
      union all select 'extension', extname from pg_catalog.pg_extension) now
    where not exists (select from ${MARKER}.before b where b.kind = now.kind and b.name = now.name) and name <> '${MARKER}'
    order by pg_catalog.array_position(array['event trigger', 'publication', 'policy', 'extension', 'schema'], kind) loop
    if item.kind = 'policy' then execute 'drop policy if exists ' || item.name;
    else execute pg_catalog.format('drop %s if exists %I cascade', item.kind, item.name); end if;
  end loop;
  for item in select c.oid as id, case c.relkind when 'v' then 'view' when 'm' then 'materialized view'
      when 'f' then 'foreign table' when 'S' then 'sequence' else 'table' end as kind
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S') and ${projectSchema} and ${notOfExtension('pg_class', 'c.oid')}
    -- The sequence of an identity column goes with its table, and not alone.
    order by c.relkind = 'S' loop
    if exists (select from pg_catalog.pg_class where oid = item.id) then
      execute pg_catalog.format('drop %s %s cascade', item.kind, item.id::pg_catalog.regclass); end if;
  end loop;
  for item in select p.oid as id, case p.prokind when 'a' then 'aggregate' when 'p' then 'procedure' else 'function' end as kind
    from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    where ${projectSchema} and ${notOfExtension('pg_proc', 'p.oid')} loop
    if exists (select from pg_catalog.pg_proc where oid = item.id) then
      execute pg_catalog.format('drop %s %s cascade', item.kind, item.id::pg_catalog.regprocedure); end if;
  end loop;
  for item in select t.oid as id, case t.typtype when 'd' then 'domain' else 'type' end as kind
    from pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid = t.typnamespace
    where ${projectSchema} and ${notOfExtension('pg_type', 't.oid')} and (t.typtype in ('e', 'd', 'r')
      or t.typtype = 'c' and exists (select from pg_catalog.pg_class c where c.oid = t.typrelid and c.relkind = 'c')) loop
    if exists (select from pg_catalog.pg_type where oid = item.id) then
      execute pg_catalog.format('drop %s %s cascade', item.kind, item.id::pg_catalog.regtype); end if;
  end loop;
  drop schema ${MARKER} cascade;
end $clean$;`;

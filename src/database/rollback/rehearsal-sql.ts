import { CHECK_DEFERRED, leaveNothing, statementLines } from '../apply/migration-statement.js';
import { RUNS_TABLE } from '../history/deploy-tables.js';
import { CODES } from '../history/error-codes.js';
import { changeRows } from '../schema/schema-record.js';
import { literal, textArray } from '../sql/sql-text.js';
import { COUNT_UP_TO, type Down, type RevertOrder } from './revert-order.js';

/** What every down file is run with: its deferred checks made before its history row goes, nothing of it left behind. */
export function execution(down: Down, { rules, role }: RevertOrder): string {
  return `
  perform set_config('lock_timeout', '${rules.lockTimeout}ms', true);
  ${statementLines(down.source, down.statements, 1, role).text}  ${leaveNothing(role)}
  ${CHECK_DEFERRED}`;
}

/**
 * Runs all down files in a sub-transaction that is rolled back, and counts what they would have deleted: tables,
 * columns, and tables that were emptied, by TRUNCATE or by DELETE. What the run itself created may go and is told; anything else that holds
 * something is refused. With `loseNothing` all of it is refused, and any row that a down file changes; the tables stay locked
 * from the count until the end. Leaves the list in `muva.losses`.
 */
export function rehearsal(order: RevertOrder, runs: readonly string[]): string {
  const created = `exists (select from ${RUNS_TABLE} r, lateral ${changeRows(`coalesce(r.changes, '[]')`)} c
    where r.run_id = any (${textArray(runs)}) and c.before is null and c.schema = item.schema and`;
  const strict = order.rules.loseNothing === true;
  const refused = strict
    ? `losses <> '[]'`
    : order.rules.allowDataLoss
      ? 'false'
      : `exists (select from jsonb_array_elements(losses) l where not (l ->> 'own')::boolean)`;
  const count = (where: string): string =>
    `begin
        execute format('select count(*) from (select from %1$s ${where} limit ${COUNT_UP_TO + 1}) t', item.qualified, item.detail) into rows;
      exception when insufficient_privilege then rows := null;
      end;`;
  return `
declare
  tables oid[]; files oid[]; dropped text[]; gone oid[]; emptied oid[] := '{}'; columns text[]; losses jsonb := '[]';
  rows bigint; own boolean; item record; filled boolean;
begin
  raise info using message = ${literal(order.marker)};
  select array_agg(c.oid order by c.oid), array_agg(c.relfilenode order by c.oid) into tables, files
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'r' and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'supabase_migrations');
  select array_agg(attrelid || '.' || attnum) into dropped from pg_attribute where attisdropped and attrelid = any (tables);
  begin
    ${order.downs.map((down) => execution(down, order)).join('\n')}
    select array_agg(t) into gone from unnest(tables) t where not exists (select from pg_class c where c.oid = t);
    select array_agg(attrelid || '.' || attnum) into columns from pg_attribute
      where attisdropped and attrelid = any (tables) and (attrelid || '.' || attnum) <> all (coalesce(dropped, '{}'));
    for item in select c.oid, c.oid::regclass::text as qualified from unnest(tables, files) t(oid, file)
      join pg_class c on c.oid = t.oid
      where c.relfilenode <> t.file or pg_stat_get_xact_tuples_deleted(c.oid) > 0${strict ? ' or pg_stat_get_xact_tuples_updated(c.oid) > 0' : ''}
    loop
      ${strict ? 'filled := false;' : `execute format('select exists (select from %s)', item.qualified) into filled;`}
      if not filled then emptied := emptied || item.oid; end if;
    end loop;
    raise exception using errcode = '${CODES.undone}';
  exception when sqlstate '${CODES.undone}' then null;
  end;
  -- Better no number than one that row level security made smaller.
  perform set_config('row_security', 'off', true);
  for item in
    select 'table' as kind, n.nspname::text as schema, c.relname::text as name, format('%I.%I', n.nspname, c.relname) as qualified,
        null::text as detail, c.oid = any (emptied) as kept
      from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = any (gone || emptied)
    union all
    select 'column', n.nspname, c.relname, format('%I.%I', n.nspname, c.relname), a.attname, false
      from unnest(columns) d join pg_attribute a on a.attrelid || '.' || a.attnum = d
        join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
      where a.attgenerated = '' and c.oid <> all (coalesce(gone, '{}'))
  loop
    ${strict ? `execute format('lock table %s in access exclusive mode', item.qualified);` : ''}
    if item.kind = 'table' then
      ${count('')}
      own := ${created} c.kind = 'table' and c.name = item.name);
    else
      ${count('where %2$I is not null')}
      own := ${created} (c.kind = 'table' and c.name = item.name or c.kind = 'column' and c.name = item.name || '.' || item.detail));
    end if;
    if rows is null or rows > 0 then
      losses := losses || jsonb_build_object('kind', case when item.kept then '${strict ? 'changed' : 'emptied'}' else item.kind end,
        'name', item.qualified || coalesce('.' || quote_ident(item.detail), ''), 'rows', rows, 'own', own);
    end if;
  end loop;
  perform set_config('row_security', 'on', true);
  if ${refused} then
    raise exception using errcode = '${CODES.dataLoss}', message = losses::text;
  end if;
  perform set_config('muva.losses', losses::text, true);
end`;
}

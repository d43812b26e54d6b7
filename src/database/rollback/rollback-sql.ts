import { localSettings, type Timeouts } from '../apply/migration-statement.js';
import { HISTORY_TABLE, MIGRATIONS_TABLE, RUNS_TABLE, takeDatabase } from '../history/deploy-tables.js';
import { CODES } from '../history/error-codes.js';
import { FINGERPRINT_ROW } from '../schema/fingerprint.js';
import { changeRows, deterministic, objectRows, recordKilledRun } from '../schema/schema-record.js';
import { dollarQuote, literal, textArray } from '../sql/sql-text.js';
import { execution, rehearsal } from './rehearsal-sql.js';
import type { Down, RevertOrder } from './revert-order.js';
import { ROLLED_BACK } from './rollback-decision.js';

/** The recorded down texts of some versions. */
export function downsQuery(versions: readonly string[]): string {
  return `select coalesce(jsonb_object_agg(version, down), '{}') as downs from ${MIGRATIONS_TABLE}
    where version = any (${textArray(versions)}) and down is not null`;
}

/**
 * Everything in one message, so in one transaction: the lock, the guard, a rehearsal that finds out which data would
 * go, every down file with its history row, and the comparison with the schema as it was before the run.
 */
export function revertMessage(order: RevertOrder): string {
  const versions = order.downs.map(({ version }) => version);
  const runs = [...order.whole, ...order.partly];
  return [
    startOfRollback(order.rules),
    sqlBlock(guard(versions)),
    localSettings(order.rules),
    sqlBlock(recordKilledRun()),
    sqlBlock(rememberObjects(order.whole)),
    sqlBlock(rehearsal(order, runs)),
    ...order.downs.flatMap((down) => [localSettings(order.rules), sqlBlock(unit(down, order))]),
    localSettings(order.rules),
    sqlBlock(compareWithStart(order)),
    endOfRollback(order.whole),
    `select current_setting('muva.losses', true) as losses, current_setting('muva.fingerprint', true) as fingerprint;`,
  ].join('\n');
}

/** One message: history rows go, the schema stays. */
export function deleteRecordsMessage(
  versions: readonly string[],
  runs: readonly string[],
  rules: Timeouts,
): string {
  return [
    startOfRollback(rules),
    sqlBlock(guard(versions)),
    sqlBlock(`
begin
  delete from ${HISTORY_TABLE} where version = any (${textArray(versions)});
  delete from ${MIGRATIONS_TABLE} where version = any (${textArray(versions)});
  update ${RUNS_TABLE} set outcome = ${literal(ROLLED_BACK)}, finished_at = clock_timestamp()
    where run_id = any (${textArray(runs)});
end`),
    'select 1 as done;',
  ].join('\n');
}

const sqlBlock = (body: string): string => `do ${dollarQuote(body)};`;

function startOfRollback(rules: Timeouts): string {
  return `set transaction isolation level read committed, read write;\n${localSettings(rules)}`;
}

const guard = (versions: readonly string[]): string => `
declare missing text;
begin
  ${takeDatabase()}
  select string_agg(v, ', ') into missing from unnest(${textArray(versions)}) v
    where not exists (select from ${HISTORY_TABLE} h where h.version = v);
  if missing is not null then
    raise exception using errcode = '${CODES.gone}', message = missing;
  end if;
end`;

/** The state before the down files, kept in the newest run's row until the comparison at the end. */
function rememberObjects(whole: readonly string[]): string {
  if (whole.length === 0) return 'begin end';
  return deterministic(
    '',
    `update ${RUNS_TABLE} r set objects = f.objects from (${FINGERPRINT_ROW}) f where r.run_id = ${literal(whole[0])};`,
  );
}

function unit(down: Down, order: RevertOrder): string {
  return `
declare losses text := current_setting('muva.losses', true);
begin
  ${execution(down, order)}
  delete from ${HISTORY_TABLE} where version = ${literal(down.version)};
  if not found then
    raise exception using errcode = '${CODES.gone}', message = ${literal(down.version)};
  end if;
  delete from ${MIGRATIONS_TABLE} where version = ${literal(down.version)};
  perform set_config('muva.losses', losses, true);
  raise info using message = ${literal(`${order.marker} ${down.version}`)};
end`;
}

/**
 * Two things must hold: every object that the runs changed is as it was before the oldest of them, and the down
 * files changed nothing else. Together they mean that the schema is as before, though others may have changed
 * other objects since. The complaint is a JSON list of [word, kind, schema, name].
 */
function compareWithStart(order: RevertOrder): string {
  if (order.whole.length === 0)
    return deterministic(
      '',
      `update ${RUNS_TABLE} r set objects = f.objects, fingerprint_after = f.fingerprint from (${FINGERPRINT_ROW}) f
        where r.objects is not null;
      perform set_config('muva.fingerprint', 'not compared', true);`,
    );
  const known = `(select count(*) = ${order.whole.length} from ${RUNS_TABLE} where run_id = any (${textArray(order.whole)}) and changes is not null)`;
  const changed = (runs: readonly string[]): string => `
    select distinct on (kind, schema, name) kind, schema, name, before from ${RUNS_TABLE} r, lateral ${changeRows('r.changes')} c
    where r.run_id = any (${textArray(runs)}) and r.changes is not null order by kind, schema, name, r.started_at`;
  return deterministic(
    'now jsonb; was jsonb; print text; start text; wrong jsonb;',
    `
  raise info using message = ${literal(order.marker)};
  select f.objects, f.fingerprint into now, print from (${FINGERPRINT_ROW}) f;
  select objects into was from ${RUNS_TABLE} where run_id = ${literal(order.whole[0])};
  select fingerprint_before into start from ${RUNS_TABLE} where run_id = any (${textArray(order.whole)}) order by started_at limit 1;
  if ${known} then
    select jsonb_agg(jsonb_build_array(word, kind, schema, name)) into wrong from (
      select case when n.hash is null then 'removed' when c.before is null then 'added' else 'altered' end as word, kind, schema, name
        from (${changed(order.whole)}) c left join ${objectRows('now')} n using (kind, schema, name)
        where n.hash is distinct from c.before
      union all
      select case when n.hash is null then 'removed' when w.hash is null then 'added' else 'altered' end, kind, schema, name
        from ${objectRows('was')} w full join ${objectRows('now')} n using (kind, schema, name)
        where w.hash is distinct from n.hash
          and not exists (select from (${changed([...order.whole, ...order.partly])}) c
            where (c.kind, c.schema, c.name) = (coalesce(w.kind, n.kind), coalesce(w.schema, n.schema), coalesce(w.name, n.name)))
    ) d;
    if wrong is not null then
      raise exception using errcode = '${CODES.notAsBefore}', message = wrong::text;
    end if;
  end if;
  update ${RUNS_TABLE} set objects = now, fingerprint_after = print where run_id = ${literal(order.whole[0])};
  update ${RUNS_TABLE} set objects = null where run_id <> ${literal(order.whole[0])} and objects is not null;
  perform set_config('muva.fingerprint', case when print = start then 'equal' when ${known} then 'own changes undone' else 'not compared' end, true);`,
  );
}

/** A run that is undone as a whole starts afresh when it is run again. */
function endOfRollback(whole: readonly string[]): string {
  return sqlBlock(`begin
  update ${RUNS_TABLE} set outcome = ${literal(ROLLED_BACK)}, fingerprint_before = null, changes = null,
    finished_at = clock_timestamp() where run_id = any (${textArray(whole)});
end`);
}

import { RUNS_TABLE } from './bookmark.js';
import { FINGERPRINT_ROW } from './fingerprint.js';
import { DETERMINISTIC_SETTINGS } from './fingerprint-sql.js';
import { dollarQuote, literal } from './sql-text.js';

/**
 * What is remembered of the schema around a run, in its row of deploy_runs:
 * `fingerprint_before`, `fingerprint_after`; `objects`, every object after the newest run (older rows are emptied);
 * `changes`, what the run itself changed: [kind, schema, name, hash before or null, hash after or null].
 */

/** PL/pgSQL that does `work` under the settings that a fingerprint needs, and puts the session's own back. */
export function deterministic(declarations: string, work: string): string {
  const names = Object.keys(DETERMINISTIC_SETTINGS).map(literal).join(', ');
  const set = Object.entries(DETERMINISTIC_SETTINGS)
    .map(([name, value]) => `perform set_config(${literal(name)}, ${literal(value)}, true);`)
    .join(' ');
  return `
declare muva_saved jsonb; muva_item record; ${declarations}
begin
  select jsonb_object_agg(n, current_setting(n)) into muva_saved from unnest(array[${names}]) n;
  ${set}
  ${work}
  for muva_item in select * from jsonb_each_text(muva_saved) loop
    perform set_config(muva_item.key, muva_item.value, true);
  end loop;
end`;
}

/**
 * A statement for the beginning of each message that changes the schema, after the run's row was written: remembers
 * the state before. The first state that a run met stays, however many messages it sends.
 */
export function recordStateBefore(runId: string): string {
  return statement(`
  update ${RUNS_TABLE} r set fingerprint_before = coalesce(r.fingerprint_before, f.fingerprint), objects = f.objects
  from (${FINGERPRINT_ROW}) f where r.run_id = ${literal(runId)};`);
}

/** A statement for the end of the same message: remembers the state after, and what the run changed so far. */
export function recordStateAfter(runId: string): string {
  return statement(`
  update ${RUNS_TABLE} r set fingerprint_after = f.fingerprint, objects = f.objects, finished_at = clock_timestamp(),
    outcome = 'applied', changes = case when r.objects is null then r.changes else (${mergedChanges}) end
  from (${FINGERPRINT_ROW}) f where r.run_id = ${literal(runId)};
  update ${RUNS_TABLE} set objects = null where run_id <> ${literal(runId)} and objects is not null;`);
}

function statement(work: string): string {
  return `do ${dollarQuote(deterministic('', work))};`;
}

/** Stored objects as rows. */
export const objectRows = (objects: string): string =>
  `(select e ->> 0 as kind, e ->> 1 as schema, e ->> 2 as name, e ->> 3 as hash from jsonb_array_elements(${objects}) e)`;

/** Stored changes as rows; `before` null: the run created it; `after` null: the run dropped it. */
export const changeRows = (changes: string): string =>
  `(select e ->> 0 as kind, e ->> 1 as schema, e ->> 2 as name, e ->> 3 as before, e ->> 4 as after
    from jsonb_array_elements(${changes}) e)`;

/** Earlier changes of the run with those of this message: the oldest "before" and the newest "after" of each object. */
const mergedChanges = `
  select coalesce(jsonb_agg(jsonb_build_array(kind, schema, name, before, after)), '[]') from (
    select kind, schema, name,
      case when c.kept then c.before else d.before end as before, case when d.fresh then d.after else c.after end as after
    from (select *, true as kept from ${changeRows(`coalesce(r.changes, '[]')`)} x) c
    full join (
      select kind, schema, name, b.hash as before, a.hash as after, true as fresh
      from ${objectRows('r.objects')} b full join ${objectRows('f.objects')} a using (kind, schema, name)
      where b.hash is distinct from a.hash) d using (kind, schema, name)) m
  where before is distinct from after`;

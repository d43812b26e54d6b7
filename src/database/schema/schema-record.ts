import { LOCK_KEY, PARTIAL_TABLE, RUNS_TABLE } from '../history/deploy-tables.js';
import { dollarQuote, literal } from '../sql/sql-text.js';
import { FINGERPRINT_ROW } from './fingerprint.js';
import { DETERMINISTIC_SETTINGS } from './fingerprint-sql.js';

/**
 * What is remembered of the schema around a run, in its row of deploy_runs:
 * `fingerprint_before`, `fingerprint_after`; `objects`, every object after the newest run (older rows are emptied);
 * `changes`, what the run itself changed: [kind, schema, name, hash before or null, hash after or null].
 * Looking at a whole schema costs more than a small migration, so a run looks before its first message and with its
 * last one. In between its row holds `objects` before and no `fingerprint_after`: that is how a killed run is known.
 *
 * Looking needs a lock on every table, view and index, and others may hold one of them for long. It is not worth
 * a deploy: a start that is not known is stored as JSON null, and a run whose end is not known is left like a killed
 * one, so that the next run, or its rollback, takes what it meets for that end.
 */

/** What a message tells where the schema could not be looked at. */
export const NOT_LOOKED_AT = 'muva: the schema was not looked at, because a table is locked';

/** Milliseconds that a look waits for each lock: before the first change, and while the locks of our changes are held. */
const WAIT_BEFORE = 1_000;
const WAIT_AFTER = 100;

/** PL/pgSQL that does `work` under the settings that a fingerprint needs, and puts the session's own back. */
export function deterministic(declarations: string, work: string): string {
  const names = [...Object.keys(DETERMINISTIC_SETTINGS), 'lock_timeout'].map(literal).join(', ');
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

/** True of a row whose run changed the schema and has not recorded the state after: it is at work, or was killed. */
export const UNRECORDED = '(r.objects is not null and r.fingerprint_after is null)';
/** True of a row whose run left a file half applied: whoever completes the file takes over what it changed so far. */
const HALF_APPLIED = `exists (select from ${PARTIAL_TABLE} p where p.run_id = r.run_id)`;

/**
 * A statement for the first message of a run, after the run's row was written, and for the first one of a file that
 * is applied in parts: remembers the state before. The first state that a run met stays, however many times it
 * begins. A run that was killed before it recorded its end gets the state that is met now as its end.
 */
export function recordStateBefore(runId: string): string {
  return statement(
    WAIT_BEFORE,
    `
  select f.objects, f.fingerprint into muva_objects, muva_fingerprint from (${FINGERPRINT_ROW}) f;
  select r.objects into muva_inherited from ${RUNS_TABLE} r
    where r.run_id <> ${literal(runId)} and ${UNRECORDED} and ${HALF_APPLIED};
  update ${RUNS_TABLE} r set fingerprint_after = f.fingerprint, objects = null,
    outcome = case r.outcome when 'begun' then 'applied' else r.outcome end,
    changes = case when ${HALF_APPLIED} or ${START_UNKNOWN} then r.changes else (${mergedChanges}) end
    from (select muva_objects as objects, muva_fingerprint as fingerprint) f
    where r.run_id <> ${literal(runId)} and ${UNRECORDED};
  update ${RUNS_TABLE} r set fingerprint_before = coalesce(r.fingerprint_before, muva_fingerprint),
    objects = case when ${UNRECORDED} then r.objects else coalesce(muva_inherited, muva_objects) end,
    fingerprint_after = null, outcome = 'begun'
    where r.run_id = ${literal(runId)};`,
    `update ${RUNS_TABLE} r set objects = case when ${UNRECORDED} then r.objects else 'null' end,
      fingerprint_after = null, outcome = 'begun' where r.run_id = ${literal(runId)};`,
    'muva_objects jsonb; muva_fingerprint text; muva_inherited jsonb;',
  );
}

/** A statement for the run's last message: remembers the state after, and what the run changed. */
export function recordStateAfter(runId: string): string {
  return statement(WAIT_AFTER, after(runId), endUnknown(runId));
}

/**
 * A message of its own for a run that stops between its messages: as `recordStateAfter`. Does nothing where the state
 * is recorded, or another run is at work, which records it with its own.
 */
export function recordStateAtStop(runId: string): string {
  return statement(
    WAIT_BEFORE,
    `
  if pg_try_advisory_xact_lock(${LOCK_KEY})
      and exists (select from ${RUNS_TABLE} r where r.run_id = ${literal(runId)} and ${UNRECORDED}) then
    ${after(runId)}
  end if;`,
    '',
  );
}

/** PL/pgSQL for a message that undoes something: the state met now is the end of a run that was killed before its own. */
export function recordKilledRun(): string {
  return deterministic(
    '',
    `
  if exists (select from ${RUNS_TABLE} r where ${UNRECORDED} and not ${HALF_APPLIED}) then
    update ${RUNS_TABLE} r set fingerprint_after = f.fingerprint, objects = f.objects,
      changes = case when ${START_UNKNOWN} then r.changes else (${mergedChanges}) end
      from (${FINGERPRINT_ROW}) f where ${UNRECORDED} and not ${HALF_APPLIED};
  end if;`,
  );
}

/** A DO statement that looks at the schema in a sub-transaction; where a lock is not to be had in time, `otherwise`. */
function statement(wait: number, work: string, otherwise: string, declarations = ''): string {
  const looked = `
  begin
    perform set_config('lock_timeout', '${wait}ms', true);
    ${work}
  exception when lock_not_available then
    ${otherwise}
    raise info using message = ${literal(NOT_LOOKED_AT)};
  end;`;
  return `do ${dollarQuote(deterministic(declarations, looked))};`;
}

/** True of a row whose run could not look at the schema before it began. */
const START_UNKNOWN = `r.objects = 'null'`;

function endUnknown(runId: string): string {
  return `update ${RUNS_TABLE} r set finished_at = clock_timestamp(), outcome = 'applied' where r.run_id = ${literal(runId)};`;
}

function after(runId: string): string {
  return `
  update ${RUNS_TABLE} r set fingerprint_after = f.fingerprint, objects = f.objects, finished_at = clock_timestamp(),
    outcome = 'applied', changes = case when r.objects is null or ${START_UNKNOWN} then r.changes else (${mergedChanges}) end
  from (${FINGERPRINT_ROW}) f where r.run_id = ${literal(runId)};
  update ${RUNS_TABLE} set objects = null where run_id <> ${literal(runId)} and objects is not null;`;
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

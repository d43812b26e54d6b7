import type { Problem } from '../../lib/report.js';
import type { DatabaseAccess, StatementResult } from '../connection/connection.js';
import { jsonField } from '../connection/results.js';
import { retryRead } from '../connection/retry-read.js';
import { SqlError } from '../connection/sql-error.js';
import { failureOf } from '../connection/sql-problem.js';
import { READS_TABLES, RUNS_TABLE } from '../history/deploy-tables.js';
import { dollarQuote } from '../sql/sql-text.js';
import type { DeployCheck } from './deploy-check.js';
import {
  compareObjects,
  describeDifference,
  FINGERPRINT_ROW,
  readObjects,
  type SchemaDifference,
  SET_DETERMINISTIC,
  type StoredObject,
} from './fingerprint.js';
import { withoutPartitioning } from './partitioning.js';
import { UNRECORDED } from './schema-record.js';

/** What becomes of a deploy where others have changed the schema. */
type DriftPolicy = 'warn' | 'fail' | 'off';

/** What others changed since the last deploy. */
export interface Drift {
  /** False where no deploy has recorded a state yet. */
  recorded: boolean;
  /** The deploy that the schema is compared with. */
  since?: { runId: string; sha?: string };
  difference: SchemaDifference;
  /** That deploy was killed before it recorded its end: nothing can be said. */
  killed: boolean;
  /** Another major version of PostgreSQL writes definitions differently: nothing can be said. */
  upgraded: boolean;
}

/** One message that writes nothing; its last statement gives the row that `readDrift` reads. */
export function driftQuery(): string {
  return `set local statement_timeout = '30s'; set local lock_timeout = '1s'; do ${dollarQuote(`
declare recorded text;
begin
  if to_regclass('${RUNS_TABLE}') is not null and ${READS_TABLES} then
    execute 'select jsonb_build_object(''run_id'', run_id, ''sha'', sha, ''fingerprint'', fingerprint_after, ''objects'', objects)::text
      from ${RUNS_TABLE} r where objects is not null order by ${UNRECORDED} desc, finished_at desc nulls last limit 1' into recorded;
  end if;
  perform set_config('muva.recorded', coalesce(recorded, ''), true);
end`)}; ${SET_DETERMINISTIC}
select jsonb_build_object('fingerprint', f.fingerprint, 'recorded', r.recorded - 'objects',
  'before', case when f.fingerprint <> r.recorded ->> 'fingerprint' then r.recorded -> 'objects' end,
  'now', case when f.fingerprint <> r.recorded ->> 'fingerprint' then f.objects end) as drift
from (${FINGERPRINT_ROW}) f, (select nullif(current_setting('muva.recorded', true), '')::jsonb as recorded) r;`;
}

interface DriftRow {
  recorded: { run_id: string; sha: string | null; fingerprint: string | null } | null;
  before: StoredObject[] | null;
  now: StoredObject[] | null;
}

export function readDrift(results: readonly StatementResult[]): Drift {
  const row = jsonField<DriftRow>(results, 'drift');
  if (!row) throw new Error('the drift query gave no row');
  const [before, now] = [readObjects(row.before), readObjects(row.now)];
  const difference = withoutPartitioning(compareObjects(before, now));
  return {
    recorded: row.recorded !== null,
    ...(row.recorded === null
      ? {}
      : { since: { runId: row.recorded.run_id, ...(row.recorded.sha ? { sha: row.recorded.sha } : {}) } }),
    difference,
    killed: row.recorded !== null && row.recorded.fingerprint === null,
    upgraded: difference.altered.some(({ kind }) => kind === 'server'),
  };
}

/**
 * Looks what others changed since the last deploy recorded the schema. Undefined where it could not be found
 * out in time, because somebody holds a table that must be looked at.
 */
export async function readDriftNow({ database, signal }: DatabaseAccess): Promise<Drift | undefined> {
  try {
    const sending = { deadline: 45_000, signal };
    return readDrift(await retryRead(signal, () => database.send(driftQuery(), sending)));
  } catch (error) {
    const late = error instanceof SqlError && (error.code === '57014' || error.code === '55P03');
    if (late && !signal.aborted) return undefined;
    throw failureOf(error, 'looking what other hands changed');
  }
}

/** What the drift means under the input `drift`. */
export function judgeDrift(drift: Drift | undefined, policy: DriftPolicy): DeployCheck {
  const calm = (detail: string): DeployCheck => ({ detail, refusals: [], warnings: [] });
  if (policy === 'off') return calm('not looked at');
  if (!drift) {
    const problem = {
      message: 'it could not be found out in time whether other hands changed the schema: a table is locked',
      next: 'Run again; or say drift: off.',
    };
    const late = { detail: 'not found out in time', refusals: [], warnings: [] };
    return policy === 'fail' ? { ...late, refusals: [problem] } : { ...late, warnings: [problem] };
  }
  if (!drift.recorded || !drift.since) return calm('no deploy has recorded the schema yet');
  const { runId, sha } = drift.since;
  const since = `run ${runId}${sha === undefined ? '' : ` (${sha.slice(0, 7)})`}`;
  if (drift.killed) return calm(`not comparable: ${since} ended before it recorded the schema`);
  if (drift.upgraded) return calm(`not comparable: another major version of PostgreSQL runs since ${since}`);
  const { added, removed, altered } = drift.difference;
  if (added.length + removed.length + altered.length === 0) return calm(`unchanged since ${since}`);
  const problem: Problem = {
    message: `the schema changed since ${since} by other hands: ${describeDifference(drift.difference)}`,
    next:
      policy === 'fail'
        ? 'Write the change as a migration, or undo it; to go on as it is, say drift: warn.'
        : 'Write the change as a migration, so that other databases get it too.',
  };
  const detail = describeDifference(drift.difference, 3);
  return policy === 'fail'
    ? { detail, refusals: [problem], warnings: [] }
    : { detail, refusals: [], warnings: [problem] };
}

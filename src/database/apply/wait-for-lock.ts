import { Failure } from '../../lib/report.js';
import { pause } from '../../lib/retry.js';
import type { DatabaseAccess } from '../connection/connection.js';
import { jsonField } from '../connection/results.js';
import { retryRead } from '../connection/retry-read.js';
import { LEASE_HELD, LEASE_TABLE, LOCK_KEY, READS_TABLES } from '../history/deploy-tables.js';
import { literal } from '../sql/sql-text.js';

/** Who a session is: what it says in the comment at the head of its message. */
const LABEL = `substring(a.query from '^/[*]muva-deploy [0-9a-f]+ ([^*]*)[*]/')`;

interface DatabaseLockHolder {
  /** Null for a lease that was taken through a transaction pooler. */
  pid: number | null;
  label: string | null;
  /** The name in the lease, where there is one. */
  lease?: string;
  user: string | null;
  state: string | null;
  seconds: number | null;
}

/**
 * Asks without waiting inside the server: a waiting statement would hold a snapshot that others wait for. The lease's
 * table may not exist yet, so the answer is made at run time.
 */
const LOOK = `do $muva$
declare
  free boolean := pg_catalog.pg_try_advisory_xact_lock(${LOCK_KEY});
  held jsonb;
begin
  if not free then
    select jsonb_build_object('pid', a.pid, 'label', ${LABEL}, 'user', a.usename, 'state', a.state,
      'seconds', round(extract(epoch from clock_timestamp() - coalesce(a.xact_start, a.state_change)))) into held
    from pg_locks l join pg_stat_activity a using (pid)
    where l.locktype = 'advisory' and l.granted and l.classid = 0 and l.objid = ${LOCK_KEY} and l.pid <> pg_backend_pid()
      and l.database = (select oid from pg_database where datname = current_database()) limit 1;
  elsif to_regclass('${LEASE_TABLE}') is not null and ${READS_TABLES} then
    execute $q$select jsonb_build_object('pid', l.pid, 'lease', holder, 'label', 'run ' || split_part(holder, '#', 1), 'user', null, 'state', a.state,
        'seconds', round(extract(epoch from clock_timestamp() - a.state_change)))
      from ${LEASE_TABLE} l left join pg_stat_activity a using (pid) where ${LEASE_HELD}$q$ into held;
    free := held is null;
  end if;
  perform set_config('muva.look', jsonb_build_object('free', free, 'holder', held)::text, true);
end
$muva$;
select current_setting('muva.look') as look`;

/** Polls until the lock of this action is free, telling who holds it; gives up after `within` milliseconds. */
export async function waitForLock({ database, log, signal }: DatabaseAccess, within: number): Promise<void> {
  const until = performance.now() + within;
  let told = '';
  for (;;) {
    const results = await retryRead(signal, () => database.send(LOOK, { deadline: 15_000, signal }));
    const look = jsonField<{ free: boolean; holder: DatabaseLockHolder | null }>(results, 'look');
    if (!look) throw new Error('the look at the lock gave no row');
    if (look.free) return;
    const who = look.holder ? describe(look.holder) : 'another run';
    if (performance.now() > until)
      throw new Failure({
        message: `the deploy lock of this database is held by ${who}, still after ${Math.round(within / 1000)} s`,
        next: `Wait for that run, or raise lock-wait.${howToFree(look.holder)}`,
      });
    if (who !== told) log({ kind: 'progress', text: `waiting for ${who}` });
    told = who;
    await pause(400 + Math.random() * 200, signal);
  }
}

/** For a run that is dead. A lease that was taken through a transaction pooler has no session to end. */
function howToFree(holder: DatabaseLockHolder | null): string {
  if (holder?.pid) return ` Where it is dead: select pg_terminate_backend(${holder.pid});`;
  return holder?.lease === undefined
    ? ''
    : ` Where it is dead: delete from ${LEASE_TABLE} where holder = ${literal(holder.lease)};`;
}

function describe({ pid, label, user, state, seconds }: DatabaseLockHolder): string {
  const name = label?.trim() ? label.trim() : `a session of ${user ?? 'another role'}`;
  const idle = state?.startsWith('idle in') ? ` for ${seconds} s` : '';
  return pid === null ? name : `${name} (pid ${pid}, ${state ?? 'ended'}${idle})`;
}

import type { Log } from '../base/log.js';
import { Failure } from '../base/report.js';
import { pause } from '../base/retry.js';
import { LOCK_KEY } from './bookmark.js';
import type { Database } from './connection.js';
import { lastRow } from './migration-history.js';

interface Waiting {
  database: Database;
  log: Log;
  signal: AbortSignal;
}

interface Holder {
  pid: number;
  label: string;
  user: string;
  state: string;
  seconds: number;
}

/** Asks without waiting inside the server: a waiting statement would hold a snapshot that others wait for. */
const LOOK = `select json_build_object('free', pg_try_advisory_xact_lock(${LOCK_KEY}), 'holder',
  (select json_build_object('pid', a.pid, 'label', substring(a.query from '^/[*]muva-deploy [0-9a-f]+ ([^*]*)[*]/'),
     'user', a.usename, 'state', a.state, 'seconds', round(extract(epoch from clock_timestamp() - coalesce(a.xact_start, a.state_change))))
   from pg_locks l join pg_stat_activity a using (pid)
   where l.locktype = 'advisory' and l.granted and l.classid = 0 and l.objid = ${LOCK_KEY} and l.pid <> pg_backend_pid()
     and l.database = (select oid from pg_database where datname = current_database()) limit 1))::text as look`;

/** Polls until the lock of this action is free, telling who holds it; gives up after `within` milliseconds. */
export async function waitForLock({ database, log, signal }: Waiting, within: number): Promise<void> {
  const until = performance.now() + within;
  let told = '';
  for (;;) {
    const row = lastRow(await database.send(LOOK, { deadline: 15_000, signal }));
    const look = JSON.parse(String(row.look)) as { free: boolean; holder: Holder | null };
    if (look.free) return;
    const who = look.holder ? describe(look.holder) : 'another run';
    if (performance.now() > until)
      throw new Failure({
        message: `the deploy lock of this database is held by ${who}, still after ${Math.round(within / 1000)} s`,
        next: look.holder
          ? `Wait for that run. Where it is dead: select pg_terminate_backend(${look.holder.pid});`
          : 'Wait for that run, then run again.',
      });
    if (who !== told) log({ kind: 'progress', text: `waiting for ${who}` });
    told = who;
    await pause(400 + Math.random() * 200, signal);
  }
}

function describe({ pid, label, user, state, seconds }: Holder): string {
  const name = label?.trim() ? label.trim() : `a session of ${user}`;
  return `${name} (pid ${pid}, ${state}${state.startsWith('idle in') ? ` for ${seconds} s` : ''})`;
}

import { jsonField } from './answer.js';
import type { Database } from './connection.js';
import { literal } from './sql-text.js';

/**
 * Who holds a table that `text` names, longest transaction first, for the message after a lock time-out; empty where
 * nobody is seen any more. The server no longer knows whom we waited for, so the names in the text decide.
 */
export async function nameBlockers(database: Database, text: string): Promise<string> {
  const message = `select coalesce(json_agg(b), '[]')::text as blockers from (
    select a.pid, coalesce(nullif(a.application_name, ''), a.usename, a.backend_type) as who, a.state,
      round(extract(epoch from clock_timestamp() - a.xact_start)) as seconds,
      string_agg(distinct c.oid::regclass::text, ', ') as tables
    from pg_locks l join pg_stat_activity a using (pid) join pg_class c on c.oid = l.relation
    where l.granted and l.locktype = 'relation' and l.pid <> pg_backend_pid() and c.relkind in ('r', 'p', 'm')
      and l.database = (select oid from pg_database where datname = current_database())
      and strpos(${literal(text)}, c.relname) > 0
    group by a.pid, 2, a.state, a.xact_start order by a.xact_start limit 3) b`;
  try {
    const results = await database.send(message, { deadline: 10_000 });
    return (jsonField<Blocker[]>(results, 'blockers') ?? [])
      .map(
        ({ pid, who, state, seconds, tables }) =>
          `${who} (pid ${pid}, ${state} for ${seconds} s, holds ${tables})`,
      )
      .join('; ');
  } catch {
    // Only words for a message: the lock time-out itself is told either way.
    return '';
  }
}

interface Blocker {
  pid: number;
  who: string;
  state: string;
  seconds: number;
  tables: string;
}

import { actAs } from '../connection/acting-role.js';
import type { Database, DatabaseAccess, StatementResult } from '../connection/connection.js';
import { ANSWER_GRACE } from './delivery.js';
import type { Timeouts } from './migration-statement.js';

/** What a statement that runs outside a transaction is run with. */
export interface NonTransactionalContext {
  rules: Pick<Timeouts, 'statementTimeout'>;
  /** SQL: what its file has set for the session so far; empty where nothing. */
  sessionSetup: string;
}

/**
 * Sends a message that cannot bring its own settings along, because with them it would be a transaction. A session of
 * our own is given them before, and left as it was; behind a transaction pooler they would reach another client, so
 * the role's own hold there.
 */
export async function sendNonTransactional(
  { database, signal }: Pick<DatabaseAccess, 'database' | 'signal'>,
  text: string,
  { rules, sessionSetup }: NonTransactionalContext,
): Promise<StatementResult[]> {
  const sending = { deadline: rules.statementTimeout + ANSWER_GRACE, signal };
  if (database.transport === 'transaction-pooler') return database.send(text, sending);
  try {
    await database.send(`${sessionSettings(rules)}\n${sessionSetup}`, sending);
    return await database.send(text, sending);
  } finally {
    await database.send(asBefore(database), { deadline: 5_000 }).catch(() => undefined);
  }
}

/**
 * These statements wait for other transactions without blocking them: their wait is bounded by the whole time. A
 * database that is read-only by default is written to all the same, as in our transactions.
 */
function sessionSettings({ statementTimeout }: NonTransactionalContext['rules']): string {
  return `set statement_timeout = '${statementTimeout}ms'; set lock_timeout = 0; set default_transaction_read_only = off;
do $m$begin
  if current_setting('server_version_num')::int >= 140000 then
    perform set_config('client_connection_check_interval', '500ms', false);
  end if;
  if current_setting('server_version_num')::int >= 170000 then
    perform set_config('transaction_timeout', '0', false);
  end if;
end$m$;`;
}

function asBefore({ role }: Database): string {
  const own = role === undefined ? '' : ` ${actAs(role)}`;
  return `reset session authorization; reset role; reset all;${own}`;
}

import { randomBytes } from 'node:crypto';
import { Failure } from '../../lib/report.js';
import { stepReporter } from '../../lib/steps.js';
import type { DatabaseAccess } from '../connection/connection.js';
import { SqlError } from '../connection/sql-error.js';
import { CODES } from '../history/error-codes.js';
import { dollarQuote } from '../sql/sql-text.js';
import { findDowns, prepareDowns } from './find-down-files.js';
import { type DatabaseRollbackOrder, readWhatToUndo } from './rollback-database.js';
import { chooseTarget, wholeRuns } from './rollback-decision.js';
import { revertFailure } from './rollback-failure.js';
import { revertMessage } from './rollback-sql.js';

/** Nothing is told of a try: what is undone in the end is. */
const UNTOLD = stepReporter(() => {});

/** Milliseconds; who waits for an answer has a version that does not serve. */
const DEADLINE = 5_000;

/**
 * Tries in a transaction that is taken back whether everything that a run applied could be undone now, with no row lost
 * that was written since. Undefined where it could, else why not.
 */
export async function whyNotUndone(
  access: DatabaseAccess,
  { wish, rules, ...where }: Omit<DatabaseRollbackOrder, 'look' | 'again' | 'onKept' | 'how'>,
): Promise<string | undefined> {
  const look = await readWhatToUndo(access, UNTOLD);
  const target = chooseTarget(look, wish);
  if (target.kind !== 'migrations') return target.kind === 'nothing' ? target.why : target.message;
  const found = await findDowns(access, look, where, target.versions);
  const without = found.find(({ down }) => down === undefined);
  if (without !== undefined) return `${without.version} has no down file`;
  const downs = await prepareDowns(access.log, found);
  const { role } = access.database;
  const marker = randomBytes(9).toString('base64url');
  const order = { downs, ...wholeRuns(look, target.versions), rules, role, marker };
  const message = `${revertMessage(order)}\ndo ${dollarQuote(endOfTry(rules.allowDataLoss))};`;
  try {
    await access.database.send(message, { deadline: DEADLINE, signal: access.signal });
  } catch (error) {
    if (error instanceof SqlError && error.code === CODES.undone) return undefined;
    return revertFailure(error, downs).failure.problems[0]!.message;
  }
  // It cannot have passed its last statement.
  throw new Failure({ message: 'the down files that were only to be tried were run' }, 'unknown');
}

/** Ends the transaction, with the losses where rows would go. */
function endOfTry(lossAllowed: boolean): string {
  return `
declare losses text := current_setting('muva.losses', true);
begin
  if ${lossAllowed ? 'false' : "coalesce(losses, '[]') <> '[]'"} then
    raise exception using errcode = '${CODES.dataLoss}', message = losses;
  end if;
  raise exception using errcode = '${CODES.undone}';
end`;
}

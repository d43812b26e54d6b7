import { Cancelled, type Problem } from '../../lib/report.js';
import { shortenList } from '../../lib/shorten-list.js';
import type { Database } from '../connection/connection.js';
import { jsonField, lastRow } from '../connection/results.js';
import { SqlError } from '../connection/sql-error.js';
import {
  BEGIN_SCRATCH,
  END_SCRATCH,
  LEAVE_SESSION,
  LOOK_AT_SCRATCH,
  STILL_OURS,
  SYSTEM_IDENTIFIER,
} from './scratch-sql.js';

/** A scratch database that is ours for as long as it is held; each message fails where it no longer is. */
export interface Scratch {
  readonly send: (message: string) => ReturnType<Database['send']>;
  /** One statement that no transaction can hold, so that no proof can stand before it. */
  readonly sendAlone: (statement: string) => ReturnType<Database['send']>;
  /** Drops what was made since, and lets go. Gives what it could not put back. */
  empty(): Promise<Problem[]>;
}

/** Milliseconds without a word from the scratch database. */
export const SCRATCH_DEADLINE = 10 * 60_000;
/** The same for putting it back, which is done after a cancel too. */
const EMPTY_DEADLINE = 30_000;

interface Look {
  mine: boolean;
  left: boolean;
  objects: string[];
}

/**
 * Takes an empty scratch database, which must be of another server than the database itself: what reaches beyond one
 * database (ALTER ROLE) would hit that. One that an earlier run could not put back is emptied first. Gives why it is not
 * taken otherwise.
 */
export async function takeScratch(
  database: Database,
  target: Database,
  signal: AbortSignal,
): Promise<Scratch | { why: string }> {
  const sending = { deadline: SCRATCH_DEADLINE, signal };
  const [here, there] = [await identifierOf(database, signal), await identifierOf(target, signal)];
  if (here === undefined || there === undefined)
    return { why: 'which server is which cannot be read (pg_control_system)' };
  if (here === there) return { why: 'shadow-database-url is on the server of the database itself' };
  const look = jsonField<Look>(await database.send(LOOK_AT_SCRATCH, sending), 'scratch');
  if (!look?.mine) return { why: 'another run is using the scratch database' };
  if (look.left) {
    const wrong = await emptyScratch(database);
    if (wrong.length > 0) return { why: wrong[0]!.message };
  } else if (look.objects.length > 0)
    return { why: `the scratch database is not empty: it has ${shortenList(look.objects, 3)}` };
  await database.send(`${STILL_OURS}${BEGIN_SCRATCH}`, sending);
  return {
    send: (message) => database.send(`${STILL_OURS}${message}`, sending),
    sendAlone: (statement) => database.send(statement, sending),
    empty: () => emptyScratch(database),
  };
}

async function emptyScratch(database: Database): Promise<Problem[]> {
  const sending = { deadline: EMPTY_DEADLINE };
  try {
    await database.send('rollback', sending);
    await database.send(LEAVE_SESSION, sending);
    await database.send(`${STILL_OURS}${END_SCRATCH}`, sending);
    return [];
  } catch (error) {
    return [
      {
        message: `the scratch database could not be emptied again: ${error instanceof Error ? error.message : String(error)}`,
        next: 'Give a fresh one: a service container is one for each job.',
      },
    ];
  }
}

async function identifierOf(database: Database, signal: AbortSignal): Promise<string | undefined> {
  try {
    const row = lastRow(await database.send(SYSTEM_IDENTIFIER, { deadline: 15_000, signal }));
    return typeof row.identifier === 'string' ? row.identifier : undefined;
  } catch (error) {
    if (error instanceof Cancelled || !(error instanceof SqlError)) throw error;
    return undefined;
  }
}

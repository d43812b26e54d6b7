import type { Database, DatabaseAccess } from '../../src/database/connection/connection.js';
import { openDatabase } from '../../src/database/connection/open.js';
import {
  type DatabaseRollback,
  readWhatToUndo,
  rollbackDatabase,
} from '../../src/database/rollback/rollback-database.js';
import type { Settings } from '../../src/inputs/settings.js';
import { definedOnly } from '../../src/lib/defined-only.js';
import type { LogEntry } from '../../src/lib/log.js';
import type { PhaseReport } from '../../src/lib/report.js';
import { type PhaseRecord, runPhase } from '../../src/report/phase.js';

/** Rolls a database back where there is no server, as the phase does. */
export async function rollbackAlone(
  access: DatabaseAccess,
  { rollback: wish, database: rules, workingDirectory }: Settings,
  record: PhaseRecord,
  loseNothing = false,
): Promise<DatabaseRollback> {
  if (!rules) throw new Error('the settings give no database');
  const order = {
    wish,
    how: wish.database,
    rules: { ...rules, loseNothing },
    workingDirectory,
    migrationsDir: rules.migrationsDir,
    ...definedOnly({ downDir: rules.downDir }),
    look: await readWhatToUndo(access, record),
    again: ['--run-id', wish.runId],
    onKept: (versions: readonly string[]) => {
      record.facts.schemaAhead = [...versions];
    },
  };
  const done = await rollbackDatabase(access, order, record);
  record.facts.reverted = done.reverted;
  return done;
}

export interface RollbackOptions {
  /** Stands between the rollback and its connection. */
  around?: ((database: Database) => Database) | undefined;
  onLog?: ((entry: LogEntry) => void) | undefined;
  signal?: AbortSignal | undefined;
  /** As after a watch: whatever holds something stays. */
  loseNothing?: boolean;
}

export interface RolledBack {
  report: PhaseReport;
  /** Absent where the phase ended before. */
  result?: DatabaseRollback;
}

/** The rollback phase of the database alone, on a connection of its own. */
export async function runRollback(settings: Settings, options: RollbackOptions = {}): Promise<RolledBack> {
  const log = (entry: LogEntry): void => options.onLog?.(entry);
  const opened = openDatabase(settings.database!.connection);
  const database = options.around?.(opened) ?? opened;
  const signal = options.signal ?? new AbortController().signal;
  let result: DatabaseRollback | undefined;
  try {
    const report = await runPhase('rollback', log, undefined, async (record) => {
      result = await rollbackAlone({ log, signal, database }, settings, record, options.loseNothing);
      record.facts.reverted = result.reverted;
    });
    return { report, ...(result ? { result } : {}) };
  } finally {
    await opened.close();
  }
}

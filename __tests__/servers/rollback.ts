import type { PhaseRecord } from '../../src/base/phase.js';
import type { DatabaseAccess } from '../../src/database/connection/connection.js';
import {
  type DatabaseRollback,
  lookWhatToUndo,
  rollbackDatabase,
} from '../../src/database/rollback/rollback-database.js';
import type { Settings } from '../../src/settings/settings.js';

/** Rolls a database back where there is no server, as the phase does. */
export async function rollbackAlone(
  access: DatabaseAccess,
  { rollback: wish, database: rules, workingDirectory }: Settings,
  record: PhaseRecord,
): Promise<DatabaseRollback> {
  if (!rules) throw new Error('the settings give no database');
  const order = {
    wish,
    how: wish.database,
    rules,
    workingDirectory,
    migrationsDir: rules.migrationsDir,
    look: await lookWhatToUndo(access, record),
    again: ['--run-id', wish.runId],
    onKept: (versions: readonly string[]) => {
      record.facts.schemaAhead = [...versions];
    },
  };
  const done = await rollbackDatabase(access, order, record);
  record.facts.reverted = done.reverted;
  return done;
}

import type { PhaseRecord } from '../../src/base/phase.js';
import {
  type DatabaseRollback,
  lookWhatToUndo,
  rollbackDatabase,
} from '../../src/database/rollback/rollback-database.js';
import type { Settings } from '../../src/settings/settings.js';
import type { Tools } from '../../src/tools.js';

/** Rolls a database back where there is no server, as the phase does. */
export async function rollbackAlone(
  tools: Tools,
  settings: Settings,
  record: PhaseRecord,
): Promise<DatabaseRollback> {
  const look = await lookWhatToUndo(tools, record);
  return rollbackDatabase(tools, settings, record, { look, again: ['--run-id', settings.rollback.runId] });
}

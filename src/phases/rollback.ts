import { type PhaseRecord, runPhase } from '../base/phase.js';
import { Failure, type HostFact, type PhaseReport, type Problem, problemsOf } from '../base/report.js';
import { rollbackDatabase } from '../database/rollback-database.js';
import type { Settings } from '../settings/settings.js';
import type { Tools } from '../tools.js';
import { rollbackFleet } from '../vps/rollback-fleet.js';

/**
 * Undoes what one workflow run changed, newest first: the code goes back on every host, then the database by its
 * down files. Where the code could not be put back the schema is kept: the code that is live may need it.
 */
export async function rollback(tools: Tools, settings: Settings): Promise<PhaseReport> {
  const what =
    settings.rollback.to ??
    (settings.rollback.steps === undefined
      ? `run ${settings.rollback.runId}`
      : `the newest ${settings.rollback.steps} migrations`);
  return runPhase('rollback', tools.log, what, async (record) => {
    const started = performance.now();
    const code = await rollbackCode(tools, settings, record);
    const milliseconds = Math.round(performance.now() - started);
    if (code.changed) record.facts.rollbackMs = milliseconds;
    const database = await rollbackSchema(tools, settings, record, code.problems.length > 0);
    const changed = code.changed || database.changed;
    record.facts.rolledBack = changed;
    const problems = [...code.problems, ...database.problems];
    if (problems.length > 0)
      throw new Failure(problems, code.unknown || database.unknown ? 'unknown' : 'failed');
    record.summarise(
      changed
        ? closing(code.changed, database.schemaAhead)
        : 'There was nothing to undo: nothing was changed.',
    );
  });
}

/** What became of one part: whether it was put back, and why not. */
interface PartOutcome {
  changed: boolean;
  /** It could not be found out what is live now. */
  unknown: boolean;
  problems: Problem[];
}

async function rollbackCode(tools: Tools, settings: Settings, record: PhaseRecord): Promise<PartOutcome> {
  // Steps count migrations; the code is not asked for.
  if (!tools.fleet || settings.rollback.steps !== undefined)
    return { changed: false, unknown: false, problems: [] };
  try {
    const ends = await rollbackFleet(tools, settings, record);
    const hosts = ends.map(({ fact }) => fact);
    record.facts.hosts = hosts;
    const back = hosts.find((host) => host.outcome === 'rolled-back');
    if (back?.['deployed-sha']) record.facts.deployedSha = back['deployed-sha'];
    if (back?.release) record.facts.release = back.release;
    const bad = ends.filter(({ fact }) => ['rollback-failed', 'unknown', 'failed'].includes(fact.outcome));
    return {
      changed: back !== undefined,
      unknown: bad.some(({ fact }) => fact.outcome === 'unknown'),
      problems: bad.flatMap(({ fact, problems }) => (problems.length > 0 ? problems : [unnamed(fact)])),
    };
  } catch (error) {
    return failedPart(error);
  }
}

function failedPart(error: unknown): PartOutcome {
  const unknown = error instanceof Failure && error.outcome === 'unknown';
  return { changed: false, unknown, problems: problemsOf(error) };
}

function unnamed(host: HostFact): Problem {
  return { message: `host ${host.host}: the previous version could not be put back` };
}

interface SchemaOutcome extends PartOutcome {
  schemaAhead: string[];
}

async function rollbackSchema(
  tools: Tools,
  settings: Settings,
  record: PhaseRecord,
  codeFailed: boolean,
): Promise<SchemaOutcome> {
  const none: SchemaOutcome = { changed: false, unknown: false, schemaAhead: [], problems: [] };
  if (!tools.database || !settings.database) return none;
  if (codeFailed) {
    record.skip('database: kept, because the code could not be put back');
    return none;
  }
  try {
    const { reverted, schemaAhead, changed } = await rollbackDatabase(tools, settings, record);
    record.facts.reverted = reverted;
    record.facts.schemaAhead = schemaAhead;
    return { ...none, changed, schemaAhead };
  } catch (error) {
    return { ...none, ...failedPart(error) };
  }
}

function closing(code: boolean, schemaAhead: readonly string[]): string {
  const back = code ? 'The previous version is live again.' : 'The database is back.';
  return schemaAhead.length === 0
    ? back
    : `${back} The schema is ahead of the code: ${schemaAhead.join(', ')} stay applied.`;
}

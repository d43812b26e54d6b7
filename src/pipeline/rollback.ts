import { OtherFormat } from '../database/history/table-formats.js';
import { readWhatToUndo, rollbackDatabase } from '../database/rollback/rollback-database.js';
import { chooseTarget, type RollbackHistory } from '../database/rollback/rollback-decision.js';
import type { Settings } from '../inputs/settings.js';
import { definedOnly } from '../lib/defined-only.js';
import { Failure, type HostFact, type PhaseReport, type Problem, problemsOf } from '../lib/report.js';
import { type PhaseRecord, runPhase } from '../report/phase.js';
import { type HostReport, inspectFleet } from '../server/fleet/inspect-fleet.js';
import { rollbackFleet } from '../server/fleet/rollback-fleet.js';
import type { ServerWork } from '../server/fleet/server-work.js';
import { type CodeTarget, chooseCodeTarget } from './code-rollback-target.js';
import type { DatabaseWork, Work } from './tools.js';

export interface RollbackPhaseOptions {
  /**
   * The new version has served: a down file runs only where it loses no row or value, whatever `allow-data-loss` says. Else
   * the schema stays.
   */
  loseNothing?: boolean;
}

/**
 * Undoes what one workflow run changed, or all that came after a commit: it looks at every server and the database
 * first, then the code goes back on every host, then the database by its down files. Where the code could not be put
 * back the schema is kept: the code that is live may need it.
 */
export async function rollback(
  work: Work,
  { loseNothing = false }: RollbackPhaseOptions = {},
): Promise<PhaseReport> {
  const { settings, log } = work;
  return runPhase('rollback', log, rollbackHeadline(settings), async (record) => {
    const found = await findTargets(work, record);
    const started = performance.now();
    const code = await rollbackCode(found, record);
    if (code.changed) record.facts.rollbackMs = Math.round(performance.now() - started);
    const schema = await rollbackSchema(found, record, code, loseNothing);
    if (schema.changed) record.changed();
    record.facts.rolledBack = code.changed || schema.changed;
    if (schema.ahead.length > 0) record.facts.schemaAhead = schema.ahead;
    const problems = [...code.problems, ...schema.problems];
    if (problems.length > 0)
      throw new Failure(problems, code.unknown || schema.unknown ? 'unknown' : 'failed');
    record.summarise(rollbackSummary(code, schema, settings.rollback.database));
  });
}

function rollbackHeadline({ rollback: { to, steps, runId } }: Settings): string {
  if (steps !== undefined) return `the newest ${steps} migrations`;
  return to ?? `run ${runId}`;
}

/** What was found before anything is changed. */
interface Found {
  /** Undefined where the code is not asked for. */
  code?: CodeTarget & { servers: ServerWork };
  /** Undefined where no database is given; problems where it could not be asked. */
  database?: { work: DatabaseWork; look: RollbackHistory | Problem[] };
  /** The words of the command line that ask for the same again. */
  again: string[];
}

/** Looks at all of it at once. @throws a Failure where the rollback is refused; nothing is changed then. */
async function findTargets({ database, servers, settings }: Work, record: PhaseRecord): Promise<Found> {
  const { steps, to, runId } = settings.rollback;
  // Steps count migrations: the code is not asked for.
  const asked = steps === undefined ? servers : undefined;
  const [hosts, found] = await Promise.all([
    asked && lookAtHosts(asked, record),
    database && lookAtDatabase(database, record),
  ]);
  const code = asked && hosts && { servers: asked, ...choose(settings, hosts) };
  if (found !== undefined && !Array.isArray(found)) refuseEnvironment(settings, found);
  const alone =
    steps !== undefined
      ? ['--rollback-steps', String(steps)]
      : to === undefined
        ? ['--run-id', runId]
        : ['--rollback-to', to];
  return {
    ...definedOnly({ code, database: database && found && { work: database, look: found } }),
    again: code?.again ?? alone,
  };
}

function lookAtHosts(servers: ServerWork, record: PhaseRecord): Promise<HostReport[]> {
  const { to, runId } = servers.settings.rollback;
  const undo = to === undefined ? { undoRun: runId } : { to };
  return record.step('code: look what to undo', () => inspectFleet(servers, undo), words);
}

function words(looks: readonly HostReport[]): string {
  return looks
    .map(({ prefix, problem, facts }) => {
      const way = facts?.wayBack;
      if (!way) return `${prefix}${problem?.message ?? 'no answer'}`;
      if (way.kind === 'refused') return prefix + way.problem.message;
      return prefix + (way.kind === 'nothing' ? `nothing: ${way.why}` : `back to ${way.to.sha.slice(0, 7)}`);
    })
    .join('\n');
}

function choose(settings: Settings, hosts: readonly HostReport[]): CodeTarget {
  const schema = settings.database !== undefined && settings.rollback.database !== 'keep';
  const target = chooseCodeTarget(settings.rollback, hosts, schema);
  if ('refusals' in target) throw new Failure(target.refusals);
  return target;
}

/** A database that cannot be asked now is no reason to leave bad code in place: that is told after the code went back. */
async function lookAtDatabase(
  database: DatabaseWork,
  record: PhaseRecord,
): Promise<RollbackHistory | Problem[]> {
  try {
    return await readWhatToUndo(database, record);
  } catch (error) {
    if (error instanceof OtherFormat) throw error;
    return problemsOf(error);
  }
}

function refuseEnvironment(
  { environment, adoptEnvironment }: Settings,
  { environment: remembered }: RollbackHistory,
): void {
  if (remembered === null || environment === undefined || environment === remembered || adoptEnvironment)
    return;
  throw new Failure({
    message: `this database belongs to the environment "${remembered}", not "${environment}"; nothing was undone`,
    next: 'Check the connection secrets of this environment. Where the name has really changed, say adopt-environment: true once.',
  });
}

/** What became of one part: whether it was put back, and why not. */
interface PartOutcome {
  changed: boolean;
  /** It could not be found out what is live now. */
  unknown: boolean;
  problems: Problem[];
}

const NOTHING: PartOutcome = { changed: false, unknown: false, problems: [] };

async function rollbackCode({ code }: Found, record: PhaseRecord): Promise<PartOutcome> {
  if (code === undefined) return NOTHING;
  try {
    const ends = await rollbackFleet(code.servers, record, code.undoOn);
    const hosts = ends.map(({ fact }) => fact);
    tellHosts(record, hosts);
    const bad = ends.filter(({ fact }) => ['rollback-failed', 'unknown', 'failed'].includes(fact.outcome));
    return {
      changed: hosts.some(({ outcome }) => outcome === 'rolled-back'),
      unknown: bad.some(({ fact }) => fact.outcome === 'unknown'),
      problems: bad.flatMap(({ fact, problems }) => (problems.length > 0 ? problems : [unnamed(fact)])),
    };
  } catch (error) {
    return { ...NOTHING, ...failed(error) };
  }
}

/** The outputs name one commit: of the first host that knows it. */
function tellHosts({ facts }: PhaseRecord, hosts: HostFact[]): void {
  facts.hosts = hosts;
  const back = hosts.find(({ outcome }) => outcome === 'rolled-back') ?? hosts[0];
  if (back?.['previous-sha'] !== undefined) facts.previousSha = back['previous-sha'];
  if (back?.['deployed-sha'] !== undefined) facts.deployedSha = back['deployed-sha'];
  if (back?.release !== undefined) facts.release = back.release;
}

function failed(error: unknown): Pick<PartOutcome, 'unknown' | 'problems'> {
  return {
    unknown: error instanceof Failure && error.outcome === 'unknown',
    problems: problemsOf(error),
  };
}

function unnamed(host: HostFact): Problem {
  return { message: `host ${host.host}: the previous version could not be put back` };
}

interface SchemaOutcome extends PartOutcome {
  /** Versions that stay applied while the code is back. */
  ahead: string[];
}

async function rollbackSchema(
  { code, database, again }: Found,
  record: PhaseRecord,
  codeOutcome: PartOutcome,
  loseNothing: boolean,
): Promise<SchemaOutcome> {
  const nothing: SchemaOutcome = { ...NOTHING, ahead: [] };
  if (database === undefined) return nothing;
  const { work, look } = database;
  if (Array.isArray(look)) return { ...nothing, problems: look.map(orAgain(again)) };
  const { rollback: wish, workingDirectory, database: rules } = work.settings;
  const target = chooseTarget(look, wish, code?.runs);
  // Until it is undone it is ahead of the code, whatever comes in between.
  const ahead = target.kind === 'migrations' && code !== undefined ? target.versions : [];
  if (codeOutcome.problems.length > 0) {
    record.skip('database: kept, because the code could not be put back');
    return { ...nothing, ahead: codeOutcome.changed ? ahead : [] };
  }
  try {
    const order = {
      wish,
      how: wish.database,
      rules: loseNothing ? { ...rules, loseNothing } : rules,
      workingDirectory,
      migrationsDir: rules.migrationsDir,
      ...definedOnly({ downDir: rules.downDir }),
      look,
      again,
      ...definedOnly({ runs: code?.runs }),
      onKept: (versions: readonly string[]) => {
        record.facts.schemaAhead = [...versions];
      },
    };
    const { reverted, schemaAhead, changed } = await rollbackDatabase(work, order, record);
    record.facts.reverted = reverted;
    return { ...nothing, changed, ahead: schemaAhead };
  } catch (error) {
    return { ...nothing, ...failed(error), ahead };
  }
}

/** What failed for now can be asked for again, by the words that ask for nothing more. */
function orAgain(again: readonly string[]): (problem: Problem) => Problem {
  const command = `Then finish it: muva-deploy rollback ${again.join(' ')}`;
  return (problem) => ({
    ...problem,
    next: problem.next === undefined ? command : `${problem.next} ${command}`,
  });
}

/** The closing sentence: what is back, what was left, and what stays. Pure. */
export function rollbackSummary(
  code: Pick<PartOutcome, 'changed'>,
  schema: Pick<SchemaOutcome, 'changed' | 'ahead'>,
  how: Settings['rollback']['database'],
): string {
  const back = [
    ...(code.changed ? ['The previous version is live again.'] : []),
    ...(schema.changed
      ? [
          how === 'records'
            ? 'The history rows are deleted; what the migrations made still stands.'
            : 'The database is back.',
        ]
      : []),
  ];
  const ahead =
    schema.ahead.length === 0
      ? []
      : [
          `The schema is ahead of the code: ${schema.ahead.join(', ')} ${schema.ahead.length === 1 ? 'stays' : 'stay'} applied.`,
        ];
  if (back.length > 0 || ahead.length > 0)
    return [...(back.length > 0 ? back : ['Nothing could be taken back.']), ...ahead].join(' ');
  return 'There was nothing to undo: nothing was changed.';
}

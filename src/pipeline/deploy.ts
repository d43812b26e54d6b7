import { openDatabase } from '../database/connection/open.js';
import { titleOf } from '../database/migrations/batches.js';
import type { Settings } from '../inputs/settings.js';
import { definedOnly } from '../lib/defined-only.js';
import { eachWarningOnce, type Log } from '../lib/log.js';
import {
  Cancelled,
  Failure,
  type HealthFact,
  type HostFact,
  type PhaseName,
  type PhaseReport,
  type Problem,
  problemsOf,
  type Report,
  type Step,
} from '../lib/report.js';
import { runPhase, skippedPhase } from '../report/phase.js';
import { isUnwatched } from '../report/unwatched.js';
import { withExactCommit } from '../server/checkout/exact-commit.js';
import { judgeProvenance } from '../server/checkout/provenance.js';
import { type FleetOptions, openFleet } from '../server/fleet/fleet.js';
import { probeFleet } from '../server/fleet/probe-fleet.js';
import { resolveInterruptedFleet } from '../server/fleet/resolve-interrupted.js';
import type { Rollout } from '../server/fleet/rollout.js';
import type { ServerWork } from '../server/fleet/server-work.js';
import { backup, backupOnHost } from './backup.js';
import { buildOnNewSchema } from './build-on-new-schema.js';
import { type Changes, changesOf, decideRollback, endOf, firstFailure, nextActionOf } from './decide.js';
import { health, healthBaseline } from './health.js';
import { afterUndoing, type LiveGuard, liveGuard, whyUnguarded } from './live-guard.js';
import type { LiveHarm } from './live-harm.js';
import { migrate } from './migrate.js';
import { isOvertaken, type PlanResult, plan } from './plan.js';
import { type Between, prepare } from './prepare.js';
import { cutOverHosts, redeploy } from './redeploy.js';
import { rollback } from './rollback.js';
import { status } from './status.js';
import { closeWork, type DatabaseWork, type Work, workOf } from './tools.js';
import { verify } from './verify.js';
import { watch } from './watch.js';

/** What the pipeline needs from the entry point. */
export interface EntryPoint {
  readonly log: Log;
  readonly signal: AbortSignal;
  /** The folder with worker.js. */
  readonly dist: string;
  /** How long servers and action wait for each other; default as the fleet has it. */
  readonly patience?: Pick<FleetOptions, 'reconnectFor' | 'goLease'>;
}

/** Runs one mode from start to end. Always returns a report: whatever is thrown below becomes a failed phase. */
export async function runPipeline(settings: Settings, entryPoint: EntryPoint): Promise<Report> {
  const exact = await withExactCommit(settings);
  return reported(exact, entryPoint, () => entryPoint.signal.aborted, runPhases);
}

/** The main step, as far as the post step knows of it. */
export interface InterruptedRun {
  /** What it wrote its lock and its runs under. */
  readonly session: string;
  /** It was ended while it watched the new version. */
  readonly watching: boolean;
}

/**
 * Called by the post step when the main step ended without a final report (cancelled, killed): ends what it has still at
 * work, then keeps the new version where it is complete and healthy, and undoes what this run changed where not. A version
 * that was being watched is healthy, and stays. Returns undefined for modes that write nothing.
 */
export async function resolveInterruptedRun(
  settings: Settings,
  entryPoint: EntryPoint,
  interrupted: InterruptedRun,
): Promise<Report | undefined> {
  if (!WRITING_MODES.includes(settings.mode)) return undefined;
  return reported(
    settings,
    entryPoint,
    () => true,
    (work, phases) => resolveInterrupted(work, interrupted, phases),
  );
}

/** Opens the parts, lets `fill` add the phases, and makes one report of them and of every warning told. */
async function reported(
  settings: Settings,
  entryPoint: EntryPoint,
  cancelled: () => boolean,
  fill: (work: Work, phases: PhaseReport[]) => Promise<void>,
): Promise<Report> {
  const startedAt = Date.now();
  const warnings: Problem[] = [];
  const log = eachWarningOnce((entry) => {
    if (entry.kind === 'warning') warnings.push(entry.problem);
    entryPoint.log(entry);
  });
  const phases: PhaseReport[] = [];
  const work = workOf(
    settings,
    { log, signal: entryPoint.signal },
    {
      database: (connection) => openDatabase(connection, { log, label: labelOf(settings.run) }),
      fleet: (vps) => openFleet(vps, { ...entryPoint.patience, dist: entryPoint.dist, log }),
    },
  );
  try {
    await fill(work, phases);
  } finally {
    await closeWork(work);
  }
  return finishedReport(settings, phases, warnings, startedAt, cancelled());
}

const WRITING_MODES: readonly Settings['mode'][] = ['migrate', 'redeploy', 'rollback', 'deploy'];

async function resolveInterrupted(
  work: Work,
  { session, watching }: InterruptedRun,
  phases: PhaseReport[],
): Promise<void> {
  const { settings, servers, log } = work;
  const recordPhase = phaseRecorder(log, phases);
  const hosts = servers ? await resolveInterruptedFleet(servers, session) : [];
  if (hosts.length > 0) {
    const settled = await recordPhase('redeploy', () =>
      runPhase('redeploy', log, 'what this run left behind', async (record) => {
        record.facts.hosts = hosts;
        for (const host of hosts) record.add(hostStepAfterwards(host));
        if (hosts.some((host) => host.outcome === 'unknown'))
          throw new Failure({ message: 'It is not known what every host serves.' }, 'unknown');
      }),
    );
    if (settled.outcome === 'unknown' && work.mode === 'redeploy') return;
  }
  if (work.mode !== 'deploy') {
    // Nothing is undone unasked where a person called the phases one by one; the plan says where things stand.
    await recordPhase('plan', async () => (await plan(work)).report);
    return;
  }
  const live = hosts.length > 0 && hosts.every((host) => host.outcome === 'deployed');
  if (watching) {
    // Where it is not live, another run has begun since, and what is to be done is its business.
    const end = skippedPhase('watch', 'It was ended before its time; the new version stays.');
    if (live) phases.push({ ...end, cancelled: true });
    return;
  }
  if (
    live &&
    (settings.skip.includes('health') ||
      (await recordPhase('health', () => health(work))).outcome === 'passed')
  )
    return;
  // Where a watch was asked for, the new version may have served for a while before this run was killed.
  const loseNothing = live && settings.health.watch > 0;
  if (settings.rollback.onFailure) await recordPhase('rollback', () => rollback(work, { loseNothing }));
}

function hostStepAfterwards(host: HostFact): Step {
  const outcome = host.outcome === 'unknown' ? 'unknown' : 'passed';
  const serves =
    host['deployed-sha'] === undefined
      ? 'serves nothing of ours'
      : `serves ${host['deployed-sha'].slice(0, 7)}`;
  return {
    name: `host ${host.host}`,
    outcome,
    startedAt: Date.now(),
    milliseconds: 0,
    detail: host.detail ?? serves,
  };
}

/** What other runs see of this one while they wait for it. */
function labelOf({ id, url }: Settings['run']): string {
  return url === undefined ? `run ${id}` : `run ${id} ${url}`;
}

/** The order of phases. `phases` grows as they end, so that nothing is lost when a later one throws. */
async function runPhases(work: Work, phases: PhaseReport[]): Promise<void> {
  const { settings, log } = work;
  const recordPhase = phaseRecorder(log, phases);
  const { refusals, warnings } = await judgeProvenance(settings);
  for (const problem of [...settings.warnings, ...warnings]) log({ kind: 'warning', problem });
  if (refusals.length > 0) {
    await recordPhase(firstPhase(work), () => refused(work, refusals));
    return;
  }
  switch (work.mode) {
    case 'plan':
      await recordPhase('plan', async () => (await plan(work)).report);
      return;
    case 'verify':
      await recordPhase('verify', () => verify(work.database));
      return;
    case 'health':
      await recordPhase('health', () => health(work));
      return;
    case 'rollback':
      await recordPhase('rollback', () => rollback(work));
      return;
    case 'status':
      await recordPhase('status', () => status(work));
      return;
    case 'redeploy':
      await recordPhase('redeploy', () => redeploy(work.servers));
      return;
    case 'migrate':
      await migrateAlone(work.database, work.servers, recordPhase);
      return;
    case 'deploy':
      await deployPhases(work, recordPhase, phases);
  }
}

function firstPhase({ mode }: Work): PhaseName {
  return mode === 'deploy' ? 'plan' : mode;
}

/** The phase that would have come first, where whose code it is speaks against the run. */
function refused(work: Work, refusals: Problem[]): Promise<PhaseReport> {
  return runPhase(firstPhase(work), work.log, undefined, async (record) => {
    record.summarise('Nothing was changed.');
    throw new Failure(refusals);
  });
}

/** Runs a phase and keeps its report. */
type RecordPhase = (phase: PhaseName, work: () => Promise<PhaseReport>) => Promise<PhaseReport>;

function phaseRecorder(log: Log, phases: PhaseReport[]): RecordPhase {
  return async (phase, work) => {
    const report = await guarded(phase, work, log);
    phases.push(report);
    return report;
  };
}

async function passed(report: Promise<PhaseReport>): Promise<boolean> {
  return (await report).outcome === 'passed';
}

/** Mode `migrate`: whoever calls the phases one by one says whether health has passed (`after-health`). */
async function migrateAlone(
  database: DatabaseWork,
  servers: ServerWork | undefined,
  recordPhase: RecordPhase,
): Promise<void> {
  if (!(await backedUp(database, servers, recordPhase))) return;
  const { afterHealth } = database.settings.database;
  await recordPhase('migrate', () => migrate(database, { contract: afterHealth }));
}

/** True where the backup that is wanted was made, or none is wanted. */
async function backedUp(
  database: DatabaseWork,
  servers: ServerWork | undefined,
  recordPhase: RecordPhase,
  rollout?: Rollout,
): Promise<boolean> {
  if (database.settings.database.backup === 'off') return true;
  return passed(recordPhase('backup', () => backup(database, servers, rollout)));
}

/** Look at everything, then change it; on failure undo what this run changed. */
async function deployPhases(work: Work, recordPhase: RecordPhase, phases: PhaseReport[]): Promise<void> {
  const { settings, log, signal } = work;
  let look: PlanResult | undefined;
  let before: HealthFact[] = [];
  const planned = recordPhase('plan', async () => {
    const [found, baseline] = await Promise.all([
      plan(work),
      settings.skip.includes('health') ? [] : healthBaseline(work),
    ]);
    look = found;
    before = baseline;
    return found.report;
  });
  const ready = await passed(planned);
  const earlier = earlierAttempt(settings, look);
  let harm: LiveHarm | undefined;
  if (ready && look && !look.hosts?.some(isOvertaken))
    harm = await change(work, recordPhase, phases, {
      look,
      before,
      untouched: !earlier.database && !earlier.code,
    });
  if (signal.aborted) return;
  const decision = decideRollback(phases, before, settings.rollback.onFailure, earlier);
  if (decision.rollback) {
    log({ kind: 'line', text: `${decision.why} Rolling back what this run changed.` });
    // No host has cut over where the live version was harmed: looking at them first would only prolong that.
    const alone = harm !== undefined && !earlier.code;
    // Whoever has used the new version meanwhile must not lose what they wrote.
    const loseNothing = firstFailure(phases)?.phase === 'watch';
    await recordPhase('rollback', () => rollback(alone ? onlyDatabase(work) : work, { loseNothing }));
    if (harm && work.servers) await lookAfterwards(work.servers, harm, titlesOf(look));
  } else if (firstFailure(phases)) {
    const newCode = !work.servers || changesOf(phases, earlier).code;
    const kept = newCode ? [] : earlierVersions(settings, look);
    phases.push({
      ...skippedPhase('rollback', decision.why),
      facts: kept.length === 0 ? {} : { schemaAhead: kept },
    });
    log({ kind: 'line', text: decision.why });
  }
}

function onlyDatabase({ settings, log, signal, database }: Work): Work {
  return { settings, log, signal, mode: 'deploy', ...definedOnly({ database }) };
}

/** What an earlier attempt of this workflow run, which came to no end, left standing. */
function earlierAttempt({ run, vps }: Settings, look: PlanResult | undefined): Changes {
  return {
    database: earlierVersions({ run }, look).length > 0,
    code:
      vps !== undefined &&
      (look?.hosts?.some(({ facts }) => facts?.liveRun === run.id && facts.liveSha === vps.ref) ?? false),
  };
}

/** The migrations that it applied and nobody has taken back, newest first. */
function earlierVersions({ run }: Pick<Settings, 'run'>, look: PlanResult | undefined): string[] {
  const recorded = look?.database?.look?.recorded ?? [];
  return recorded
    .filter(({ runId }) => runId === run.id)
    .map(({ version }) => version)
    .reverse();
}

/** What is known when the first phase that writes begins. */
interface Known {
  look: PlanResult;
  /** The health of the live version. */
  before: readonly HealthFact[];
  /** No earlier attempt of this run has left anything. */
  untouched: boolean;
}

/**
 * The part of a deploy that writes, phase after phase, until one does not pass: prepare, backup, migrate, verify, redeploy,
 * health, watch, and the migrations that wait for these. With `migrate-before: build` the build is a second part of prepare,
 * after verify.
 */
async function change(
  work: Work,
  recordPhase: RecordPhase,
  phases: readonly PhaseReport[],
  known: Known,
): Promise<LiveHarm | undefined> {
  const { settings, database, servers } = work;
  const { look, before } = known;
  let rollout: Rollout | undefined;
  const guard = guardOf(work, look);
  try {
    if (servers) {
      rollout = await prepared(servers, recordPhase, known, database, guard);
      if (!rollout) return;
    }
    if (database && !(await changeSchema(database, servers, recordPhase, look, rollout, guard))) {
      if (servers && rollout) await stopped(servers, rollout, recordPhase);
      return;
    }
    if (servers && rollout) {
      const builds = betweenOf(database, look) === 'commits-before-build';
      const finish = builds ? builtAndCutOver : redeployed;
      if (!(await finish(servers, rollout, recordPhase, guard?.until))) return guard?.harm;
    }
    if (!settings.skip.includes('health')) {
      const expect = definedOnly({ expectSha: servers?.settings.vps.ref });
      if (!(await passed(recordPhase('health', () => health(work, { before, ...expect }))))) return;
    }
    if (servers && !(await watched({ ...work, servers }, recordPhase, phases))) return;
    if (database && (look.database?.deferred.length ?? 0) > 0)
      await recordPhase('migrate', () => migrate(database, { contract: true }));
  } finally {
    await rollout?.stop('the deploy does not go on');
  }
  return undefined;
}

/** Watches the live version while the database changes, where it does and there is one to ask. */
function guardOf(
  { database, servers, settings, log }: Work,
  { database: plan }: PlanResult,
): LiveGuard | undefined {
  if (!database || !servers || !plan || plan.batches.length === 0) return undefined;
  const why = whyUnguarded(settings);
  if (why === undefined)
    return liveGuard(database, { reversible: plan.reversible, files: titlesOf({ database: plan }) });
  log({ kind: 'line', text: `The live version is not asked on the new schema: ${why}.` });
  return undefined;
}

/** The files that this run commits before the cutover. */
function titlesOf(look: Pick<PlanResult, 'database'> | undefined): string[] {
  return (look?.database?.batches ?? []).flatMap(({ files }) => files.map(titleOf));
}

/** Milliseconds that the live version is given to be well again. */
const WELL_AGAIN = 3_000;

/** Asks the live version once more, and says whether the migrations were what broke it. */
async function lookAfterwards(servers: ServerWork, harm: LiveHarm, files: readonly string[]): Promise<void> {
  const { settings, log } = servers;
  const asked = { ...settings, health: { ...settings.health, successes: 1, deadline: WELL_AGAIN } };
  const health = await probeFleet({ ...servers, settings: asked }, true).catch(() => []);
  log({ kind: 'warning', problem: afterUndoing(files, health, harm.path) });
}

/** False where the deploy ends with the watch: the new version fell, or another run has begun. */
async function watched(
  work: Work & { readonly servers: ServerWork },
  recordPhase: RecordPhase,
  phases: readonly PhaseReport[],
): Promise<boolean> {
  const healthy = phases.findLast(({ phase, outcome }) => phase === 'health' && outcome === 'passed');
  // Only what this run has put in place, and what was good then, can fall.
  if (work.settings.health.watch === 0 || healthy === undefined || !changesOf(phases).code) return true;
  const hosts = phases.flatMap(({ facts }) => facts.hosts ?? []);
  const deployedOn = new Set(hosts.flatMap(({ host, outcome }) => (outcome === 'deployed' ? [host] : [])));
  let overtaken = false;
  const ended = await recordPhase('watch', async () => {
    const end = await watch(work, { before: healthy.facts.health ?? [], deployedOn });
    overtaken = end.overtaken;
    return end.report;
  });
  return ended.outcome === 'passed' && !overtaken;
}

/** All hosts with everything done that can fail before the database is changed; undefined where the deploy ends there. */
async function prepared(
  servers: ServerWork,
  recordPhase: RecordPhase,
  { look, untouched }: Known,
  database: DatabaseWork | undefined,
  guard: LiveGuard | undefined,
): Promise<Rollout | undefined> {
  const between = betweenOf(database, look);
  let rollout: Rollout | undefined;
  await recordPhase('prepare', async () => {
    const backup = database && (await backupOnHost(database));
    const beforeCommit = definedOnly({ onLive: guard?.heard, backup });
    const done = await prepare(servers, look.hosts ?? [], between, untouched, beforeCommit);
    rollout = done.rollout;
    return done.report;
  });
  return rollout;
}

function betweenOf(database: DatabaseWork | undefined, look: PlanResult): Between {
  if (database === undefined) return 'nothing';
  if ((look.database?.batches.length ?? 0) === 0) return 'records';
  return database.settings.database.migrateBefore === 'build' ? 'commits-before-build' : 'commits';
}

/** Backup, migrate and verify; the hosts that wait rehearse on the new schema beside the last. */
async function changeSchema(
  database: DatabaseWork,
  servers: ServerWork | undefined,
  recordPhase: RecordPhase,
  look: PlanResult,
  rollout?: Rollout,
  guard?: LiveGuard,
): Promise<boolean> {
  if (!(await backedUp(database, servers, recordPhase, rollout))) return false;
  const options = definedOnly({ plan: look.database, hosts: rollout });
  if (!(await passed(recordPhase('migrate', () => migrate(database, options))))) return false;
  rollout?.rehearse();
  guard?.committed();
  return passed(recordPhase('verify', () => verify(database)));
}

/** Stops the hosts that were prepared in vain; what went wrong on one of them is told as the phase that it was in. */
async function stopped(servers: ServerWork, rollout: Rollout, recordPhase: RecordPhase): Promise<void> {
  const ends = await rollout.stop('the deploy does not go on');
  if (ends.some(({ problems }) => problems.length > 0)) await redeployed(servers, rollout, recordPhase);
}

function redeployed(
  servers: ServerWork,
  rollout: Rollout,
  recordPhase: RecordPhase,
  until?: LiveGuard['until'],
): Promise<boolean> {
  return passed(recordPhase('redeploy', () => cutOverHosts(servers, rollout, until)));
}

/** With `migrate-before: build`. */
async function builtAndCutOver(
  servers: ServerWork,
  rollout: Rollout,
  recordPhase: RecordPhase,
  until?: LiveGuard['until'],
): Promise<boolean> {
  const built = recordPhase('prepare', () => buildOnNewSchema(servers, rollout, until));
  return (await passed(built)) && redeployed(servers, rollout, recordPhase);
}

/** An unexpected error becomes a failed report, so that rollback and outputs still happen. */
async function guarded(phase: PhaseName, work: () => Promise<PhaseReport>, log: Log): Promise<PhaseReport> {
  const startedAt = Date.now();
  try {
    return await work();
  } catch (error) {
    const ended = { ...skippedPhase(phase, ''), startedAt, milliseconds: Date.now() - startedAt };
    if (error instanceof Cancelled) return { ...ended, cancelled: true };
    const problems = problemsOf(error);
    for (const problem of problems) log({ kind: 'problem', problem });
    return { ...ended, outcome: 'failed', problems };
  }
}

function finishedReport(
  settings: Settings,
  phases: PhaseReport[],
  warnings: Problem[],
  startedAt: number,
  cancelled: boolean,
): Report {
  const failed =
    firstFailure(phases) ?? phases.find((phase) => phase.outcome === 'failed' || phase.outcome === 'unknown');
  const failedStep = failed?.steps.find(
    (step) => step.outcome === 'failed' || step.outcome === 'unknown',
  )?.name;
  const { outcome, facts } = endOf(phases, settings.mode, cancelled);
  const changes = changesOf(phases);
  const next = nextActionOf(phases, settings.rollback.runId);
  return {
    mode: settings.mode,
    ...definedOnly({ environment: settings.environment }),
    outcome,
    phases,
    ...(failed ? { failedPhase: failed.phase } : {}),
    ...definedOnly({ failedStep }),
    problems: phases.flatMap((phase) => phase.problems),
    warnings,
    facts,
    ...definedOnly({ next }),
    ...(outcome === 'cancelled' &&
    settings.mode === 'deploy' &&
    !isUnwatched(phases) &&
    (changes.database || changes.code)
      ? { unsettled: true as const }
      : {}),
    startedAt,
    milliseconds: Date.now() - startedAt,
  };
}

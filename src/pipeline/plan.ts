import { judgeAppliedByHand } from '../database/applied-by-hand.js';
import { IS_SUPABASE, pgDumpFor } from '../database/backup/pg-dump.js';
import { lastRow } from '../database/connection/results.js';
import { type MeasureSetting, measurePlan } from '../database/measure/measure.js';
import {
  describeMeasuredPlan,
  measuredFindings,
  measuredLines,
} from '../database/measure/measured-findings.js';
import { titleOf } from '../database/migrations/batches.js';
import { platformWrites } from '../database/migrations/platform-writes.js';
import { type DatabasePlan, planDatabase, planFiles, warningsOf } from '../database/plan.js';
import type { DeployCheck } from '../database/schema/deploy-check.js';
import { judgeDrift, readDriftNow } from '../database/schema/drift.js';
import { askOwnChecks, judgeOwnChecks } from '../database/schema/own-checks.js';
import { PLATFORM_SCHEMAS } from '../database/schema/platform-schemas.js';
import { checkRequired, isRequired, judgeRequired } from '../database/schema/required-schema.js';
import { proveReversible } from '../database/shadow.js';
import { definedOnly } from '../lib/defined-only.js';
import type { Log } from '../lib/log.js';
import { Cancelled, Failure, NotNeeded, type PhaseReport, type Problem, problemsOf } from '../lib/report.js';
import { type PhaseRecord, runPhase } from '../report/phase.js';
import { type HostReport, inspectFleet } from '../server/fleet/inspect-fleet.js';
import type { ServerWork } from '../server/fleet/server-work.js';
import { orderRefusals, orderWarnings } from './build-reads-schema.js';
import { deployCheckStep } from './deploy-check-step.js';
import { planCollisions } from './plan-collisions.js';
import { hostRefusals, hostStep, hostWarnings, liveFacts } from './plan-hosts.js';
import { planOrder } from './plan-order.js';
import type { DatabaseWork, Work } from './tools.js';

/** What a look at everything found; the phases that write go on from it and check that it still holds. */
export interface PlanResult {
  report: PhaseReport;
  database?: DatabasePlan;
  hosts?: HostReport[];
}

/**
 * Says what a deploy would do and writes nothing. All refusals of all parts are told at once, so that one
 * correction is enough; a plan that a deploy would refuse has failed.
 */
export async function plan(work: Work): Promise<PlanResult> {
  const { log, signal } = work;
  const look: Omit<PlanResult, 'report'> = {};
  const report = await runPhase('plan', log, undefined, async (record) => {
    // Both looks run at once, and what goes wrong in one does not hide what the other found.
    const lookedAtHosts = caught(() => lookAtHosts(work.servers, record, look));
    const overtaken = lookedAtHosts.then(() => look.hosts?.some(isOvertaken) === true);
    const [database, hosts] = await Promise.all([
      caught(() => lookAtMigrations(work, unlessOvertaken(record, overtaken), look)),
      lookedAtHosts,
    ]);
    if (signal.aborted) throw new Cancelled();
    if (look.hosts?.some(isOvertaken)) {
      // Its migrations are older than those of the newer run too: what the database says of them is no fault.
      record.facts.hosts = (record.facts.hosts ?? []).map((host) => ({ ...host, outcome: 'skipped' }));
      log({
        kind: 'warning',
        problem: { message: 'A newer commit is live already: this one is not deployed.' },
      });
      record.summarise('A newer run is live already: there is nothing to do.');
      return;
    }
    const { settings } = work;
    const refusals = [...orderRefusals(settings), ...database, ...hosts];
    const pending = look.database?.batches.length ?? 0;
    for (const problem of orderWarnings(settings, pending)) log({ kind: 'warning', problem });
    if (refusals.length > 0) {
      record.summarise('Nothing was changed.');
      throw new Failure(refusals);
    }
    record.summarise(planSummary(look));
  });
  return { report, ...look };
}

/** True where a newer run has deployed to the host meanwhile; the database and the other hosts are left to it too. */
export function isOvertaken({ facts }: HostReport): boolean {
  return facts?.newerIsLive === true;
}

/** Where a newer run is live, the database is ahead of this run's files, and what a step says of that is no fault. */
function unlessOvertaken(record: PhaseRecord, overtaken: Promise<boolean>): PhaseRecord {
  return {
    ...record,
    step(name, work, detail) {
      const forgiven = async (): Promise<Awaited<ReturnType<typeof work>>> => {
        try {
          return await work();
        } catch (error) {
          if (await overtaken) throw new NotNeeded('a newer run is live already');
          throw error;
        }
      };
      return record.step(name, forgiven, detail);
    },
  };
}

async function caught(work: () => Promise<Problem[]>): Promise<Problem[]> {
  try {
    return await work();
  } catch (error) {
    return problemsOf(error);
  }
}

/** The database where there is one; the files alone where a plan is to leave it out. */
async function lookAtMigrations(
  { database, settings, log }: Work,
  record: PhaseRecord,
  look: Omit<PlanResult, 'report'>,
): Promise<Problem[]> {
  if (database) return lookAtDatabase(database, record, look);
  if (settings.mode !== 'plan' || !settings.skip.includes('database')) return [];
  const refused = await planStep(record, look, {
    name: 'migration files',
    make: () => planFiles(settings.workingDirectory, settings.files),
    describe: describeFiles,
  });
  if (look.database) tellWarnings(log, warningsOf(look.database));
  return refused;
}

async function lookAtDatabase(
  work: DatabaseWork,
  record: PhaseRecord,
  look: Omit<PlanResult, 'report'>,
): Promise<Problem[]> {
  const { settings, log } = work;
  const { workingDirectory, run, database: rules } = settings;
  const refused = await planStep(record, look, {
    name: 'migrations',
    async make() {
      const planned = await planDatabase(work, planOrder(settings));
      record.facts.pending = planned.pending.map((file) => file.version);
      record.facts.deferred = planned.deferred.map((file) => file.version);
      return planned;
    },
    describe: describePlan,
  });
  const planned = look.database;
  if (!planned) return refused;
  const { connection, migrationsDir, downDir, shadow } = rules;
  const due = [...planned.pending, ...planned.deferred];
  if (shadow && refused.length === 0 && due.length > 0)
    await measureStep(work, record, planned, { ...rules, workingDirectory, shadow });
  else tellPlan(log, planned);
  const refusals = [...refused];
  const judge = async (name: string, judged: () => Promise<DeployCheck>): Promise<void> => {
    refusals.push(...(await deployCheckStep(work, record, name, judged)));
  };
  if (rules.drift !== 'off')
    await judge('drift', async () => judgeDrift(await readDriftNow(work), rules.drift));
  if (isRequired(rules))
    await judge('required schema', async () =>
      judgeRequired(await checkRequired(work, rules), rules, planned.pending),
    );
  if (planned.checks.length > 0)
    await judge('verify-sql', async () =>
      judgeOwnChecks(await askOwnChecks(work, planned.checks), planned.pending.length > 0),
    );
  if (rules.backup !== 'off' && connection.kind === 'url')
    await judge('backup', () => judgeBackup(work, planned));
  const proof = shadow && {
    workingDirectory,
    migrationsDir,
    ...definedOnly({ downDir }),
    run,
    rules,
    connection,
    shadow,
  };
  if (planned.byHand && proof && refused.length === 0)
    await judge('what was applied by hand', () => judgeAppliedByHand(work, proof, planned));
  else if (planned.byHand) log({ kind: 'warning', problem: planned.byHand });
  // Where a scratch database is given it is not enough that down files exist: they must fit.
  if (proof && refused.length === 0)
    await judge('down files on the scratch database', () => proveReversible(work, proof, planned));
  return refusals;
}

/** Asks PostgreSQL itself on the scratch database, whose word takes the place of the rules'; a failure there stops nothing. */
async function measureStep(
  work: DatabaseWork,
  record: PhaseRecord,
  planned: DatabasePlan,
  rules: Omit<MeasureSetting, 'serverMajor'>,
): Promise<void> {
  const { log } = work;
  const due = [...planned.pending, ...planned.deferred];
  const setting = { ...rules, serverMajor: Math.floor((planned.look?.serverVersion ?? 0) / 10_000) };
  const measured = await record.step(
    'statements on the scratch database',
    () => measurePlan(work, setting, due),
    describeMeasuredPlan,
  );
  const { kept, told } = measuredFindings(planned.findings, measured);
  tellPlan(log, planned, warningsOf({ ...planned, findings: kept }, told));
  tellWarnings(log, measured.warnings);
  for (const text of measuredLines(measured)) log({ kind: 'line', text: `          ${text}` });
}

function tellPlan(log: Log, planned: DatabasePlan, warnings = warningsOf(planned)): void {
  tellWarnings(log, warnings);
  tellBatches(log, planned);
}

function tellWarnings(log: Log, warnings: readonly Problem[]): void {
  for (const problem of warnings) log({ kind: 'warning', problem });
}

interface PlanStep {
  name: string;
  make: () => Promise<DatabasePlan>;
  describe: (planned: DatabasePlan) => string;
}

/** Makes a plan as a step. One that is refused is kept: it says more than that. */
async function planStep(
  record: PhaseRecord,
  look: Omit<PlanResult, 'report'>,
  { name, make, describe }: PlanStep,
): Promise<Problem[]> {
  const refused = await caught(async () => {
    const checked = async (): Promise<DatabasePlan> => {
      const planned = await make();
      look.database = planned;
      if (planned.refusals.length > 0) throw new Failure(planned.refusals);
      return planned;
    };
    await record.step(name, checked, describe);
    return [];
  });
  if (!look.database) return refused;
  record.facts.reversible = look.database.reversible;
  record.facts.destructive = look.database.destructive;
  return refused;
}

/** Whether the backup that a deploy begins with can be made from this machine. */
async function judgeBackup(
  work: DatabaseWork,
  { look, pending, deferred }: DatabasePlan,
): Promise<DeployCheck> {
  const major = Math.floor((look?.serverVersion ?? 0) / 10_000);
  const chosen = await pgDumpFor(work.database.transport, major);
  if ('message' in chosen) return { detail: '', refusals: [chosen], warnings: [] };
  const { backup, backupPlatformData } = work.settings.database;
  const whole = backup === 'full' && backupPlatformData === 'off';
  const writes = whole ? platformWrites([...pending, ...deferred], PLATFORM_SCHEMAS) : [];
  const warnings = writes.length > 0 && (await isSupabase(work)) ? writes : [];
  return { detail: `pg_dump ${chosen.major} fits the server`, refusals: [], warnings };
}

/** Elsewhere schemas of such names are the project's own, and in its backup. */
async function isSupabase({ database, signal }: DatabaseWork): Promise<boolean> {
  const asked = await database.send(`select ${IS_SUPABASE} as supabase`, { deadline: 30_000, signal });
  return lastRow(asked).supabase === true;
}

async function lookAtHosts(
  servers: ServerWork | undefined,
  record: PhaseRecord,
  look: Omit<PlanResult, 'report'>,
): Promise<Problem[]> {
  if (!servers) return [];
  const { settings, log } = servers;
  const startedAt = Date.now();
  const hosts = await inspectFleet(servers);
  look.hosts = hosts;
  const milliseconds = Date.now() - startedAt;
  for (const host of hosts) {
    record.add(hostStep(host, settings.vps.ref, { startedAt, milliseconds }));
    for (const problem of hostWarnings(host)) log({ kind: 'warning', problem });
  }
  Object.assign(record.facts, liveFacts(hosts));
  return [...hosts.flatMap(hostRefusals), ...(await planCollisions(servers, hosts))];
}

/** `3 pending in 1 batch, 1 waits for health`. */
function describePlan(planned: DatabasePlan): string {
  const batches = planned.batches.length === 1 ? '1 batch' : `${planned.batches.length} batches`;
  const pending =
    planned.pending.length === 0 ? 'nothing pending' : `${planned.pending.length} pending in ${batches}`;
  return [
    pending,
    planned.deferred.length > 0 ? `${planned.deferred.length} waiting for health` : '',
    planned.baseline.length > 0 ? `${planned.baseline.length} recorded as baseline` : '',
    planned.pending.length > 0 && planned.reversible ? 'reversible' : '',
  ]
    .filter((part) => part !== '')
    .join(', ');
}

/** `3 files in 1 batch`: what may be said where no database was asked. */
function describeFiles({ pending, batches, reversible }: DatabasePlan): string {
  const files = pending.length === 1 ? '1 file' : `${pending.length} files`;
  const grouped = batches.length > 1 ? ` in ${batches.length} batches` : '';
  return `${files}${grouped}${pending.length > 0 && reversible ? ', reversible' : ''}; no database was asked`;
}

function tellBatches(log: Log, planned: DatabasePlan): void {
  const line = (text: string): void => log({ kind: 'line', text: `          ${text}` });
  planned.batches.forEach((batch, index) => {
    const why = batch.why === undefined ? '' : ` (apart because ${batch.why})`;
    if (planned.batches.length > 1) line(`batch ${index + 1}${why}`);
    for (const file of batch.files) line(`pending   ${titleOf(file)}${file.down ? '' : '  (no down file)'}`);
  });
  for (const file of planned.deferred) line(`deferred  ${titleOf(file)}  (after health)`);
}

function planSummary(result: Omit<PlanResult, 'report'>): string {
  const files = result.database ? result.database.pending.length + result.database.deferred.length : 0;
  const changes = result.hosts?.some(({ facts }) => facts !== undefined);
  if (files === 0 && !changes) return 'There is nothing to change.';
  return 'Nothing has been changed yet.';
}

import { type PhaseRecord, runPhase } from '../base/phase.js';
import { Cancelled, Failure, NotNeeded, type PhaseReport, type Problem, problemsOf } from '../base/report.js';
import { pgDumpFor } from '../database/backup/pg-dump.js';
import { titleOf } from '../database/files/batches.js';
import { type DatabasePlan, planDatabase, planFiles } from '../database/plan.js';
import { judgeDrift, lookDrift } from '../database/schema/drift.js';
import type { Judgement } from '../database/schema/judgement.js';
import { isRequired, judgeRequired, lookAtRequired } from '../database/schema/required-schema.js';
import { proveReversible } from '../database/shadow.js';
import type { Settings } from '../settings/settings.js';
import type { Tools } from '../tools.js';
import { type HostLook, inspectFleet } from '../vps/inspect-fleet.js';
import { judgedStep } from './judged-step.js';
import { hostRefusals, hostStep, hostWarnings, liveFacts } from './plan-hosts.js';

/** What a look at everything found; the phases that write go on from it and check that it still holds. */
export interface Look {
  report: PhaseReport;
  database?: DatabasePlan;
  hosts?: HostLook[];
}

/**
 * Says what a deploy would do and writes nothing. All refusals of all parts are told at once, so that one
 * correction is enough; a plan that a deploy would refuse has failed.
 */
export async function plan(tools: Tools, settings: Settings): Promise<Look> {
  const look: Omit<Look, 'report'> = {};
  const report = await runPhase('plan', tools.log, undefined, async (record) => {
    // Both looks run at once, and what goes wrong in one does not hide what the other found.
    const lookedAtHosts = caught(() => lookAtHosts(tools, settings, record, look));
    const overtaken = lookedAtHosts.then(() => look.hosts?.some(isOvertaken) === true);
    const [database, hosts] = await Promise.all([
      caught(() => lookAtDatabase(tools, settings, unlessOvertaken(record, overtaken), look)),
      lookedAtHosts,
    ]);
    if (tools.signal.aborted) throw new Cancelled();
    if (look.hosts?.some(isOvertaken)) {
      // Its migrations are older than those of the newer run too: what the database says of them is no fault.
      record.facts.hosts = (record.facts.hosts ?? []).map((host) => ({ ...host, outcome: 'skipped' }));
      tools.log({
        kind: 'warning',
        problem: { message: 'A newer commit is live already: this one is not deployed.' },
      });
      record.summarise('A newer run is live already: there is nothing to do.');
      return;
    }
    const refusals = [...database, ...hosts];
    if (refusals.length > 0) {
      record.summarise('Nothing was changed.');
      throw new Failure(refusals);
    }
    record.summarise(closing(look));
  });
  return { report, ...look };
}

/** True where a newer run has deployed to the host meanwhile; the database and the other hosts are left to it too. */
export function isOvertaken({ facts }: HostLook): boolean {
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

async function lookAtDatabase(
  tools: Tools,
  settings: Settings,
  record: PhaseRecord,
  look: Omit<Look, 'report'>,
): Promise<Problem[]> {
  if (!settings.database && settings.mode !== 'plan') return [];
  if (!settings.database && !settings.skip.includes('database')) return [];
  const refused = await caught(() =>
    record.step(
      settings.database ? 'migrations' : 'migration files',
      async () => {
        look.database = await (settings.database ? planDatabase(tools, settings) : planFiles(settings));
        if (look.database.refusals.length > 0) throw new Failure(look.database.refusals);
        return [];
      },
      () => (settings.database ? describePlan(look.database!) : describeFiles(look.database!)),
    ),
  );
  const planned = look.database;
  if (!planned) return refused;
  // Without a database it is not known what is pending.
  if (settings.database) {
    record.facts.pending = planned.pending.map((file) => file.version);
    record.facts.deferred = planned.deferred.map((file) => file.version);
  }
  record.facts.reversible = planned.reversible;
  record.facts.destructive = planned.destructive;
  for (const problem of planned.warnings) tools.log({ kind: 'warning', problem });
  if (settings.database) tellBatches(tools, planned);
  const rules = settings.database;
  if (!rules) return refused;
  const refusals = [...refused];
  const judge = async (name: string, work: () => Promise<Judgement>): Promise<void> => {
    refusals.push(...(await judgedStep(tools, record, name, work)));
  };
  if (rules.drift !== 'off')
    await judge('drift', async () => judgeDrift(await lookDrift(tools), rules.drift));
  if (isRequired(rules))
    await judge('required schema', async () =>
      judgeRequired(await lookAtRequired(tools, rules), rules, planned.pending),
    );
  if (rules.backup !== 'off' && rules.connection.kind === 'url')
    await judge('backup', () => judgeBackup(tools, planned));
  // Where a scratch database is given it is not enough that down files exist: they must fit.
  if (rules.shadow && refused.length === 0)
    await judge('down files on the scratch database', () => proveReversible(tools, settings, planned));
  return refusals;
}

/** Whether the backup that a deploy begins with can be made from this machine. */
async function judgeBackup({ database }: Tools, { look }: DatabasePlan): Promise<Judgement> {
  const major = Math.floor((look?.serverVersion ?? 0) / 10_000);
  const chosen = await pgDumpFor(database?.transport ?? 'direct', major);
  return 'message' in chosen
    ? { detail: '', refusals: [chosen], warnings: [] }
    : { detail: `pg_dump ${chosen.major} fits the server`, refusals: [], warnings: [] };
}

async function lookAtHosts(
  tools: Tools,
  settings: Settings,
  record: PhaseRecord,
  look: Omit<Look, 'report'>,
): Promise<Problem[]> {
  if (!tools.fleet || !settings.vps) return [];
  const startedAt = Date.now();
  const hosts = await inspectFleet(tools, settings);
  look.hosts = hosts;
  const milliseconds = Date.now() - startedAt;
  for (const host of hosts) {
    record.add(hostStep(host, settings.vps.ref, { startedAt, milliseconds }));
    for (const problem of hostWarnings(host)) tools.log({ kind: 'warning', problem });
  }
  Object.assign(record.facts, liveFacts(hosts));
  return hosts.flatMap(hostRefusals);
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

function tellBatches(tools: Tools, planned: DatabasePlan): void {
  const line = (text: string): void => tools.log({ kind: 'line', text: `          ${text}` });
  planned.batches.forEach((batch, index) => {
    const why = batch.why === undefined ? '' : ` (apart because ${batch.why})`;
    if (planned.batches.length > 1) line(`batch ${index + 1}${why}`);
    for (const file of batch.files) line(`pending   ${titleOf(file)}${file.down ? '' : '  (no down file)'}`);
  });
  for (const file of planned.deferred) line(`deferred  ${titleOf(file)}  (after health)`);
}

function closing(look: Omit<Look, 'report'>): string {
  const files = look.database ? look.database.pending.length + look.database.deferred.length : 0;
  const changes = look.hosts?.some(({ facts }) => facts !== undefined);
  if (files === 0 && !changes) return 'There is nothing to change.';
  return 'Nothing has been changed yet.';
}

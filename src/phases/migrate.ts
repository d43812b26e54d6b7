import type { PhaseRecord } from '../base/phase.js';
import { runPhase } from '../base/phase.js';
import { Cancelled, Failure, type PhaseReport } from '../base/report.js';
import { applyBatch, type BatchOutcome } from '../database/apply.js';
import { type Batch, name, type PlannedFile } from '../database/batches.js';
import { applyOutside } from '../database/outside.js';
import { type DatabasePlan, planDatabase } from '../database/plan.js';
import { verificationMessage } from '../database/schema-facts.js';
import { recordStateAfter, recordStateBefore } from '../database/schema-record.js';
import type { ApplyTools, BatchContext } from '../database/sent.js';
import type { Settings } from '../settings/settings.js';
import type { Tools } from '../tools.js';

export interface MigrateOptions {
  /** Made a moment ago by `planDatabase`; a history that has changed since is noticed and planned again. */
  plan?: DatabasePlan;
  /** Health has passed: apply the files marked `-- deploy: after-health` too. */
  contract?: boolean;
}

/** How often a history may change under us before we give up. */
const PLANS = 5;

/** Applies the pending migrations: each exactly once, and with `transaction: all` together or not at all. */
export async function migrate(
  tools: Tools,
  settings: Settings,
  options: MigrateOptions = {},
): Promise<PhaseReport> {
  const detail = options.plan ? headline(options.plan) : undefined;
  return runPhase('migrate', tools.log, detail, async (record) => {
    let plan = options.plan ?? (await planDatabase(tools, settings, planOptions(options)));
    // A plan that was handed in has been told already.
    if (!options.plan) tellPlan(tools, plan);
    record.facts.applied = [];
    for (let plans = 1; ; plans++) {
      note(record, plan);
      if (plan.refusals.length > 0) {
        record.summarise('Nothing was applied.');
        throw new Failure(plan.refusals);
      }
      if (await applyPlan(tools, settings, plan, record)) return;
      if (plans === PLANS)
        throw new Failure({
          message: 'the migration history keeps changing: another tool is migrating this database',
          next: 'Wait for it, then run again.',
        });
      tools.log({ kind: 'progress', text: 'another run has changed the migration history: looking again' });
      plan = await planDatabase(tools, settings, planOptions(options));
    }
  });
}

function tellPlan(tools: Tools, plan: DatabasePlan): void {
  tools.log({ kind: 'line', text: headline(plan) });
  for (const warning of plan.warnings) tools.log({ kind: 'warning', problem: warning });
}

function planOptions({ contract }: MigrateOptions): { contract?: boolean } {
  return contract === undefined ? {} : { contract };
}

function headline(plan: DatabasePlan): string {
  const batches = plan.batches.length;
  const waiting = plan.deferred.length > 0 ? `, ${plan.deferred.length} waiting for health` : '';
  return `${plan.pending.length} pending${batches > 0 ? ` in ${batches} ${batches === 1 ? 'batch' : 'batches'}` : ''}${waiting}`;
}

/** Says at once what is known: a failure later must not lose it. */
function note(record: PhaseRecord, plan: DatabasePlan): void {
  const { facts } = record;
  const applied = facts.applied ?? [];
  facts.pending = [...applied, ...plan.pending.map((file) => file.version)];
  facts.deferred = plan.deferred.map((file) => file.version);
  facts.skipped = [];
  facts.reversible = plan.reversible;
  facts.destructive = plan.destructive;
}

/** True when all of the plan is applied; false when the history changed and a new plan is needed. */
async function applyPlan(
  tools: Tools,
  settings: Settings,
  plan: DatabasePlan,
  record: PhaseRecord,
): Promise<boolean> {
  const recorded = (plan.look?.recorded ?? []).map((row) => row.version);
  const queue: Batch[] =
    plan.batches.length === 0 && isWorthRecording(settings, plan)
      ? [{ mode: 'together', files: [] }]
      : [...plan.batches];
  let first = true;
  while (queue.length > 0) {
    const batch = queue.shift()!;
    const context = batchContext(settings, plan, recorded, record, { first, last: queue.length === 0 });
    const outcome = await runBatch(tools, batch, context, plan);
    if (outcome.kind === 'changed') return false;
    if (outcome.kind === 'split') {
      tools.log({
        kind: 'notice',
        problem: {
          message: `the batch is split before ${name(batch.files[outcome.before]!)}: ${outcome.why}`,
        },
      });
      queue.unshift(
        { ...batch, files: batch.files.slice(0, outcome.before) },
        { ...batch, files: batch.files.slice(outcome.before), why: outcome.why },
      );
      continue;
    }
    if (outcome.kind !== 'done') stop(outcome, batch, queue, record);
    else {
      recorded.push(
        ...context.baseline.map((file) => file.version),
        ...batch.files.map((file) => file.version),
      );
      first = false;
      tellApplied(batch.files, outcome, record);
    }
  }
  const applied = record.facts.applied ?? [];
  record.summarise(
    applied.length === 0
      ? `Nothing pending${plan.deferred.length > 0 ? `; ${plan.deferred.length} waiting for health` : ''}.`
      : `${applied.length} applied.`,
  );
  return true;
}

/**
 * A deploy with nothing to apply still leaves its row: what it found is what later drift is measured against, and a
 * rollback to the previous deploy must know that this one changed no schema.
 */
function isWorthRecording(settings: Settings, { baseline, look }: DatabasePlan): boolean {
  if (baseline.length > 0) return true;
  return settings.mode === 'deploy' && look?.missingRights.length === 0 && !look.readOnly;
}

function batchContext(
  settings: Settings,
  plan: DatabasePlan,
  recorded: readonly string[],
  record: PhaseRecord,
  place: { first: boolean; last: boolean },
): BatchContext {
  const rules = settings.database!;
  // A schema that does not verify is never committed; with one transaction per file that cannot be promised.
  const verified = place.last && rules.transaction === 'all';
  const verification = verified ? verificationMessage(rules, plan.deferred.length > 0) : '';
  return {
    run: settings.run,
    environment: settings.environment,
    rules,
    recorded: [...recorded],
    baseline: place.first ? plan.baseline : [],
    position: (record.facts.applied?.length ?? 0) + 1,
    ...(place.first ? { before: recordStateBefore(settings.run.id) } : {}),
    after: `${verification}\n${recordStateAfter(settings.run.id)}`,
  };
}

async function runBatch(
  tools: Tools,
  batch: Batch,
  planned: BatchContext,
  plan: DatabasePlan,
): Promise<BatchOutcome> {
  const { database, log, signal } = tools;
  if (!database) throw new Error('no database was opened');
  const context = { ...planned, role: database.role };
  try {
    return await runMode({ database, log, signal }, batch, context, plan);
  } catch (error) {
    // Thrown while waiting for a lock or between two tries: nothing of the batch was under way.
    if (error instanceof Cancelled) return { kind: 'cancelled' };
    if (error instanceof Failure && error.outcome === 'failed')
      return { kind: 'failed', problem: error.problems[0]!, at: undefined, times: [] };
    throw error;
  }
}

function runMode(
  apply: ApplyTools,
  batch: Batch,
  context: BatchContext,
  plan: DatabasePlan,
): Promise<BatchOutcome> {
  if (batch.mode !== 'outside') return applyBatch(apply, batch, context);
  const partial = plan.look?.partial.find((row) => row.version === batch.files[0]!.version);
  return applyOutside(apply, batch, context, partial);
}

function tellApplied(
  files: readonly PlannedFile[],
  outcome: BatchOutcome & { kind: 'done' },
  record: PhaseRecord,
): void {
  files.forEach((file, index) => {
    const time = outcome.times[index] ?? { startedAt: Date.now(), milliseconds: 0 };
    record.add({ name: name(file), outcome: 'passed', ...time });
    record.facts.applied?.push(file.version);
  });
}

type Stopped = Exclude<BatchOutcome, { kind: 'done' | 'changed' | 'split' }>;

/** Ends the phase at a batch that was not applied; says what stands and which files were not reached. */
function stop(outcome: Stopped, batch: Batch, queue: readonly Batch[], record: PhaseRecord): never {
  const later = queue.flatMap((next) => next.files);
  const rest = [...batch.files, ...later];
  record.facts.skipped = rest.map((file) => file.version);
  const applied = record.facts.applied?.length ?? 0;
  const stands = applied === 0 ? '0 applied' : `${applied} applied before it and kept`;
  switch (outcome.kind) {
    case 'failed':
      tellFailed(outcome, rest, record);
      record.summarise(
        outcome.stands === undefined
          ? `The batch was rolled back: ${stands}.`
          : `${name(batch.files[0]!)} is applied in part: ${stands}. ${outcome.stands}`,
      );
      throw new Failure(outcome.problem);
    case 'not-verified':
      record.facts.verified = false;
      record.skip(...rest.map(name));
      record.add({
        name: 'verify before the commit',
        outcome: 'failed',
        startedAt: Date.now(),
        milliseconds: 0,
      });
      record.summarise(
        outcome.stands === undefined
          ? `The schema does not verify, so the batch was rolled back: ${stands}.`
          : `The schema does not verify: ${stands}. ${outcome.stands}`,
      );
      throw new Failure(outcome.problems);
    case 'cancelled':
      record.skip(...rest.map(name));
      record.summarise(
        outcome.stands === undefined
          ? `Cancelled; the batch was rolled back: ${stands}.`
          : `Cancelled; ${stands}. ${outcome.stands}`,
      );
      throw new Cancelled('the migration was cancelled');
    case 'unknown':
      for (const file of batch.files)
        record.add({ name: name(file), outcome: 'unknown', startedAt: Date.now(), milliseconds: 0 });
      record.skip(...later.map(name));
      record.summarise(`It is not known whether the batch was applied; ${stands}.`);
      throw new Failure(outcome.problem, 'unknown');
  }
}

function tellFailed(
  outcome: Stopped & { kind: 'failed' },
  files: readonly PlannedFile[],
  record: PhaseRecord,
): void {
  files.forEach((file, index) => {
    if (index !== outcome.at) {
      record.skip(name(file));
      return;
    }
    const { startedAt, milliseconds } = outcome.times[index] ?? { startedAt: Date.now(), milliseconds: 0 };
    const lasted = milliseconds || Date.now() - startedAt;
    record.add({ name: name(file), outcome: 'failed', startedAt, milliseconds: lasted });
  });
}

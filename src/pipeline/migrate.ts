import type { BatchContext } from '../database/apply/delivery.js';
import { applyBatch, type BatchOutcome } from '../database/apply/implicit-transaction.js';
import { EXISTS_ALREADY } from '../database/apply/next-action.js';
import { applyNonTransactional } from '../database/apply/non-transactional-file.js';
import { noticeBook } from '../database/apply/server-notices.js';
import type { DatabaseAccess } from '../database/connection/connection.js';
import { type Batch, type PlannedFile, titleOf } from '../database/migrations/batches.js';
import { type DatabasePlan, planDatabase, warningsOf } from '../database/plan.js';
import { alreadyThere } from '../database/schema/already-there.js';
import { judgeDrift, readDriftNow } from '../database/schema/drift.js';
import { ownChecksMessage, ownChecksTime } from '../database/schema/own-checks.js';
import { verificationMessage } from '../database/schema/schema-facts.js';
import { recordStateAfter, recordStateAtStop, recordStateBefore } from '../database/schema/schema-record.js';
import { capitalize } from '../lib/capitalize.js';
import { Cancelled, Failure, type PhaseReport, type Problem } from '../lib/report.js';
import { backoff, pause } from '../lib/retry.js';
import type { PhaseRecord } from '../report/phase.js';
import { runPhase } from '../report/phase.js';
import { exactCommit } from '../server/checkout/exact-commit.js';
import { deployCheckStep } from './deploy-check-step.js';
import { planOrder } from './plan-order.js';
import type { DatabaseRun, DatabaseWork, Tools } from './tools.js';

export interface MigrateOptions {
  /** Made a moment ago by `planDatabase`; a history that has changed since is noticed and planned again. */
  plan?: DatabasePlan;
  /** Health has passed: apply the files marked `-- deploy: after-health` too. */
  contract?: boolean;
  /** The hosts whose new version waits for this: without them nothing is written. */
  hosts?: PreparedHosts;
}

/** What a phase that writes asks of the hosts that are prepared. */
export interface PreparedHosts {
  /** Asks each of them whether it still waits. @throws a Failure where one does not */
  confirm(): Promise<void>;
  /** Fires when one of them no longer does. */
  readonly broken: AbortSignal;
}

/** The step in which the hosts are asked once more. */
export const CONFIRM = 'every host is still prepared';

/**
 * How often a history may change under us before we give up, and the milliseconds between two looks: another tool that
 * applies file after file changes it again each time, until it has ended.
 */
const PLANS = 9;
const BETWEEN_PLANS = { first: 100, longest: 5_000 };
/** Milliseconds for what is still written after a failure or a cancel; the runner gives a cancelled step 7.5 s. */
const AT_STOP = 3_000;

/** Applies the pending migrations: each exactly once, and with `transaction: all` together or not at all. */
export async function migrate(asked: DatabaseWork, options: MigrateOptions = {}): Promise<PhaseReport> {
  const { hosts } = options;
  const signal = hosts ? AbortSignal.any([asked.signal, hosts.broken]) : asked.signal;
  const work: DatabaseWork = { ...asked, signal };
  const { settings, log } = work;
  const detail = options.plan ? migrateHeadline(options.plan) : undefined;
  return runPhase('migrate', log, detail, async (record) => {
    const order = planOrder(settings, options.contract);
    let plan = options.plan ?? (await planDatabase(work, order));
    // A plan that was handed in has been told already.
    if (!options.plan) tellPlan(work, plan);
    record.facts.applied = [];
    const run = await deployedRun(settings);
    const standing: Standing = { unrecorded: false, notLookedAt: false };
    const drifted = await lookBeforeWriting(work, record, plan);
    try {
      for (let plans = 1; ; plans++) {
        note(record, plan);
        const refusals = [...plan.refusals, ...drifted];
        if (refusals.length > 0) {
          record.summarise('Nothing was applied.');
          throw new Failure(refusals);
        }
        const confirm = async (): Promise<void> => {
          if (hosts) await record.step(CONFIRM, () => hosts.confirm());
        };
        const applying = { ...work, settings: { ...settings, run } };
        if (await applyPlanned(applying, plan, record, standing, confirm)) return;
        if (plans === PLANS)
          throw new Failure({
            message: 'the migration history keeps changing: another tool is migrating this database',
            next: 'Wait for it, then run again.',
          });
        log({ kind: 'progress', text: 'another run has changed the migration history: looking again' });
        await pause(backoff(plans, BETWEEN_PLANS.first, BETWEEN_PLANS.longest), signal);
        plan = await planDatabase(work, order);
      }
    } catch (error) {
      if (error instanceof Cancelled && !asked.signal.aborted) throw new Failure(HOST_LOST);
      throw error;
    } finally {
      if (standing.unrecorded) await recordAtStop(work);
    }
  });
}

const HOST_LOST: Problem = {
  message: 'a server that was prepared no longer waits: what was under way in the database was stopped',
  next: 'Look above what became of the server, then start the workflow again.',
};

/**
 * What a deploy looks at in its plan: alone, a migrate looks itself before it writes, because what it writes makes the
 * schema that it meets the one that later drift is measured against.
 */
async function lookBeforeWriting(
  work: DatabaseWork,
  record: PhaseRecord,
  { batches, baseline }: DatabasePlan,
): Promise<Problem[]> {
  const { mode, database } = work.settings;
  if (mode !== 'migrate' || database.drift === 'off') return [];
  if (batches.length + baseline.length === 0) return [];
  return deployCheckStep(work, record, 'drift', async () =>
    judgeDrift(await readDriftNow(work), database.drift),
  );
}

/** The run as it is recorded: by the commit that is deployed, which need not be the one that started the workflow. */
async function deployedRun({ run, vps, workingDirectory }: DatabaseRun): Promise<DatabaseRun['run']> {
  return vps?.ref === undefined ? run : { ...run, sha: await exactCommit(vps.ref, workingDirectory) };
}

interface Standing {
  /** Something was committed whose end state is not recorded yet. */
  unrecorded: boolean;
  /** The schema could not be looked at, and that was told. */
  notLookedAt: boolean;
}

/** Other hands hold a table for long: that is worth a word, and no failure of the deploy. */
function tellNotLookedAt(tools: Tools, standing: Standing): void {
  if (!standing.notLookedAt)
    tools.log({
      kind: 'warning',
      problem: {
        message:
          'a table is locked by another session, so the state of the schema around this run is not recorded',
        next: 'Until the next deploy drift may not be comparable, and a rollback of this run may not be proven. Look who holds a table for so long.',
      },
    });
  standing.notLookedAt = true;
}

/**
 * Between its first and its last message a run records no state; one that stops there does it now. It may fail: the
 * next run, or the rollback, then takes what it meets for the end of this one.
 */
async function recordAtStop({ database, settings }: DatabaseWork): Promise<void> {
  await database.send(recordStateAtStop(settings.run.id), { deadline: AT_STOP }).catch(() => undefined);
}

function tellPlan(tools: Tools, plan: DatabasePlan): void {
  tools.log({ kind: 'line', text: migrateHeadline(plan) });
  for (const problem of [...warningsOf(plan), ...(plan.byHand ? [plan.byHand] : [])])
    tools.log({ kind: 'warning', problem });
}

function migrateHeadline(plan: DatabasePlan): string {
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
async function applyPlanned(
  work: DatabaseWork,
  plan: DatabasePlan,
  record: PhaseRecord,
  standing: Standing,
  confirm: () => Promise<void>,
): Promise<boolean> {
  const { settings, log } = work;
  const recorded = (plan.look?.recorded ?? []).map((row) => row.version);
  const queue: Batch[] =
    plan.batches.length === 0 && isWorthRecording(settings, plan)
      ? [{ mode: 'together', files: [] }]
      : [...plan.batches];
  let first = true;
  while (queue.length > 0) {
    const batch = queue.shift()!;
    const place = { first, last: queue.length === 0, next: queue[0]?.mode };
    const context: BatchContext = {
      ...batchContext(settings, batch, plan, recorded, record, place),
      onNotLookedAt: () => tellNotLookedAt(work, standing),
    };
    if (first) await confirm();
    const outcome = await runBatch(work, batch, context, plan);
    standing.unrecorded = isUnrecorded(standing, batch, outcome, context.after !== undefined);
    if (outcome.kind === 'changed') return false;
    if (outcome.kind === 'split') {
      log({
        kind: 'notice',
        problem: {
          message: `the batch is split before ${titleOf(batch.files[outcome.before]!)}: ${outcome.why}`,
        },
      });
      queue.unshift(
        { ...batch, files: batch.files.slice(0, outcome.before) },
        { ...batch, files: batch.files.slice(outcome.before), why: outcome.why },
      );
      continue;
    }
    if (outcome.kind === 'failed') outcome.problem = await withHint(work, outcome.problem, [batch, ...queue]);
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

function isUnrecorded(standing: Standing, batch: Batch, outcome: BatchOutcome, recorded: boolean): boolean {
  if (outcome.kind === 'done') return !recorded;
  // A database that cannot be asked is not asked again for this; and what stands of half a file belongs to whoever
  // completes it.
  if (outcome.kind === 'unknown' || ('stands' in outcome && outcome.stands !== undefined)) return false;
  return standing.unrecorded || batch.mode === 'outside';
}

/**
 * A deploy with nothing to apply still leaves its row: what it found is what later drift is measured against, and a
 * rollback to the previous deploy must know that this one changed no schema.
 */
function isWorthRecording(settings: DatabaseRun, { baseline, look }: DatabasePlan): boolean {
  if (baseline.length > 0) return true;
  return settings.mode === 'deploy' && look?.missingRights.length === 0 && !look.readOnly;
}

function batchContext(
  settings: DatabaseRun,
  batch: Batch,
  plan: DatabasePlan,
  recorded: readonly string[],
  record: PhaseRecord,
  place: { first: boolean; last: boolean; next: Batch['mode'] | undefined },
): BatchContext {
  const rules = settings.database;
  // A schema that does not verify is never committed; with one transaction per file that cannot be promised.
  const verified = place.last && rules.transaction === 'all';
  const checks = verified ? plan.checks : [];
  const verification = verified
    ? `${verificationMessage(rules)}\n${ownChecksMessage(checks, rules.statementTimeout)}`
    : '';
  // A file that is applied in parts may stay half applied: it has a beginning of its own, and what was before an end.
  const begins = place.first || batch.mode === 'outside';
  const ends = place.last || place.next === 'outside';
  return {
    run: settings.run,
    environment: settings.environment,
    server: settings.mode === 'deploy' && settings.vps !== undefined,
    rules,
    recorded: [...recorded],
    baseline: place.first ? plan.baseline : [],
    notices: noticeBook(),
    checksTime: ownChecksTime(checks),
    position: (record.facts.applied?.length ?? 0) + 1,
    ...(begins ? { before: recordStateBefore(settings.run.id) } : {}),
    ...(ends ? { after: `${verification}\n${recordStateAfter(settings.run.id)}` } : {}),
  };
}

async function runBatch(
  access: DatabaseAccess,
  batch: Batch,
  planned: BatchContext,
  plan: DatabasePlan,
): Promise<BatchOutcome> {
  const context = { ...planned, role: access.database.role };
  try {
    const outcome = await runMode(access, batch, context, plan);
    // They will be run again, and it be said again.
    if (outcome.kind === 'split' || outcome.kind === 'changed') context.notices.forget();
    return outcome;
  } catch (error) {
    // Thrown while waiting for a lock or between two tries: nothing of the batch was under way.
    if (error instanceof Cancelled) return { kind: 'cancelled' };
    if (error instanceof Failure && error.outcome === 'failed')
      return { kind: 'failed', problem: error.problems[0]!, at: undefined, times: [] };
    throw error;
  } finally {
    context.notices.tell(access.log);
  }
}

function runMode(
  apply: DatabaseAccess,
  batch: Batch,
  context: BatchContext,
  plan: DatabasePlan,
): Promise<BatchOutcome> {
  if (batch.mode !== 'outside') return applyBatch(apply, batch, context);
  const partial = plan.look?.partial.find((row) => row.version === batch.files[0]!.version);
  return applyNonTransactional(apply, batch, context, partial);
}

function tellApplied(
  files: readonly PlannedFile[],
  outcome: BatchOutcome & { kind: 'done' },
  record: PhaseRecord,
): void {
  if (files.length > 0) record.changed();
  files.forEach((file, index) => {
    const time = outcome.times[index] ?? { startedAt: Date.now(), milliseconds: 0 };
    record.add({ name: titleOf(file), outcome: 'passed', ...time });
    record.facts.applied?.push(file.version);
  });
}

/** Milliseconds for a look that only adds words to an error. */
const HINT_DEADLINE = 10_000;

/** What exists already may have been made by hand, from this very file. */
async function withHint(
  { database, signal }: DatabaseAccess,
  problem: Problem,
  batches: readonly Batch[],
): Promise<Problem> {
  if (!EXISTS_ALREADY.has(problem.code ?? '')) return problem;
  const files = batches.flatMap((batch) => batch.files);
  const there = await alreadyThere(database, files, { deadline: HINT_DEADLINE, signal });
  if (!there) return problem;
  const next = [problem.next, `${capitalize(there.message)}. ${there.next}`];
  return { ...problem, next: next.filter((part) => part !== undefined).join(' ') };
}

type Stopped = Exclude<BatchOutcome, { kind: 'done' | 'changed' | 'split' }>;

/** Ends the phase at a batch that was not applied; says what stands and which files were not reached. */
function stop(outcome: Stopped, batch: Batch, queue: readonly Batch[], record: PhaseRecord): never {
  const later = queue.flatMap((next) => next.files);
  const rest = [...batch.files, ...later];
  // Of a batch whose answer was lost it is not known that it was skipped.
  const skipped = outcome.kind === 'unknown' ? later : rest;
  record.facts.skipped = skipped.map((file) => file.version);
  const applied = record.facts.applied?.length ?? 0;
  const stands = applied === 0 ? '0 applied' : `${applied} applied before it and kept`;
  switch (outcome.kind) {
    case 'failed':
      tellFailed(outcome, rest, record);
      record.summarise(
        outcome.stands === undefined
          ? `The batch was rolled back: ${stands}.`
          : `${titleOf(batch.files[0]!)} is applied in part: ${stands}. ${outcome.stands}`,
      );
      throw new Failure(outcome.problem);
    case 'not-verified':
      record.facts.verified = false;
      record.skip(...rest.map(titleOf));
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
      record.skip(...rest.map(titleOf));
      record.summarise(
        outcome.stands === undefined
          ? `The batch was rolled back: ${stands}.`
          : `${titleOf(batch.files[0]!)} is applied in part: ${stands}. ${outcome.stands}`,
      );
      throw new Cancelled();
    case 'unknown':
      for (const file of batch.files)
        record.add({ name: titleOf(file), outcome: 'unknown', startedAt: Date.now(), milliseconds: 0 });
      record.skip(...later.map(titleOf));
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
      record.skip(titleOf(file));
      return;
    }
    const { startedAt, milliseconds } = outcome.times[index] ?? { startedAt: Date.now(), milliseconds: 0 };
    const lasted = milliseconds || Date.now() - startedAt;
    record.add({ name: titleOf(file), outcome: 'failed', startedAt, milliseconds: lasted });
  });
}

import { mergeFacts } from './base/facts.js';
import type { HealthFact, Outcome, PhaseReport } from './base/report.js';

/**
 * The decisions of the corridor, as pure functions of the phase reports: what must be undone, and what the
 * whole run is called. Nothing here touches the world.
 */

/** What stands changed by this run, as far as the reports know. */
export interface Changes {
  /** Migrations that were committed and not reverted. */
  database: boolean;
  /** A host serves the new version, or it is not known what it serves. */
  code: boolean;
}

export function changesOf(phases: readonly PhaseReport[]): Changes {
  const facts = mergeFacts(phases);
  const reverted = new Set(facts.reverted ?? []);
  return {
    database: (facts.applied ?? []).some((version) => !reverted.has(version)),
    code: (facts.hosts ?? []).some((host) => host.outcome === 'deployed' || host.outcome === 'unknown'),
  };
}

export interface RollbackDecision {
  rollback: boolean;
  /** Said to the person, whether or not anything is rolled back. */
  why: string;
}

/**
 * Whether a deploy that did not succeed is undone. Only a failure that this run can have caused counts: an edge
 * fault leaves good code in place, and what was changed decides what there is to undo.
 */
export function decideRollback(
  phases: readonly PhaseReport[],
  before: readonly HealthFact[],
  rollbackOnFailure: boolean,
): RollbackDecision {
  const failed = firstFailure(phases);
  if (!failed) return { rollback: false, why: 'Nothing failed.' };
  const changes = changesOf(phases);
  if (!changes.database && !changes.code)
    return { rollback: false, why: 'This run changed nothing that could be undone.' };
  if (failed.phase === 'health' && failed.facts.verdict === 'edge') {
    return {
      rollback: false,
      why: 'The application is good on the server and bad through the public URL: DNS, TLS or the proxy. The new version stays.',
    };
  }
  if (failed.phase === 'health' && newlyFailing(before, failed.facts.health ?? []).length === 0) {
    return {
      rollback: false,
      why: 'What fails now failed before this deploy too, so it is no reason to take the new version back.',
    };
  }
  const served = phases.some((phase) => phase.phase === 'health' && phase.outcome === 'passed');
  if (served && failed.phase === 'migrate') {
    return {
      rollback: false,
      why: 'The new version is healthy; only the migrations that wait for that (after-health) failed.',
    };
  }
  if (!rollbackOnFailure)
    return { rollback: false, why: 'rollback-on-failure is false: the changes of this run stay.' };
  return { rollback: true, why: `Phase ${failed.phase} failed.` };
}

/** The checks that fail now and did not fail before this run. A check that was not made before counts as good then. */
export function newlyFailing(before: readonly HealthFact[], now: readonly HealthFact[]): HealthFact[] {
  const wasBad = new Set(before.filter((fact) => !fact.ok).map((fact) => `${fact.from} ${fact.name}`));
  return now.filter((fact) => !fact.ok && !wasBad.has(`${fact.from} ${fact.name}`));
}

/** The phase that the run failed in: the first that failed or ended unknown. */
export function firstFailure(phases: readonly PhaseReport[]): PhaseReport | undefined {
  return phases.find(
    (phase) => phase.phase !== 'rollback' && (phase.outcome === 'failed' || phase.outcome === 'unknown'),
  );
}

/** What the whole run is called in the output `outcome`. */
export function outcomeOf(phases: readonly PhaseReport[], mode: string, cancelled: boolean): Outcome {
  const rollback = phases.find((phase) => phase.phase === 'rollback' && phase.outcome !== 'skipped');
  const failed = firstFailure(phases);
  if (rollback) {
    if (rollback.outcome === 'unknown') return 'unknown';
    if (rollback.outcome === 'failed') return 'rollback-failed';
    // Where a rollback is what was asked for, it is a success; the output rolled-back says whether it had to do anything.
    if (mode === 'rollback') return 'success';
    if (rollback.facts.rolledBack !== false) return 'rolled-back';
  }
  if (cancelled) return 'cancelled';
  if (!failed)
    return phases.some((phase) => phase.facts.hosts?.some((host) => host.outcome === 'skipped'))
      ? 'skipped'
      : 'success';
  if (failed.outcome === 'unknown') return 'unknown';
  const hosts = failed.facts.hosts ?? [];
  if (hosts.some((host) => host.outcome === 'rollback-failed')) return 'rollback-failed';
  // The worker on the VPS put the old version back by itself, and nothing else stands changed.
  const changes = changesOf(phases);
  if (hosts.some((host) => host.outcome === 'rolled-back') && !changes.database && !changes.code)
    return 'rolled-back';
  return 'failure';
}

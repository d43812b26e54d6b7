import { definedOnly } from '../lib/defined-only.js';
import { mergeFacts, newlyFailing } from '../lib/merge-facts.js';
import type { Facts, HealthFact, HostFact, Outcome, PhaseReport } from '../lib/report.js';

/**
 * The decisions of the pipeline, as pure functions of the phase reports: what must be undone, and what the
 * whole run is called. Nothing here touches the world.
 */

/** What stands changed by this run, as far as the reports know. */
export interface Changes {
  /** Migrations that were committed and not reverted, or whose commit was never answered. */
  database: boolean;
  /** A host serves the new version, or it is not known what it serves. */
  code: boolean;
}

const UNCHANGED: Changes = { database: false, code: false };

/** `before`: what an earlier attempt of the same run left standing, as the plan found it. */
export function changesOf(phases: readonly PhaseReport[], before: Changes = UNCHANGED): Changes {
  const facts = mergeFacts(phases);
  const hosts = facts.hosts ?? [];
  const unanswered = phases.some(({ phase, outcome }) => phase === 'migrate' && outcome === 'unknown');
  return {
    database: before.database || unanswered || standing(facts).length > 0,
    code: before.code || hosts.some(({ outcome }) => outcome === 'deployed' || outcome === 'unknown'),
  };
}

/** What this run applied and nobody has taken back since. */
function standing({ applied = [], reverted = [] }: Facts): string[] {
  return applied.filter((version) => !reverted.includes(version));
}

/** Versions, newest first, that stay applied although no host serves the code that came with them; none where there is no server. */
export function schemaAhead(facts: Facts): string[] {
  const { hosts = [] } = facts;
  const newCode = hosts.some(({ outcome }) => outcome === 'deployed' || outcome === 'unknown');
  const known = facts.schemaAhead ?? [];
  return hosts.length === 0 || newCode ? known : [...new Set([...known, ...standing(facts).reverse()])];
}

/**
 * Milliseconds for which the code that served had not come with the schema: from this run's first commit until the last
 * host served the new version, or the down files were committed. Undefined where the old code stays, or no server is
 * known.
 */
export function schemaLead(phases: readonly PhaseReport[]): number | undefined {
  const when = (name: PhaseReport['phase']): number | undefined =>
    phases.find(({ phase, changedAt }) => phase === name && changedAt !== undefined)?.changedAt;
  const facts = mergeFacts(phases);
  if ((facts.applied ?? []).length === 0)
    return phases.some(({ phase }) => phase === 'migrate') ? 0 : undefined;
  const from = when('migrate');
  if (from === undefined) return undefined;
  const undone = standing(facts).length === 0;
  const served = (facts.hosts ?? []).some(({ outcome }) => outcome === 'deployed');
  const until = undone
    ? when('rollback')
    : served && schemaAhead(facts).length === 0
      ? when('redeploy')
      : undefined;
  return until === undefined ? undefined : Math.max(0, Math.round(until - from));
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
  earlier: Changes = UNCHANGED,
): RollbackDecision {
  const failed = firstFailure(phases);
  if (!failed) return { rollback: false, why: 'Nothing failed.' };
  const changes = changesOf(phases, earlier);
  if (!changes.database && !changes.code) return { rollback: false, why: nothingToUndo(failed) };
  if (failed.phase === 'health' && failed.facts.verdict === 'edge') {
    return {
      rollback: false,
      why: 'The application is good on the server and bad through the public URL: DNS, TLS or the proxy. The new version stays.',
    };
  }
  const asked = failed.phase === 'health' ? (failed.facts.health ?? []) : [];
  // Without a single answer it is not known that the new version is no worse than the old one.
  if (asked.length > 0 && newlyFailing(before, asked).length === 0) {
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

/** The worker on a server puts its old version back by itself, or has told why it could not. */
function nothingToUndo({ facts }: PhaseReport): string {
  const hosts = facts.hosts ?? [];
  const where = hosts.length > 1 ? 'Every server that was changed' : 'The server';
  if (hosts.some((host) => host.outcome === 'rollback-failed'))
    return 'The previous version could not be put back; nothing else was changed.';
  if (hosts.some((host) => host.outcome === 'rolled-back'))
    return `${where} has put the previous version back already; nothing else was changed.`;
  return 'This run changed nothing that could be undone.';
}

/** The phase that the run failed in: the first that failed or ended unknown. */
export function firstFailure(phases: readonly PhaseReport[]): PhaseReport | undefined {
  return phases.find(
    (phase) => phase.phase !== 'rollback' && (phase.outcome === 'failed' || phase.outcome === 'unknown'),
  );
}

/**
 * What a person does now. The last word belongs to a rollback that did not end well: what it says by hand puts back
 * what is still changed, whatever failed first.
 */
export function nextActionOf(phases: readonly PhaseReport[], runId: string): string | undefined {
  const bad = ({ outcome }: PhaseReport): boolean => outcome === 'failed' || outcome === 'unknown';
  const back = phases.find((phase) => phase.phase === 'rollback' && bad(phase));
  const actions = (back ?? firstFailure(phases))?.problems.flatMap(({ next }) => next ?? []) ?? [];
  // Commands by hand stand last, behind the reasons why nothing else could do it.
  if (back) return actions.at(-1) ?? `Start the rollback again: mode: rollback with run-id: ${runId}.`;
  const broken = mergeFacts(phases).hosts?.some((host) => host.outcome === 'rollback-failed');
  return broken ? actions.at(-1) : actions[0];
}

/** How a run has ended. */
export interface RunEnd {
  outcome: Outcome;
  facts: Facts;
}

/** The one decision from which outcome, hosts, commits, kept versions and the headline are told. */
export function endOf(phases: readonly PhaseReport[], mode: string, cancelled: boolean): RunEnd {
  const facts = mergeFacts(phases);
  const ahead = schemaAhead(facts);
  return {
    outcome: outcomeOf(phases, facts.hosts ?? [], mode, cancelled),
    facts: {
      ...facts,
      rolledBack: facts.rolledBack === true || (facts.hosts ?? []).some(isBack),
      ...(ahead.length === 0 ? {} : { schemaAhead: ahead }),
      ...definedOnly({ schemaLeadMs: schemaLead(phases) }),
    },
  };
}

const isBack = ({ outcome }: HostFact): boolean => outcome === 'rolled-back';

/** What the whole run is called in the output `outcome`. `hosts`: what became of each in all phases together. */
function outcomeOf(
  phases: readonly PhaseReport[],
  hosts: readonly HostFact[],
  mode: string,
  cancelled: boolean,
): Outcome {
  const broken = hosts.some(({ outcome }) => outcome === 'rollback-failed');
  const rollback = phases.find((phase) => phase.phase === 'rollback' && phase.outcome !== 'skipped');
  const failed = firstFailure(phases);
  if (rollback) {
    if (rollback.outcome === 'unknown') return 'unknown';
    // Where nobody answers, neither the deploy nor the rollback can be called anything else.
    if (rollback.outcome === 'failed' && failed?.outcome === 'unknown') return 'unknown';
    // A rollback that a person stopped has neither failed nor been done; the post step takes it up again.
    if (rollback.outcome === 'failed' && cancelled) return 'cancelled';
    // Refused before anything was tried, a rollback that was asked for is a failure like any other.
    if (rollback.outcome === 'failed')
      return mode === 'rollback' && rollback.facts.rolledBack === undefined ? 'failure' : 'rollback-failed';
    // Where a rollback is what was asked for, it is a success; the output rolled-back says whether it had to do anything.
    if (mode === 'rollback') return 'success';
    if (broken) return 'rollback-failed';
    if (rollback.facts.rolledBack !== false) return 'rolled-back';
  }
  if (cancelled) return 'cancelled';
  if (!failed)
    return phases.some((phase) => phase.facts.hosts?.some((host) => host.outcome === 'skipped'))
      ? 'skipped'
      : 'success';
  if (failed.outcome === 'unknown') return 'unknown';
  if (broken) return 'rollback-failed';
  // The servers put the old version back by themselves; what stays of the schema is told by schema-ahead.
  const { code } = changesOf(phases);
  return hosts.some(isBack) && !code ? 'rolled-back' : 'failure';
}

import type { Facts, PhaseReport, Problem, Report } from '../lib/report.js';
import { VERSION } from '../lib/version.js';
import { phaseOutcome } from './log-format.js';

/** Every output and what it says; action.yml says the same (a test compares them). */
export const OUTPUT_DESCRIPTIONS = {
  outcome:
    'success, failure, rolled-back, rollback-failed, cancelled, unknown or skipped (a newer run is live already).',
  'failed-phase': 'The phase that failed first; empty after success.',
  'failed-step': 'The step that failed first; empty after success.',
  pending: 'Versions that were pending at the start (JSON array).',
  applied: 'Versions that this run applied and committed (JSON array).',
  deferred: 'Versions that wait until health has passed (JSON array).',
  skipped: 'Versions that were not reached or not applied on purpose (JSON array).',
  reverted: 'Versions that the rollback took back (JSON array).',
  'schema-ahead':
    'Versions that stay applied although the code that came with them is not live (JSON array).',
  'schema-lead-ms':
    'Milliseconds from the first commit of this run until the last host served the new code (or the down files were committed); 0 where nothing was applied, empty where the old code stays.',
  verified: 'true when the schema was verified, else false.',
  tables: 'Tables with rows, bytes, row level security and policies (JSON array).',
  'previous-sha': 'Commit that was live before.',
  'deployed-sha': 'Commit that is live now.',
  release: 'Release that is live now.',
  health: 'Every check: name, ok, status, latency-ms, attempts (JSON array).',
  healthy: 'true when every health check passed; empty where none was asked.',
  'rolled-back': 'true when something was put back, else false.',
  verdict: 'ok, slow, app, database or edge; empty where health was not reached.',
  'downtime-ms':
    'Milliseconds without an answer on loopback during the cutover: the port is looked at every 20 ms, an answer asked for six times at most.',
  'rollback-ms': 'Milliseconds that putting the code back took.',
  hosts: 'One entry per host, by position (JSON array).',
  reversible: 'true when every pending file has a down file.',
  destructive:
    'true when a pending file deletes data or changes every row; unknown where one runs what cannot be read beforehand.',
  'backup-path': 'Where the backup lies, or restore-point:<name>.',
  'deployment-id': 'Id of the GitHub Deployment.',
  live: 'Mode status: what is live, one entry per host and one for the database (JSON array).',
  history: 'Mode status: the last ten deploys and rollbacks, newest first (JSON array).',
  'duration-ms': 'Milliseconds that the run took.',
  report: 'Path of a JSON file with every phase and step, its outcome, milliseconds and detail.',
} as const;

/** The name of an output, as in action.yml. */
export type OutputName = keyof typeof OUTPUT_DESCRIPTIONS;
/** All of them, in the order of action.yml. */
export const OUTPUT_NAMES = Object.keys(OUTPUT_DESCRIPTIONS) as OutputName[];

/** Characters of one output, and of all; GitHub allows a job 1 MB (counted in UTF-16) over all its steps. */
const OUTPUT_LIMITS = { one: 60_000, all: 200_000 };

/** The values of all outputs. */
export interface Outputs {
  values: Record<OutputName, string>;
  /** What was cut to stay within the limits, in words; the report file has all of it. */
  cuts: string[];
}

/**
 * The report as output values. Every output has a value on every path: an empty list is `[]`, what was not found
 * out is empty. A list that is too long loses entries at its end, so that it stays valid JSON.
 */
export function outputsOf(report: Report, reportPath: string, limits = OUTPUT_LIMITS): Outputs {
  const cuts: string[] = [];
  let left = limits.all;
  const list = (name: OutputName, items: readonly unknown[] | undefined): string => {
    const { text, kept } = jsonArray(items ?? [], Math.min(limits.one, left));
    if (kept < (items?.length ?? 0)) cuts.push(`output ${name} holds ${kept} of ${items!.length} entries`);
    left -= text.length;
    return text;
  };
  const line = (name: OutputName, text: string | number | boolean | undefined): string => {
    const whole = String(text ?? '');
    const most = 2_000;
    if (whole.length > most) cuts.push(`output ${name} holds ${most} of ${whole.length} characters`);
    return whole.slice(0, most);
  };
  const { facts } = report;
  const values: Record<OutputName, string> = {
    outcome: report.outcome,
    'failed-phase': line('failed-phase', report.failedPhase),
    'failed-step': line('failed-step', report.failedStep),
    pending: list('pending', facts.pending),
    applied: list('applied', facts.applied),
    deferred: list('deferred', facts.deferred),
    skipped: list('skipped', facts.skipped),
    reverted: list('reverted', facts.reverted),
    'schema-ahead': list('schema-ahead', facts.schemaAhead),
    'schema-lead-ms': line('schema-lead-ms', facts.schemaLeadMs),
    verified: String(facts.verified ?? false),
    'previous-sha': line('previous-sha', facts.previousSha),
    'deployed-sha': line('deployed-sha', facts.deployedSha),
    release: line('release', facts.release),
    health: list('health', facts.health),
    healthy: line('healthy', facts.healthy),
    'rolled-back': String(facts.rolledBack ?? false),
    verdict: line('verdict', facts.verdict),
    'downtime-ms': line('downtime-ms', facts.downtimeMs),
    'rollback-ms': line('rollback-ms', facts.rollbackMs),
    hosts: list('hosts', facts.hosts),
    live: list('live', facts.live),
    history: list('history', facts.history),
    // The longest one last: it takes what the others leave.
    tables: list('tables', facts.tables),
    reversible: line('reversible', facts.reversible),
    destructive: line('destructive', facts.destructive),
    'backup-path': line('backup-path', facts.backupPath),
    'deployment-id': line('deployment-id', facts.deploymentId),
    'duration-ms': line('duration-ms', Math.round(report.milliseconds)),
    report: reportPath,
  };
  return { values, cuts };
}

function jsonArray(items: readonly unknown[], most: number): { text: string; kept: number } {
  const parts: string[] = [];
  let length = 2;
  for (const item of items) {
    const part = JSON.stringify(item);
    length += part.length + 1;
    if (length > most) break;
    parts.push(part);
  }
  return { text: `[${parts.join(',')}]`, kept: parts.length };
}

/** 0 only when everything asked for was done; a newer run being live already is no fault. */
export function exitCodeOf(report: Report): 0 | 1 {
  const asked = report.mode === 'rollback' && report.outcome === 'rolled-back';
  return asked || report.outcome === 'success' || report.outcome === 'skipped' ? 0 : 1;
}

/** Who ran, as the report file says it. */
export interface ReportedRun {
  readonly id: string;
  readonly attempt: number;
  /** The commit that the run was started for. */
  readonly sha?: string;
  /** Where a person can look at the run. */
  readonly url?: string;
}

/** The content of the report file: everything, in the words of the outputs. */
export function reportFile(report: Report, run: ReportedRun): string {
  const content = {
    schema: 1,
    version: VERSION,
    'run-id': run.id,
    attempt: run.attempt,
    commit: run.sha ?? null,
    url: run.url ?? null,
    mode: report.mode,
    environment: report.environment ?? null,
    outcome: report.outcome,
    'failed-phase': report.failedPhase ?? null,
    'failed-step': report.failedStep ?? null,
    next: report.next ?? null,
    'started-at': new Date(report.startedAt).toISOString(),
    'duration-ms': Math.round(report.milliseconds),
    phases: report.phases.map(phaseEntry),
    problems: report.problems,
    warnings: report.warnings,
    planned: report.planned ?? [],
    facts: factEntries(report.facts),
  };
  return JSON.stringify(content, undefined, 2) + '\n';
}

function phaseEntry(phase: PhaseReport): object {
  return {
    phase: phase.phase,
    outcome: phaseOutcome(phase),
    'started-at': new Date(phase.startedAt).toISOString(),
    'duration-ms': Math.round(phase.milliseconds),
    summary: phase.summary ?? null,
    problems: phase.problems satisfies Problem[],
    steps: phase.steps.map((step) => ({
      name: step.name,
      outcome: step.outcome,
      'started-at': new Date(step.startedAt).toISOString(),
      'duration-ms': Math.round(step.milliseconds),
      detail: step.detail ?? null,
    })),
  };
}

function factEntries(facts: Facts): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(facts).map(([name, value]) => [
      name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`),
      value,
    ]),
  );
}

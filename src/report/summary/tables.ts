import type { Run } from '../../inputs/settings.js';
import { formatDuration } from '../../lib/duration.js';
import type { HealthFact, HostFact, PhaseReport, Report, StepOutcome } from '../../lib/report.js';
import { phaseOutcome } from '../log-format.js';
import { historyRows, liveRows } from '../status-table.js';
import type { SummaryWords } from './language.js';
import { escapeText, foldedSection, inlineCode, markdownLink, markdownTable, tableCell } from './markdown.js';

const STEP_MARKS: Readonly<Record<StepOutcome | 'cancelled', string>> = {
  passed: '✅ passed',
  failed: '❌ failed',
  skipped: '⏭️ skipped',
  unknown: '❔ unknown',
  cancelled: '⏹️ cancelled',
};

/** The phases of a run, as lines of Markdown like all tables here. */
export function phaseTableMarkdown(phases: readonly PhaseReport[], words: SummaryWords): string[] {
  return markdownTable(
    ['phase', 'outcome', 'time', ''],
    phases.map((phase) => [
      tableCell(words.phase(phase.phase)),
      `${STEP_MARKS[phaseOutcome(phase)].split(' ')[0]!} ${words.outcome(phaseOutcome(phase))}`,
      phase.outcome === 'skipped' ? '' : formatDuration(phase.milliseconds),
      escapeText(phase.summary ?? ''),
    ]),
  );
}

/** The steps of each phase, folded away. */
export function stepTables(phases: readonly PhaseReport[]): string[] {
  return phases.flatMap((phase) =>
    foldedSection(`Steps of ${phase.phase} (${phase.steps.length})`, stepTable(phase)),
  );
}

function stepTable(phase: PhaseReport): string[] {
  return markdownTable(
    ['step', 'outcome', 'time', ''],
    phase.steps.map((step) => [
      inlineCode(step.name),
      STEP_MARKS[step.outcome],
      step.outcome === 'skipped' ? '' : formatDuration(step.milliseconds),
      escapeText(step.detail ?? ''),
    ]),
  );
}

/** The steps of a run that has one phase only, in the place of the table of phases. */
export function onePhase(phase: PhaseReport): string[] {
  return [...(phase.summary ? [escapeText(phase.summary)] : []), ...stepTable(phase)];
}

/** The versions with their state and, where a step tells it, their name, batch and time. */
export function migrationTable(report: Report): string[] {
  const { facts } = report;
  const states = new Map<string, string>();
  const mark = (versions: readonly string[] | undefined, state: string): void => {
    for (const version of versions ?? []) states.set(version, state);
  };
  mark(facts.pending, 'pending');
  mark(facts.skipped, 'not applied');
  mark(facts.applied, 'applied');
  mark(facts.deferred, 'after health');
  mark(facts.schemaAhead, 'applied, kept');
  mark(facts.reverted, 'taken back');
  // A file deferred at first is applied later in the same run.
  for (const version of facts.applied ?? []) {
    if (states.get(version) === 'after health') states.set(version, 'applied after health');
  }
  const steps = report.phases.filter((phase) => phase.phase !== 'rollback').flatMap((phase) => phase.steps);
  const rows = [...states].map(([version, state]) => {
    const step = steps.findLast((each) => each.name === version || each.name.startsWith(`${version}_`));
    const time = step && step.outcome !== 'skipped' ? formatDuration(step.milliseconds) : '';
    return [inlineCode(step?.name ?? version), state, time, escapeText(step?.detail ?? '')];
  });
  return rows.length === 0
    ? []
    : ['### Migrations', ...markdownTable(['migration', 'state', 'time', ''], rows)];
}

/** What became of each server; nothing where there is none. */
export function hostTable(hosts: readonly HostFact[], run: Run): string[] {
  if (hosts.length === 0) return [];
  const sha = (value: string | undefined): string => (value === undefined ? '' : commitLink(value, run));
  const time = (value: number | undefined): string => (value === undefined ? '' : formatDuration(value));
  return [
    '### Hosts',
    ...markdownTable(
      ['host', 'outcome', 'previous', 'now', 'rehearsed', 'without an answer', ''],
      hosts.map((host) => [
        tableCell(host.host),
        tableCell(host.outcome),
        sha(host['previous-sha']),
        sha(host['deployed-sha']),
        host.rehearsed === undefined ? '' : host.rehearsed ? 'yes' : 'no',
        time(host['downtime-ms']),
        escapeText(host.detail ?? ''),
      ]),
    ),
  ];
}

/** What mode status found: what is live, and the last deploys; nothing in other modes. */
export function statusTables({ live = [], history = [] }: Report['facts']): string[] {
  const code = (row: readonly string[]): string[] => row.map(escapeText);
  return [
    ...(live.length === 0
      ? []
      : ['### Live', ...markdownTable(['part', '', ''], liveRows(live).map(code)), '']),
    ...(history.length === 0
      ? []
      : [
          '### The last deploys and rollbacks',
          ...markdownTable(
            ['begun', 'what', 'commit', 'outcome', 'time', 'run'],
            historyRows(history).map(code),
          ),
        ]),
  ];
}

/** Every health check; nothing where none was made. */
export function healthTable(checks: readonly HealthFact[]): string[] {
  if (checks.length === 0) return [];
  return [
    '### Health',
    ...markdownTable(
      ['check', 'from', '', 'status', 'latency', 'tries', ''],
      checks.map((check) => [
        inlineCode(check.name),
        tableCell(check.from),
        check.ok ? '✅' : '❌',
        tableCell(check.status),
        check['latency-ms'] === null ? '' : formatDuration(check['latency-ms']),
        tableCell(check.attempts),
        escapeText(check.detail ?? ''),
      ]),
    ),
  ];
}

/** The tables of the database, folded away; nothing where they were not looked at. */
export function databaseTable(report: Report): string[] {
  const tables = report.facts.tables ?? [];
  if (tables.length === 0) return [];
  const rows = (count: number | null, exact: boolean): string =>
    count === null ? 'not known' : `${exact ? '' : '~'}${tableCell(count.toLocaleString('en'))}`;
  return foldedSection(
    `Tables${report.facts.verified ? ' verified' : ''} (${tables.length})`,
    markdownTable(
      ['table', 'rows', 'bytes', 'RLS', 'policies'],
      tables.map((each) => [
        inlineCode(each.schema === 'public' ? each.name : `${each.schema}.${each.name}`),
        rows(each.rows, each.exact),
        tableCell(each.bytes.toLocaleString('en')),
        each.rls ? (each.forced ? 'forced' : 'on') : 'off',
        tableCell(each.policies),
      ]),
    ),
  );
}

/** A commit by its first ten digits, linked where its repository is known. */
export function commitLink(sha: string, run: Run): string {
  const known = run.repository !== undefined && /^[0-9a-f]{40}([0-9a-f]{24})?$/.test(sha);
  return markdownLink(
    sha.slice(0, 10),
    known ? `${run.serverUrl}/${run.repository}/commit/${sha}` : undefined,
  );
}

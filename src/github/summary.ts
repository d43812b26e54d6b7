import { formatDuration } from '../base/duration.js';
import type {
  HealthFact,
  HostFact,
  Outcome,
  PhaseReport,
  Problem,
  Report,
  StepOutcome,
} from '../base/report.js';
import { outcomeText, positionText, problemLines } from '../base/voice.js';
import type { Run } from '../settings/settings.js';
import { block, code, escapeText, folded, link, table } from './markdown.js';
import { timeline } from './timeline.js';

/** Over 1 MiB GitHub shows nothing at all. Bytes. */
export const SUMMARY_LIMIT = 1_000_000;

const MARKS: Readonly<Record<Outcome, string>> = {
  success: '✅',
  failure: '❌',
  'rolled-back': '↩️',
  'rollback-failed': '🆘',
  cancelled: '⏹️',
  unknown: '❔',
  skipped: '⏭️',
};
const STEP_MARKS: Readonly<Record<StepOutcome, string>> = {
  passed: '✅ passed',
  failed: '❌ failed',
  skipped: '⏭️ skipped',
  unknown: '❔ unknown',
};

/** What the summary needs beside the report. */
export interface Around {
  readonly run: Run;
  /** What the plan said beside its steps. */
  readonly planned?: readonly string[];
}

/** The job summary as Markdown: the outcome first, then what a person does about it, then what happened when. */
export function summaryOf(report: Report, around: Around, limit = SUMMARY_LIMIT): string {
  const { run } = around;
  const lines = [
    `## ${MARKS[report.outcome]} ${escapeText(outcomeText(report))}`,
    '',
    ...headline(report, run),
    ...problemSection('What went wrong', withoutNext(report), run),
    ...(report.next === undefined ? [] : [`**Next:** ${escapeText(report.next)}`, '']),
    ...phaseTable(report.phases),
    ...planSection(report, around.planned ?? []),
    ...timeline(report),
    '',
    ...rollbackSection(report),
    ...migrationTable(report),
    ...hostTable(report.facts.hosts ?? [], run),
    ...healthTable(report.facts.health ?? []),
    ...tableTable(report),
    ...problemSection('Warnings', report.warnings, run),
    ...stepTables(report.phases),
  ];
  return cut(
    lines.filter((line, index) => line !== '' || lines[index - 1] !== ''),
    limit,
  );
}

/** Cuts at a line's end so that at most `limit` bytes remain, and tells how many lines are missing. */
function cut(lines: readonly string[], limit: number): string {
  const note = (count: number): string => `\n\n${count} more lines are in the report file.\n`;
  let bytes = 0;
  for (const [index, line] of lines.entries()) {
    bytes += Buffer.byteLength(line) + 1;
    if (bytes > limit - 100) return lines.slice(0, index).join('\n') + note(lines.length - index);
  }
  return lines.join('\n') + '\n';
}

function headline(report: Report, run: Run): string[] {
  const { facts } = report;
  const count = (list: readonly string[] | undefined, word: string): string[] =>
    list && list.length > 0 ? [`${list.length} ${word}`] : [];
  const { previousSha: before, deployedSha: now } = facts;
  const from = before === undefined || before === now ? '' : `${commit(before, run)} → `;
  const commits =
    now === undefined ? [] : [`${from}${commit(now, run)}${before === now ? ' stays live' : ''}`];
  const parts = [
    ...(facts.applied === undefined ? count(facts.pending, 'pending') : count(facts.applied, 'applied')),
    ...count(facts.reverted, 'reverted'),
    ...count(facts.deferred, 'waiting until after health'),
    ...commits,
    ...(facts.downtimeMs === undefined ? [] : [`${formatDuration(facts.downtimeMs)} without an answer`]),
    formatDuration(report.milliseconds),
  ];
  return [parts.join(' · '), ''];
}

function commit(sha: string, run: Run): string {
  const known = run.repository !== undefined && /^[0-9a-f]{40}([0-9a-f]{24})?$/.test(sha);
  return link(sha.slice(0, 10), known ? `${run.serverUrl}/${run.repository}/commit/${sha}` : undefined);
}

function problemSection(title: string, problems: readonly Problem[], run: Run): string[] {
  if (problems.length === 0) return [];
  const most = 50;
  const rest = problems.length - most;
  return [
    `### ${title}`,
    '',
    ...problems.slice(0, most).flatMap((problem) => problemItem(problem, run)),
    ...(rest > 0 ? [`${rest} more are in the report file.`] : []),
    '',
  ];
}

/** The problems, without the next action that the summary names on a line of its own. */
function withoutNext(report: Report): Problem[] {
  return report.problems.map(({ next, ...problem }) =>
    next === undefined || next === report.next ? problem : { ...problem, next },
  );
}

function problemItem(problem: Problem, run: Run): string[] {
  const { at } = problem;
  const reason = `${escapeText(problem.message)}${problem.code === undefined ? '' : ` ${code(problem.code)}`}`;
  const next = problem.next === undefined ? [] : [`  <br>${escapeText(problem.next)}`];
  if (at === undefined) return [`- ${reason}`, ...next];
  const path = at.file.split('/').map(encodeURIComponent).join('/');
  const url =
    run.repository && run.sha && !at.file.startsWith('/')
      ? `${run.serverUrl}/${run.repository}/blob/${run.sha}/${path}#L${at.line}`
      : undefined;
  const source =
    at.text === undefined
      ? []
      : [`  ${block(problemLines({ message: '', at }, '').slice(1)).replaceAll('\n', '\n  ')}`];
  return [`- ${link(positionText(at), url)} ${reason}`, ...source, ...next];
}

function phaseTable(phases: readonly PhaseReport[]): string[] {
  return table(
    ['phase', 'outcome', 'time', ''],
    phases.map((phase) => [
      phase.phase,
      STEP_MARKS[phase.outcome],
      phase.outcome === 'skipped' ? '' : formatDuration(phase.milliseconds),
      escapeText(phase.summary ?? ''),
    ]),
  );
}

/** The batches: what a plan is read for, and folded away where they were carried out. */
function planSection(report: Report, planned: readonly string[]): string[] {
  if (planned.length === 0) return [];
  return report.mode === 'plan'
    ? ['### Plan', '', block(planned), '']
    : folded('What was planned', [block(planned)]);
}

function stepTables(phases: readonly PhaseReport[]): string[] {
  return phases.flatMap((phase) =>
    folded(
      `Steps of ${phase.phase} (${phase.steps.length})`,
      table(
        ['step', 'outcome', 'time', 'detail'],
        phase.steps.map((step) => [
          code(step.name),
          STEP_MARKS[step.outcome],
          step.outcome === 'skipped' ? '' : formatDuration(step.milliseconds),
          escapeText(step.detail ?? ''),
        ]),
      ),
    ),
  );
}

function rollbackSection(report: Report): string[] {
  const { facts } = report;
  if (!report.phases.some((phase) => phase.phase === 'rollback' && phase.outcome !== 'skipped')) return [];
  const list = (versions: readonly string[]): string => versions.slice(0, 50).map(code).join(', ');
  const lines = [
    ...(facts.rollbackMs === undefined ? [] : [`- Code put back in ${formatDuration(facts.rollbackMs)}.`]),
    ...(facts.reverted?.length ? [`- Migrations taken back: ${list(facts.reverted)}`] : []),
    ...(facts.schemaAhead?.length
      ? [`- Kept in the database, ahead of the code: ${list(facts.schemaAhead)}`]
      : []),
  ];
  return ['### Rollback', '', ...(lines.length > 0 ? lines : ['- Nothing had to be put back.']), ''];
}

/** The versions with their state and, where a step tells it, their name, batch and time. */
function migrationTable(report: Report): string[] {
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
    const step = steps.findLast((each) => each.name.startsWith(version));
    const time = step && step.outcome !== 'skipped' ? formatDuration(step.milliseconds) : '';
    return [code(step?.name ?? version), state, time, escapeText(step?.detail ?? '')];
  });
  return rows.length === 0 ? [] : ['### Migrations', ...table(['migration', 'state', 'time', ''], rows)];
}

function hostTable(hosts: readonly HostFact[], run: Run): string[] {
  if (hosts.length === 0) return [];
  const sha = (value: string | undefined): string => (value === undefined ? '' : commit(value, run));
  const time = (value: number | undefined): string => (value === undefined ? '' : formatDuration(value));
  return [
    '### Hosts',
    ...table(
      ['host', 'outcome', 'previous', 'now', 'rehearsed', 'without an answer', ''],
      hosts.map((host) => [
        String(host.host),
        host.outcome,
        sha(host['previous-sha']),
        sha(host['deployed-sha']),
        host.rehearsed === undefined ? '' : host.rehearsed ? 'yes' : 'no',
        time(host['downtime-ms']),
        escapeText(host.detail ?? ''),
      ]),
    ),
  ];
}

function healthTable(checks: readonly HealthFact[]): string[] {
  if (checks.length === 0) return [];
  return [
    '### Health',
    ...table(
      ['check', 'from', '', 'status', 'latency', 'tries', ''],
      checks.map((check) => [
        code(check.name),
        check.from,
        check.ok ? '✅' : '❌',
        check.status === null ? '' : String(check.status),
        check['latency-ms'] === null ? '' : formatDuration(check['latency-ms']),
        String(check.attempts),
        escapeText(check.detail ?? ''),
      ]),
    ),
  ];
}

function tableTable(report: Report): string[] {
  const tables = report.facts.tables ?? [];
  if (tables.length === 0) return [];
  const rows = (count: number | null, exact: boolean): string =>
    count === null ? 'not known' : `${exact ? '' : '~'}${count.toLocaleString('en')}`;
  return folded(
    `Tables${report.facts.verified ? ' verified' : ''} (${tables.length})`,
    table(
      ['table', 'rows', 'bytes', 'RLS', 'policies'],
      tables.map((each) => [
        code(each.schema === 'public' ? each.name : `${each.schema}.${each.name}`),
        rows(each.rows, each.exact),
        each.bytes.toLocaleString('en'),
        each.rls ? (each.forced ? 'forced' : 'on') : 'off',
        String(each.policies),
      ]),
    ),
  );
}

/** Adds to the step's summary; a runner without summaries loses nothing else. Returns whether it was written. */
export async function writeSummary(markdown: string, env: NodeJS.ProcessEnv): Promise<boolean> {
  if (!env.GITHUB_STEP_SUMMARY) return false;
  const { summary } = await import('@actions/core');
  await summary.addRaw(markdown).write();
  return true;
}

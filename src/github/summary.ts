import { formatDuration } from '../base/duration.js';
import type { Outcome, Problem, Report } from '../base/report.js';
import { outcomeText, positionText, problemLines } from '../base/voice.js';
import type { Run } from '../settings/settings.js';
import { block, code, escapeText, folded, link } from './markdown.js';
import {
  commit,
  healthTable,
  hostTable,
  migrationTable,
  onePhase,
  phaseTable,
  stepTables,
  tableTable,
} from './summary-tables.js';
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

/** What the summary needs beside the report. */
export interface Around {
  readonly run: Run;
  /** What the plan said beside its steps. */
  readonly planned?: readonly string[];
}

/** The job summary as Markdown: the outcome first, then what a person does about it, then what happened when. */
export function summaryOf(report: Report, around: Around, limit = SUMMARY_LIMIT): string {
  const { run } = around;
  const only = report.phases.length === 1 ? report.phases[0] : undefined;
  const lines = [
    `## ${MARKS[report.outcome]} ${escapeText(outcomeText(report))}`,
    '',
    ...headline(report, run),
    ...problemSection('What went wrong', withoutNext(report), run),
    ...(report.next === undefined ? [] : [`**Next:** ${escapeText(report.next)}`, '']),
    ...(only === undefined ? phaseTable(report.phases) : onePhase(only)),
    ...planSection(report, around.planned ?? []),
    ...(report.mode === 'plan' ? [] : timeline(report)),
    '',
    ...rollbackSection(report),
    ...(report.mode === 'plan' && around.planned?.length ? [] : migrationTable(report)),
    ...hostTable(report.facts.hosts ?? [], run),
    ...healthTable(report.facts.health ?? []),
    ...tableTable(report),
    ...problemSection('Warnings', report.warnings, run),
    ...(only === undefined ? stepTables(report.phases) : []),
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
  const next = problem.next === undefined ? [] : [escapeText(problem.next)];
  if (at === undefined) return [`- ${reason}`, ...next.map((line) => `  <br>${line}`)];
  const path = at.file.split('/').map(encodeURIComponent).join('/');
  const url =
    run.repository && run.sha && !at.file.startsWith('/')
      ? `${run.serverUrl}/${run.repository}/blob/${run.sha}/${path}#L${at.line}`
      : undefined;
  const source =
    at.text === undefined
      ? []
      : [`  ${block(problemLines({ message: '', at }, '').slice(1)).replaceAll('\n', '\n  ')}`];
  // After a preformatted block the text stands on a line of its own anyway.
  const gap = source.length > 0 ? '  ' : '  <br>';
  return [`- ${link(positionText(at), url)} ${reason}`, ...source, ...next.map((line) => gap + line)];
}

/** The batches: what a plan is read for, and folded away where they were carried out. */
function planSection(report: Report, planned: readonly string[]): string[] {
  if (planned.length === 0) return [];
  return report.mode === 'plan'
    ? ['### Plan', '', block(planned), '']
    : folded('What was planned', [block(planned)]);
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

/** Adds to the step's summary; a runner without summaries loses nothing else. Returns whether it was written. */
export async function writeSummary(markdown: string, env: NodeJS.ProcessEnv): Promise<boolean> {
  if (!env.GITHUB_STEP_SUMMARY) return false;
  const { summary } = await import('@actions/core');
  await summary.addRaw(markdown).write();
  return true;
}

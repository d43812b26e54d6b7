import { isAbsolute } from 'node:path';
import type { Run } from '../../inputs/settings.js';
import { definedOnly } from '../../lib/defined-only.js';
import { formatDuration } from '../../lib/duration.js';
import type { Outcome, PhaseReport, Problem, Report, SourcePosition } from '../../lib/report.js';
import { positionText, problemLines } from '../log-format.js';
import { type FilePlaces, fromWorkspace } from './file-places.js';
import { type Language, type SummaryWords, summaryWords } from './language.js';
import { codeBlock, escapeText, foldedSection, inlineCode, markdownLink } from './markdown.js';
import {
  commitLink,
  databaseTable,
  healthTable,
  hostTable,
  migrationTable,
  onePhase,
  phaseTableMarkdown,
  statusTables,
  stepTables,
} from './tables.js';
import { timeline } from './timeline.js';

/** Over 1 MiB GitHub shows nothing at all. Bytes. */
const SUMMARY_LIMIT = 1_000_000;

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
export interface SummaryContext {
  readonly run: Run;
  readonly places: FilePlaces;
  /** Markdown below the heading: whose run this is, where the page does not say so itself. */
  readonly origin?: string;
  /** English where none is given. */
  readonly language?: Language;
}

/**
 * The job summary as Markdown: the outcome first, then what a person does about it, then what happened when. At most
 * `limit` bytes.
 */
export function summaryOf(report: Report, context: SummaryContext, limit = SUMMARY_LIMIT): string {
  const { run, places, origin, language = 'en' } = context;
  const words = summaryWords(language);
  const only = report.phases.length === 1 ? report.phases[0] : undefined;
  const lines = [
    `## ${MARKS[report.outcome]} ${escapeText(words.headline(report))}`,
    '',
    ...(origin === undefined ? [] : [origin, '']),
    ...summaryHeadline(report, run),
    ...problemSection(words.whatWentWrong, inWords(withoutNext(report), words), run, places),
    ...(report.next === undefined ? [] : [nextLine(report, report.next, words), '']),
    ...statusTables(report.facts),
    ...(only === undefined
      ? phaseTableMarkdown(report.phases, words)
      : report.mode === 'status'
        ? []
        : onePhase(only)),
    ...planSection(report),
    ...(report.mode === 'plan' || report.mode === 'status' ? [] : timeline(report)),
    '',
    ...rollbackSection(report),
    ...(report.mode === 'plan' && report.planned?.length ? [] : migrationTable(report)),
    ...hostTable(report.facts.hosts ?? [], run),
    ...healthTable(report.facts.health ?? []),
    ...databaseTable(report),
    ...problemSection(words.warnings, inWords(report.warnings, words), run, places),
    ...(only === undefined ? stepTables(report.phases) : []),
  ];
  return cut(
    lines.filter((line, index) => line !== '' || lines[index - 1] !== ''),
    limit,
  );
}

/** Bytes kept free for the end of a summary that was cut. */
const ROOM = 150;

/** Cuts at a line's end so that at most `limit` bytes remain, and tells how many lines are missing. */
function cut(parts: readonly string[], limit: number): string {
  const lines = parts.join('\n').split('\n');
  let bytes = 0;
  for (const [index, line] of lines.entries()) {
    bytes += Buffer.byteLength(line) + 1;
    if (bytes <= limit - ROOM) continue;
    const kept = lines.slice(0, index);
    const rest = lines.length - index;
    return [...kept, ...stillOpen(kept), '', `${rest} more lines are in the report file.`, ''].join('\n');
  }
  return lines.join('\n') + '\n';
}

/** What ends the blocks that are open at the end of these lines. */
function stillOpen(lines: readonly string[]): string[] {
  const text = lines.join('\n');
  const count = (mark: string): number => text.split(mark).length - 1;
  const ends = (tag: string): string[] => (count(`<${tag}>`) > count(`</${tag}>`) ? [`</${tag}>`] : []);
  const fence = lines.lastIndexOf('```mermaid') > lines.lastIndexOf('```') ? ['```'] : [];
  return [...fence, ...ends('pre'), ...ends('details')];
}

function summaryHeadline(report: Report, run: Run): string[] {
  const { facts } = report;
  const count = (list: readonly string[] | undefined, word: string): string[] =>
    list && list.length > 0 ? [`${list.length} ${word}`] : [];
  const { previousSha: before, deployedSha: now } = facts;
  const from = before === undefined || before === now ? '' : `${commitLink(before, run)} → `;
  const commits =
    now === undefined ? [] : [`${from}${commitLink(now, run)}${before === now ? ' stays live' : ''}`];
  const parts = [
    ...(facts.applied === undefined ? count(facts.pending, 'pending') : count(facts.applied, 'applied')),
    ...count(facts.reverted, 'reverted'),
    ...count(facts.deferred, 'waiting until after health'),
    ...commits,
    ...(facts.downtimeMs === undefined ? [] : [`${formatDuration(facts.downtimeMs)} without an answer`]),
    ...(facts.schemaLeadMs ? [`the schema ${formatDuration(facts.schemaLeadMs)} ahead of the code`] : []),
    formatDuration(report.milliseconds),
  ];
  return [parts.join(' · '), ''];
}

function problemSection(title: string, problems: readonly Problem[], run: Run, places: FilePlaces): string[] {
  if (problems.length === 0) return [];
  const most = 50;
  const rest = problems.length - most;
  return [
    `### ${title}`,
    '',
    ...problems.slice(0, most).flatMap((problem) => problemItem(problem, run, places)),
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

/** The problems with their next action in the words of a language. */
function inWords(problems: readonly Problem[], words: SummaryWords): Problem[] {
  return problems.map((problem) => {
    const { next, ...rest } = problem;
    return next === undefined ? rest : { ...rest, ...definedOnly({ next: words.advice(problem) }) };
  });
}

function nextLine({ problems }: Report, next: string, words: SummaryWords): string {
  const [cause = { message: '', next }] = problems.filter((problem) => problem.next === next);
  const said = advice(words.advice(cause) ?? next);
  return `**${words.next}:**${said.startsWith('\n') ? '' : ' '}${said}`;
}

/** A next action; several lines are commands, to be copied as they stand. */
function advice(next: string): string {
  return next.includes('\n') ? `\n${codeBlock(next.split('\n'))}` : escapeText(next);
}

function problemItem(problem: Problem, run: Run, places: FilePlaces): string[] {
  const { at } = problem;
  // What a program printed follows the first line.
  const [headline = '', ...printed] = problem.message.split('\n');
  const reason = `${escapeText(headline)}${problem.code === undefined ? '' : ` ${inlineCode(problem.code)}`}`;
  const quoted = at?.text === undefined ? [] : problemLines({ message: '', at }, '').slice(1);
  const block = [...printed, ...quoted];
  const source = block.length === 0 ? '' : `\n${codeBlock(block)}`;
  const next = problem.next === undefined ? '' : advice(problem.next);
  // A preformatted block stands on lines of its own anyway.
  const gap = next === '' || next.startsWith('\n') ? '' : source === '' ? '\n<br>' : '\n';
  const item = `${at ? `${markdownLink(positionText(at), sourceUrl(at, run, places))} ` : ''}${reason}${source}${gap}${next}`;
  return [`- ${item.replaceAll('\n', '\n  ')}`];
}

/** The line on GitHub, of a file that lies in the checkout. */
function sourceUrl(
  at: SourcePosition,
  { repository, serverUrl, sha }: Run,
  places: FilePlaces,
): string | undefined {
  const file = fromWorkspace(at.file, places);
  if (!repository || !sha || file.startsWith('../') || isAbsolute(file)) return undefined;
  const path = file.split('/').map(encodeURIComponent).join('/');
  return `${serverUrl}/${repository}/blob/${sha}/${path}#L${at.line}`;
}

/** The batches: what a plan is read for, and folded away where they were carried out. */
function planSection({ mode, planned = [] }: Report): string[] {
  if (planned.length === 0) return [];
  return mode === 'plan'
    ? ['### Plan', '', codeBlock(planned), '']
    : foldedSection('What was planned', [codeBlock(planned)]);
}

function rollbackSection(report: Report): string[] {
  const { facts } = report;
  const phase = report.phases.find((each) => each.phase === 'rollback' && each.outcome !== 'skipped');
  if (phase === undefined) return [];
  const versions = (title: string, list: readonly string[] = []): string[] =>
    list.length === 0 ? [] : [`- ${title}: ${list.slice(0, 50).map(inlineCode).join(', ')}`];
  const back = facts.hosts?.some((host) => host.outcome === 'rolled-back');
  const passed = phase.outcome === 'passed';
  const lines = [
    ...(passed ? [] : stuck(phase, report, versions)),
    ...(back && facts.rollbackMs !== undefined
      ? [`- Code put back in ${formatDuration(facts.rollbackMs)}.`]
      : []),
    ...versions('Migrations taken back', facts.reverted),
    ...(passed ? versions('Kept in the database, ahead of the code', facts.schemaAhead) : []),
  ];
  const nothing = phase.facts.rolledBack === false ? 'Nothing had to be put back.' : phase.summary;
  return ['### Rollback', '', ...(lines.length > 0 ? lines : [`- ${escapeText(nothing ?? 'Done.')}`]), ''];
}

/** What a rollback that did not end well leaves as this run made it. */
function stuck(
  { outcome }: PhaseReport,
  { outcome: whole, facts: { applied = [], reverted = [], schemaAhead = [], hosts = [] } }: Report,
  versions: (title: string, list: readonly string[]) => string[],
): string[] {
  const left = hosts.filter((host) => ['deployed', 'rollback-failed', 'unknown'].includes(host.outcome));
  const unknown = outcome === 'unknown';
  const how = whole === 'cancelled' ? 'was cancelled' : 'failed';
  return [
    unknown
      ? '- **It is not known whether everything was put back.**'
      : `- **The rollback ${how}: not everything was put back.**`,
    ...versions(
      unknown ? 'Perhaps still applied' : 'Still applied',
      [...new Set([...applied, ...schemaAhead])].filter((version) => !reverted.includes(version)),
    ),
    ...(left.length === 0
      ? []
      : [`- Code not put back: ${left.map(({ host }) => `host ${host}`).join(', ')}`]),
  ];
}

/**
 * Adds to the step's summary; false on a runner without summaries.
 * @throws the file system's error where it cannot be written.
 */
export async function writeSummary(markdown: string, env: NodeJS.ProcessEnv): Promise<boolean> {
  if (!env.GITHUB_STEP_SUMMARY) return false;
  const { summary } = await import('@actions/core');
  await summary.addRaw(markdown).write();
  return true;
}

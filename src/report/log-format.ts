import { formatDuration } from '../lib/duration.js';
import { linesOf } from '../lib/lines.js';
import type { LogEntry } from '../lib/log.js';
import type {
  HostFact,
  PhaseReport,
  Problem,
  Report,
  SourcePosition,
  Step,
  StepOutcome,
} from '../lib/report.js';
import { shortenList } from '../lib/shorten-list.js';
import { isUnwatched } from './unwatched.js';

/** Columns before a step's name, and before what belongs to a step. */
const STEP_INDENT = 10;
const NAME_WIDTH = 46;

/**
 * The lines for one entry of the log, the same on GitHub and in a terminal. Past tense only after the fact; a failure
 * ends with what to do. The output of programs is printed as it comes. The lines are not redacted yet: the printer does
 * that.
 */
export function formatLogEntry(entry: Exclude<LogEntry, { kind: 'output' }>): string[] {
  switch (entry.kind) {
    case 'phase-started':
      return ['', ...linesOf(`${entry.phase.padEnd(STEP_INDENT - 1)} ${entry.detail ?? ''}`.trimEnd())];
    case 'step':
      return stepLines(entry.step);
    case 'phase-ended':
      return [
        ...entry.report.problems.flatMap((problem) => problemLines(problem, ' '.repeat(STEP_INDENT))),
        ...linesOf(closingSentence(entry.report)),
      ];
    case 'progress':
      return linesOf(entry.text).map(
        (line, index) => (index === 0 ? '  ...' : '').padEnd(STEP_INDENT) + line,
      );
    case 'line':
    case 'debug':
      return entry.text === '' ? [''] : linesOf(entry.text);
    case 'notice':
      return problemLines(entry.problem, '', 'notice: ');
    case 'warning':
      return problemLines(entry.problem, '', 'warning: ');
    case 'problem':
      return problemLines(entry.problem, '', 'error: ');
  }
}

function stepLines(step: Step): string[] {
  const [first = '', ...more] = linesOf(step.detail ?? '');
  // No name of ours has several lines; what a line break cut is one word again, or a secret could hide in it.
  const name = linesOf(step.name).join('');
  const time = step.outcome === 'skipped' ? '' : formatDuration(step.milliseconds);
  // A name longer than its column keeps two blanks to what follows.
  const column = time === '' && first === '' ? name : `${name.padEnd(NAME_WIDTH - 2)}  `;
  const head = `  ${step.outcome.padEnd(7)} ${column}${time.padStart(time === '' ? 0 : 9)}`;
  return [
    first === '' ? head.trimEnd() : `${head}  ${first}`,
    ...more.map((line) => ' '.repeat(STEP_INDENT) + line),
  ];
}

/** A problem as lines: place and message, the source line with a caret, what to do next. `indent` stands before each. */
export function problemLines(problem: Problem, indent: string, label = ''): string[] {
  const place = problem.at ? `${positionText(problem.at)}  ` : '';
  const code = problem.code === undefined ? '' : ` (${problem.code})`;
  const lines = [
    ...linesOf(`${label}${place}${problem.message}${code}`),
    ...(problem.at ? caretLines(problem.at) : []),
    ...(problem.next === undefined ? [] : linesOf(`next: ${problem.next}`)),
  ];
  return lines.map((line, index) => `${indent}${index === 0 || label === '' ? '' : '  '}${line}`);
}

/** `file:line:column`, which editors and terminals make clickable. */
export function positionText(at: SourcePosition): string {
  return `${at.file}:${at.line}:${at.column}`;
}

function caretLines(at: SourcePosition): string[] {
  if (at.text === undefined) return [];
  const [source = ''] = linesOf(at.text);
  const gutter = `${at.line} | `;
  const before = [...source].slice(0, at.column - 1);
  if (before.length < at.column - 1) return [gutter + source];
  // Tabs stay tabs, so that the caret stands below its character whatever their width.
  const padding = before.map((character) => (character === '\t' ? '\t' : ' ')).join('');
  return [gutter + source, `${' '.repeat(gutter.length)}${padding}^`];
}

/** What a phase is called by its end: one that a cancel stopped did not fail. */
export function phaseOutcome({ outcome, cancelled }: PhaseReport): StepOutcome | 'cancelled' {
  return cancelled && outcome === 'failed' ? 'cancelled' : outcome;
}

function closingSentence(report: PhaseReport): string {
  const { phase, summary } = report;
  // A phase that words the whole sentence itself.
  if (summary?.startsWith(`${phase} `)) return summary;
  const step = report.steps.find((each) => each.outcome === 'failed' || each.outcome === 'unknown')?.name;
  const at = step === undefined ? '' : ` at ${step}`;
  const start = {
    cancelled: `${phase} was cancelled.`,
    passed: `${phase} passed in ${formatDuration(report.milliseconds)}.`,
    failed: `${phase} failed${at}.`,
    unknown: `${phase} ended${at} without an answer: whether it took effect is not known.`,
    skipped: `${phase} skipped.`,
  }[phaseOutcome(report)];
  return summary === undefined || summary === '' ? start : `${start} ${summary}`;
}

const VERDICTS: Readonly<Record<Report['outcome'], string>> = {
  success: 'succeeded',
  failure: 'failed',
  'rolled-back': 'failed and was rolled back',
  'rollback-failed': 'failed, and so did the rollback',
  cancelled: 'was cancelled',
  unknown: 'ended, and whether it took effect is not known',
  skipped: 'was skipped: a newer run is live already',
};

/** The word between a mode and its environment. */
const TOWARDS: Readonly<Record<string, string>> = { deploy: 'to', redeploy: 'to', plan: 'for' };

/** `deploy to staging failed and was rolled back`, `plan for staging succeeded`, `health on staging failed`. */
export function outcomeText({ mode, environment, outcome, facts, phases }: Report): string {
  const where = environment === undefined ? '' : ` ${TOWARDS[mode] ?? 'on'} ${environment}`;
  // Only there it is what was asked for.
  const verdict = mode === 'rollback' && outcome === 'rolled-back' ? VERDICTS.success : VERDICTS[outcome];
  const live = outcome === 'cancelled' && isUnwatched(phases) ? ': live, not watched to the end' : '';
  return `${mode}${where} ${verdict}${live}${stillApplied(outcome, facts.schemaAhead)}`;
}

const LEAVES_BEHIND: ReadonlySet<Report['outcome']> = new Set(['failure', 'rolled-back', 'rollback-failed']);

/** What the end of a run leaves in the database without its code. */
function stillApplied(outcome: Report['outcome'], versions: readonly string[] = []): string {
  if (versions.length === 0 || !LEAVES_BEHIND.has(outcome)) return '';
  return `; ${shortenList(versions)} ${versions.length === 1 ? 'stays' : 'stay'} applied`;
}

/** What a run that was stopped in the middle leaves behind, as far as it knows: `2 applied, the new version is live`; or nothing. */
export function whatStays({ facts, outcome }: Report): string {
  const reverted = new Set(facts.reverted);
  const applied = (facts.applied ?? []).filter((version) => !reverted.has(version)).length;
  const all = facts.hosts ?? [];
  const named = (outcome: HostFact['outcome']): string => {
    const hosts = all.filter((host) => host.outcome === outcome);
    if (hosts.length === 0) return '';
    return all.length === 1 ? 'the server' : hosts.map(({ host }) => `host ${host}`).join(' and ');
  };
  const [live, unknown] = [named('deployed'), named('unknown')];
  const parts = [
    ...(applied === 0 ? [] : [`${applied} applied`]),
    ...(live === '' ? [] : [`the new version is live on ${live}`]),
    ...(unknown === '' ? [] : [`it is not known what ${unknown} serves`]),
  ];
  if (parts.length > 0) return parts.join(', ');
  return outcome === 'unknown' ? 'it is not known what was changed' : '';
}

/** The last lines of a run: how it ended, in how long, and what a person does now. */
export function closingLines(report: Report): string[] {
  return [
    '',
    ...linesOf(`${outcomeText(report)} (${formatDuration(report.milliseconds)}).`),
    ...(report.next === undefined ? [] : linesOf(`next: ${report.next}`)),
  ];
}

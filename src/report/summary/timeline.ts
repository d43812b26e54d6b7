import type { Report, Step } from '../../lib/report.js';

/** More bars than this are unreadable; the longest are kept. */
const MOST_BARS = 40;

/** Bars shorter than this part of the whole are left out. */
const THINNEST = 200;

/** A Mermaid gantt chart of the phases and their steps, as GitHub draws it in summaries and comments. */
export function timeline(report: Report): string[] {
  // A bar that is too thin to be seen is left out, unless it is the one that failed.
  const ran = report.phases
    .flatMap((phase) => phase.steps)
    .filter((step) =>
      step.outcome === 'passed'
        ? step.milliseconds * THINNEST >= report.milliseconds
        : step.outcome !== 'skipped',
    );
  if (!report.phases.some((phase) => phase.steps.length > 0)) return [];
  const shown = new Set([...ran].sort((a, b) => b.milliseconds - a.milliseconds).slice(0, MOST_BARS));
  const lines = ['```mermaid', 'gantt', '    dateFormat x', ...axis(report.milliseconds)];
  for (const phase of report.phases) {
    if (phase.outcome === 'skipped') continue;
    const own = phase.steps.filter((step) => shown.has(step));
    // A phase whose steps are all too short is one bar itself.
    const steps = own.length > 0 ? own : [{ ...phase, name: phase.phase }];
    lines.push(`    section ${phase.phase}`, ...steps.map(bar));
  }
  lines.push('```');
  return lines;
}

/** Marks of the time axis: at most about a dozen, or their labels run into each other. */
function axis(milliseconds: number): string[] {
  if (milliseconds < 10_000) return ['    axisFormat %S.%L'];
  const ticks = [2, 5, 10, 30, 60, 120, 300, 600, 1_800].find((seconds) => milliseconds / seconds < 12_000);
  return ['    axisFormat %H:%M:%S', `    tickInterval ${ticks ?? 3_600}second`];
}

function bar(step: Pick<Step, 'name' | 'outcome' | 'startedAt' | 'milliseconds'>): string {
  const state = step.outcome === 'passed' ? 'done' : 'crit';
  const end = Math.round(step.startedAt + Math.max(1, step.milliseconds));
  return `    ${title(step.name)} :${state}, ${Math.round(step.startedAt)}, ${end}`;
}

/** Mermaid has no escapes for a task's name: what would end it is left out. */
function title(name: string): string {
  const plain = name
    .replace(/[^\p{L}\p{N} ._/@-]/gu, ' ')
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, 60);
  // A first word such as "click" or "section" would be read as a keyword.
  return /^(click|section|title|end|excludes|todayMarker|dateFormat|axisFormat)\b/i.test(plain)
    ? `- ${plain}`
    : plain || 'step';
}

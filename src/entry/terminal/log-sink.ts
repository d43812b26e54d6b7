import { formatDuration } from '../../lib/duration.js';
import type { Report } from '../../lib/report.js';
import { phaseOutcome } from '../../report/log-format.js';
import type { LogSink } from '../../report/log-printer.js';

/** A terminal, or what its output goes to. */
export interface Screen {
  readonly write: (text: string) => void;
  readonly colour: boolean;
  readonly debug: boolean;
}

const COLOURS: readonly [RegExp, number][] = [
  [/^ {2}passed /, 32],
  [/^ {2}failed /, 31],
  [/^ {2}unknown /, 35],
  [/^ {2}(skipped|\.\.\.) /, 2],
  [/^(error|[a-z]+ failed)\b/, 31],
  [/^warning\b/, 33],
  [/^next\b/, 36],
];

/** Prints the log on a screen, in colours where it has them. */
export function terminalSink(screen: Screen): LogSink {
  const paint = (text: string, colour: number | undefined): void =>
    screen.write(screen.colour && colour !== undefined ? `\x1b[${colour}m${text}\x1b[0m\n` : `${text}\n`);
  return {
    line: (text) => paint(text, COLOURS.find(([pattern]) => pattern.test(text))?.[1]),
    debug: (text) => (screen.debug ? paint(text, 2) : undefined),
    openOutput: (source) => paint(`          ${source}`, 2),
    outputLine: (text) => paint(`          | ${text}`, 2),
    closeOutput: () => {},
  };
}

const stepCount = (steps: number): string => (steps === 1 ? '1 step' : `${steps} steps`);

/** The phases of a run as a table, for its end. */
export function phaseLines(report: Report): string[] {
  if (report.phases.length === 0) return [];
  const rows = report.phases.map((phase) => [
    phase.phase,
    phaseOutcome(phase),
    phase.outcome === 'skipped' ? '' : formatDuration(phase.milliseconds),
    phase.outcome === 'skipped' ? '' : stepCount(phase.steps.length),
  ]);
  const width = (column: number): number => Math.max(...rows.map((row) => row[column]!.length));
  return [
    '',
    ...rows.map((row) =>
      row
        .map((cell, column) => cell.padEnd(width(column)))
        .join('  ')
        .trimEnd(),
    ),
  ];
}

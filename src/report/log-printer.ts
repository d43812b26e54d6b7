import { formatDuration } from '../lib/duration.js';
import { linesOf } from '../lib/lines.js';
import type { Log, LogEntry } from '../lib/log.js';
import type { Redactor } from '../lib/redact.js';
import { type LineTaker, wholeLines } from '../lib/whole-lines.js';
import { formatLogEntry } from './log-format.js';

/** Where the lines go: the runner's log or a terminal. Every text that it is given has been redacted. */
export interface LogSink {
  line(text: string): void;
  debug(text: string): void;
  /** Lines of a program's output come between these two. */
  openOutput(source: string): void;
  outputLine(text: string): void;
  closeOutput(): void;
}

/** The printer of the log of one run. */
export interface LogPrinter {
  readonly log: Log;
  /** Says what is still held back and stops the heartbeat. */
  end(): void;
}

/** Milliseconds: a line at least this often while something runs, so that nobody takes the run for dead. */
const HEARTBEAT = 25_000;

/** Characters: longer lines (minified code in a build's output) are cut with a count. */
const LONGEST_LINE = 2_000;

/** Streams of output that may have half a line kept at the same time; there is one for each program of each host. */
const MOST_STREAMS = 100;

/**
 * Prints the log: puts entries into words, redacts them, groups the output of programs, and says what is under way
 * after `heartbeat` milliseconds without a line.
 */
export function logPrinter(sink: LogSink, redactor: Redactor, heartbeat = HEARTBEAT): LogPrinter {
  /** The source whose group is open, and the one of the last output; a group is only opened once there is a line to show. */
  let source: string | undefined;
  let current: string | undefined;
  let printedAt = performance.now();
  let doing: { what: string; since: number } | undefined;
  const streams = new Map<string, LineTaker>();

  const notePrinted = (): void => {
    printedAt = performance.now();
  };
  /** Redacts lines as one text: a secret may go over several, or over two fields of one. */
  const safeLines = (lines: readonly string[]): string[] =>
    lines.length === 0 ? [] : redactor.redact(lines.join('\n')).split('\n');
  const outputLine = (text: string): void => {
    if (text.trim() === '') return;
    const rest = text.length - LONGEST_LINE;
    sink.outputLine(rest > 0 ? `${text.slice(0, LONGEST_LINE)} ... ${rest} more characters` : text);
  };
  const group = (from: string): void => {
    if (source === from) return;
    closeGroup();
    source = from;
    sink.openOutput(safeLines(linesOf(from)).join(' '));
  };
  const closeGroup = (): void => {
    if (source !== undefined) sink.closeOutput();
    source = undefined;
  };
  const streamOf = (from: string): LineTaker => {
    const known = streams.get(from);
    if (known) return known;
    const [oldest] = streams.keys();
    if (streams.size >= MOST_STREAMS) finish(oldest!);
    const fresh = wholeLines(redactor, (text) => {
      group(from);
      for (const line of text.replace(/\n$/, '').split('\n')) outputLine(line);
    });
    streams.set(from, fresh);
    return fresh;
  };
  const finish = (from: string): void => {
    streams.get(from)?.finish();
    streams.delete(from);
  };
  /** Before something else is printed: half a line is, but nothing in which a secret may have begun. */
  const interrupt = (): void => {
    if (current !== undefined) streams.get(current)?.flush();
    current = undefined;
    closeGroup();
  };
  const finishAll = (): void => {
    for (const from of [...streams.keys()]) finish(from);
    closeGroup();
  };
  const timer = setInterval(
    () => {
      if (doing === undefined || performance.now() - printedAt < heartbeat) return;
      const text = `  ...     still at ${doing.what}, ${formatDuration(performance.now() - doing.since)} so far`;
      for (const line of safeLines([text])) source === undefined ? sink.line(line) : sink.outputLine(line);
      notePrinted();
    },
    Math.max(10, Math.round(heartbeat / 5)),
  );
  timer.unref();

  return {
    log(entry) {
      if (entry.kind === 'debug')
        return safeLines(formatLogEntry(entry)).forEach((line) => void sink.debug(line));
      doing = activity(entry, doing);
      notePrinted();
      if (entry.kind === 'output') {
        if (current !== entry.source) interrupt();
        current = entry.source;
        return streamOf(entry.source).take(entry.text);
      }
      if (entry.kind === 'phase-ended') finishAll();
      else interrupt();
      for (const line of safeLines(formatLogEntry(entry))) sink.line(line);
    },
    end() {
      clearInterval(timer);
      finishAll();
    },
  };
}

function activity(
  entry: LogEntry,
  before: { what: string; since: number } | undefined,
): { what: string; since: number } | undefined {
  const since = performance.now();
  switch (entry.kind) {
    case 'phase-started':
      return { what: entry.phase, since };
    case 'progress':
      return { what: (linesOf(entry.text)[0] ?? '').replace(/[.…]+$/, ''), since };
    case 'step':
      return { what: entry.phase, since: before?.since ?? since };
    case 'phase-ended':
      return undefined;
    default:
      return before;
  }
}

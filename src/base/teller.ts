import { formatDuration } from './duration.js';
import { inertLine } from './inert.js';
import type { Log, LogEntry } from './log.js';
import { voice } from './voice.js';
import { wholeLines } from './whole-lines.js';

/** Where the lines go: the runner's log or a terminal. Every text it is given is inert and holds no secret. */
export interface Sink {
  line(text: string): void;
  debug(text: string): void;
  /** Lines of a program's output come between these two. */
  openOutput(source: string): void;
  outputLine(text: string): void;
  closeOutput(): void;
}

export interface Teller {
  readonly log: Log;
  /** Says what is still held back and stops the heartbeat. */
  end(): void;
}

/** A line at least this often while something runs, so that nobody takes the run for dead. Milliseconds. */
const HEARTBEAT = 25_000;

/** Longer lines (minified code in a build's output) are cut with a count. */
const LONGEST_LINE = 2_000;

/** Turns entries into lines: cleans them, groups the output of programs, and speaks up in silence. */
export function teller(sink: Sink, clean: (text: string) => string, heartbeat = HEARTBEAT): Teller {
  let source: string | undefined;
  let spokeAt = performance.now();
  let doing: { what: string; since: number } | undefined;

  const spoke = (): void => {
    spokeAt = performance.now();
  };
  const outputLine = (line: string): void => {
    // Cleaned already; once more where control characters that are gone now had split a secret.
    const inert = inertLine(line);
    const text = inert === line ? line : clean(inert);
    if (text.trim() === '') return;
    const rest = text.length - LONGEST_LINE;
    sink.outputLine(rest > 0 ? `${text.slice(0, LONGEST_LINE)} ... ${rest} more characters` : text);
  };
  const lines = wholeLines(clean, (text) => {
    for (const line of text.replace(/\n$/, '').split('\n')) outputLine(line);
  });
  const closeOutput = (): void => {
    if (source === undefined) return;
    lines.finish();
    source = undefined;
    sink.closeOutput();
  };
  const output = (from: string, text: string): void => {
    if (source !== from) {
      closeOutput();
      source = from;
      sink.openOutput(clean(inertLine(from)));
    }
    lines.take(text);
  };
  const timer = setInterval(
    () => {
      if (doing === undefined || performance.now() - spokeAt < heartbeat) return;
      const line = clean(
        `  ...     still at ${doing.what}, ${formatDuration(performance.now() - doing.since)} so far`,
      );
      if (source === undefined) sink.line(line);
      else sink.outputLine(line);
      spoke();
    },
    Math.max(10, Math.round(heartbeat / 5)),
  );
  timer.unref();

  return {
    log(entry) {
      if (entry.kind === 'debug') return voice(entry).forEach((line) => void sink.debug(clean(line)));
      doing = activity(entry, doing);
      spoke();
      if (entry.kind === 'output') return output(entry.source, entry.text);
      closeOutput();
      for (const line of voice(entry)) sink.line(clean(line));
    },
    end() {
      clearInterval(timer);
      closeOutput();
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
      return { what: inertLine(entry.text.split('\n')[0] ?? '').replace(/[.…]+$/, ''), since };
    case 'step':
      return { what: entry.phase, since: before?.since ?? since };
    case 'phase-ended':
      return undefined;
    default:
      return before;
  }
}

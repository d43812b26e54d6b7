import { parseDuration } from '../base/duration.js';
import { invisibleCharacter } from '../base/invisible.js';
import type { InputName, ReadInput } from './inputs.js';
import type { InputProblem } from './settings.js';
import { shown } from './shown.js';

/** The nearest of `words` to a misspelt one, or undefined where none is near (more than 2 edits away). */
export function nearest(word: string, words: readonly string[]): string | undefined {
  let best: string | undefined;
  let distance = 3;
  for (const candidate of words) {
    const edits = editDistance(word.trim().toLowerCase(), candidate);
    if (edits < distance) {
      best = candidate;
      distance = edits;
    }
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length]!;
}

/** Items of a list input: one per line or comma-separated; commas inside double quotes do not count. */
export function splitList(text: string, { parentheses = false } = {}): string[] {
  const items: string[] = [];
  let item = '';
  let quoted = false;
  let depth = 0;
  for (const character of text) {
    if (character === '"') quoted = !quoted;
    if (parentheses && !quoted)
      depth = Math.max(0, depth + (character === '(' ? 1 : character === ')' ? -1 : 0));
    if (!quoted && depth === 0 && (character === ',' || character === '\n' || character === '\r')) {
      items.push(item);
      item = '';
    } else item += character;
  }
  items.push(item);
  return items.map((entry) => entry.trim()).filter((entry) => entry !== '');
}

/** Without one pair of equal quotes around it: people quote paths also where YAML or the list needs none. */
export function unquoted(path: string): string {
  return /^(["'`])(.*)\1$/s.exec(path)?.[2] ?? path;
}

/** Reads typed values and gathers every complaint instead of stopping at the first. */
export interface InputReader {
  readonly problems: readonly InputProblem[];
  readonly warnings: readonly InputProblem[];
  complain(name: InputName, wrong: string, right: string): void;
  /** Complains, and takes no further complaint about this input: each would be about the same mistake again. */
  refuse(name: InputName, wrong: string, right: string): void;
  /** Something that a person should know and that is no reason to refuse the run. */
  warn(name: InputName, wrong: string, right: string): void;
  /** True where one of these inputs has been complained about. */
  complained(...names: InputName[]): boolean;
  text(name: InputName): string;
  optional(name: InputName): string | undefined;
  choice<const T extends string>(name: InputName, choices: readonly T[]): T;
  boolean(name: InputName): boolean;
  /** Milliseconds. */
  duration(name: InputName): number;
  optionalDuration(name: InputName): number | undefined;
  integer(name: InputName, least: number, most: number): number;
  optionalInteger(name: InputName, least: number, most: number): number | undefined;
  list(name: InputName): string[];
  /** A list whose items hold commas in parentheses, as the arguments of functions. */
  calls(name: InputName): string[];
  /** Without quotes around it. */
  path(name: InputName): string;
  paths(name: InputName): string[];
}

/** Milliseconds. Timers hold no more than 596 hours, and some add up several durations. */
const LONGEST_DURATION = 168 * 3_600_000;

/** An input reader over one source of raw strings. Secrets are never read through it. */
export function inputReader(read: ReadInput): InputReader {
  const problems: InputProblem[] = [];
  const warnings: InputProblem[] = [];
  const refused = new Set<InputName>();
  const complain = (input: InputName, wrong: string, right: string): void => {
    const message = `${input}: ${wrong}`;
    // An input that several parts read is wrong once.
    const told = problems.some((problem) => problem.message === message);
    if (!refused.has(input) && !told) problems.push({ input, message, next: right });
  };

  function text(name: InputName): string {
    const value = read(name);
    const invisible = invisibleCharacter(value.replace(/[\n\r\t]/g, ' '));
    if (invisible)
      complain(name, `holds the invisible character ${invisible}`, 'Type the value again without it.');
    return value;
  }

  function duration(name: InputName): number {
    const milliseconds = parseDuration(text(name));
    if (milliseconds === undefined || milliseconds === 0) {
      complain(
        name,
        `${shown(read(name))} is not a duration`,
        'Use a whole number with a unit: 500ms, 10s, 5m or 1h.',
      );
      return 1;
    }
    if (milliseconds > LONGEST_DURATION) {
      complain(name, `${shown(read(name))} is longer than 168h`, 'Use at most 168h, which is a week.');
      return LONGEST_DURATION;
    }
    return milliseconds;
  }

  function integer(name: InputName, least: number, most: number): number {
    const value = text(name);
    const number = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN;
    if (Number.isNaN(number) || number < least || number > most) {
      complain(
        name,
        `${shown(value)} is not a whole number from ${least} to ${most}`,
        `Use a whole number from ${least} to ${most}, without a unit.`,
      );
      return least;
    }
    return number;
  }

  return {
    problems,
    warnings,
    complain,
    refuse(name, wrong, right) {
      complain(name, wrong, right);
      refused.add(name);
    },
    warn: (input, wrong, right) => void warnings.push({ input, message: `${input}: ${wrong}`, next: right }),
    complained: (...names) => problems.some(({ input }) => names.includes(input)),
    text,
    duration,
    integer,
    optional: (name) => text(name) || undefined,
    optionalDuration: (name) => (read(name) === '' ? undefined : duration(name)),
    optionalInteger: (name, least, most) => (read(name) === '' ? undefined : integer(name, least, most)),
    list: (name) => splitList(text(name)),
    calls: (name) => splitList(text(name), { parentheses: true }),
    path: (name) => unquoted(text(name)),
    paths: (name) => splitList(text(name)).map(unquoted),
    choice(name, choices) {
      const value = text(name);
      const found = choices.find((choice) => choice === value);
      if (found !== undefined) return found;
      const near = nearest(value, choices);
      complain(
        name,
        `${shown(value)} is not known`,
        `${near ? `Did you mean "${near}"? ` : ''}It takes one of: ${choices.join(', ')}.`,
      );
      return choices[0]!;
    },
    boolean(name) {
      const value = text(name);
      if (/^(true|True|TRUE)$/.test(value)) return true;
      if (!/^(false|False|FALSE)$/.test(value)) {
        complain(name, `${shown(value)} is not a boolean`, 'Use true or false.');
      }
      return false;
    },
  };
}

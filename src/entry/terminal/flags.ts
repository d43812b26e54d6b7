import { INPUT_NAMES, type InputName, inputRule } from '../../inputs/input-sources.js';
import { nearest } from '../../inputs/nearest.js';
import { MODES, type Mode } from '../../inputs/settings.js';
import { definedOnly } from '../../lib/defined-only.js';
import type { Problem } from '../../lib/report.js';

/** What the words after `muva-deploy` say, before anything is made of the values. */
export interface Flags<Name extends string = InputName> {
  readonly values: ReadonlyMap<Name, string>;
  readonly asked?: 'help' | 'version';
  readonly problems: Problem[];
}

/** All that is taken for a flag: a value may begin with dashes too, as a PEM key does. */
const FLAG = /^--([a-z][a-z-]{0,39})(?:=([\s\S]*))?$/;
/** Where only a flag can stand, these are told as the flag that they nearly are: `-app-name`, `--app_name`. */
const ODD_FLAG = /^-+([A-Za-z][\w-]{0,39})(?:=([\s\S]*))?$/;

const ASKS: ReadonlyMap<string, Flags['asked']> = new Map([
  ['--help', 'help'],
  ['-h', 'help'],
  ['--version', 'version'],
  ['-v', 'version'],
] as const);

export const MODE_HINT = `The modes are: ${MODES.join(', ')}. muva-deploy init writes a workflow.`;

/**
 * Reads `<mode> --input value --input=value`; the mode only where `names` holds it. A boolean input may stand alone
 * and then means true. Everything that is not understood is complained about; nothing is guessed.
 *
 * A complaint quotes the names of flags only. A word in the wrong place may be a password, or the second line of a
 * key that lost its quotes: it is told by the word before it.
 */
export function parseFlags<Name extends string>(
  words: readonly string[],
  names: readonly Name[],
): Flags<Name> {
  const values = new Map<Name, string>();
  const problems: Problem[] = [];
  const mode = names.find((name) => name === 'mode');
  let asked: Flags['asked'];
  let place = 'the first word';
  // One complaint for all the words of a value that lost its quotes.
  let complained = false;
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    const flag = flagIn(word, names, FLAG) ?? nearly(flagIn(word, names, ODD_FLAG));
    if (ASKS.has(word)) asked ??= ASKS.get(word);
    else if (flag !== undefined) {
      const { value, taken } = valueBehind(flag, words[at + 1], names);
      at += taken;
      const wrong = flagProblem(flag, value, values);
      if (wrong !== undefined) problems.push(wrong);
      else values.set(flag.name!, value!);
      place = taken === 0 ? `the word after ${flag.written}` : `the word after the value of ${flag.written}`;
      complained = false;
    } else if (word === 'help') asked ??= 'help';
    else if (mode !== undefined && !values.has(mode) && isMode(word)) {
      values.set(mode, word);
      place = 'the word after the mode';
      complained = false;
    } else if (!complained) {
      const missing = mode !== undefined && !values.has(mode);
      problems.push(missing && !word.startsWith('-') ? noMode(place, word) : oneTooMany(place, word));
      complained = true;
      const meant = nearest(word, MODES);
      // What else is wrong is judged by the mode that was meant; with this problem the run is refused all the same.
      if (missing && meant !== undefined) values.set(mode, meant);
    }
  }
  return { values, ...definedOnly({ asked }), problems };
}

interface Flag<Name> {
  /** Without its value, dashes as they were typed. */
  readonly written: string;
  readonly name: Name | undefined;
  /** The name that it nearly is, where it is none. */
  readonly near: Name | undefined;
  /** What stands behind the `=`. */
  readonly value: string | undefined;
}

function flagIn<Name extends string>(
  word: string,
  names: readonly Name[],
  pattern: RegExp,
): Flag<Name> | undefined {
  const [, written, value] = pattern.exec(word) ?? [];
  if (written === undefined) return undefined;
  const dashes = word.slice(0, word.indexOf(written));
  const name = dashes === '--' ? names.find((known) => known === written) : undefined;
  const near = nearest(written, names);
  return {
    written: dashes + written,
    name,
    near: name === undefined ? names.find((known) => known === near) : undefined,
    value,
  };
}

function nearly<Name>(flag: Flag<Name> | undefined): Flag<Name> | undefined {
  return flag?.near === undefined ? undefined : flag;
}

/** The value of a flag, and whether the next word was taken for it. */
function valueBehind<Name extends string>(
  flag: Flag<Name>,
  next: string | undefined,
  names: readonly Name[],
): { value: string | undefined; taken: 0 | 1 } {
  if (flag.value !== undefined) return { value: flag.value, taken: 0 };
  const name = flag.name ?? flag.near;
  const like = next === undefined ? undefined : flagIn(next, names, FLAG);
  if (name === undefined || isBoolean(name)) {
    // Only where it is meant for it: `--rehearse false`, not `--rehearse plan`.
    const taken = next !== undefined && like === undefined && !isMode(next);
    return taken ? { value: next, taken: 1 } : { value: 'true', taken: 0 };
  }
  if (next === undefined) return { value: undefined, taken: 0 };
  if (like === undefined) return { value: next, taken: 1 };
  // A flag of ours, so the value was forgotten; or a word like one, and then nobody but its writer knows which it is.
  const ours = like.name !== undefined || like.near !== undefined || ASKS.has(like.written);
  return { value: undefined, taken: ours ? 0 : 1 };
}

function flagProblem<Name extends string>(
  flag: Flag<Name>,
  value: string | undefined,
  values: ReadonlyMap<Name, string>,
): Problem | undefined {
  const { written, name, near } = flag;
  if (name === undefined)
    return {
      message: `${written} is not known`,
      next: `${near === undefined ? '' : `Did you mean --${near}? `}muva-deploy --help lists all flags.`,
    };
  if (value === undefined)
    return {
      message: `${written} has no value`,
      next: `Write ${written} <value>, or ${written}=<value> where it looks like a flag.`,
    };
  if (values.has(name))
    return {
      message: `${name} is given twice`,
      next: 'Give it once; lists are separated by commas or line breaks.',
    };
  return undefined;
}

function noMode(place: string, word: string): Problem {
  if (word === 'init')
    return {
      message: `mode: ${place} is init, which only the first can be`,
      next: 'Write muva-deploy init, and its flags after it.',
    };
  const near = nearest(word, [...MODES, 'init']);
  const hint = near === undefined ? '' : `Did you mean "${near}"? `;
  return { message: `mode: ${place} is not a mode`, next: hint + MODE_HINT };
}

function oneTooMany(place: string, word: string): Problem {
  if (word.startsWith('-'))
    return { message: `${place} is not a flag`, next: 'muva-deploy --help lists all flags.' };
  return {
    message: `${place} is one too many`,
    next: 'A value follows its flag, and stands in quotes where it holds blanks: --input "two words".',
  };
}

function isBoolean(name: string): boolean {
  // `--force` is a flag of init alone.
  return (
    name === 'force' || INPUT_NAMES.some((input) => input === name && inputRule(input).kind === 'boolean')
  );
}

function isMode(word: string): word is Mode {
  return (MODES as readonly string[]).includes(word);
}

/** Secrets given as flags: every user of the machine can read them in the process list. */
export function visibleSecrets(values: ReadonlyMap<InputName, string>): Problem[] {
  return [...values.keys()]
    .filter((name) => inputRule(name).secret)
    .map((name) => ({
      message: `${name} was given as a flag and can be seen in the process list`,
      next: `Set the environment variable ${inputRule(name).env[0]} instead.`,
    }));
}

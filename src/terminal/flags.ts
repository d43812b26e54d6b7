import type { Problem } from '../base/report.js';
import { INPUT_NAMES, type InputName, inputRule } from '../settings/inputs.js';
import { nearest } from '../settings/readers.js';
import { MODES } from '../settings/settings.js';

export interface Flags {
  readonly values: ReadonlyMap<InputName, string>;
  readonly help: boolean;
  readonly problems: Problem[];
}

/**
 * Reads `<mode> --input value --input=value`. A boolean input may stand alone and then means true.
 * Everything that is not understood is complained about; nothing is guessed.
 */
export function parseFlags(argv: readonly string[]): Flags {
  const values = new Map<InputName, string>();
  const problems: Problem[] = [];
  let help = false;
  for (let at = 0; at < argv.length; at++) {
    const word = argv[at]!;
    if (word === '--help' || word === '-h' || word === 'help') {
      help = true;
      continue;
    }
    if (!word.startsWith('-')) {
      if (values.has('mode'))
        problems.push({
          message: `${JSON.stringify(word)} is one word too many`,
          next: 'Values follow a flag: --input value.',
        });
      else values.set('mode', word);
      continue;
    }
    const equals = word.indexOf('=');
    const flag = equals < 0 ? word : word.slice(0, equals);
    const name = INPUT_NAMES.find((known) => `--${known}` === flag);
    if (name === undefined) {
      const near = nearest(flag.replace(/^-+/, ''), INPUT_NAMES);
      const hint = near ? `Did you mean --${near}? ` : '';
      problems.push({ message: `${flag} is not known`, next: `${hint}muva-deploy --help lists all flags.` });
      // Its value, if one follows, would only be complained about a second time.
      if (equals < 0 && argv[at + 1]?.startsWith('-') === false) at++;
      continue;
    }
    let value: string | undefined;
    if (equals >= 0) value = word.slice(equals + 1);
    else if (argv[at + 1] !== undefined && !argv[at + 1]!.startsWith('--'))
      value = takesNext(name, argv[at + 1]!) ? argv[++at] : 'true';
    else if (isBoolean(name)) value = 'true';
    if (value === undefined)
      problems.push({
        message: `--${name} has no value`,
        next: `Write --${name} <value> or --${name}=<value>.`,
      });
    else if (values.has(name))
      problems.push({
        message: `${name} is given twice`,
        next: 'Give it once; lists are separated by commas or line breaks.',
      });
    else values.set(name, value);
  }
  if (!values.has('mode') && !help) {
    problems.push({
      message: 'mode: is missing',
      next: `Say what to do: muva-deploy ${MODES.join(' | ')}. muva-deploy --help tells more.`,
    });
  }
  return { values, help, problems };
}

function isBoolean(name: InputName): boolean {
  const { fallback } = inputRule(name);
  return fallback === 'true' || fallback === 'false';
}

/** A boolean flag takes the next word only where that is meant for it: `--rehearse false`, not `--rehearse plan`. */
function takesNext(name: InputName, next: string): boolean {
  return !isBoolean(name) || !(MODES as readonly string[]).includes(next);
}

/** Secrets given as flags: every user of the machine can read them in the process list. */
export function visibleSecrets(values: ReadonlyMap<InputName, string>): Problem[] {
  return [...values.keys()]
    .filter((name) => inputRule(name).secret)
    .map((name) => {
      const [variable] = inputRule(name).env;
      return {
        message: `${name} was given as a flag and can be seen in the process list`,
        ...(variable === undefined ? {} : { next: `Set the environment variable ${variable} instead.` }),
      };
    });
}

import { parseDuration } from '../lib/duration.js';
import { codePoint, invisibleCharacter } from '../lib/invisible.js';
import { Secret } from '../lib/secret.js';
import { splitList, withoutQuotes } from './lists.js';
import { nearest } from './nearest.js';
import { quoteEntryIfSafe, quoteIfSafe } from './quote-if-safe.js';

/** One input while it is read. */
export interface Field {
  /** Trimmed, except where the input keeps its text byte for byte; the default where nothing was given. */
  readonly value: string;
  complain(wrong: string, right: string): void;
}

/**
 * What an input's text can mean. Reading complains about what is not right and then gives something of the type all
 * the same, so that the inputs behind it are read too; a run with a complaint is refused.
 */
export interface InputKind<Value> {
  readonly kind: KindName;
  readonly read: (field: Field) => Value;
}

export type KindName =
  | 'text'
  | 'choice'
  | 'boolean'
  | 'duration'
  | 'integer'
  | 'list'
  | 'path'
  /** Masked in all that is told, and kept in a Secret. */
  | SecretKindName;

export type SecretKindName =
  | 'secret'
  /** The password in it is masked by itself too. */
  | 'database-url'
  /** Lines of NAME=value; the secret ones are masked by themselves too. */
  | 'env-file';

export interface SecretKind extends InputKind<Secret | undefined> {
  readonly kind: SecretKindName;
}

/** Text without invisible characters. */
export const text: InputKind<string> = { kind: 'text', read: visibleText };

/** Text that may hold any character: whoever uses it says what is wrong with it. */
export const anyText: InputKind<string> = { kind: 'text', read: ({ value }) => value };

/**
 * One of a few words. `noun` is what complaints call them: "is not a mode. The modes are: ...".
 * A word that is none of them counts as the first.
 */
export function choice<const Word extends string>(
  words: readonly [Word, ...Word[]],
  noun?: string,
): InputKind<Word> {
  return {
    kind: 'choice',
    read(field) {
      const value = visibleText(field);
      const found = words.find((word) => word === value);
      if (found !== undefined) return found;
      const near = nearest(value, words);
      const hint = near === undefined ? '' : `Did you mean "${near}"? `;
      field.complain(
        `${quoteIfSafe(value)} is not ${noun === undefined ? 'known' : `a ${noun}`}`,
        `${hint}${noun === undefined ? 'It takes one of' : `The ${noun}s are`}: ${words.join(', ')}.`,
      );
      return words[0];
    },
  };
}

/** A list of a few words, which complaints call by `noun`; what is none of them is left out. */
export function choices<const Word extends string>(words: readonly Word[], noun: string): InputKind<Word[]> {
  return {
    kind: 'list',
    read: (field) =>
      splitList(visibleText(field)).flatMap((item, index) => {
        const found = words.find((word) => word === item);
        if (found !== undefined) return [found];
        field.complain(
          `${quoteEntryIfSafe(item, index)} is not a ${noun}`,
          `The ${noun}s are: ${words.join(', ')}.`,
        );
        return [];
      }),
  };
}

/** `true` and `false` as YAML 1.2 writes them. */
export const boolean: InputKind<boolean> = {
  kind: 'boolean',
  read(field) {
    const value = visibleText(field);
    if (/^(true|True|TRUE)$/.test(value)) return true;
    if (!/^(false|False|FALSE)$/.test(value))
      field.complain(`${quoteIfSafe(value)} is not a boolean`, 'Use true or false.');
    return false;
  },
};

/** Milliseconds. Timers hold no more than 596 hours, and some add up several durations. */
const LONGEST_DURATION = 168 * 3_600_000;

/** Milliseconds, at least 1. */
export const duration: InputKind<number> = {
  kind: 'duration',
  read(field) {
    const milliseconds = parseDuration(visibleText(field));
    if (milliseconds === undefined || milliseconds === 0) {
      field.complain(
        `${quoteIfSafe(field.value)} is not a duration`,
        'Use a whole number with a unit: 500ms, 10s, 5m or 1h.',
      );
      return 1;
    }
    if (milliseconds > LONGEST_DURATION) {
      field.complain(`${quoteIfSafe(field.value)} is longer than 168h`, 'Use at most 168h, which is a week.');
      return LONGEST_DURATION;
    }
    return milliseconds;
  },
};

/** Milliseconds, from none to `longest`, which complaints call `words`. */
export function durationUpTo(longest: number, words: string): InputKind<number> {
  return {
    kind: 'duration',
    read(field) {
      const milliseconds = parseDuration(visibleText(field));
      if (milliseconds !== undefined && milliseconds <= longest) return milliseconds;
      field.complain(
        milliseconds === undefined
          ? `${quoteIfSafe(field.value)} is not a duration`
          : `${quoteIfSafe(field.value)} is longer than ${words}`,
        `Use a whole number with a unit, from 0s to ${words}.`,
      );
      return 0;
    },
  };
}

export function integer(least: number, most: number): InputKind<number> {
  return {
    kind: 'integer',
    read(field) {
      const value = visibleText(field);
      const number = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN;
      if (number >= least && number <= most) return number;
      field.complain(
        `${quoteIfSafe(value)} is not a whole number from ${least} to ${most}`,
        `Use a whole number from ${least} to ${most}, without a unit.`,
      );
      return least;
    },
  };
}

/** One per line, or separated by commas. */
export const list: InputKind<string[]> = { kind: 'list', read: (field) => splitList(visibleText(field)) };

/** A list whose items hold commas in parentheses, as the arguments of functions. */
export const calls: InputKind<string[]> = {
  kind: 'list',
  read: (field) => splitList(visibleText(field), { parentheses: true }),
};

/** Without quotes around it. */
export const path: InputKind<string> = { kind: 'path', read: (field) => withoutQuotes(visibleText(field)) };

export const paths: InputKind<string[]> = {
  kind: 'list',
  read: (field) => splitList(visibleText(field)).map(withoutQuotes),
};

/** A secret of any form: whoever uses it says what is wrong with it. */
export const anySecret: SecretKind = { kind: 'secret', read: secretOf };
export const databaseUrl: SecretKind = { kind: 'database-url', read: secretOf };
export const envFile: SecretKind = { kind: 'env-file', read: secretOf };

/** A key or token that travels in an HTTP header. Complaints name no part of it. */
export const key: SecretKind = {
  kind: 'secret',
  read(field) {
    const stranger = /[^\x21-\x7e]/u.exec(field.value)?.[0];
    if (stranger !== undefined)
      field.complain(
        `holds ${characterName(stranger)}, which no key or token has`,
        'Copy it again, as one line; a dashboard shows dots in its place until it is revealed.',
      );
    return secretOf(field);
  },
};

function secretOf({ value }: Field): Secret | undefined {
  return value.trim() === '' ? undefined : new Secret(value);
}

function visibleText({ value, complain }: Field): string {
  const invisible = invisibleCharacter(value.replace(/[\n\r\t]/g, ' '));
  if (invisible) complain(`holds the invisible character ${invisible}`, 'Type the value again without it.');
  return value;
}

function characterName(character: string): string {
  if (character === '\n' || character === '\r') return 'a line break';
  if (character === ' ') return 'a blank';
  return codePoint(character);
}

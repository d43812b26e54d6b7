/**
 * Readers of values that somebody else made (a server's JSON): each gives a value of its type, or throws Mismatch. What
 * is read is a copy of the fields that the type has and of nothing else, of bounded length.
 */
export type Read<T> = (value: unknown) => T;

/** The value is not what it should be; the message says where and what. */
export class Mismatch extends Error {
  constructor(
    readonly expected: string,
    readonly path: readonly string[] = [],
  ) {
    super(path.length === 0 ? `is not ${expected}` : `${path.join('.')} is not ${expected}`);
  }

  /** The same, seen from what the value is a part of. */
  within(name: string): Mismatch {
    return new Mismatch(this.expected, [name, ...this.path]);
  }
}

/** Characters; longer texts are cut. */
const LONGEST_TEXT = 64_000;

/** Reads a text of at most 64,000 characters; a longer one is cut. @throws Mismatch */
export const text: Read<string> = (value) => {
  if (typeof value !== 'string') throw new Mismatch('a text');
  return value.slice(0, LONGEST_TEXT);
};

/** Reads true or false. @throws Mismatch */
export const flag: Read<boolean> = (value) => {
  if (typeof value !== 'boolean') throw new Mismatch('true or false');
  return value;
};

/** Reads a number from `least` to `most`, both included. @throws Mismatch (the reader) */
export function number(least: number, most: number): Read<number> {
  return (value) => {
    if (typeof value !== 'number' || !(value >= least && value <= most))
      throw new Mismatch(`a number from ${least} to ${most}`);
    return value;
  };
}

/** Reads a whole number from `least` on. @throws Mismatch (the reader) */
export function whole(least = 0): Read<number> {
  return (value) => {
    if (!Number.isSafeInteger(value) || (value as number) < least) throw new Mismatch('a whole number');
    return value as number;
  };
}

/** Reads one of these values. @throws Mismatch (the reader) */
export function oneOf<const T extends string | boolean>(...values: readonly T[]): Read<T> {
  return (value) => {
    const known = values.find((each) => each === value);
    if (known === undefined) throw new Mismatch(values.map(String).join(', '));
    return known;
  };
}

/** Reads null, or what `read` reads. */
export function nullable<T>(read: Read<T>): Read<T | null> {
  return (value) => (value === null ? null : read(value));
}

/** Reads a list; entries above `most` are left out. @throws Mismatch (the reader), which names the entry */
export function list<T>(read: Read<T>, most = 1_000): Read<T[]> {
  return (value) => {
    if (!Array.isArray(value)) throw new Mismatch('a list');
    return value.slice(0, most).map((item, index) => inside(String(index), read, item));
  };
}

/** A field that may be missing. */
export interface Maybe<T> {
  readonly maybe: Read<T>;
}

/** Marks a field of a record as one that may be missing. */
export function maybe<T>(read: Read<T>): Maybe<T> {
  return { maybe: read };
}

/** A reader for every field of a type, so that a field which is added to the type is missed here by the compiler. */
export type Fields<T> = {
  readonly [K in keyof T]-?: undefined extends T[K] ? Maybe<Exclude<T[K], undefined>> : Read<T[K]>;
};

/** Reads an object by its fields. @throws Mismatch (the reader), which names the field */
export function record<T extends object>(fields: Fields<T>): Read<T> {
  const known = Object.entries<Read<unknown> | Maybe<unknown>>(fields as never);
  return (value) => {
    const given = asObject(value);
    const copy: Record<string, unknown> = {};
    for (const [name, field] of known) {
      const item = Object.hasOwn(given, name) ? given[name] : undefined;
      if (typeof field === 'function') copy[name] = inside(name, field, item);
      else if (item !== undefined) copy[name] = inside(name, field.maybe, item);
    }
    return copy as T;
  };
}

/** The variants of a type that `kind` tells apart. */
export type Variants<T extends { kind: string }> = {
  readonly [K in T['kind']]: Fields<Omit<Extract<T, { kind: K }>, 'kind'>>;
};

/** Reads an object by its `kind`. @throws Mismatch (the reader) */
export function byKind<T extends { kind: string }>(variants: Variants<T>): Read<T> {
  const readers = new Map(
    Object.entries<Fields<object>>(variants as never).map(([kind, fields]) => [kind, record(fields)]),
  );
  return (value) => {
    const { kind } = asObject(value);
    const read = typeof kind === 'string' ? readers.get(kind) : undefined;
    if (read === undefined) throw new Mismatch(`one of ${[...readers.keys()].join(', ')}`, ['kind']);
    return { kind, ...read(value) } as T;
  };
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Mismatch('an object');
  return value as Record<string, unknown>;
}

function inside<T>(name: string, read: Read<T>, value: unknown): T {
  try {
    return read(value);
  } catch (error) {
    throw error instanceof Mismatch ? error.within(name) : error;
  }
}

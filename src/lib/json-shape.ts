/**
 * Readers of values that somebody else made (a server's JSON): each gives a value of its type, or throws Mismatch. What
 * is read is a copy of the fields that the type has and of nothing else, of bounded length.
 */
export type ReadJson<T> = (value: unknown) => T;

/** The value is not what it should be; the message says where and what. */
export class JsonMismatch extends Error {
  constructor(
    readonly expected: string,
    readonly path: readonly string[] = [],
  ) {
    super(path.length === 0 ? `is not ${expected}` : `${path.join('.')} is not ${expected}`);
  }

  /** The same, seen from what the value is a part of. */
  within(name: string): JsonMismatch {
    return new JsonMismatch(this.expected, [name, ...this.path]);
  }
}

/** Characters; longer texts are cut. */
const LONGEST_TEXT = 64_000;

/** Reads a text of at most 64,000 characters; a longer one is cut. @throws Mismatch */
export const jsonText: ReadJson<string> = (value) => {
  if (typeof value !== 'string') throw new JsonMismatch('a text');
  return value.slice(0, LONGEST_TEXT);
};

/** Reads true or false. @throws Mismatch */
export const jsonFlag: ReadJson<boolean> = (value) => {
  if (typeof value !== 'boolean') throw new JsonMismatch('true or false');
  return value;
};

/** Reads a number from `least` to `most`, both included. @throws Mismatch (the reader) */
export function jsonNumber(least: number, most: number): ReadJson<number> {
  return (value) => {
    if (typeof value !== 'number' || !(value >= least && value <= most))
      throw new JsonMismatch(`a number from ${least} to ${most}`);
    return value;
  };
}

/** Reads a whole number from `least` on. @throws Mismatch (the reader) */
export function jsonWhole(least = 0): ReadJson<number> {
  return (value) => {
    if (!Number.isSafeInteger(value) || (value as number) < least) throw new JsonMismatch('a whole number');
    return value as number;
  };
}

/** Reads one of these values. @throws Mismatch (the reader) */
export function jsonOneOf<const T extends string | boolean>(...values: readonly T[]): ReadJson<T> {
  return (value) => {
    const known = values.find((each) => each === value);
    if (known === undefined) throw new JsonMismatch(values.map(String).join(', '));
    return known;
  };
}

/** Reads null, or what `read` reads. */
export function jsonNullable<T>(read: ReadJson<T>): ReadJson<T | null> {
  return (value) => (value === null ? null : read(value));
}

/** Reads a list; entries above `most` are left out. @throws Mismatch (the reader), which names the entry */
export function jsonList<T>(read: ReadJson<T>, most = 1_000): ReadJson<T[]> {
  return (value) => {
    if (!Array.isArray(value)) throw new JsonMismatch('a list');
    return value.slice(0, most).map((item, index) => inside(String(index), read, item));
  };
}

/** A field that may be missing. */
export interface JsonOptional<T> {
  readonly maybe: ReadJson<T>;
}

/** Marks a field of a record as one that may be missing. */
export function jsonOptional<T>(read: ReadJson<T>): JsonOptional<T> {
  return { maybe: read };
}

/** A reader for every field of a type, so that a field which is added to the type is missed here by the compiler. */
export type JsonFields<T> = {
  readonly [K in keyof T]-?: undefined extends T[K] ? JsonOptional<Exclude<T[K], undefined>> : ReadJson<T[K]>;
};

/** Reads an object by its fields. @throws Mismatch (the reader), which names the field */
export function jsonRecord<T extends object>(fields: JsonFields<T>): ReadJson<T> {
  const known = Object.entries<ReadJson<unknown> | JsonOptional<unknown>>(fields as never);
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
export type JsonVariants<T extends { kind: string }> = {
  readonly [K in T['kind']]: JsonFields<Omit<Extract<T, { kind: K }>, 'kind'>>;
};

/** Reads an object by its `kind`. @throws Mismatch (the reader) */
export function jsonByKind<T extends { kind: string }>(variants: JsonVariants<T>): ReadJson<T> {
  const readers = new Map(
    Object.entries<JsonFields<object>>(variants as never).map(([kind, fields]) => [kind, jsonRecord(fields)]),
  );
  return (value) => {
    const { kind } = asObject(value);
    const read = typeof kind === 'string' ? readers.get(kind) : undefined;
    if (read === undefined) throw new JsonMismatch(`one of ${[...readers.keys()].join(', ')}`, ['kind']);
    return { kind, ...read(value) } as T;
  };
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new JsonMismatch('an object');
  return value as Record<string, unknown>;
}

function inside<T>(name: string, read: ReadJson<T>, value: unknown): T {
  try {
    return read(value);
  } catch (error) {
    throw error instanceof JsonMismatch ? error.within(name) : error;
  }
}

import { createHash } from 'node:crypto';
import type { StatementResult } from '../connection/connection.js';
import { jsonField, lastRow } from '../connection/results.js';
import { literal } from '../sql/sql-text.js';
import { DETERMINISTIC_SETTINGS, OBJECTS_QUERY, OWNERLESS_OBJECTS_QUERY } from './fingerprint-sql.js';

/** One object of the schema at one moment. The hash stands for its whole definition, owner included. */
export interface SchemaObject {
  kind: string;
  /** Empty for what belongs to no schema, such as a publication. */
  schema: string;
  name: string;
  /** 16 hex digits. */
  hash: string;
}

export interface SchemaDifference {
  added: SchemaObject[];
  removed: SchemaObject[];
  altered: SchemaObject[];
}

/** How objects travel and are stored: [kind, schema, name, hash], about 80 bytes each. */
export type StoredObject = [kind: string, schema: string, name: string, hash: string];

/** SQL that sets what the fingerprint needs, until the transaction ends. */
export const SET_DETERMINISTIC = Object.entries(DETERMINISTIC_SETTINGS)
  .map(([name, value]) => `set local ${name} = ${literal(value)};`)
  .join(' ');

/** One message, one flight; its last statement gives one row: `objects` (StoredObject[]) and `fingerprint`. */
export function fingerprintQuery(): string {
  return `${SET_DETERMINISTIC} ${FINGERPRINT_ROW};`;
}

/** The same without the owners. */
export function ownerlessQuery(): string {
  return `${SET_DETERMINISTIC} ${rowOf(OWNERLESS_OBJECTS_QUERY)};`;
}

/** A SELECT with one row: `objects` as jsonb and `fingerprint` as text; needs DETERMINISTIC_SETTINGS. */
export const FINGERPRINT_ROW = rowOf(OBJECTS_QUERY);

function rowOf(objects: string): string {
  return `
select coalesce(jsonb_agg(jsonb_build_array(kind, schema, name, hash)), '[]') as objects,
  encode(sha256(convert_to(coalesce(string_agg(line, E'\\n' order by line collate "C"), ''), 'UTF8')), 'hex') as fingerprint
from (select *, kind || '|' || schema || '|' || name || '|' || hash as line from (${objects}) o) o`;
}

export interface SchemaFingerprint {
  fingerprint: string;
  objects: SchemaObject[];
}

/** Reads the answer to `fingerprintQuery`. */
export function readFingerprint(results: readonly StatementResult[]): SchemaFingerprint {
  const { fingerprint } = lastRow(results);
  if (typeof fingerprint !== 'string') throw new Error('the fingerprint query gave no row');
  return { fingerprint, objects: readObjects(jsonField<StoredObject[]>(results, 'objects')) };
}

/** Stored objects as they are worked with; none where nothing is stored. */
export function readObjects(stored: readonly StoredObject[] | null | undefined): SchemaObject[] {
  return (stored ?? []).map(([kind, schema, name, hash]) => ({ kind, schema, name, hash }));
}

/** The same text that the server computes over all objects; the order in which they come does not matter. */
export function fingerprintOf(objects: readonly SchemaObject[]): string {
  const lines = objects
    .map(({ kind, schema, name, hash }) => Buffer.from(`${kind}|${schema}|${name}|${hash}`))
    .sort(Buffer.compare)
    .map(String);
  return createHash('sha256').update(lines.join('\n')).digest('hex');
}

/** What was added, removed and altered between two moments, each by kind, schema and name. */
export function compareObjects(
  before: readonly SchemaObject[],
  after: readonly SchemaObject[],
): SchemaDifference {
  const old = new Map(before.map((object) => [keyOf(object), object]));
  const difference: SchemaDifference = { added: [], removed: [], altered: [] };
  for (const object of after) {
    const was = old.get(keyOf(object));
    if (!was) difference.added.push(object);
    else if (was.hash !== object.hash) difference.altered.push(object);
    old.delete(keyOf(object));
  }
  difference.removed.push(...old.values());
  for (const list of Object.values(difference)) list.sort(byName);
  return difference;
}

function keyOf(object: Pick<SchemaObject, 'kind' | 'schema' | 'name'>): string {
  return `${object.kind}\n${object.schema}\n${object.name}`;
}

/** True where nothing differs. */
export function isSameSchema(difference: SchemaDifference): boolean {
  return difference.added.length + difference.removed.length + difference.altered.length === 0;
}

/** `table public.hotels`, `policy public."read on hotels"`, `publication supabase_realtime`. */
function describeObject({ kind, schema, name }: SchemaObject): string {
  if (name === '') return `${kind} ${schema}`;
  return schema === '' ? `${kind} ${name}` : `${kind} ${schema}.${name}`;
}

/**
 * The difference in words, at most `most` objects. What follows from a table that came or went (its columns,
 * constraints, grants) is not told again.
 */
export function describeDifference(difference: SchemaDifference, most = 10): string {
  const told: string[] = [];
  for (const [word, list] of Object.entries(difference) as [string, SchemaObject[]][]) {
    const whole = new Set(
      list.filter(({ kind }) => OWNERS.has(kind)).map(({ schema, name }) => `${schema}.${name}`),
    );
    for (const object of list) if (!belongsTo(object, whole)) told.push(`${word} ${describeObject(object)}`);
  }
  const rest = told.length - most;
  return told.slice(0, most).join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}

const OWNERS = new Set([
  'table',
  'view',
  'materialized view',
  'foreign table',
  'function',
  'procedure',
  'type',
]);

/** Whether it is a part of one of the tables: a column, a constraint, a grant. `whole`: as `schema.name`. */
export function belongsTo({ kind, schema, name }: SchemaObject, whole: ReadonlySet<string>): boolean {
  if (kind.startsWith('grants on ')) return whole.has(`${schema}.${name}`);
  if (kind === 'column') {
    // Names may hold dots: every prefix could be the table.
    for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1))
      if (whole.has(`${schema}.${name.slice(0, dot)}`)) return true;
    return false;
  }
  for (let on = name.indexOf(' on '); on >= 0; on = name.indexOf(' on ', on + 1))
    if (whole.has(`${schema}.${name.slice(on + 4)}`)) return true;
  return false;
}

function byName(a: SchemaObject, b: SchemaObject): number {
  const [left, right] = [keyOf(a), keyOf(b)];
  return left < right ? -1 : left > right ? 1 : 0;
}

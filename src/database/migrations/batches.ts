import { definedOnly } from '../../lib/defined-only.js';
import type { FileMode, FileShape } from './file-shape.js';
import type { MigrationFile } from './migration-files.js';
import { constraintsOf } from './validated-apart.js';

export interface PlannedFile extends MigrationFile {
  shape: FileShape;
}

/** Files that are committed together (one file alone where its mode is not `together`). */
export interface Batch {
  mode: FileMode;
  files: PlannedFile[];
  /** Why this batch does not belong to the one before it; undefined for the first. */
  why?: string;
}

/** Together all text of one batch stays far below the largest message that the protocol can carry. */
const LARGEST_BATCH = 64 * 1024 * 1024;

/** Groups files, in order, into as few transactions as PostgreSQL allows; or one per file. */
export function makeBatches(files: readonly PlannedFile[], transaction: 'all' | 'each'): Batch[] {
  const batches: Batch[] = [];
  let size = 0;
  let added: AddedValues[] = [];
  const unchecked = new Set<string>();
  for (const file of files) {
    const { mode, why } = file.shape;
    const previous = batches[batches.length - 1];
    const bytes = Buffer.byteLength(file.source);
    const { notValid, validated } = constraintsOf(file.shape);
    const waited = added.find(({ values }) => values.some((value) => mayName(file.source, value)));
    const looked = validated.find((constraint) => unchecked.has(constraint));
    const reason = !previous
      ? undefined
      : transaction === 'each'
        ? 'one transaction per file was asked for'
        : waited !== undefined
          ? `${waited.title} before it: a value added to an enum can be used only after the commit`
          : mode !== 'together'
            ? `${titleOf(file)}: ${why ?? mode}`
            : previous.mode !== 'together'
              ? `${titleOf(previous.files[0]!)} before it: ${previous.files[0]!.shape.why ?? previous.mode}`
              : looked !== undefined
                ? `${titleOf(file)} validates ${looked}, which a file before it adds NOT VALID: together that would lock the table all the while`
                : size + bytes > LARGEST_BATCH
                  ? 'the files before it fill one message'
                  : undefined;
    if (previous && reason === undefined) {
      previous.files.push(file);
      size += bytes;
    } else {
      batches.push({ mode, files: [file], ...definedOnly({ why: reason }) });
      size = bytes;
      unchecked.clear();
      added = [];
    }
    for (const constraint of notValid) unchecked.add(constraint);
    const values = addedValues(file.shape);
    if (values.length > 0) added.push({ title: titleOf(file), values });
  }
  return batches;
}

/** The values that one file adds to enums, which hold only once they are committed. */
interface AddedValues {
  title: string;
  values: readonly string[];
}

function addedValues({ statements = [] }: FileShape): string[] {
  return statements.flatMap(({ kind, node: { newVal, oldVal } }) =>
    kind === 'AlterEnumStmt' && typeof newVal === 'string' && oldVal === undefined ? [newVal] : [],
  );
}

/**
 * Whether a file may use a value of an enum: its text holds it, wherever that stands. Where a file makes it up (by ||, or
 * from rows) the server says so, and the batch is split there.
 */
function mayName(source: string, value: string): boolean {
  return source.includes(value.replaceAll("'", "''"));
}

/** What a migration is called in steps and messages; a history may hold no name for it. */
export function titleOf({ version, name }: { version: string; name: string | null }): string {
  return name ? `${version}_${name}` : version;
}

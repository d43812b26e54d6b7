import { createHash } from 'node:crypto';
import type { NonTransactionalKind } from '../migrations/non-transactional.js';

/** What of a file stands whose statements cannot all run in one transaction. */
export interface PartialMigration {
  version: string;
  /** Parts that are committed. */
  done: number;
  /** Bytes of the file's text up to the end of those parts, and their SHA-256. */
  bytes: number;
  prefix: string;
  /**
   * The statement behind them that was about to be sent outside a transaction: written before it is sent, and emptied
   * with the record that it was done, or when the server has refused it. Null: it was not sent.
   */
  sent: SentStatement | null;
}

export interface SentStatement {
  kind: NonTransactionalKind;
  /** Stands in a comment before the statement, so that its session can be found. */
  token: string;
  /** SHA-256 of the statement's text. */
  text: string;
  /** What was there before, by kind; null where nothing is needed to tell whether it was done. */
  before: Readonly<Record<string, unknown>> | null;
}

/** The text of a file up to what stands of it, as it is recorded: editing it later would be a lie. */
export function prefixOf(text: string): Pick<PartialMigration, 'bytes' | 'prefix'> {
  return { bytes: Buffer.byteLength(text), prefix: createHash('sha256').update(text).digest('hex') };
}

/**
 * The UTF-16 index behind what stands of a file; undefined where the file no longer begins with the text that was
 * applied.
 */
export function standsUpTo(source: string, { bytes, prefix }: PartialMigration): number | undefined {
  const text = Buffer.from(source).subarray(0, bytes).toString();
  return prefixOf(text).prefix === prefix ? text.length : undefined;
}

/** SQL: a row of that table as PartialMigration. */
export const PARTIAL_JSON =
  "jsonb_build_object('version', version, 'done', done, 'bytes', bytes, 'prefix', prefix, 'sent', sent)";

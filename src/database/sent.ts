import { randomBytes } from 'node:crypto';
import type { Log } from '../base/log.js';
import type { Problem } from '../base/report.js';
import { type Batch, name } from './batches.js';
import type { Database, SendOptions } from './connection.js';
import type { SqlError } from './sql-error.js';
import type { UnitContext } from './unit.js';

export interface ApplyTools {
  database: Database;
  log: Log;
  signal: AbortSignal;
}

export type BatchContext = Omit<UnitContext, 'marker'>;

export interface FileTime {
  startedAt: number;
  /** As the server measured it. */
  milliseconds: number;
}

/** For an answer that is due: longer than the server gives a statement. */
export const GRACE = 30_000;
/** What came of one try. */
export interface Sent {
  error?: unknown;
  times: FileTime[];
  /** The file that was under way when the answer came; undefined before the first and where nobody tells. */
  current: number | undefined;
  /** Words an error of the server, with its place in the file where there is one. */
  explain: (error: SqlError) => Problem;
}

export function newMarker(): string {
  return `muva ${randomBytes(8).toString('hex')}`;
}

/** Reads the progress that the units tell while they run: times per file, and which one is under way. */
export function markerReader(
  tools: ApplyTools,
  marker: string,
  batch: Batch,
  sent: Sent,
): NonNullable<SendOptions['onNotice']> {
  return ({ message }) => {
    if (!message.startsWith(marker)) return;
    const [event, index, milliseconds] = message.slice(marker.length + 1).split(' ');
    const file = Number(index);
    if (event === 'start') {
      sent.current = file;
      sent.times[file] = { startedAt: Date.now(), milliseconds: 0 };
    } else if (event === 'done') {
      sent.times[file]!.milliseconds = Number(milliseconds);
      // Run, not applied: that is said after the commit only.
      tools.log({ kind: 'progress', text: `ran ${name(batch.files[file]!)}` });
    }
  };
}

export function serverProblem(error: SqlError): Problem {
  return {
    message: error.message,
    code: error.code,
    ...(error.hint === undefined ? {} : { next: error.hint }),
  };
}

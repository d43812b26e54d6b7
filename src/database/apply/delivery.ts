import { randomBytes } from 'node:crypto';
import type { Problem } from '../../lib/report.js';
import type { DatabaseAccess, SendOptions, StatementResult } from '../connection/connection.js';
import { jsonField } from '../connection/results.js';
import type { SqlError } from '../connection/sql-error.js';
import { MIGRATIONS_TABLE } from '../history/deploy-tables.js';
import { type Batch, titleOf } from '../migrations/batches.js';
import { NOT_LOOKED_AT } from '../schema/schema-record.js';
import { textArray } from '../sql/sql-text.js';
import type { StatementContext } from './migration-statement.js';
import type { NoticeBook } from './server-notices.js';

export interface BatchContext extends Omit<StatementContext, 'marker'> {
  /** What the server says meanwhile. */
  notices: NoticeBook;
  /** Milliseconds that the queries of verify-sql may take behind the last file. */
  checksTime?: number;
}

export interface FileTime {
  startedAt: number;
  /** As the server measured it. */
  milliseconds: number;
}

/** For an answer that is due: longer than the server gives a statement. */
export const ANSWER_GRACE = 30_000;
/** The longest that a job of GitHub lasts, in milliseconds. */
const LONGEST_JOB = 6 * 60 * 60_000;

/** Milliseconds within which the server speaks: where a file sets its own time-outs, nobody knows. */
export function answerWithin(
  { rules, checksTime = 0 }: Pick<BatchContext, 'rules' | 'checksTime'>,
  files: Batch['files'],
): number {
  const timed = files.some(({ shape }) => shape.timed !== undefined);
  return timed ? LONGEST_JOB : rules.statementTimeout + ANSWER_GRACE + checksTime;
}

/** What came of one try. */
export interface Delivery {
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

/** Milliseconds between two words about the file that is under way: a file that is done sooner is told at the end alone. */
const BETWEEN_WORDS = 1_000;

export interface MarkerReader {
  onNotice: NonNullable<SendOptions['onNotice']>;
  /** No more words: the answer has come. */
  close(): void;
}

/** Reads what the units tell while they run: times per file, and which one is under way, which is told on. */
export function markerReader(
  tools: DatabaseAccess,
  marker: string,
  { batch, context, sent }: { batch: Batch; context: BatchContext; sent: Delivery },
): MarkerReader {
  const readNote = noteReader(context);
  const { files } = batch;
  let running: number | undefined;
  let told: number | undefined;
  const timer = setInterval(() => {
    if (running === undefined || running === told) return;
    told = running;
    const place = files.length === 1 ? '' : ` (${running + 1} of ${files.length})`;
    // Nothing is applied before the commit, so nothing is called done here.
    tools.log({ kind: 'progress', text: `running ${titleOf(files[running]!)}${place}` });
  }, BETWEEN_WORDS);
  const begins = (file: number): void => {
    running = file;
    sent.current = file;
    sent.times[file] = { startedAt: Date.now(), milliseconds: 0 };
  };
  return {
    onNotice(notice) {
      readNote(notice);
      const { message } = notice;
      if (!message.startsWith(marker)) return;
      const [event, index, milliseconds] = message.slice(marker.length + 1).split(' ');
      const file = Number(index);
      if (event === 'start') begins(file);
      if (event !== 'done') return;
      const time = sent.times[file]!;
      time.milliseconds = milliseconds === undefined ? Date.now() - time.startedAt : Number(milliseconds);
      if (file + 1 < files.length) begins(file + 1);
      else running = undefined;
    },
    close: () => clearInterval(timer),
  };
}

/** Reads what the SQL around the files tells: that it could not look at the schema. */
export function noteReader({ onNotLookedAt }: BatchContext): NonNullable<SendOptions['onNotice']> {
  return ({ message }) => {
    if (message === NOT_LOOKED_AT) onNotLookedAt?.();
  };
}

/** For a transport without notices: asks, at the end of the message, when each file was done. */
export function timesMessage(files: Batch['files']): string {
  const versions = textArray(files.map((file) => file.version));
  return `select json_build_object('start', extract(epoch from now()) * 1000, 'ends',
    (select json_agg(extract(epoch from applied_at) * 1000 order by position) from ${MIGRATIONS_TABLE} where version = any (${versions})))::text as times`;
}

export function timesOf(results: readonly StatementResult[]): FileTime[] {
  const times = jsonField<{ start: number; ends: number[] | null }>(results, 'times');
  if (!times) return [];
  const { start, ends } = times;
  // Lengths by the server's clock, placed by ours: clocks of two machines are never compared.
  const shift = Date.now() - (ends?.[ends.length - 1] ?? start);
  return (ends ?? []).map((end, index) => {
    const begin = ends?.[index - 1] ?? start;
    return { startedAt: Math.round(begin + shift), milliseconds: Math.round(end - begin) };
  });
}

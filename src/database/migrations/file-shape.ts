import type { Problem } from '../../lib/report.js';
import type { Statement } from '../sql/parser.js';

/** How a file has to be run. */
export type FileMode =
  /** All of it in one statement of one message, together with its neighbours. */
  | 'together'
  /** In an explicit transaction over several messages: savepoints, SELECT INTO, files over 8 MiB. */
  | 'explicit'
  /**
   * In parts, each committed for itself: where the file has COMMITs of its own, or statements that no transaction can
   * hold, each of which runs alone.
   */
  | 'outside';

export interface FileShape {
  mode: FileMode;
  /** The text to run: psql's own lines, and the file's own BEGINs and COMMITs, blanked; all offsets kept. */
  source: string;
  /** Its statements; undefined where the parser did not understand the file and the server has to say. */
  statements?: Statement[];
  /** Where the file sets statement_timeout itself: what of it is one statement to the server, in order. */
  timed?: Statement[][];
  /** For mode `outside`: what is committed together, in order. */
  segments: Segment[];
  /** How many of the segments are committed already. */
  standing: number;
  /** How many transactions its own COMMITs make of it, from 1. */
  transactions: number;
  /** What parts make that only their session has, and later parts count on; and which parts. */
  sessionBound: { problem: Problem; made: number; used: number }[];
  /** Why the mode is not `together`. */
  why?: string;
  notices: Problem[];
  /** What is worth a line at most. */
  remarks: Remark[];
  problems: Problem[];
  /** What the parser complained about; the server is asked too and has the last word. */
  doubt?: Problem;
}

export interface Segment {
  /** True where the one statement cannot run in a transaction. */
  alone: boolean;
  /** True where a DO block cannot hold its statements. */
  explicit: boolean;
  /** True where statements of it run under a statement_timeout that the file has set. */
  timed: boolean;
  /** The isolation level that its transaction asks for. */
  isolation?: string;
  statements: Statement[];
  /** What the parts before it have set for their session, to be set again for this one. */
  sessionSetup: Statement[];
  /** UTF-16 index behind the last text that belongs to it. */
  end: number;
}

/** What is so common, and so harmless, that many of a kind are told as one. */
export interface Remark {
  kind: 'own-transaction' | 'empty';
  file: string;
  problem: Problem;
}

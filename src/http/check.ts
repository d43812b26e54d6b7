import type { HealthFault, Timings } from '../lib/report.js';
import type { GetOptions, HttpAnswer } from './request.js';

/** Something that is asked again and again until it is good. */
export interface Check {
  name: string;
  ask(ask: Ask): Promise<TryResult>;
}

/** What a check asks with, made for each of its tries. */
export interface Ask {
  /** Milliseconds that the next request may take; to be called again before each request of one try. */
  timeout: () => number;
  signal: AbortSignal;
  /**
   * One request, counted where requests are limited.
   * @throws NoAnswer and Cancelled as `get` in request.ts; NoTurn where the budget is used up.
   */
  get(url: URL, options: Pick<GetOptions, 'bodyLimit' | 'headers'>): Promise<HttpAnswer>;
}

/** The budget allows no more requests now. */
export class NoTurn extends Error {}

/** What one try of one check found. */
export interface TryResult {
  ok: boolean;
  status: number | null;
  detail?: string;
  fault?: HealthFault;
  /** What a person can do about it, where this check alone tells. */
  next?: string;
  timings?: Timings;
  /**
   * Waiting does not cure it: `likely` (an expired certificate, a name that does not exist) is believed when it was
   * seen three times in a row, `certain` (a wrong password, which must not be tried again and again) at once.
   */
  lasting?: 'likely' | 'certain';
  certificateDays?: number;
  /**
   * The server takes no more requests from us for now (429), which says nothing about the application. `after`:
   * milliseconds until it wants to be asked again, where it told.
   */
  limited?: { after?: number };
  /** Nothing was asked, because another check has to be good first. */
  awaitsOther?: true;
}

/** What came of one check. */
export interface CheckResult {
  name: string;
  /** Its newest answers were good, as many as asked for. */
  ok: boolean;
  attempts: number;
  good: number;
  look: TryResult;
  /** Milliseconds from the start until its last try ended. */
  milliseconds: number;
}

/**
 * The one value that flows through the whole action. Phases return a PhaseReport; outputs, job summary,
 * terminal table, JSON report and the rollback decision all read it, and nothing else is passed around.
 */

const PHASES = [
  'plan',
  'prepare',
  'backup',
  'migrate',
  'verify',
  'redeploy',
  'health',
  'watch',
  'rollback',
  'status',
] as const;
/** A phase of a run, by the name that outputs and reports have for it. */
export type PhaseName = (typeof PHASES)[number];

/** `unknown`: it could not be found out whether the step took effect; never reported as either of the others. */
export type StepOutcome = 'passed' | 'failed' | 'skipped' | 'unknown';

/** One named and timed part of a phase. */
export interface Step {
  name: string;
  outcome: StepOutcome;
  /** Milliseconds since the epoch, on the machine that runs the action; for the timeline only, never for a decision. */
  startedAt: number;
  milliseconds: number;
  detail?: string;
}

/** A place in a file of the checkout. Line and column count from 1; columns in code points. */
export interface SourcePosition {
  file: string;
  line: number;
  column: number;
  /** The text of that line, cut for display. */
  text?: string;
}

/** What went wrong, in words for a tired person, and what to do next. Holds no secret and no row data. */
export interface Problem {
  message: string;
  /** SQLSTATE, HTTP status, exit code or system error code, where there is one. */
  code?: string;
  at?: SourcePosition;
  /** The next action. */
  next?: string;
}

/** How one phase went. */
export interface PhaseReport {
  phase: PhaseName;
  outcome: StepOutcome;
  startedAt: number;
  milliseconds: number;
  steps: Step[];
  /** Why the phase failed; the first entry is the cause. Empty unless failed or unknown. */
  problems: Problem[];
  /** It did not end by itself, but was stopped by a cancel. */
  cancelled?: true;
  /**
   * When what it changed was there: the first commit of `migrate`, the last host of `redeploy`, the down files of
   * `rollback`. Milliseconds since the epoch by a clock that is never set; absent where it changed nothing.
   */
  changedAt?: number;
  /** One closing sentence: what was done and what was left untouched. */
  summary?: string;
  facts: Facts;
}

/** One table of the database, as `verify` found it. */
export interface TableFact {
  schema: string;
  name: string;
  /** Rows: estimated from the catalogue or counted, see `exact`; null where not known (never analysed). */
  rows: number | null;
  exact: boolean;
  bytes: number;
  rls: boolean;
  forced: boolean;
  policies: number;
}

/** What came of one health check. */
export interface HealthFact {
  name: string;
  /** Where it was asked from. */
  from: 'runner' | 'vps';
  ok: boolean;
  /** HTTP status; null where no answer came, or for the database. */
  status: number | null;
  'latency-ms': number | null;
  attempts: number;
  /** Why it is not ok, or what else is worth saying; never text of a header or a body. */
  detail?: string;
  /** The parts of the latency of the last answer. */
  timings?: Timings;
  /** What kind of fault it is, where it is not ok. */
  fault?: HealthFault;
  /** What a person can do about it, where the check alone tells. */
  next?: string;
  /** Of the check `certificate`: full days until it runs out; negative when it has. */
  'days-left'?: number;
}

/** Milliseconds of one request, part by part; null where a part was not reached or not needed. */
export interface Timings {
  dns: number | null;
  connect: number | null;
  tls: number | null;
  /** From the request being sent to the head of the answer. */
  'first-byte': number | null;
  total: number;
}

/** Where a health check went wrong: on the way there (`dns` to `tls`), in time, or in what was answered. */
export type HealthFault =
  | 'dns'
  | 'route'
  | 'connect'
  | 'tls'
  | 'timeout'
  | 'cut'
  | 'status'
  | 'redirect'
  | 'body'
  | 'version'
  | 'assets'
  | 'query';

/** What became of one server in this run. */
export interface HostFact {
  /** Position in `ssh-host`, from 1; host names are often secrets. */
  host: number;
  outcome: 'deployed' | 'unchanged' | 'rolled-back' | 'rollback-failed' | 'failed' | 'skipped' | 'unknown';
  'previous-sha'?: string;
  'deployed-sha'?: string;
  release?: string;
  'downtime-ms'?: number;
  'rollback-ms'?: number;
  rehearsed?: boolean;
  detail?: string;
}

/** What one host serves, as `status` found it. Times are ISO 8601, UTC. */
export interface LiveHost {
  part: 'host';
  /** Position in `ssh-host`, from 1. */
  host: number;
  /**
   * `nothing`: no version lies there. `by-hand`: what lies there was not brought by this action. `at-work`: a run holds
   * the lock. `cut`: a run ended in the middle, and the next one repairs what it left. `unreachable`: see `problem`.
   */
  state: 'live' | 'nothing' | 'by-hand' | 'at-work' | 'cut' | 'unreachable';
  problem?: string;
  /** The environment that deployed there last. */
  environment?: string;
  commit?: string;
  release?: string;
  since?: string;
  /** The run that brought it. */
  run?: string;
  verified?: boolean;
  /** What PM2 says of the application. */
  process?: string;
  /** Releases that `rollback-to` can reach, newest first. */
  'rollback-to'?: { release: string; commit: string }[];
  /** Newest first. */
  backups?: { name: string; bytes: number; at: string }[];
  lock?: { run: string; since: string; url?: string } | null;
  'free-bytes'?: number;
}

/** The database, as `status` found it. */
export interface LiveDatabase {
  part: 'database';
  /** `nothing`: no history. `ahead`: versions are applied whose code is not live. */
  state: 'live' | 'nothing' | 'ahead' | 'at-work' | 'unreachable';
  problem?: string;
  environment?: string;
  /** The newest version that is recorded. */
  version?: string;
  since?: string;
  run?: string;
  commit?: string;
  /** Versions whose code is live on no host; null where that is not known. */
  ahead?: string[] | null;
  /** Files that are not recorded; null where the checkout holds none. */
  pending?: string[] | null;
  /** What other hands changed since the last deploy, in words; null where it was not looked at. */
  drift?: string | null;
}

export type LiveFact = LiveHost | LiveDatabase;

/** One deploy or rollback that was, newest first in the output `history`. */
export interface PastRun {
  run: string;
  attempt: number;
  task: 'deploy' | 'rollback' | 'migrate';
  outcome: string;
  commit?: string;
  at: string;
  'duration-ms'?: number;
  url?: string;
  /** Positions of the hosts on which it ran. */
  hosts: number[];
  /** What became of its migrations: applied, rolled-back, begun; absent where it has no row. */
  database?: string;
}

/** `edge`: good on the server, bad through the public URL; the new version stays. `slow`: healthy, but too slow. */
export type Verdict = 'ok' | 'app' | 'edge' | 'database' | 'slow';

/** What the phases found out or changed. Each field becomes the output of the same name in kebab case. */
export interface Facts {
  pending?: string[];
  applied?: string[];
  deferred?: string[];
  skipped?: string[];
  reverted?: string[];
  schemaAhead?: string[];
  schemaLeadMs?: number;
  verified?: boolean;
  tables?: TableFact[];
  previousSha?: string;
  deployedSha?: string;
  release?: string;
  health?: HealthFact[];
  healthy?: boolean;
  rolledBack?: boolean;
  verdict?: Verdict;
  downtimeMs?: number;
  rollbackMs?: number;
  hosts?: HostFact[];
  reversible?: boolean;
  destructive?: boolean | 'unknown';
  backupPath?: string;
  deploymentId?: string;
  live?: LiveFact[];
  history?: PastRun[];
}

/** How a run can end; the output `outcome`. */
export const OUTCOMES = [
  'success',
  'failure',
  'rolled-back',
  'rollback-failed',
  'cancelled',
  'unknown',
  'skipped',
] as const;
/** How a run ended. */
export type Outcome = (typeof OUTCOMES)[number];

/** How a whole run went. */
export interface Report {
  mode: string;
  environment?: string;
  outcome: Outcome;
  phases: PhaseReport[];
  failedPhase?: PhaseName;
  failedStep?: string;
  problems: Problem[];
  warnings: Problem[];
  /** What the plan said beside its steps: the batches and their files, one line each. */
  planned?: readonly string[];
  facts: Facts;
  /** The next action for a person; empty after success. */
  next?: string;
  /** True where the run was stopped with its changes neither finished nor undone: the post step settles them. */
  unsettled?: true;
  startedAt: number;
  milliseconds: number;
}

/** An expected failure: it carries the problems that a person is told, and is never shown with a stack. */
export class Failure extends Error {
  readonly problems: Problem[];
  /** `unknown` where it could not be found out whether the work took effect. */
  readonly outcome: 'failed' | 'unknown';

  constructor(problems: Problem | Problem[], outcome: 'failed' | 'unknown' = 'failed') {
    const list = Array.isArray(problems) ? problems : [problems];
    super(list.map((problem) => problem.message).join('\n'));
    this.name = 'Failure';
    this.problems = list;
    this.outcome = outcome;
  }
}

/** The run was cancelled by a person (SIGINT, SIGTERM); what was under way has been stopped or told. */
export class Cancelled extends Failure {
  /** What was cancelled, or what became of it, where that can be told. */
  readonly detail: string | undefined;

  constructor(detail?: string) {
    super({ message: detail ?? 'cancelled' });
    this.name = 'Cancelled';
    this.detail = detail;
  }
}

/** A step that turned out to be none of this run's business; the message says why. */
export class NotNeeded extends Failure {
  constructor(message: string) {
    super({ message });
    this.name = 'NotNeeded';
  }
}

/**
 * Any thrown value as problems for a person: those that a Failure carries; of an error that nobody expected its message
 * and code, never its stack. Errors of a kind that is known (SQL, SSH, HTTP, GitHub) are put into words where they are
 * caught, and come here as a Failure.
 */
export function problemsOf(error: unknown): Problem[] {
  if (error instanceof Failure) return error.problems;
  const message = error instanceof Error ? error.message || error.name : String(error);
  const code = errorCode(error);
  return [code === undefined ? { message } : { message, code }];
}

/** The first problem of a thrown value: the cause. */
export function problemOf(error: unknown): Problem {
  return problemsOf(error)[0] ?? { message: String(error) };
}

/** The message of a thrown value, without code and advice, to be put into a sentence. */
export function messageOf(error: unknown): string {
  return problemOf(error).message;
}

/** The code that Node or a library gave an error (`ENOENT`, `ECONNREFUSED`); undefined where it has none. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** The same for two problems that a person would take for one: the same words about the same place. */
export function problemKey({ message, at }: Problem): string {
  return JSON.stringify([message, at?.file, at?.line]);
}

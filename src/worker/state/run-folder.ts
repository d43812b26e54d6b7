import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { definedOnly } from '../../lib/defined-only.js';
import { Failure } from '../../lib/report.js';
import { removePath, writeAtomically } from '../host/files.js';
import { isAlive, startTimeOf } from '../host/processes.js';
import { readMark, recordText } from '../host/records.js';
import type { RunRequest } from '../protocol.js';
import { sealedSoFar } from './event-lines.js';
import type { StateFolder } from './state-folder.js';

export type Task = 'deploy' | 'rollback';

/** The folder of one run: its events, its programs' output, and the files by which the action reaches the worker. */
export interface RunFolder {
  readonly path: string;
  /** One sealed event a line, only ever appended by the worker; see base/seal.ts. */
  readonly events: string;
  readonly worker: string;
  /** Exists once a person cancelled. */
  readonly cancel: string;
  /** Exists once the action lets a built deploy be rehearsed. */
  readonly rehearse: string;
  /** Exists once the action lets a rehearsed deploy cut over. */
  readonly go: string;
  /** Exists when the action wants to know how the live version is. */
  readonly look: string;
  /** Touched by each message of the action. */
  readonly heard: string;
  /** Full output of install, build and rehearsal. */
  readonly log: string;
  /** A folder of files that hold room on the disk while the run is at work. */
  readonly reserve: string;
}

export function runFolderOf(state: StateFolder, run: RunRequest, task: Task): RunFolder {
  return runFolderAt(pathOf(state, run, task, run.invocation));
}

function runFolderAt(path: string): RunFolder {
  return {
    path,
    events: join(path, 'events.jsonl'),
    worker: join(path, 'worker.json'),
    cancel: join(path, 'cancel'),
    rehearse: join(path, 'rehearse'),
    go: join(path, 'go'),
    look: join(path, 'look'),
    heard: join(path, 'heard'),
    log: join(path, 'output.log'),
    reserve: join(path, 'reserve'),
  };
}

/** All runs that have a folder. */
export function allRunFolders(state: StateFolder): RunFolder[] {
  return existsSync(state.runs)
    ? readdirSync(state.runs).map((name) => runFolderAt(join(state.runs, name)))
    : [];
}

function pathOf(state: StateFolder, { id, attempt }: RunRequest, ...more: (string | undefined)[]): string {
  const parts = [id, String(attempt), ...more].filter((part) => part !== undefined && part !== '');
  for (const part of parts)
    if (!/^[A-Za-z0-9_-]*$/.test(part!))
      throw new Failure({ message: `${JSON.stringify(part)} cannot be the name of a run.` });
  return join(state.runs, parts.join('.'));
}

/**
 * The mark of a session that is cancelled: it outlives the look of the post step, for workers that begin after it. It
 * lies in a folder among those of the runs, and goes with them.
 */
function cancelMarkOf(state: StateFolder, run: RunRequest): string {
  return join(pathOf(state, run, 'cancelled', run.session), 'cancel');
}

export function markCancelled(state: StateFolder, run: RunRequest & { session: string }): void {
  const mark = cancelMarkOf(state, run);
  mkdirSync(dirname(mark), { recursive: true, mode: 0o700 });
  writeFileSync(mark, '', { mode: 0o600 });
}

/** True where this invocation was cancelled, or the whole session to which it belongs. */
export function isCancelled(state: StateFolder, run: RunRequest, folder: RunFolder): boolean {
  return existsSync(folder.cancel) || (run.session !== undefined && existsSync(cancelMarkOf(state, run)));
}

interface WorkerMark {
  pid: number;
  startTime?: string;
}

/** A run that is this worker's, and the number of the last event that an earlier worker of it has told. */
export interface ClaimedRun {
  folder: RunFolder;
  told: number;
}

/**
 * Makes the run's folder for this worker. undefined: the run is under way or has ended already, and this worker
 * must leave it alone. A run whose worker was killed is taken over.
 */
export function claimRun(
  state: StateFolder,
  run: RunRequest,
  task: Task,
  key: Buffer,
): ClaimedRun | undefined {
  const folder = runFolderOf(state, run, task);
  mkdirSync(state.runs, { recursive: true, mode: 0o700 });
  const startTime = startTimeOf(process.pid);
  const mark: WorkerMark = { pid: process.pid, ...definedOnly({ startTime }) };
  // Made complete under another name and then renamed, so that it never exists without its worker's mark.
  const fresh = mkdtempSync(join(state.runs, '.new-'));
  try {
    const { worker, heard, events, log } = runFolderAt(fresh);
    writeFileSync(worker, recordText(mark), { mode: 0o600 });
    for (const empty of [heard, events, log]) writeFileSync(empty, '', { mode: 0o600 });
    renameSync(fresh, folder.path);
    return { folder, told: 0 };
  } catch (error) {
    removePath(fresh);
    if (!existsSync(folder.path)) throw error;
  }
  if (workerLives(folder)) return undefined;
  const { told, ended } = sealedSoFar(folder.events, key);
  if (ended) return undefined;
  writeAtomically(folder.worker, recordText(mark));
  noteHeard(folder);
  return { folder, told };
}

export function workerLives(folder: RunFolder): boolean {
  const mark = readMark<WorkerMark>(folder.worker);
  return mark !== undefined && isAlive(mark.pid, mark.startTime);
}

/** Notes that the action is still there. */
export function noteHeard(folder: RunFolder): void {
  const now = new Date();
  try {
    utimesSync(folder.heard, now, now);
  } catch {
    // The run's folder was pruned meanwhile.
  }
}

/**
 * Milliseconds since the action was last there, beginning with 0 at the first look. The host's clock may be set
 * meanwhile: of the mark's time it is only asked whether it is another one.
 */
export function actionWatch(
  folder: Pick<RunFolder, 'heard'>,
  now = (): number => performance.now(),
): () => number {
  let mark: number | undefined;
  let since = now();
  return () => {
    const seen = existsSync(folder.heard) ? statSync(folder.heard).mtimeMs : undefined;
    if (seen !== mark) since = now();
    mark = seen;
    return now() - since;
  };
}

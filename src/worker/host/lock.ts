import { spawn } from 'node:child_process';
import { closeSync, openSync, rmSync } from 'node:fs';
import { catchProblem } from '../../lib/catch-problem.js';
import { definedOnly } from '../../lib/defined-only.js';
import { formatDuration } from '../../lib/duration.js';
import { Failure } from '../../lib/report.js';
import { pause } from '../../lib/retry.js';
import type { RunRequest } from '../protocol.js';
import type { StateFolder } from '../state/state-folder.js';
import { isAlive, startTimeOf } from './processes.js';
import { readMark, writeRecord } from './records.js';
import { explainEnd, lastLines } from './run-program.js';

/** Who holds the lock; written only to be read by people and by those who wait. The lock itself is the kernel's. */
export interface LockHolder {
  runId: string;
  attempt: number;
  session?: string;
  url?: string;
  actor?: string;
  since: number;
  pid: number;
  startTime?: string;
  /** It waits for its action, which changes the database meanwhile. */
  waits?: true;
}

/** Milliseconds between two tries for the lock. */
const BETWEEN_TRIES = 250;
/** Milliseconds that a holder is waited for while it waits itself, and between two words about it. */
const LONGEST_WAIT_FOR_ACTION = 7_200_000;
const BETWEEN_WORDS = 60_000;

export interface LockWait {
  /** Milliseconds. */
  wait: number;
  signal: AbortSignal;
}

export interface LockOptions extends LockWait {
  /** Told when somebody else has it; again each minute while that one waits itself. */
  onWaiting: (holder: LockHolder | undefined) => void;
}

/** Holds the application's lock while `work` runs, and says in a file who holds it. */
export async function withLock<T>(
  folder: StateFolder,
  run: RunRequest,
  options: LockOptions,
  work: () => Promise<T>,
): Promise<T> {
  const busy: Busy = {
    onWaiting: () => options.onWaiting(currentHolder(folder)),
    tooLate: (waited) => lockedOut(currentHolder(folder), waited),
    waitsItself: () => currentHolder(folder)?.waits === true,
  };
  return withFileLock(folder.lock, options, busy, async () => {
    const startTime = startTimeOf(process.pid);
    const holder: LockHolder = {
      runId: run.id,
      attempt: run.attempt,
      ...definedOnly({ session: run.session, url: run.url, actor: run.actor }),
      since: Date.now(),
      pid: process.pid,
      ...definedOnly({ startTime }),
    };
    writeRecord(folder.holder, holder);
    try {
      return await work();
    } finally {
      // It is only read: the lock itself goes with this program.
      catchProblem(() => rmSync(folder.holder, { force: true }));
    }
  });
}

/** Says in the holder's file whether this run waits for its action: that costs nobody else's `lock-wait`. */
export function noteWaiting(folder: Pick<StateFolder, 'holder'>, waits: boolean): void {
  const holder = readMark<LockHolder>(folder.holder);
  if (holder?.pid !== process.pid) return;
  const { waits: _, ...rest } = holder;
  // It is only read; on a full disk others wait as long as they would for any run.
  catchProblem(() => writeRecord(folder.holder, waits ? { ...rest, waits } : rest));
}

/** The time spent on a lock that somebody else has. */
export interface LockTime {
  /** Milliseconds while its holder was at work, and while it waited itself. */
  working: number;
  waiting: number;
}

/** True where nobody waits any longer for a lock. Pure. */
export function isTooLate({ working, waiting }: LockTime, wait: number): boolean {
  return working >= wait || waiting > LONGEST_WAIT_FOR_ACTION;
}

/**
 * Holds the turn at PM2 while `work` runs: one application of this user at a time is switched. PM2 refuses a second
 * reload meanwhile, and an application whose files are new already must not wait for the end of another one's reload.
 */
export async function holdPm2Lock<T>(
  { file, ...waiting }: LockWait & { file: string },
  onWaiting: () => void,
  work: () => Promise<T>,
): Promise<T> {
  const tooLate = (): Failure =>
    new Failure({
      message: `Another application is being switched on this server; waited ${formatDuration(waiting.wait)} for it. Nothing was changed.`,
      next: 'Start this run again when the other has ended, or raise lock-wait.',
    });
  return withFileLock(file, waiting, { onWaiting, tooLate, waitsItself: () => false }, work);
}

interface Busy {
  /** Told when somebody else has the lock. */
  onWaiting(): void;
  tooLate(waited: number): Failure;
  /** Whether the holder waits itself. */
  waitsItself(): boolean;
}

/**
 * Holds a kernel lock on an open file while `work` runs. Node has no flock, so the program `flock` takes it on our
 * descriptor, and it stays ours for as long as we keep that open. Descriptors of Node are closed in programs it
 * starts, so neither PM2 nor the application can keep the lock; a worker that is killed, and a restart of the host,
 * free it at once. Nothing is ever unlocked by hand.
 */
async function withFileLock<T>(
  file: string,
  { wait, signal }: LockWait,
  busy: Busy,
  work: () => Promise<T>,
): Promise<T> {
  const fd = openSync(file, 'a', 0o600);
  try {
    const time: LockTime = { working: 0, waiting: 0 };
    let told: number | undefined;
    for (let since = performance.now(); !(await tryFlock(fd)); ) {
      const waits = busy.waitsItself();
      if (told === undefined || (waits && performance.now() - told > BETWEEN_WORDS)) {
        busy.onWaiting();
        told = performance.now();
      }
      if (isTooLate(time, wait)) throw busy.tooLate(Math.round(time.working + time.waiting));
      await pause(BETWEEN_TRIES, signal);
      const now = performance.now();
      time[waits ? 'waiting' : 'working'] += now - since;
      since = now;
    }
    return await work();
  } finally {
    closeSync(fd);
  }
}

function lockedOut(holder: LockHolder | undefined, waited: number): Failure {
  return new Failure({
    message: `Another run deploys this application: ${holderWords(holder)}. Waited ${formatDuration(waited)} for it.`,
    next: 'Wait until that run has ended and start this one again, or raise lock-wait. There is nothing to unlock by hand.',
  });
}

/** `run 123 by ana (https://…)`: who holds the lock, as far as it is known. */
export function holderWords(holder: LockHolder | undefined): string {
  if (!holder) return 'a run that has not said its name yet';
  const by = holder.actor === undefined ? '' : ` by ${holder.actor}`;
  const url = holder.url === undefined ? '' : ` (${holder.url})`;
  return `run ${holder.runId}${by}${url}`;
}

/** The holder as written, if that program still runs, and it is of a version that we can read. */
export function currentHolder(folder: StateFolder): LockHolder | undefined {
  const holder = readMark<LockHolder>(folder.holder);
  return holder && isAlive(holder.pid, holder.startTime) ? holder : undefined;
}

/** Exit code of `flock -n` where somebody else has the lock. */
const HELD = 1;

/** True where the lock was free and is now held through `fd`. */
function tryFlock(fd: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const child = spawn('flock', ['-n', '3'], { stdio: ['ignore', 'ignore', 'pipe', fd] });
    let said = '';
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    child.once('error', () =>
      reject(
        new Failure({
          message: 'The program flock is missing on the server; it keeps two deploys apart.',
          next: 'Install it: apt-get install util-linux (Debian, Ubuntu) or the same package of your system.',
        }),
      ),
    );
    child.once('close', (code, signal) => {
      if (code === 0 || code === HELD) return resolve(code === 0);
      reject(
        new Failure({
          message: `The server could not lock its deploy folder: flock ${explainEnd({ code, signal })}. ${lastLines(said, 2)}`,
          next: 'Look at the file system of that folder: some network file systems know no locks.',
        }),
      );
    });
  });
}

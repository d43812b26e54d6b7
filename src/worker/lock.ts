import { spawn } from 'node:child_process';
import { closeSync, openSync, rmSync } from 'node:fs';
import { formatDuration } from '../base/duration.js';
import { Failure } from '../base/report.js';
import { pause } from '../base/retry.js';
import { readJson, writeAtomically } from './files.js';
import { isAlive, startTimeOf } from './proc.js';
import type { RunRequest } from './protocol.js';
import type { StateFolder } from './state.js';

/** Who holds the lock; written only to be read by people and by those who wait. The lock itself is the kernel's. */
export interface Holder {
  runId: string;
  attempt: number;
  url?: string;
  actor?: string;
  since: number;
  pid: number;
  startTime?: string;
}

/** Milliseconds between two tries for the lock. */
const BETWEEN_TRIES = 250;

export interface LockOptions {
  /** Milliseconds. */
  wait: number;
  signal: AbortSignal;
  /** Told once, when somebody else has it. */
  onWaiting: (holder: Holder | undefined) => void;
}

/**
 * Holds the application's lock while `work` runs. It is a kernel lock on an open file: Node has no flock, so the
 * program `flock` takes it on our descriptor, and it stays ours for as long as we keep that open. Descriptors of
 * Node are closed in programs it starts, so neither PM2 nor the application can keep the lock; a worker that is
 * killed, and a restart of the host, free it at once. Nothing is ever unlocked by hand.
 */
export async function withLock<T>(
  folder: StateFolder,
  run: RunRequest,
  options: LockOptions,
  work: () => Promise<T>,
): Promise<T> {
  const fd = openSync(folder.lock, 'a', 0o600);
  try {
    await acquire(fd, folder, options);
    const startTime = startTimeOf(process.pid);
    const holder: Holder = {
      runId: run.id,
      attempt: run.attempt,
      ...(run.url === undefined ? {} : { url: run.url }),
      ...(run.actor === undefined ? {} : { actor: run.actor }),
      since: Date.now(),
      pid: process.pid,
      ...(startTime === undefined ? {} : { startTime }),
    };
    writeAtomically(folder.holder, `${JSON.stringify(holder)}\n`);
    try {
      return await work();
    } finally {
      rmSync(folder.holder, { force: true });
    }
  } finally {
    closeSync(fd);
  }
}

async function acquire(fd: number, folder: StateFolder, options: LockOptions): Promise<void> {
  const end = performance.now() + options.wait;
  let told = false;
  while (!(await tryFlock(fd))) {
    const holder = currentHolder(folder);
    if (!told) options.onWaiting(holder);
    told = true;
    if (performance.now() > end) throw lockedOut(holder, options.wait);
    await pause(BETWEEN_TRIES, options.signal);
  }
}

function lockedOut(holder: Holder | undefined, waited: number): Failure {
  return new Failure({
    message: `Another run deploys this application: ${holderWords(holder)}. Waited ${formatDuration(waited)} for it.`,
    next: 'Wait until that run has ended and start this one again, or raise lock-wait. There is nothing to unlock by hand.',
  });
}

/** `run 123 by ana (https://…)`: who holds the lock, as far as it is known. */
export function holderWords(holder: Holder | undefined): string {
  if (!holder) return 'a run that has not said its name yet';
  const by = holder.actor === undefined ? '' : ` by ${holder.actor}`;
  const url = holder.url === undefined ? '' : ` (${holder.url})`;
  return `run ${holder.runId}${by}${url}`;
}

/** The holder as written, if that program still runs. */
export function currentHolder(folder: StateFolder): Holder | undefined {
  const holder = readJson<Holder>(folder.holder);
  return holder && isAlive(holder.pid, holder.startTime) ? holder : undefined;
}

/** True where the lock was free and is now held through `fd`. */
function tryFlock(fd: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const child = spawn('flock', ['-n', '3'], { stdio: ['ignore', 'ignore', 'ignore', fd] });
    child.once('error', () =>
      reject(
        new Failure({
          message: 'The program flock is missing on the server; it keeps two deploys apart.',
          next: 'Install it: apt-get install util-linux (Debian, Ubuntu) or the same package of your system.',
        }),
      ),
    );
    child.once('exit', (code) => resolve(code === 0));
  });
}

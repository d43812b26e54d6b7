import { existsSync, writeFileSync } from 'node:fs';
import { pause } from '../../lib/retry.js';
import { isDiskFull } from '../host/disk-reserve.js';
import { removePath } from '../host/files.js';
import { isFull } from '../host/free-space.js';
import type { CancelSessionRequest, FollowRequest, SignalRequest, WorkerLine } from '../protocol.js';
import { eventLines } from '../state/event-lines.js';
import { markCancelled, noteHeard, type RunFolder, runFolderOf, workerLives } from '../state/run-folder.js';
import { locateStateFolder, openStateFolder } from '../state/state-folder.js';

type Print = (line: WorkerLine) => void;

/** Milliseconds between two looks for new events, two heartbeats, and how long a run may take to appear. */
const BETWEEN_LOOKS = 50;
const BETWEEN_HEARTBEATS = 5_000;
const UNTIL_IT_APPEARS = 20_000;

/** Streams the events of a run from a byte offset until its worker is gone; `say` is given each line of the answer. */
export async function streamRunEvents(request: FollowRequest, home: string, say: Print): Promise<void> {
  const folder = await appearing(request, home);
  const ended = (message: string): void => say(gone(message, isFull(request.app.appPath)));
  if (folder) noteHeard(folder);
  if (!folder) return ended('The run has not begun on the server: no worker has opened its folder.');
  const events = eventLines(folder.events, request.offset);
  let beat = performance.now();
  for (;;) {
    // Asked before reading, so that a last event written in between is not missed.
    const alive = workerLives(folder);
    const found = events.read();
    if (found === undefined) return say({ kind: 'cut-off' });
    for (const { line, end } of found.lines) say({ kind: 'event', offset: end, line });
    if (!found.more && found.lines.length === 0 && !alive)
      return ended('The worker on the server ended without a result.');
    if (performance.now() - beat > BETWEEN_HEARTBEATS) {
      beat = performance.now();
      say({ kind: 'heartbeat' });
    }
    // Also where there is more: a reader that has gone away is noticed in between.
    await pause(found.more ? 0 : BETWEEN_LOOKS);
  }
}

function gone(message: string, full: boolean): WorkerLine {
  const repairs = 'The next deploy or rollback repairs what it left half done, and says so.';
  return {
    kind: 'gone',
    problem: full
      ? {
          message: `${message} The disk of the server is full.`,
          next: `Free some space there (df -h; df -i). ${repairs}`,
        }
      : { message, next: `It was killed, or the server was restarted. ${repairs}` },
  };
}

/** The run's folder, waited for a moment: the worker may just be starting. */
async function appearing(request: FollowRequest, home: string): Promise<RunFolder | undefined> {
  const end = performance.now() + UNTIL_IT_APPEARS;
  for (;;) {
    const folder = findRun(request, request.task, home);
    if (folder || performance.now() > end) return folder;
    await pause(BETWEEN_LOOKS);
  }
}

function findRun(
  request: Pick<FollowRequest, 'app' | 'run'>,
  task: 'deploy' | 'rollback',
  home: string,
): RunFolder | undefined {
  const folder = runFolderOf(locateStateFolder(request.app.appPath, home), request.run, task);
  return existsSync(folder.worker) ? folder : undefined;
}

/**
 * Leaves the mark for which the worker looks; says whether it can still have an effect, as far as the events tell
 * without the key of their seals. What it did is told by the sealed events alone.
 */
export function signal(request: SignalRequest, home: string): WorkerLine {
  const folder = findRun(request, request.task ?? 'deploy', home);
  const answer = (accepted: boolean, detail: string): WorkerLine => ({ kind: 'signalled', accepted, detail });
  if (!folder) return answer(false, 'the run is not known on the server');
  if (!workerLives(folder)) return answer(false, 'the run has ended, or its worker is gone');
  noteHeard(folder);
  // Left in any state, for a build could have made up any: whether it is the time for a word is judged by the worker.
  if (request.command !== 'ask') leaveMark(folder[request.command], folder);
  if (request.command === 'cancel' && saysPastCutover(folder))
    return answer(false, 'the cutover has begun: the run finishes, and verifies or puts back by itself');
  return answer(true, TAKEN[request.command]);
}

const TAKEN = {
  ask: 'is at work',
  look: 'is at work',
  rehearse: 'is rehearsed',
  go: 'cuts over',
  cancel: 'stops',
};

/** On a full disk with the room that the run holds there: it would wait in vain for the word. */
function leaveMark(file: string, { reserve }: RunFolder): void {
  const mark = (): void => writeFileSync(file, '', { mode: 0o600 });
  try {
    mark();
  } catch (error) {
    if (!isDiskFull(error)) throw error;
    removePath(reserve);
    mark();
  }
}

/**
 * Leaves the mark that every worker of a session looks for before it changes anything; also for workers that are still
 * to be started. @throws the file system's error where it cannot be written.
 */
export function cancelSession({ app, run }: CancelSessionRequest, home: string): WorkerLine {
  markCancelled(openStateFolder(app.appPath, home), run);
  return { kind: 'signalled', accepted: true, detail: 'what has not cut over stops' };
}

const PAST_CUTOVER = /"event":\{"kind":"state","state":"(cutting-over|verifying|putting-back)"\}\}$/;

function saysPastCutover(folder: RunFolder): boolean {
  const events = eventLines(folder.events, 0);
  for (let found = events.read(); found !== undefined; found = found.more ? events.read() : undefined)
    if (found.lines.some(({ line }) => PAST_CUTOVER.test(line))) return true;
  return false;
}

import { closeSync, existsSync, openSync, readSync, writeFileSync } from 'node:fs';
import { pause } from '../base/retry.js';
import type {
  CancelSessionRequest,
  FollowRequest,
  SignalRequest,
  WorkerEvent,
  WorkerLine,
} from './protocol.js';
import {
  hasEnded,
  hear,
  markCancelled,
  type RunFolder,
  runFolderOf,
  workerLives,
} from './record/run-folder.js';
import { locateStateFolder, openStateFolder } from './record/state.js';

type Say = (line: WorkerLine) => void;

/** Milliseconds between two looks for new events, two heartbeats, and how long a run may take to appear. */
const BETWEEN_LOOKS = 50;
const BETWEEN_HEARTBEATS = 5_000;
const UNTIL_IT_APPEARS = 20_000;
const CHUNK = 64 * 1_024;

/** Streams the events of a run from a byte offset until it has ended, or its worker is gone. */
export async function follow(request: FollowRequest, home: string, say: Say): Promise<void> {
  const folder = await appearing(request, home);
  if (!folder) return say(died('The run has not begun on the server: no worker has opened its folder.'));
  let offset = request.offset;
  let beat = performance.now();
  for (;;) {
    hear(folder);
    // Asked before reading, so that a last event written in between is not missed.
    const alive = workerLives(folder);
    const before = offset;
    for (const { event, end } of eventsFrom(folder.events, offset)) {
      offset = end;
      say({ kind: 'event', offset, event });
      if (event.kind === 'ended') return;
    }
    if (offset > before) continue;
    if (!alive) return say(died('The worker on the server ended without a result.'));
    if (performance.now() - beat > BETWEEN_HEARTBEATS) {
      beat = performance.now();
      say({ kind: 'heartbeat' });
    }
    await pause(BETWEEN_LOOKS);
  }
}

function died(message: string): WorkerLine {
  return {
    kind: 'died',
    problem: {
      message,
      next: 'It was killed, or the server was restarted. The next deploy or rollback repairs what it left half done, and says so.',
    },
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

/** All events from `offset` on, a chunk at a time; a line that is still being written is left out. */
export function* eventsFrom(file: string, offset: number): Generator<{ event: WorkerEvent; end: number }> {
  for (let read = readEvents(file, offset); read.length > 0; read = readEvents(file, offset)) {
    yield* read;
    offset = read.at(-1)!.end;
  }
}

/** Whole events of the chunk after `offset`. */
function readEvents(file: string, offset: number): { event: WorkerEvent; end: number }[] {
  const fd = openSync(file, 'r');
  try {
    let bytes = Buffer.alloc(0);
    for (;;) {
      const chunk = Buffer.alloc(CHUNK);
      const count = readSync(fd, chunk, 0, CHUNK, offset + bytes.length);
      bytes = Buffer.concat([bytes, chunk.subarray(0, count)]);
      // A line longer than a chunk is read to its end; otherwise a chunk at a time is enough.
      if (count < CHUNK || bytes.includes(0x0a)) break;
    }
    return wholeLines(bytes, offset);
  } finally {
    closeSync(fd);
  }
}

function wholeLines(bytes: Buffer, offset: number): { event: WorkerEvent; end: number }[] {
  const events: { event: WorkerEvent; end: number }[] = [];
  let start = 0;
  for (let end = bytes.indexOf(0x0a); end >= 0; end = bytes.indexOf(0x0a, start)) {
    const line = bytes.subarray(start, end).toString('utf8');
    start = end + 1;
    try {
      events.push({ event: JSON.parse(line) as WorkerEvent, end: offset + start });
    } catch {
      // Torn by a power cut.
    }
  }
  return events;
}

/** Leaves the mark for which the worker looks; says whether it can still have an effect. */
export function signal(request: SignalRequest, home: string): WorkerLine {
  const folder = findRun(request, request.task ?? 'deploy', home);
  const answer = (accepted: boolean, detail: string): WorkerLine => ({ kind: 'signalled', accepted, detail });
  if (!folder) return answer(false, 'the run is not known on the server');
  if (hasEnded(folder)) return answer(false, 'the run has ended');
  if (!workerLives(folder)) return answer(false, 'the worker is gone');
  hear(folder);
  if (request.command === 'cancel' && isPastCutover(folder))
    return answer(false, 'the cutover has begun: the run finishes, and verifies or puts back by itself');
  writeFileSync(request.command === 'go' ? folder.go : folder.cancel, '', { mode: 0o600 });
  return answer(true, request.command === 'go' ? 'cuts over' : 'stops');
}

/** Leaves the mark that every worker of a session looks for before it changes anything; the first may not be there yet. */
export function cancelSession({ app, run }: CancelSessionRequest, home: string): WorkerLine {
  markCancelled(openStateFolder(app.appPath, home), run);
  return { kind: 'signalled', accepted: true, detail: 'what has not cut over stops' };
}

function isPastCutover(folder: RunFolder): boolean {
  for (const { event } of eventsFrom(folder.events, 0))
    if (event.kind === 'state' && ['cutting-over', 'verifying', 'putting-back'].includes(event.state))
      return true;
  return false;
}

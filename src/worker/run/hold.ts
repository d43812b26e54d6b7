import { existsSync } from 'node:fs';
import { formatDuration } from '../../lib/duration.js';
import { Cancelled, Failure } from '../../lib/report.js';
import { pause } from '../../lib/retry.js';
import { removePath } from '../host/files.js';
import type { DeployRequest } from '../protocol.js';
import { actionWatch, type RunFolder } from '../state/run-folder.js';
import type { LiveLooks } from './live-looks.js';
import type { Reporter } from './reporter.js';

/** A state in which a deploy can wait for a word of the action. */
export type Held = 'installed' | 'built' | 'rehearsed';

/** What holding a run needs of it. */
export interface HoldContext {
  request: Pick<DeployRequest, 'cutover' | 'goLease' | 'goesAlone'>;
  folder: Pick<RunFolder, 'rehearse' | 'go' | 'look' | 'heard'>;
  reporter: Pick<Reporter, 'event' | 'progress'>;
  signal: AbortSignal;
  /** The time of the deploy: it stands still while the run waits. */
  clock: { pause(): void; resume(): void };
  /** Takes whether the run waits, for those who wait for its lock. */
  tell(waits: boolean): void;
  /** The live version, which is asked while the run waits and the database changes; absent where it is not. */
  live?: Pick<LiveLooks, 'before' | 'begin'> | undefined;
}

/** Milliseconds between two looks for the word. */
const BETWEEN_LOOKS = 100;

/** Where a run stops for a word. */
const STOPS: Readonly<Record<DeployRequest['cutover'], readonly Held[]>> = {
  'at-once': [],
  'on-go': ['rehearsed'],
  'step-by-step': ['built', 'rehearsed'],
  'builds-later': ['installed', 'rehearsed'],
};

/** True where a run stops at this state. Pure. */
export function stopsAt(at: Held, cutover: DeployRequest['cutover']): boolean {
  return STOPS[cutover].includes(at);
}

/**
 * What becomes of a run that waits and has not heard of the action for its lease. It goes forward only where that
 * leaves no two versions behind: alone on its host, and rehearsed, which it is after the commit to the database. Pure.
 */
export function whenUnheard(at: Held, goesAlone: boolean): 'drop' | 'go' {
  return at === 'rehearsed' && goesAlone ? 'go' : 'drop';
}

/** Waits for the word of the action where the run stops at this state. @throws a Failure where the action is gone, Cancelled */
export async function hold(
  at: Held,
  { request, folder, reporter, signal, clock, tell, live }: HoldContext,
): Promise<void> {
  if (signal.aborted) throw new Cancelled();
  // Waiting for another application's turn is no time of the deploy, so the clock of one that never stops ends here.
  if (at === 'rehearsed' || stopsAt(at, request.cutover)) clock.pause();
  if (!stopsAt(at, request.cutover)) return;
  const word = at === 'rehearsed' ? folder.go : folder.rehearse;
  // A word that came before its state is none: the build could have left it.
  removePath(word);
  removePath(folder.look);
  if (!reporter.event({ kind: 'state', state: at }))
    throw new Failure({
      message: `Everything is ${at}, but the action could not be told: the disk of the server is full. Nothing was changed.`,
      next: 'Free some space there (df -h; df -i), then start the workflow again.',
    });
  tell(true);
  const unheardFor = actionWatch(folder);
  while (!existsSync(word)) {
    if (unheardFor() > request.goLease) {
      if (whenUnheard(at, request.goesAlone === true) === 'drop') throw unheard(at, request.goLease);
      reporter.progress(
        `the action has not been heard of for ${formatDuration(request.goLease)}: the deploy goes on without it`,
      );
      break;
    }
    if (at !== 'rehearsed' && existsSync(folder.look)) {
      removePath(folder.look);
      void live?.before();
    }
    await pause(BETWEEN_LOOKS, signal);
  }
  // The word says that the database is changed.
  if (at !== 'rehearsed') live?.begin();
  tell(false);
  clock.resume();
  if (at !== 'rehearsed') reporter.event({ kind: 'state', state: 'preparing' });
}

function unheard(at: Held, lease: number): Failure {
  return new Failure({
    message: `Everything is ${at}, but the action has not been heard of for ${formatDuration(lease)}: nothing was changed on this server.`,
    next: 'Start the workflow again.',
  });
}

import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { present, removePath } from '../host/files.js';
import { COPIES, PATCH } from '../host-files/local-changes.js';
import { allRunFolders, type RunFolder, workerLives } from '../state/run-folder.js';
import type { StateFolder } from '../state/state-folder.js';

/** Runs whose events and output stay on the host, with the one that is at work. */
const RUNS_KEPT = 20;

/** Changes that were taken away, in the folder of a run. */
const KEPT = [PATCH, COPIES];

/**
 * Deletes what old runs have left, before the run in the folder `own` begins: also where one deploy after the other fails,
 * the disk does not fill with what they said. Runs that are at work or wait stay. Never throws: nothing hangs on it.
 */
export function pruneRuns(state: StateFolder, own: RunFolder): void {
  const others = listed(state).filter(({ path }) => path !== own.path);
  const ended = others.filter((run) => !workerLives(run));
  const kept = RUNS_KEPT - 1 - (others.length - ended.length);
  const newestFirst = ended.map((run) => ({ run, at: lastHeardOf(run) })).sort((a, b) => b.at - a.at);
  for (const [index, { run }] of newestFirst.entries())
    try {
      if (index < kept) removePath(run.reserve);
      else emptyRun(run.path);
    } catch {
      // Its files belong to somebody else, or another run has deleted it just now.
    }
}

/** Runs of which more is there than changes that were taken away. */
function listed(state: StateFolder): RunFolder[] {
  return allRunFolders(state).filter(({ path }) => entriesOf(path).some((name) => !KEPT.includes(name)));
}

function entriesOf(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

/** When a run has said something last, or was cancelled, in milliseconds since the epoch; 0 where neither was. */
function lastHeardOf({ events, cancel }: RunFolder): number {
  const times = [events, cancel].map((file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0);
  return Math.max(...times);
}

/** Deletes the folder of a run, but for changes that were taken away: nobody else may have them. */
function emptyRun(path: string): void {
  if (!present(join(path, PATCH))) removePath(path);
  else for (const name of entriesOf(path)) if (!KEPT.includes(name)) removePath(join(path, name));
}

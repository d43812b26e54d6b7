import { statSync } from 'node:fs';
import { basename } from 'node:path';
import { definedOnly } from '../../lib/defined-only.js';
import type { PastHostRun } from '../protocol.js';
import { eventLines } from './event-lines.js';
import type { JournalEntry } from './journal.js';
import { allRunFolders, type RunFolder, workerLives } from './run-folder.js';
import type { StateFolder } from './state-folder.js';

/** How a line of the journal ends a run. */
const ENDS: Partial<Record<JournalEntry['event'], { task: PastHostRun['task']; outcome: string }>> = {
  verified: { task: 'deploy', outcome: 'deployed' },
  'put-back': { task: 'deploy', outcome: 'put-back' },
  broken: { task: 'deploy', outcome: 'broken' },
  'rolled-back': { task: 'rollback', outcome: 'rolled-back' },
};

/**
 * The deploys and rollbacks of this host, newest first. What is told is for people: a run's own word of its end is
 * believed without its seal, because nothing is decided by it.
 */
export function pastRuns(state: StateFolder, journal: readonly JournalEntry[]): PastHostRun[] {
  const runs = new Map<string, PastHostRun>();
  for (const run of [...journal.flatMap(runOfLine), ...allRunFolders(state).flatMap(runOfFolder)]) {
    const key = `${run.runId}.${run.attempt}.${run.task}`;
    runs.set(key, { ...runs.get(key), ...run });
  }
  return [...runs.values()].sort((a, b) => b.at - a.at);
}

function runOfLine({ event, at, run, sha }: JournalEntry): PastHostRun[] {
  const end = ENDS[event];
  if (end === undefined) return [];
  const { id, attempt, url } = run;
  return [{ ...end, runId: id, attempt, at, sha, ...definedOnly({ url }) }];
}

/** A run's folder is named `<run>.<attempt>.<task>.<invocation>`. */
function runOfFolder(folder: RunFolder): PastHostRun[] {
  const [runId = '', attempt, task] = basename(folder.path).split('.');
  const began = statSync(folder.worker, { throwIfNoEntry: false })?.mtimeMs;
  if ((task !== 'deploy' && task !== 'rollback') || began === undefined) return [];
  const lives = workerLives(folder);
  const ended = statSync(folder.events, { throwIfNoEntry: false })?.mtimeMs;
  const result = lives ? undefined : lastResult(folder.events);
  const sha = result?.deployedSha ?? undefined;
  return [
    {
      runId,
      attempt: Number(attempt),
      task,
      outcome: lives ? 'at-work' : (result?.outcome ?? 'cut'),
      at: Math.round(began),
      ...(lives || ended === undefined ? {} : { milliseconds: Math.max(0, Math.round(ended - began)) }),
      ...definedOnly({ sha }),
    },
  ];
}

/** The end that the run told last; undefined where it told none. */
function lastResult(events: string): { outcome: string; deployedSha?: string } | undefined {
  const reader = eventLines(events, 0);
  let last = '';
  for (let found = reader.read(); found !== undefined; found = found.more ? reader.read() : undefined)
    last = found.lines.findLast(({ line }) => line !== '')?.line ?? last;
  try {
    const { event } = JSON.parse(last) as { event?: { kind?: unknown; result?: Record<string, unknown> } };
    const result = event?.kind === 'ended' ? event.result : undefined;
    if (typeof result?.outcome !== 'string') return undefined;
    const { outcome, deployedSha } = result;
    return { outcome, ...(typeof deployedSha === 'string' ? { deployedSha } : {}) };
  } catch {
    return undefined;
  }
}

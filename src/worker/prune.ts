import { readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { present, remove } from './files.js';
import { gitSays, type Repository } from './git.js';
import { historyOf, readJournal, writeJournal } from './journal.js';
import type { RunRequest } from './protocol.js';
import { availability, dropNote, prunable, readNote, releaseFolder, releaseNames } from './releases.js';
import { runFolderOf } from './run-folder.js';
import type { StateFolder } from './state.js';
import type { Survey } from './survey.js';

/** Runs whose events and output stay on the host. */
const RUNS_KEPT = 20;

export interface PruneOptions {
  found: Pick<Survey, 'state' | 'releases' | 'strategy'>;
  repository: Repository;
  run: RunRequest;
  keep: number;
}

/** Deletes old releases and runs. Never the live release, the one before it, or the only verified one. */
export async function prune({ found, repository, run, keep }: PruneOptions): Promise<string[]> {
  const { state, releases } = found;
  const history = historyOf(readJournal(state));
  const there = releaseNames(releases);
  const gone = prunable(there, history, keep, availability(found));
  for (const release of gone) {
    const note = readNote(state, release);
    await dropRelease(repository, releaseFolder(releases, release));
    dropNote(state, release);
    if (note && !there.some((other) => !gone.includes(other) && readNote(state, other)?.sha === note.sha))
      await gitSays(repository, 'update-ref', '-d', `refs/deploys/${note.sha}`);
    if (note) writeJournal(state, run, { event: 'pruned', release, sha: note.sha });
  }
  pruneRuns(state, run);
  return gone;
}

/** Deletes a release's folder and what git knows of it as a work tree. */
export async function dropRelease(repository: Repository, folder: string): Promise<void> {
  if (present(folder)) remove(folder);
  await gitSays(repository, 'worktree', 'prune');
}

function pruneRuns(state: StateFolder, run: RunRequest): void {
  const own = runFolderOf(state, run, 'deploy').path;
  const folders = readdirSync(state.runs)
    .map((name) => join(state.runs, name))
    .filter((path) => path !== own)
    .sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
  for (const path of folders.slice(RUNS_KEPT)) rmSync(path, { recursive: true, force: true });
}

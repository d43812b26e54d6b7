import { mkdirSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { catchProblem } from '../../lib/catch-problem.js';
import { problemsOf } from '../../lib/report.js';
import { isFolder, present, removePath } from '../host/files.js';
import type { GitRepository } from '../host/git.js';
import { commandOf, processEnvironment, programsIn } from '../host/processes.js';
import { readMark, writeRecord } from '../host/records.js';
import type { Reporter } from '../run/reporter.js';
import { type JournalEntry, readJournal } from '../state/journal.js';
import { liveFolder } from '../state/layout.js';
import { dropRelease, readNote } from '../state/releases.js';
import type { StateFolder } from '../state/state-folder.js';
import type { Supervisor } from '../supervisor/supervisor.js';

/**
 * A stage is marked before its folder is made. What a killed worker left is cleared by these marks alone: releases may
 * lie in a folder that others use too, and a folder without a mark of ours is nobody's to delete.
 */
interface StageMark {
  folder: string;
}

function marksOf(state: StateFolder): string {
  return join(state.path, 'stages');
}

export function markStage(state: StateFolder, folder: string): void {
  mkdirSync(marksOf(state), { recursive: true, mode: 0o700 });
  const mark: StageMark = { folder };
  writeRecord(join(marksOf(state), `${basename(folder)}.json`), mark);
}

/**
 * Deletes a stage that never went live. Where that fails the run still ends with its own reason, and the next one deletes
 * the folder by its mark.
 */
export async function discardStage(
  repository: GitRepository,
  folder: string,
  reporter: Pick<Reporter, 'progress'>,
): Promise<void> {
  try {
    await dropRelease(repository, folder);
  } catch (error) {
    reporter.progress(
      `${folder} could not be deleted, and is left to the next run: ${problemsOf(error)[0]!.message}`,
    );
  }
}

/** Whether a release came to its cutover, by all that is written down: then it may be live, or a rollback target. */
export function reachedCutover(
  release: string,
  { noted, journal }: { noted: boolean; journal: readonly JournalEntry[] },
): boolean {
  return noted || journal.some((entry) => entry.release === release || entry.from?.release === release);
}

export interface ClearOptions {
  state: StateFolder;
  app: { appPath: string };
  supervisor: Pick<Supervisor, 'keeps'>;
  reporter: Pick<Reporter, 'warn'>;
}

/** Deletes stages that never went live, and ends what a killed worker left running in them (a build, a rehearsal). */
export function clearStages({ state, app, supervisor, reporter }: ClearOptions): void {
  if (!isFolder(marksOf(state))) return;
  const journal = readJournal(state);
  for (const name of readdirSync(marksOf(state)).filter((name) => name.endsWith('.json'))) {
    const mark = join(marksOf(state), name);
    const folder = readMark<StageMark>(mark)?.folder;
    // Of another version: it alone knows what it marked.
    if (folder === undefined) continue;
    const release = basename(name, '.json');
    const noted = readNote(state, release) !== undefined;
    if (present(folder) && !reachedCutover(release, { noted, journal })) {
      // The path that was marked may have become the way to the live application since.
      if (liveFolder(folder) === liveFolder(app.appPath)) continue;
      if (!endPrograms(folder, supervisor, reporter)) continue;
      const stays = catchProblem(() => removePath(folder));
      if (stays) {
        reporter.warn({
          message: `${folder} was left behind by a cut run, and could not be deleted: ${stays.message}`,
          next: 'Delete it on the server.',
        });
        continue;
      }
    }
    catchProblem(() => removePath(mark));
  }
}

/** Ends the builds and rehearsals in a stage. False where another program works there: then it is no longer ours alone. */
function endPrograms(
  folder: string,
  supervisor: ClearOptions['supervisor'],
  reporter: ClearOptions['reporter'],
): boolean {
  const programs = programsIn(folder);
  const strange = programs.find((pid) => !isOurProgram(pid) || supervisor.keeps(pid));
  if (strange !== undefined) {
    reporter.warn({
      message: `${folder} was left behind by a cut run, and stays: ${commandOf(strange) ?? strange} works in it.`,
      next: 'End that program, or move it elsewhere; the next run then deletes the folder.',
    });
    return false;
  }
  for (const pid of programs) {
    reporter.warn({ message: `A program that a cut run left behind was ended: ${commandOf(pid) ?? pid}` });
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It ended by itself meanwhile.
    }
  }
  return true;
}

/** Builds are told the commit, rehearsals that they are one. */
function isOurProgram(pid: number): boolean {
  const env = processEnvironment(pid);
  return env?.DEPLOY_SHA !== undefined || env?.REHEARSAL !== undefined;
}

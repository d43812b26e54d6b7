import { realpathSync } from 'node:fs';
import { type GitRepository, gitSays, isReachedWithout } from '../host/git.js';
import { rescue } from '../host-files/untracked-files.js';
import type { HostState } from '../host-state/host-state.js';
import type { DeployRequest } from '../protocol.js';
import { historyOf, readJournal, writeJournal } from '../state/journal.js';
import { liveFolder } from '../state/layout.js';
import {
  availability,
  dropNote,
  dropRelease,
  prunable,
  readNote,
  releaseFolder,
  releaseNames,
} from '../state/releases.js';

export interface PruneOptions {
  found: Pick<HostState, 'state' | 'releases' | 'strategy' | 'app' | 'tools'>;
  repository: GitRepository;
  request: Pick<DeployRequest, 'run' | 'keepReleases' | 'sharedPaths' | 'buildOutput' | 'envFilePath'>;
}

/**
 * Deletes old releases. Never the live release, the one before it, the only verified one, or one that this
 * state folder did not make: releases may lie where others are too. `rescued`: where what only a release had is now.
 */
export async function prune({
  found,
  repository,
  request,
}: PruneOptions): Promise<{ gone: string[]; rescued: [release: string, place: string][] }> {
  const { state, releases, strategy, app } = found;
  const { run, keepReleases } = request;
  const history = historyOf(readJournal(state));
  const there = releaseNames(releases).filter((release) => readNote(state, release) !== undefined);
  const live = liveFolder(app.appPath);
  const gone = prunable(there, history, keepReleases, availability({ state, releases, strategy })).filter(
    (release) => realpathSync(releaseFolder(releases, release)) !== live,
  );
  const rescued: [string, string][] = [];
  for (const release of gone) {
    const note = readNote(state, release)!;
    const place = await rescue(found, release, request);
    if (place !== undefined) rescued.push([release, place]);
    await dropRelease(repository, releaseFolder(releases, release));
    dropNote(state, release);
    if (!there.some((other) => !gone.includes(other) && readNote(state, other)?.sha === note.sha))
      await dropRef(repository, note.sha);
    writeJournal(state, run, { event: 'pruned', release, sha: note.sha });
  }
  return { gone, rescued };
}

/** Lets git forget a commit that we kept, but not one that somebody made on the server and that nothing else leads to. */
async function dropRef(repository: GitRepository, sha: string): Promise<void> {
  const own = `refs/deploys/${sha}`;
  if (await isReachedWithout(repository, sha, own)) await gitSays(repository, 'update-ref', '-d', own);
}

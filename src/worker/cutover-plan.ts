import { join } from 'node:path';
import { carryEnvFiles, envDigest, readEnvFiles } from './env-files.js';
import { isSymlink, present } from './files.js';
import type { ReleaseRef } from './journal.js';
import { currentLink } from './layout.js';
import type { Plan } from './plan.js';
import { type Entry, LISTEN_TIMEOUT } from './pm2.js';
import type { DeployRequest } from './protocol.js';
import { readNote, releaseFolder, writeNote } from './releases.js';
import type { Stage } from './stage.js';
import type { StateFolder } from './state.js';
import type { Survey } from './survey.js';

/** Everything the cutover will change, decided before the first change. */
export function planCutover(
  found: Pick<Survey, 'strategy' | 'live' | 'releases' | 'history' | 'facts' | 'app' | 'state'>,
  stage: Pick<Stage, 'release' | 'sha' | 'folder' | 'paths'>,
  { run, sharedPaths }: Pick<DeployRequest, 'run' | 'sharedPaths'>,
): Plan {
  const { strategy, live, releases, facts, app } = found;
  const from = liveRef(found);
  const to: ReleaseRef = { release: stage.release, sha: stage.sha };
  const base = {
    task: 'deploy' as const,
    run: { id: run.id, attempt: run.attempt, ...(run.url === undefined ? {} : { url: run.url }) },
    ...(from === undefined ? {} : { from }),
    to,
  };
  if (strategy === 'in-place') {
    const kept = releaseFolder(releases, from!.release);
    return {
      ...base,
      swaps: stage.paths.map((path) => ({
        live: join(live!, path),
        incoming: join(stage.folder, path),
        kept: join(kept, path),
        had: present(join(live!, path)),
      })),
      checkout: { folder: live!, fromSha: facts.liveSha!, toSha: stage.sha },
    };
  }
  const link = currentLink(app.appPath);
  const home = strategy === 'adopt' ? releaseFolder(releases, from!.release) : live;
  const shares = home === undefined ? [] : sharesOf(found.state, sharedPaths, home);
  if (strategy === 'adopt') {
    const release = releaseFolder(releases, from!.release);
    return {
      ...base,
      swaps: [],
      shares,
      adopt: { folder: app.appPath, release },
      link: { path: link, from: release, to: stage.folder },
    };
  }
  return {
    ...base,
    swaps: [],
    shares,
    link: { path: link, ...(live === undefined ? {} : { from: live }), to: stage.folder },
  };
}

/** Shared paths that are reached through the live release until now. */
function sharesOf(
  state: StateFolder,
  paths: readonly string[],
  release: string,
): { live: string; home: string }[] {
  return paths
    .map((path) => ({ live: join(release, path), home: join(state.shared, path) }))
    .filter(({ home }) => isSymlink(home));
}

/** The release that is live; one is named where a commit is live that our journal does not know. */
function liveRef({ history, facts }: Pick<Survey, 'history' | 'facts'>): ReleaseRef | undefined {
  if (facts.liveSha === undefined) return undefined;
  if (history.live?.sha === facts.liveSha) return history.live;
  return { release: `00000000000000-${facts.liveSha.slice(0, 12)}`, sha: facts.liveSha };
}

/** Writes down what a later rollback must know, before the first change. */
export function noteReleases(found: Survey, stage: Stage, plan: Plan): void {
  const { state } = found;
  writeNote(state, stage.release, {
    sha: stage.sha,
    paths: stage.paths,
    envFiles: stage.envFiles,
    envDigest: envDigest(readEnvFiles(stage.folder, stage.envFiles)),
    carriedChunks: stage.carriedChunks,
  });
  if (plan.from && found.live !== undefined) noteLeaving(found, plan.from, stage, plan);
}

/** What moves away from the live release now, and its env files as they are now, is what a rollback brings back. */
function noteLeaving(found: Survey, from: ReleaseRef, stage: Stage, plan: Plan): void {
  const { state, releases } = found;
  const note = readNote(state, from.release);
  const moved = plan.swaps
    .filter(({ had }) => had)
    .map(({ incoming }) => incoming.slice(stage.folder.length + 1));
  const envFiles = stage.envFiles.filter((path) => present(join(found.live!, path)));
  if (found.strategy === 'in-place')
    carryEnvFiles(found.live!, releaseFolder(releases, from.release), envFiles);
  writeNote(state, from.release, {
    sha: from.sha,
    paths: [...new Set([...(note?.paths ?? []), ...moved])],
    envFiles,
    ...(note?.envDigest === undefined ? {} : { envDigest: note.envDigest }),
    carriedChunks: note?.carriedChunks ?? [],
  });
}

/**
 * At a reload in cluster mode PM2 stops the old instance after `listen_timeout`, also where the new one does not listen
 * yet: a gap. Milliseconds to raise it to, from what the rehearsal took; undefined where it is long enough. A reload
 * happens beside the live load, so there must be twice the time, and four times are given. It is never made longer than
 * `longest`: after that the new version would be given up anyway.
 */
export function longerListenTimeout(
  entry: Pick<Entry, 'mode' | 'listenTimeout'> | undefined,
  bootMs: number | undefined,
  longest: number,
): number | undefined {
  if (entry?.mode !== 'cluster' || bootMs === undefined) return undefined;
  const current = entry.listenTimeout ?? LISTEN_TIMEOUT;
  if (2 * bootMs <= current) return undefined;
  const wanted = Math.min(Math.ceil((4 * bootMs) / 1_000) * 1_000, longest);
  return wanted > current ? wanted : undefined;
}

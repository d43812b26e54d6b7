import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { definedOnly } from '../../lib/defined-only.js';
import { stampsOf } from '../build/build-output.js';
import type { Stage } from '../build/stage.js';
import { present } from '../host/files.js';
import { makeFoldersLike, openLike } from '../host/permissions.js';
import { carryEnvFiles, envDigest, readEnvFiles } from '../host-files/env-files.js';
import { isWithinAny } from '../host-files/paths.js';
import { sharesOf } from '../host-files/shared-paths.js';
import type { HostState } from '../host-state/host-state.js';
import type { DeployRequest } from '../protocol.js';
import { handMade, historyAsFound, type ReleaseRef } from '../state/journal.js';
import { currentLink } from '../state/layout.js';
import type { LocalChanges, Plan, ReleaseExtras } from '../state/plan.js';
import { entryFile, readNote, releaseFolder, writeNote } from '../state/releases.js';
import type { StateFolder } from '../state/state-folder.js';

/** Everything the cutover will change, decided before the first change. */
export function planCutover(
  found: Pick<HostState, 'strategy' | 'live' | 'releases' | 'history' | 'facts' | 'app' | 'state'>,
  stage: Pick<Stage, 'release' | 'sha' | 'folder' | 'paths' | 'rebuilt' | 'tracking' | 'changes' | 'change'>,
  request: Pick<DeployRequest, 'run' | 'sharedPaths' | 'buildOutput'>,
): Plan {
  const { strategy, live, releases, facts, app, state } = found;
  const { run } = request;
  const from = liveRef(found);
  const to: ReleaseRef = { release: stage.release, sha: stage.sha };
  const base = {
    task: 'deploy' as const,
    run: { id: run.id, attempt: run.attempt, ...definedOnly({ url: run.url }) },
    ...definedOnly({ from }),
    to,
    ...(stage.change === undefined ? {} : { entry: { from: entryFile(state, from!.release) } }),
  };
  const home = strategy === 'adopt' ? releaseFolder(releases, from!.release) : live;
  const shares = home === undefined ? [] : sharesOf(found, request, home, stage.release);
  if (strategy === 'in-place') {
    const kept = releaseFolder(releases, from!.release);
    return {
      ...base,
      shares,
      swaps: stage.paths.map((path) => ({
        live: join(live!, path),
        incoming: join(stage.folder, path),
        kept: join(kept, path),
        had: present(join(live!, path)),
      })),
      checkout: {
        folder: live!,
        fromSha: facts.liveSha!,
        toSha: stage.sha,
        from: extrasOfLive(found, from!, stage),
        to: { rebuilt: { folder: stage.folder, paths: stage.rebuilt }, host: [] },
        untrack: stage.tracking?.untrack ?? [],
        takenOver: stage.tracking?.takenOver ?? [],
        aside: asideFor(state, base.run, to),
      },
    };
  }
  const link = currentLink(app.appPath);
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
    link: { path: link, ...definedOnly({ from: live }), to: stage.folder },
  };
}

/** What the live version has beside its commit, for the way back to it. */
function extrasOfLive(
  { state, releases, facts }: Pick<HostState, 'state' | 'releases' | 'facts'>,
  from: ReleaseRef,
  { tracking, changes, paths }: Pick<Stage, 'tracking' | 'changes' | 'paths'>,
): ReleaseExtras {
  // What people changed after the build comes back by their changes.
  const rebuilt = (readNote(state, from.release)?.rebuilt ?? []).filter(
    (path) => !facts.dirtyFiles.includes(path),
  );
  return extrasOf(releaseFolder(releases, from.release), rebuilt, paths, tracking?.hostFrom ?? [], changes);
}

/** What is in a folder that changes place comes with it, and must only be kept from git, like a file of the host. */
export function extrasOf(
  folder: string,
  rebuilt: readonly string[],
  swapped: readonly string[],
  host: readonly string[],
  changes: LocalChanges | undefined,
): ReleaseExtras {
  const moves = (path: string): boolean => isWithinAny(path, swapped);
  return {
    rebuilt: { folder, paths: rebuilt.filter((path) => !moves(path)) },
    host: [...host, ...rebuilt.filter(moves)],
    ...definedOnly({ changes }),
  };
}

/** Where files lie while git works that it would overwrite; of one run alone, so that nothing old is in it. */
export function asideFor(state: StateFolder, { id, attempt }: Plan['run'], to: ReleaseRef): string {
  return join(state.path, `aside.${id}.${attempt}.${to.release}`);
}

/** The release that is live; one is named where a commit is live that our journal does not know. */
export function liveRef({ history, facts }: Pick<HostState, 'history' | 'facts'>): ReleaseRef | undefined {
  if (facts.liveSha === undefined) return undefined;
  return historyAsFound(history, facts.liveSha).live ?? handMade(facts.liveSha);
}

/** Writes down what a later rollback must know, before the first change. */
export async function noteReleases(found: HostState, stage: Stage, plan: Plan): Promise<void> {
  const { state } = found;
  writeNote(state, stage.release, {
    sha: stage.sha,
    paths: stage.paths,
    stamps: stampsOf(stage.folder, stage.made),
    rebuilt: stage.rebuilt,
    envFiles: stage.envFiles,
    envDigest: envDigest(readEnvFiles(stage.folder, stage.envFiles)),
    carriedChunks: stage.carriedChunks,
    takenOver: takenOverBy(found, stage),
  });
  if (plan.from && found.live !== undefined) await noteLeaving(found, plan, stage.envFiles);
}

/** What the new release has taken over, itself or through those before it. */
function takenOverBy({ history, state }: HostState, { tracking }: Stage): string[] {
  const before = history.live && readNote(state, history.live.release)?.takenOver;
  const left = new Set(tracking?.hostFrom);
  return [...(before ?? []).filter((path) => !left.has(path)), ...(tracking?.takenOver ?? [])];
}

/** What moves away from the live version now, and its env files as they are now, is what a rollback brings back. */
export async function noteLeaving(
  found: Pick<HostState, 'strategy' | 'state' | 'releases' | 'live' | 'tools'>,
  plan: Plan,
  envFiles: readonly string[],
): Promise<void> {
  const { state, releases, tools } = found;
  const from = plan.from!;
  const note = readNote(state, from.release);
  const folder = releaseFolder(releases, from.release);
  const inPlace = plan.checkout !== undefined;
  const kept = movedTo(folder, plan);
  const ownEnvFiles = [...new Set([...envFiles, ...(note?.envFiles ?? [])])].filter((path) =>
    present(join(found.live!, path)),
  );
  if (inPlace) {
    // What moves there was kept from others by the folders of the live version.
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    await openLike(tools, found.live!, folder);
    for (const path of kept) await makeFoldersLike(tools, found.live!, folder, path);
    await carryEnvFiles(tools, found.live!, folder, ownEnvFiles);
  }
  const changes = plan.checkout?.from.changes;
  const changed = new Set(changes?.paths);
  writeNote(state, from.release, {
    sha: from.sha,
    ...(note === undefined || note.found ? { found: true } : {}),
    paths: [...new Set([...(note?.paths ?? []), ...kept])],
    stamps: note?.stamps ?? {},
    rebuilt: (note?.rebuilt ?? []).filter((path) => !changed.has(path)),
    envFiles: ownEnvFiles,
    ...(note?.envDigest === undefined ? {} : { envDigest: note.envDigest }),
    carriedChunks: note?.carriedChunks ?? [],
    ...definedOnly({ takenOver: note?.takenOver }),
    ...(inPlace ? { kept } : {}),
    ...definedOnly({ changes }),
  });
}

/** What a plan moves into the folder of the release that leaves, by paths in the application. */
function movedTo(folder: string, { swaps }: Plan): string[] {
  return swaps.flatMap(({ live, kept, had }) => {
    const place = live.startsWith(`${folder}/`) ? live : had ? kept : undefined;
    return place?.startsWith(`${folder}/`) ? [place.slice(folder.length + 1)] : [];
  });
}

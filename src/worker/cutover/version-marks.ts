import { join } from 'node:path';
import { pathEnds, shows, type VersionMarks } from '../../http/answered-version.js';
import { isInstalled } from '../../lib/build-output-names.js';
import { definedOnly } from '../../lib/defined-only.js';
import { filesBelow } from '../build/build-output.js';
import type { Stage } from '../build/stage.js';
import { isFolder, readText } from '../host/files.js';
import { askLoopbackVersion } from '../host/loopback-health.js';
import type { HostState } from '../host-state/host-state.js';
import type { HealthRequest } from '../protocol.js';
import type { ReleaseRef } from '../state/journal.js';
import type { Plan } from '../state/plan.js';
import { readNote, releaseFolder } from '../state/releases.js';
import type { Versions } from '../supervisor/supervisor.js';

/** One of the two versions between which the application changes. */
export interface VersionFolder {
  sha: string;
  folder: string;
  /** What was built there, by paths from the folder. */
  output: readonly string[];
  /** Static files taken over from the version before. */
  carried: readonly string[];
}

const NO_MARKS: VersionMarks = { texts: [], files: new Set() };

/** A build id that is shorter may stand in any page for another reason. */
const SHORTEST_TEXT = 6;

type KnownOutput = Pick<HostState, 'supervisor' | 'state' | 'live' | 'releases'>;

/** Of a deploy, before its cutover: the version in the stage, and the live one. */
export async function deployVersions(
  found: KnownOutput,
  stage: Pick<Stage, 'folder' | 'made' | 'carriedChunks' | 'port'>,
  { to, from }: Pick<Plan, 'to' | 'from'>,
  health: HealthRequest,
): Promise<Versions> {
  const versions = versionsOf(
    found,
    { sha: to.sha, folder: stage.folder, output: stage.made, carried: stage.carriedChunks },
    from,
    stage.made,
  );
  const { expectVersion } = health;
  if (found.supervisor.provenBy !== 'answers' || expectVersion === undefined || stage.port === undefined)
    return versions;
  // A text that the version which leaves has too proves nothing.
  const shown = await askLoopbackVersion(stage.port, health, new AbortController().signal);
  if (shows(shown, { ...NO_MARKS, texts: [expectVersion] })) return versions;
  return { ...versions, to: { ...versions.to, texts: [...versions.to.texts, expectVersion] } };
}

/** Of a rollback, before its cutover: the kept version, and the live one. */
export function rollbackVersions(found: KnownOutput, { to, from }: Pick<Plan, 'to' | 'from'>): Versions {
  const note = readNote(found.state, to.release);
  const folder = releaseFolder(found.releases, to.release);
  const kept = {
    sha: to.sha,
    folder,
    output: note?.paths ?? [],
    carried: note?.carriedChunks ?? [],
  };
  return versionsOf(found, kept, from, []);
}

/** Of a run that was cut nobody knows any more where what lies: only the commits are told apart. */
export function cutVersions({ to, from }: { to: ReleaseRef; from: ReleaseRef | undefined }): Versions {
  const mark = (sha: string | undefined): VersionMarks => ({ ...NO_MARKS, ...definedOnly({ commit: sha }) });
  return { to: without(mark(to.sha), mark(from?.sha)), from: without(mark(from?.sha), mark(to.sha)) };
}

/** The same, for the way back. */
export function reversed({ to, from }: Versions): Versions {
  return { to: from, from: to };
}

function versionsOf(
  { supervisor, state, live }: KnownOutput,
  to: VersionFolder,
  from: ReleaseRef | undefined,
  output: readonly string[],
): Versions {
  if (supervisor.provenBy !== 'answers') return { to: NO_MARKS, from: NO_MARKS };
  const note = from && readNote(state, from.release);
  return tellApart(
    to,
    from === undefined || live === undefined
      ? undefined
      : {
          sha: from.sha,
          folder: live,
          output: [...new Set([...output, ...(note?.paths ?? [])])],
          carried: note?.carriedChunks ?? [],
        },
  );
}

/** Reads what tells two versions apart: to be asked while both lie where `to` and `from` say. */
export function tellApart(to: VersionFolder, from: VersionFolder | undefined): Versions {
  const marks = marksOf(to);
  if (from === undefined) return { to: marks, from: NO_MARKS };
  const others = marksOf(from);
  return { to: without(marks, others), from: without(others, marks) };
}

function marksOf({ sha, folder, output, carried }: VersionFolder): VersionMarks {
  const skip = new Set(carried);
  const built = output.filter((path) => !isInstalled(path)).map((path) => lookInto(folder, path));
  const files = built
    .flatMap((found) => found.files)
    .filter((path) => !skip.has(path) && !path.includes('/node_modules/'));
  const ids = built.flatMap(({ buildId }) => buildId ?? []);
  return {
    commit: sha,
    texts: ids.filter((id) => id.length >= SHORTEST_TEXT),
    files: new Set(files.flatMap(pathEnds)),
  };
}

/** The files of one output, by paths from the version's folder. What may not be read tells nothing apart. */
function lookInto(folder: string, path: string): { files: string[]; buildId?: string } {
  const place = join(folder, path);
  try {
    if (!isFolder(place)) return { files: [path] };
    const files = filesBelow(place).map((file) => join(path, file));
    return { files, ...definedOnly({ buildId: readText(join(place, 'BUILD_ID'))?.trim() }) };
  } catch {
    return { files: [] };
  }
}

function without(marks: VersionMarks, others: VersionMarks): VersionMarks {
  return {
    ...(marks.commit === undefined || marks.commit === others.commit ? {} : { commit: marks.commit }),
    texts: marks.texts.filter((text) => !others.texts.includes(text)),
    files: new Set([...marks.files].filter((path) => !others.files.has(path))),
  };
}

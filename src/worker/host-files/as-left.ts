import { join } from 'node:path';
import { sameContent, stampOf } from '../host/compare-files.js';
import { present } from '../host/files.js';
import type { ReleaseNote } from '../state/releases.js';

/** What can be seen of a folder since a deploy of ours left a version there. */
export interface AsLeft {
  /** Nobody wrote to the path since, by the stamp that was noted. */
  stamped(path: string): boolean;
  /** Somebody wrote to a path that was stamped, and it is there. */
  written(path: string): boolean;
  /** The file is as the release has it. Reads it. */
  sameAsMade(path: string): boolean;
}

/** Looks at a folder by the note of the release that is live in it. `made`: where that was built. */
export function asLeftIn(folder: string, note: ReleaseNote | undefined, made: string | undefined): AsLeft {
  const stampIn = (path: string): string | undefined => note?.stamps[path];
  return {
    stamped: (path) => stampIn(path) !== undefined && stampIn(path) === stampOf(join(folder, path)),
    written: (path) => {
      const [here, stamp] = [join(folder, path), stampIn(path)];
      return stamp !== undefined && present(here) && stamp !== stampOf(here);
    },
    sameAsMade: (path) =>
      made !== undefined && made !== folder && sameContent(join(made, path), join(folder, path)),
  };
}

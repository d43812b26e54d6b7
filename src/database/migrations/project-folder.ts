import { closeSync, constants, type Dirent, openSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { readdir, realpath } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { Failure, type Problem } from '../../lib/report.js';

/** What the file system gave for one name. */
export type Fetched = Buffer | 'outside' | 'no file' | { code: string };

/**
 * A folder of the checkout, by which alone files of the project are read: a name is looked up among what lies in it and
 * never made part of a path, and a link is followed only where it stays in the project.
 */
export interface ProjectFolder {
  /** Everything in it that is no folder itself. */
  readonly names: readonly string[];
  /** The .sql files of the folders in it that are no down files, by their path in it. Looks one folder deep. */
  below(): Promise<string[]>;
  /** Undefined where the folder holds no such name. */
  read(name: string): Fetched | undefined;
}

/**
 * Lists the folder, a path from the working directory. Rejects with the error of the file system where it cannot be
 * listed, and with a Failure where it is a link out of the project.
 */
export async function openFolder(workingDirectory: string, folder: string): Promise<ProjectFolder> {
  const given = join(workingDirectory, folder);
  const entries = new Map<string, Dirent>();
  for (const entry of await readdir(given, { withFileTypes: true })) entries.set(entry.name, entry);
  const tree = (await realpath(workingDirectory)) + sep;
  const real = await realpath(given);
  if (!(real + sep).startsWith(tree)) throw new Failure(outside(folder));
  return {
    names: [...entries.values()].filter((entry) => !entry.isDirectory()).map(({ name }) => name),
    async below() {
      const folders = [...entries.values()].filter((entry) => entry.isDirectory()).map(({ name }) => name);
      const found: string[] = [];
      for (const name of folders.toSorted())
        for (const inner of await readdir(join(real, name)).catch(() => []))
          if (/(?<!\.down)\.sql$/.test(inner)) found.push(`${name}/${inner}`);
      return found;
    },
    read(name) {
      const entry = entries.get(name);
      return entry && fetch(join(real, name), entry, tree);
    },
  };
}

/** What there is to say of a file or folder that is not in the project. */
export function outside(path: string): Problem {
  return {
    message: `${path} is a link that leads out of the project`,
    next: 'Put what it points to into the project itself.',
  };
}

function fetch(path: string, entry: Dirent, tree: string): Fetched {
  try {
    // Only a link can lead elsewhere, and only what is no plain file has to be looked at.
    if (entry.isFile()) return readUnlinked(path);
    const target = realpathSync(path);
    if (!target.startsWith(tree)) return 'outside';
    return statSync(target).isFile() ? readUnlinked(target) : 'no file';
  } catch (error) {
    return { code: error instanceof Error && 'code' in error ? String(error.code) : 'error' };
  }
}

/** What was no link when it was looked at is not followed where it has become one. */
function readUnlinked(path: string): Buffer {
  const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    return readFileSync(file);
  } finally {
    closeSync(file);
  }
}

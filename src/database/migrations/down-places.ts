import { posix } from 'node:path';
import { Failure } from '../../lib/report.js';
import { openDowns, readDownFile } from './down-files.js';
import type { ProjectFolder } from './project-folder.js';

/** Where a project keeps its down files, by paths from the working directory. */
export interface DownPlaces {
  readonly migrationsDir: string;
  /** The only place, where it is set. By default they lie beside the migrations, and in the folder `down` beside those. */
  readonly downDir?: string;
}

/** A folder that may hold down files. */
export interface DownPlace {
  /** As it is shown, without a slash at the end. */
  path: string;
  folder: ProjectFolder;
  /** It is no folder of migrations, so a file of the migration's own name is a down file too. */
  own: boolean;
}

/** Opens those of the places that are there. @throws a Failure where one cannot be read, or `down-dir` is not there */
export async function openDownPlaces(
  workingDirectory: string,
  { migrationsDir, downDir }: DownPlaces,
): Promise<DownPlace[]> {
  const beside = withoutSlash(migrationsDir);
  const paths = downDir === undefined ? [beside, defaultDownDir(beside)] : [withoutSlash(downDir)];
  const places: DownPlace[] = [];
  for (const path of new Set(paths)) {
    const folder = await openDowns(workingDirectory, path);
    if (folder) places.push({ path, folder, own: path !== beside });
    else if (downDir !== undefined)
      throw new Failure({
        message: `down-dir: there is no folder ${path}`,
        next: 'Check down-dir and working-directory, and that the repository was checked out.',
      });
  }
  return places;
}

/** The folder `down` beside that of the migrations: the Supabase CLI does not look into it. */
export function defaultDownDir(migrationsDir: string): string {
  return posix.join(posix.dirname(withoutSlash(migrationsDir)), 'down');
}

/** The name of the migration that a file of a place undoes; undefined for what is no down file. */
export function undoneBy(name: string, { own }: Pick<DownPlace, 'own'>): string | undefined {
  const match = /^(\d+_.*?)(\.down)?\.sql$/su.exec(name);
  return match && (match[2] !== undefined || own) ? `${match[1]}.sql` : undefined;
}

/**
 * The down file of a migration, by the migration's name; undefined where there is none.
 * @throws a Failure where it cannot be read, or there are two
 */
export function findDownFile(
  places: readonly DownPlace[],
  migration: string,
): { file: string; source: string } | undefined {
  const found = places.flatMap((place) =>
    place.folder.names
      .filter((name) => undoneBy(name, place) === migration)
      .map((name) => ({ place, name, file: `${place.path}/${name}` })),
  );
  const [first, second] = found;
  if (first && second) throw new Failure(twoDownFiles(first.file, second.file));
  const source = first && readDownFile(first.place.folder, first.name, first.file);
  return first && source !== undefined ? { file: first.file, source } : undefined;
}

/** What there is to say of two files that undo the same migration. */
export function twoDownFiles(one: string, other: string): { message: string; next: string } {
  return {
    message: `${one} and ${other} both undo the same migration`,
    next: 'Keep one of them. Where all lie in one folder, down-dir names it.',
  };
}

const withoutSlash = (path: string): string => path.replace(/(?<=.)\/+$/, '');

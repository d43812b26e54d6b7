import { createHash } from 'node:crypto';
import { basename, join } from 'node:path';
import { setImmediate as breathe } from 'node:timers/promises';
import { invisibleCharacter } from '../../lib/invisible.js';
import { Failure, type Problem } from '../../lib/report.js';
import { shortenList } from '../../lib/shorten-list.js';
import { positionIn } from '../sql/source-text.js';
import { readMarker } from './deploy-marker.js';
import { type DownPlaces, defaultDownDir, openDownPlaces, twoDownFiles, undoneBy } from './down-places.js';
import { namesOfOtherTool, onlyBelow } from './other-tools.js';
import { type Fetched, openFolder, outside, type ProjectFolder } from './project-folder.js';

/** One file of the migrations folder that has a version. */
export interface MigrationFile {
  version: string;
  /** What follows the version in the file name. */
  name: string;
  /** Path from the working directory. */
  file: string;
  /** The text, without a byte order mark. */
  source: string;
  /** SHA-256 of the file's bytes. */
  checksum: string;
  /** Waits until health has passed. */
  afterHealth: boolean;
  /** Comments that look like the marker for it and are not; of an applied file nobody asks any more. */
  wrongMarkers?: Problem[];
  down?: { file: string; source: string };
  /** Why its text, or that of its down file, is not known: nothing where nobody needs it any more. */
  unreadable?: Problem;
}

export interface MigrationFiles {
  /** In the order in which they are applied: byte order of the versions, as the Supabase CLI has it. */
  files: MigrationFile[];
  /** Names in the folder that are no migration, as the Supabase CLI skips them. */
  ignored: string[];
  /** Why nothing may be applied. */
  problems: Problem[];
  warnings: Problem[];
}

const UP = /^(\d+)_(.*)\.sql$/su;
const DOWN = /^(\d+)_(.*)\.down\.sql$/su;

/** Reads every migration of the folder; all problems of all files at once. */
export async function readMigrationFiles(
  workingDirectory: string,
  where: DownPlaces,
): Promise<MigrationFiles> {
  const { migrationsDir } = where;
  const folder = await openFolder(workingDirectory, migrationsDir).catch((error: unknown) => {
    throw error instanceof Failure ? error : new Failure(unreadable(migrationsDir));
  });
  const names = folder.names.toSorted(byBytes);
  const fetched = await fetchAll(
    folder,
    names.filter((name) => UP.test(name) && !DOWN.test(name)),
  );
  const found: MigrationFiles = { files: [], ignored: [], problems: [], warnings: [] };
  const beside: string[] = [];
  for (const name of names) {
    const file = `${migrationsDir.replace(/\/+$/, '')}/${name}`;
    if (!UP.test(name)) {
      if (name.endsWith('.sql') || name.toLowerCase().includes('.sql')) found.ignored.push(name);
      continue;
    }
    if (DOWN.test(name)) {
      beside.push(file);
      continue;
    }
    const read = accept(fetched.get(name)!, file, name, found);
    if (read) found.files.push({ ...splitName(name), file, ...read, ...header(read.source, file) });
  }
  const downs = await readDowns(workingDirectory, where, found);
  found.files.sort((a, b) => byBytes(a.version, b.version));
  for (const migration of found.files) {
    const down = downs.get(basename(migration.file));
    if (down?.unreadable) migration.unreadable ??= down.unreadable;
    else if (down) migration.down = { file: down.file, source: down.source };
    downs.delete(basename(migration.file));
  }
  const ups = new Set(found.files.map(({ file }) => file));
  for (const orphan of downs.values())
    found.warnings.push({
      message: ups.has(orphan.file.replace(/\.down\.sql$/, '.up.sql'))
        ? `${orphan.file} is no down file of its .up.sql: the two are not named alike`
        : `${orphan.file} is a down file without the migration that it undoes`,
      next: 'Name it as the migration, with .down.sql at the end; it is never run as a migration.',
    });
  addNameProblems(found);
  tellDownsBeside(beside, where, found);
  const shown = migrationsDir.replace(/\/+$/, '');
  const others = [
    namesOfOtherTool(shown, found.ignored),
    names.some((name) => name.endsWith('.sql')) ? undefined : onlyBelow(shown, await folder.below()),
  ];
  found.problems.push(...others.filter((problem) => problem !== undefined));
  return found;
}

/** Every down file of every place, by the name of the migration that it undoes. */
async function readDowns(
  workingDirectory: string,
  where: DownPlaces,
  found: MigrationFiles,
): Promise<Map<string, Text & { file: string }>> {
  const downs = new Map<string, Text & { file: string }>();
  const places = await openDownPlaces(workingDirectory, where).catch((error: unknown) => {
    if (!(error instanceof Failure)) throw error;
    found.problems.push(...error.problems);
    return [];
  });
  for (const place of places)
    for (const name of place.folder.names.toSorted(byBytes)) {
      const migration = undoneBy(name, place);
      if (migration === undefined) continue;
      const file = `${place.path}/${name}`;
      const other = downs.get(migration);
      const read = accept(place.folder.read(name)!, file, name, found);
      if (other) found.problems.push(twoDownFiles(other.file, file));
      else if (read) downs.set(migration, { file, ...read });
    }
  return downs;
}

/** Down files among the migrations: another tool takes them for migrations, and where they belong elsewhere nobody runs them. */
function tellDownsBeside(
  beside: readonly string[],
  { migrationsDir, downDir }: DownPlaces,
  { warnings }: MigrationFiles,
): void {
  if (beside.length === 0) return;
  const names = shortenList(
    beside.map((file) => basename(file)),
    MOST_DOWNS,
  );
  const read = downDir === undefined || isSameFolder(downDir, migrationsDir);
  if (!read)
    warnings.push({
      message: `not read, because down-dir is ${downDir}: ${names} beside the migrations`,
      next: `Move them to ${downDir}.`,
    });
  if (/(^|\/)supabase\/migrations\/*$/.test(migrationsDir))
    warnings.push({
      message: `supabase db push and supabase db reset would run these down files as migrations: ${names}`,
      next: `Where the Supabase CLI is used beside this action, move them to ${read ? defaultDownDir(migrationsDir) : downDir}.`,
    });
}

const MOST_DOWNS = 5;

function isSameFolder(one: string, other: string): boolean {
  return join('/', one, '/') === join('/', other, '/');
}

function header(source: string, file: string): Pick<MigrationFile, 'afterHealth' | 'wrongMarkers'> {
  const { afterHealth, wrong } = readMarker(source);
  if (wrong.length === 0) return { afterHealth };
  const wrongMarkers = wrong.map(({ index, comment, next }) => ({
    message: `"${comment}" means nothing`,
    at: positionIn(file, source, index),
    next,
  }));
  return { afterHealth, wrongMarkers };
}

function unreadable(migrationsDir: string): Problem {
  return {
    message: `migrations-dir: ${migrationsDir} is not a folder that can be read`,
    next: 'Check migrations-dir and working-directory, and that the repository was checked out.',
  };
}

/** Byte order of UTF-8, in which `10_` comes before `9_`; a difference as `sort` wants it. */
export function byBytes(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index++) {
    const difference = rank(a.charCodeAt(index)) - rank(b.charCodeAt(index));
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** Surrogates stand for the code points above all that one unit can hold. */
const rank = (unit: number): number => (unit >= 0xd800 && unit <= 0xdfff ? unit + 0x1_0000 : unit);

function splitName(name: string): { version: string; name: string } {
  const match = UP.exec(name)!;
  return { version: match[1]!, name: match[2]! };
}

/**
 * Files read in one go. Read without waiting, 10,000 of them take a third of the time that promises take; between two
 * goes the connection to the database, which is made meanwhile, gets its turn.
 */
const AT_ONCE = 100;

async function fetchAll(folder: ProjectFolder, names: readonly string[]): Promise<Map<string, Fetched>> {
  const fetched = new Map<string, Fetched>();
  for (let from = 0; from < names.length; from += AT_ONCE) {
    for (const name of names.slice(from, from + AT_ONCE)) fetched.set(name, folder.read(name)!);
    await breathe();
  }
  return fetched;
}

type Text = Pick<MigrationFile, 'source' | 'checksum' | 'unreadable'>;

/** The text of one file, or what is wrong with it. */
function accept(fetched: Fetched, file: string, name: string, found: MigrationFiles): Text | undefined {
  const invisible = invisibleCharacter(name);
  if (invisible)
    found.problems.push({
      message: `the name of ${JSON.stringify(file)} holds the invisible character ${invisible}`,
      next: 'Rename the file without it.',
    });
  else if (fetched === 'outside') found.problems.push(outside(file));
  else if (fetched === 'no file') found.ignored.push(name);
  else if ('code' in fetched)
    found.problems.push({
      message: `${file} cannot be read: ${fetched.code}`,
      next: 'Check the file and its permissions.',
    });
  else {
    const decoded = decode(fetched, file, found);
    const checksum = createHash('sha256').update(fetched).digest('hex');
    return typeof decoded === 'string'
      ? { source: decoded, checksum }
      : { source: '', checksum, unreadable: decoded };
  }
  return undefined;
}

/** The text of a file that is UTF-8 without NUL; of anything else, what is wrong with it and where. */
function decode(bytes: Buffer, file: string, found: MigrationFiles): string | Problem {
  const complain = (message: string, offset: number): Problem => {
    const before = bytes.subarray(0, offset).toString('utf8');
    const at = positionIn(file, before, before.length);
    return {
      message: `${file} ${message} at byte ${offset}`,
      at: { file, line: at.line, column: at.column },
      next: 'Save the file as UTF-8.',
    };
  };
  if (bytes.length >= 2 && (bytes.readUInt16LE(0) === 0xfeff || bytes.readUInt16BE(0) === 0xfeff))
    return complain('is UTF-16, not UTF-8', 0);
  const nul = bytes.indexOf(0);
  if (nul !== -1) return complain('holds a NUL byte', nul);
  const text = bytes.toString('utf8');
  const again = Buffer.from(text, 'utf8');
  if (!again.equals(bytes)) {
    let offset = 0;
    while (again[offset] === bytes[offset]) offset++;
    return complain('is not valid UTF-8', offset);
  }
  if (!text.startsWith('\ufeff')) return text;
  found.warnings.push({
    message: `${file} starts with a byte order mark, which is left out`,
    at: { file, line: 1, column: 1 },
    next: 'Save the file as UTF-8 without BOM.',
  });
  return text.slice(1);
}

function addNameProblems(found: MigrationFiles): void {
  const widths = new Set(found.files.map((migration) => migration.version.length));
  if (widths.size > 1)
    found.warnings.push({
      message: `versions of ${[...widths].sort((a, b) => a - b).join(', ')} digits are mixed: they sort as text, so 10_ comes before 9_`,
      next: 'Give all versions the same number of digits.',
    });
  if (found.ignored.length > 0)
    found.warnings.push({
      message: `not migrations, and skipped: ${shortenList(found.ignored, 20)}`,
      next: 'A migration is named <digits>_<name>.sql.',
    });
}

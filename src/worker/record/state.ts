import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { Failure } from '../../base/report.js';
import { quote } from '../../base/shell.js';
import { deviceOf, isFolder, isSymlink, readJson, writeAtomically } from '../host/files.js';
import { handOver, isOwn, isWritable, ownerOf, ownWord } from '../host/owner.js';

/** Where everything about one application's deploys is kept on the host. */
export interface StateFolder {
  readonly path: string;
  readonly lock: string;
  readonly holder: string;
  readonly state: string;
  readonly journal: string;
  /** Exists only while a cutover or a rollback is under way, or was cut. */
  readonly plan: string;
  readonly runs: string;
  /** What is to be known of each release, one file each. */
  readonly notes: string;
  readonly releases: string;
  /** Shared paths of the releases layout. */
  readonly shared: string;
  /** The bare repository of the releases layout. */
  readonly repository: string;
}

/** What is remembered between runs; the journal holds how it came to be. */
export interface State {
  environment?: string;
  /** A database was deployed together with the application. */
  database?: boolean;
}

/** The two places a state folder may be: beside the application, or in the home of who deploys. */
export function statePlaces(appPath: string, home: string): { beside: string; atHome: string } {
  const name = basename(appPath);
  const mark = createHash('sha256').update(appPath).digest('hex').slice(0, 8);
  return {
    beside: join(dirname(appPath), `.${name}.deploy`),
    atHome: join(home, '.muva-deploy', `${name}-${mark}`),
  };
}

function stateFolderAt(path: string): StateFolder {
  return {
    path,
    lock: join(path, 'lock'),
    holder: join(path, 'holder.json'),
    state: join(path, 'state.json'),
    journal: join(path, 'journal.jsonl'),
    plan: join(path, 'plan.json'),
    runs: join(path, 'runs'),
    notes: join(path, 'notes'),
    releases: join(path, 'releases'),
    shared: join(path, 'shared'),
    repository: join(path, 'repository.git'),
  };
}

/** `SameDevice`: on the file system of the application, so that a rename between the two is one step. */
export interface PlaceFacts {
  besideWritable: boolean;
  besideOnSameDevice: boolean;
  homeWritable: boolean;
  homeOnSameDevice: boolean;
}

/** Which place to use: beside where that can be written, else home, else neither. */
export function choosePlace(facts: PlaceFacts): 'beside' | 'at-home' | 'nowhere' {
  if (facts.besideWritable && facts.besideOnSameDevice) return 'beside';
  return facts.homeWritable && facts.homeOnSameDevice ? 'at-home' : 'nowhere';
}

/**
 * Where the state folder is or would be made; a Failure with the command to run where it cannot be. Every command of
 * the worker asks here, so that a run is found again where it was begun.
 */
export function locateStateFolder(appPath: string, home: string): StateFolder {
  const { beside, atHome } = statePlaces(appPath, home);
  const found = [beside, atHome].find(isFolder);
  if (found !== undefined) return stateFolderAt(ownFolder(found));
  const facts: PlaceFacts = {
    besideWritable: isWritable(dirname(appPath)),
    // A symlink is turned where it lies; what it leads to is not moved.
    besideOnSameDevice: isSymlink(appPath) || deviceOf(dirname(appPath)) === deviceOf(appPath),
    homeWritable: isWritable(home),
    homeOnSameDevice: deviceOf(home) === deviceOf(appPath),
  };
  const place = choosePlace(facts);
  if (place === 'beside') return stateFolderAt(beside);
  if (place === 'at-home') return stateFolderAt(atHome);
  throw nowhere(appPath, facts, beside);
}

function nowhere(appPath: string, facts: PlaceFacts, beside: string): Failure {
  const fault = (writable: boolean): string =>
    writable ? 'is on another file system (renames would not be atomic)' : 'cannot be written by this user';
  return new Failure({
    message: `There is no place for the deploy's own folder: ${dirname(appPath)} ${fault(facts.besideWritable)}, and the home folder ${fault(facts.homeWritable)}.`,
    next: facts.besideOnSameDevice
      ? `Run once on the server: sudo install -d -o ${ownWord()} -m 0711 ${quote(beside)}`
      : `${appPath} is a mount of its own: put the application into a folder inside it, and give that as app-path.`,
  });
}

/**
 * Two users with a folder each would not see each other's lock and history, and one in the folder of the other would
 * be stuck half-way.
 */
function ownFolder(path: string): string {
  if (isOwn(path) && isWritable(path)) return path;
  if (isOwn(path))
    throw new Failure({
      message: `The deploy's own folder ${path} cannot be written.`,
      next: `Run once on the server: chmod u+rwx ${quote(path)}`,
    });
  const owner = ownerOf(path);
  throw new Failure({
    message: `The deploy's own folder ${path} belongs to ${owner}: another user has deployed this application.`,
    next: `Connect as ${owner}, or hand it over once on the server: ${handOver(path)}`,
  });
}

/** Locates the folder and makes what is missing in it. */
export function openStateFolder(appPath: string, home: string): StateFolder {
  const folder = locateStateFolder(appPath, home);
  makeFolder(folder.path, PASSED_THROUGH);
  for (const path of [folder.releases, folder.shared]) makeFolder(path, READABLE);
  for (const path of [folder.runs, folder.notes]) makeFolder(path, PRIVATE);
  return folder;
}

/** A web server that hands out static files itself reaches the releases; everything else is nobody's business. */
const [PASSED_THROUGH, READABLE, PRIVATE] = [0o711, 0o755, 0o700];

/**
 * Makes a folder of this mode, whatever the umask is. One that is closed to others was made by an upload before the
 * first deploy; one that a person has opened in another way stays so.
 */
function makeFolder(path: string, mode: number): void {
  mkdirSync(path, { recursive: true, mode });
  if (mode === PRIVATE || (statSync(path).mode & 0o077) === 0) chmodSync(path, mode);
}

export function readState(folder: StateFolder): State {
  return readJson<State>(folder.state) ?? {};
}

export function writeState(folder: StateFolder, state: State): void {
  writeAtomically(folder.state, `${JSON.stringify(state)}\n`);
}

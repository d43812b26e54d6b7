import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { Failure } from '../../lib/report.js';
import { quote } from '../../lib/shell.js';
import { deviceOf, isSymlink, present } from '../host/files.js';
import { isWritable, ownWord, userName } from '../host/owner.js';
import { readRecord, writeRecord } from '../host/records.js';
import {
  type DiskEntry,
  distrustInside,
  distrustProblem,
  entryAt,
  everythingIn,
  problemOnTheWay,
} from '../host/trusted-paths.js';
import { liveFolder } from './layout.js';

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
  /** Counts what was asked of the application, by whatever process. */
  readonly requests: string;
  readonly releases: string;
  /** Shared paths of the releases layout. */
  readonly shared: string;
  /** The bare repository of the releases layout. */
  readonly repository: string;
}

/** What is remembered between runs; the journal holds how it came to be. */
export interface RememberedState {
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
    requests: join(path, 'requests.log'),
    releases: join(path, 'releases'),
    shared: join(path, 'shared'),
    repository: join(path, 'repository.git'),
  };
}

/**
 * `SameDevice`: on the file system of the application, so that a rename between the two is one step. `Safe`: no other
 * user can put a folder of theirs in the place of ours.
 */
export interface PlaceFacts {
  besideWritable: boolean;
  besideSafe: boolean;
  besideOnSameDevice: boolean;
  homeWritable: boolean;
  homeSafe: boolean;
  homeOnSameDevice: boolean;
}

/** Which place to use: beside where that can be written, else home, else neither. */
export function choosePlace(facts: PlaceFacts): 'beside' | 'at-home' | 'nowhere' {
  if (facts.besideWritable && facts.besideSafe && facts.besideOnSameDevice) return 'beside';
  return facts.homeWritable && facts.homeSafe && facts.homeOnSameDevice ? 'at-home' : 'nowhere';
}

/**
 * Where the state folder is or would be made; a Failure with the command to run where it cannot be. Every command of
 * the worker asks here, so that a run is found again where it was begun, and that nothing is believed or executed which
 * others left there: what has the name of the folder is looked at before anything in it is read.
 */
export function locateStateFolder(appPath: string, home: string): StateFolder {
  const { beside, atHome } = statePlaces(appPath, home);
  const found = [beside, atHome].find(present);
  if (found !== undefined) {
    refuseUnsafe(found, appPath);
    return stateFolderAt(found);
  }
  const facts: PlaceFacts = {
    besideWritable: isWritable(dirname(appPath)),
    besideSafe: problemOnTheWay(dirname(beside)) === undefined,
    // A symlink is turned where it lies; what it leads to is not moved.
    besideOnSameDevice: isSymlink(appPath) || deviceOf(dirname(appPath)) === deviceOf(appPath),
    homeWritable: isWritable(home),
    homeSafe: problemOnTheWay(dirname(atHome)) === undefined,
    homeOnSameDevice: deviceOf(home) === deviceOf(appPath),
  };
  const place = choosePlace(facts);
  if (place === 'beside') return stateFolderAt(beside);
  if (place === 'at-home') return stateFolderAt(atHome);
  throw nowhere(appPath, facts, beside);
}

function nowhere(appPath: string, facts: PlaceFacts, beside: string): Failure {
  const fault = (writable: boolean, safe: boolean): string =>
    !writable
      ? 'cannot be written by this user'
      : safe
        ? 'is on another file system (renames would not be atomic)'
        : 'is not safe from other users';
  const unsafe = problemOnTheWay(dirname(beside));
  return new Failure({
    message: `There is no place for the deploy's own folder: ${dirname(appPath)} ${fault(facts.besideWritable, facts.besideSafe)}, and the home folder ${fault(facts.homeWritable, facts.homeSafe)}.${unsafe === undefined ? '' : ` ${unsafe.message}`}`,
    next:
      unsafe !== undefined
        ? unsafe.next!
        : facts.besideOnSameDevice
          ? `Run once on the server: sudo install -d -o ${ownWord()} -m 0711 ${quote(beside)}`
          : `${appPath} is a mount of its own: put the application into a folder inside it, and give that as app-path.`,
  });
}

/**
 * How deep below the state folder everything must be our own: what is read as true there, or is run. Deeper lies what the
 * application and its builds made, and in `shared` what people put there: neither is asked who wrote it.
 */
const OWN_DEPTH: Readonly<Record<string, number>> = {
  runs: 2,
  notes: 1,
  stages: 1,
  incoming: 1,
  backups: 1,
  releases: 1,
  'repository.git': 1,
  'build-cache': 1,
};

/** @throws a Failure that names everything by which another user could have a word in our deploys. */
function refuseUnsafe(path: string, appPath: string): void {
  const onTheWay = problemOnTheWay(dirname(path));
  if (onTheWay !== undefined) throw new Failure(onTheWay);
  refuseUnowned(entryAt(path)!, appPath);
  const us = process.getuid!();
  const problems = everythingIn(path, OWN_DEPTH).flatMap((lying) => {
    const why = distrustInside(lying, us);
    return why === undefined ? [] : [distrustProblem(lying, why)];
  });
  if (problems.length > 0) throw new Failure(problems.slice(0, MOST_TOLD));
}

/** Problems of one folder that are told: whoever cleans up these sees the others then. */
const MOST_TOLD = 10;

/**
 * Two users with a folder each would not see each other's lock and history, and one in the folder of the other would
 * be stuck half-way.
 */
function refuseUnowned(lying: DiskEntry, appPath: string): void {
  const us = process.getuid!();
  const { path, uid, kind } = lying;
  const why = kind === 'file' ? 'special' : distrustInside(lying, us);
  if (why !== undefined && why !== 'stranger') throw new Failure(distrustProblem(lying, why));
  if (uid !== us) {
    const owner = userName(uid);
    const live = liveFolder(appPath)?.startsWith(`${path}/`) ?? false;
    const away =
      uid === 0
        ? `To begin anew without what it holds: sudo mv ${quote(path)} ${quote(`${path}.old`)}`
        : `If that is not the user who deploys this application, delete it on the server: sudo rm -r -- ${quote(path)}`;
    throw new Failure({
      message: `The deploy's own folder ${path} belongs to ${owner}: nothing in it is used.`,
      next: `Connect as ${owner}${live ? '; the live version lies in it.' : `. ${away}`}`,
    });
  }
  if (!isWritable(path))
    throw new Failure({
      message: `The deploy's own folder ${path} cannot be written.`,
      next: `Run once on the server: chmod u+rwx ${quote(path)}`,
    });
}

/** Locates the folder and makes what is missing in it. */
export function openStateFolder(appPath: string, home: string): StateFolder {
  const folder = locateStateFolder(appPath, home);
  makeFolder(folder.path, PASSED_THROUGH);
  // Others may have been quicker where everybody may make something.
  refuseUnsafe(folder.path, appPath);
  for (const path of [folder.releases, folder.shared]) makeFolder(path, READABLE);
  for (const path of [folder.runs, folder.notes]) makeFolder(path, PRIVATE);
  return folder;
}

/** A web server that hands out static files itself reaches the releases; everything else is nobody's business. */
const [PASSED_THROUGH, READABLE, PRIVATE] = [0o711, 0o755, 0o700];

/**
 * Makes a folder of this mode, whatever the umask is. One that is there keeps its mode: people open it, and a private
 * application closes what is shared. Only the outermost, where it is closed to all others, was made by an upload before the
 * first deploy.
 */
function makeFolder(path: string, mode: number): void {
  const isNew = !present(path);
  mkdirSync(path, { recursive: true, mode });
  const { kind, uid, mode: now } = entryAt(path)!;
  if (kind !== 'folder' || uid !== process.getuid!()) return;
  if (isNew || mode === PRIVATE || (mode === PASSED_THROUGH && (now & 0o077) === 0)) chmodSync(path, mode);
}

/** @throws a Failure where another version wrote it, and this one cannot read it. */
export function readState(folder: StateFolder): RememberedState {
  return readRecord<RememberedState>(folder.state) ?? {};
}

export function writeState(folder: StateFolder, state: RememberedState): void {
  writeRecord(folder.state, state);
}

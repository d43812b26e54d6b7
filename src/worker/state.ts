import { createHash } from 'node:crypto';
import { accessSync, constants, mkdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { Failure } from '../base/report.js';
import { quote } from '../base/shell.js';
import { deviceOf, isFolder, readJson, writeAtomically } from './files.js';

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

export function stateFolderAt(path: string): StateFolder {
  return {
    path,
    lock: join(path, 'lock'),
    holder: join(path, 'holder.json'),
    state: join(path, 'state.json'),
    journal: join(path, 'journal.jsonl'),
    plan: join(path, 'plan.json'),
    runs: join(path, 'runs'),
    releases: join(path, 'releases'),
    shared: join(path, 'shared'),
    repository: join(path, 'repository.git'),
  };
}

/** The folder that exists already; undefined before the first deploy. */
export function findStateFolder(appPath: string, home: string): StateFolder | undefined {
  const { beside, atHome } = statePlaces(appPath, home);
  const found = [beside, atHome].find(isFolder);
  return found === undefined ? undefined : stateFolderAt(found);
}

export interface PlaceFacts {
  besideWritable: boolean;
  homeWritable: boolean;
  homeOnSameDevice: boolean;
}

/** Which place to use: beside where that can be written, else home on the same file system, else neither. */
export function choosePlace(facts: PlaceFacts): 'beside' | 'at-home' | 'nowhere' {
  if (facts.besideWritable) return 'beside';
  return facts.homeWritable && facts.homeOnSameDevice ? 'at-home' : 'nowhere';
}

/** Where the state folder is or would be made; a Failure with the command to run where it cannot be. */
export function locateStateFolder(appPath: string, home: string): StateFolder {
  const found = findStateFolder(appPath, home);
  if (found && isWritable(found.path)) return found;
  const { beside, atHome } = statePlaces(appPath, home);
  const place = choosePlace({
    besideWritable: isWritable(dirname(appPath)),
    homeWritable: isWritable(home),
    homeOnSameDevice: deviceOf(home) === deviceOf(appPath),
  });
  if (place === 'beside') return stateFolderAt(beside);
  if (place === 'at-home') return stateFolderAt(atHome);
  const user = process.env.USER ?? '$(id -un)';
  throw new Failure({
    message: `There is no place for the deploy's own folder: ${dirname(appPath)} cannot be written by this user, and the home folder is ${isWritable(home) ? 'on another file system (renames would not be atomic)' : 'not writable'}.`,
    next: `Run once on the server: sudo install -d -o ${user} -m 0700 ${quote(beside)}`,
  });
}

/** Locates the folder and makes what is missing in it. */
export function openStateFolder(appPath: string, home: string): StateFolder {
  const folder = locateStateFolder(appPath, home);
  for (const path of [folder.path, folder.runs, folder.releases])
    mkdirSync(path, { recursive: true, mode: 0o700 });
  return folder;
}

export function readState(folder: StateFolder): State {
  return readJson<State>(folder.state) ?? {};
}

export function writeState(folder: StateFolder, state: State): void {
  writeAtomically(folder.state, `${JSON.stringify(state)}\n`);
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

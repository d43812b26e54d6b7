import { Secret } from '../base/secret.js';
import { checked, complainAbout } from './complain.js';
import { complainAboutEmptyConnections, complainAboutFork } from './guards.js';
import type { ReadInput } from './inputs.js';
import { type Complaint, checkEnvironmentName, checkGitRef, checkRelativePath, joinPath } from './names.js';
import { readDatabase, readFiles } from './read-database.js';
import { readHealth } from './read-health.js';
import { readVps } from './read-vps.js';
import { type InputReader, inputReader, nearest } from './readers.js';
import {
  type Common,
  MODES,
  type Mode,
  PARTS,
  type ParsedSettings,
  type Part,
  type RollbackSettings,
  type Settings,
  type Surroundings,
} from './settings.js';

/** Turns raw strings into typed settings. All problems are returned at once; nothing is connected to or written. */
export function parseSettings(read: ReadInput, around: Surroundings): ParsedSettings {
  const reader = inputReader(read);
  const mode = readMode(reader);
  const skip = readSkip(reader);
  const environment = checked(reader, 'environment', checkEnvironmentName);
  const workingDirectory = reader.text('working-directory');
  complainAbout(reader, 'working-directory', checkWorkingDirectory(workingDirectory));

  const files = readFiles(reader);
  const database = skip.includes('database') ? undefined : readDatabase(reader, read, skip, files);
  const vps = skip.includes('vps') ? undefined : readVps(reader, read, around);
  const health = readHealth(reader, read);
  const rollback = readRollback(reader, mode, around);
  const token = read('github-token');

  const common: Common = {
    run: around.run,
    ...(environment === undefined ? {} : { environment }),
    adoptEnvironment: reader.boolean('adopt-environment'),
    workingDirectory: workingDirectory.startsWith('/')
      ? workingDirectory
      : joinPath(around.workspace, workingDirectory),
    skip,
    ...(token === '' ? {} : { githubToken: new Secret(token) }),
    githubDeployment: reader.choice('github-deployment', ['off', 'on']) === 'on',
    comment: reader.choice('comment', ['auto', 'off']),
    files,
    health,
    rollback,
  };
  complainAboutEmptyConnections(reader, read, mode, skip, { database, vps, health }, around);
  complainAboutFork(reader, mode, around.run);
  if (reader.problems.length > 0) return { problems: reader.problems };
  const parts = { ...(database ? { database } : {}), ...(vps ? { vps } : {}) };
  return { settings: { ...common, mode, ...parts } as Settings, problems: [] };
}

function readMode(reader: InputReader): Mode {
  const value = reader.text('mode');
  const found = MODES.find((mode) => mode === value);
  if (found) return found;
  const near = nearest(value, MODES);
  reader.complain(
    'mode',
    `${JSON.stringify(value)} is not a mode`,
    `${near ? `Did you mean "${near}"? ` : ''}The modes are: ${MODES.join(', ')}.`,
  );
  return 'plan';
}

function readSkip(reader: InputReader): Part[] {
  const parts: Part[] = [];
  for (const item of reader.list('skip')) {
    const part = PARTS.find((known) => known === item);
    if (part) parts.push(part);
    else
      reader.complain('skip', `${JSON.stringify(item)} is not a part`, `The parts are: ${PARTS.join(', ')}.`);
  }
  return parts;
}

function readRollback(reader: InputReader, mode: Mode, around: Surroundings): RollbackSettings {
  const to = reader.optional('rollback-to');
  if (to !== undefined) complainAbout(reader, 'rollback-to', checkGitRef(to));
  const runId = reader.optional('run-id');
  if (runId !== undefined && !/^[\p{L}\p{N}._-]{1,100}$/u.test(runId)) {
    reader.complain('run-id', 'is not a run id', 'Use the number in the URL of the workflow run.');
  }
  const steps = reader.optionalInteger('rollback-steps', 1, 10_000);
  if (
    mode === 'rollback' &&
    around.terminal &&
    runId === undefined &&
    to === undefined &&
    steps === undefined
  ) {
    reader.complain(
      'run-id',
      'is empty, and so is rollback-to: from a terminal nothing says what to undo',
      'Give --run-id <workflow run>, or --rollback-to previous.',
    );
  }
  return {
    onFailure: reader.boolean('rollback-on-failure'),
    database: reader.choice('rollback-database', ['down', 'records', 'keep']),
    ...(steps === undefined ? {} : { steps }),
    ...(to === undefined ? {} : { to }),
    runId: mode === 'rollback' ? (runId ?? around.run.id) : around.run.id,
  };
}

function checkWorkingDirectory(path: string): Complaint {
  return path.startsWith('/') ? undefined : checkRelativePath(path);
}

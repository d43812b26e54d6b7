import { given } from '../base/given.js';
import { checked, complainAbout, complainAboutMisplacedKeys } from './complain.js';
import { complainAboutEmptyConnections } from './empty-connections.js';
import type { ReadInput } from './inputs.js';
import { type Complaint, checkEnvironmentName, checkGitRef } from './names.js';
import { checkRelativePath, joinPath } from './paths.js';
import { readDatabase, readFiles } from './read-database.js';
import { readHealth } from './read-health.js';
import { readVps } from './read-vps.js';
import { type InputReader, inputReader } from './readers.js';
import type {
  Common,
  DatabaseSettings,
  Mode,
  ParsedSettings,
  RollbackSettings,
  Run,
  Settings,
  Surroundings,
  VpsSettings,
} from './settings.js';
import { hasServer, usesOf } from './uses.js';

/** Turns raw strings into typed settings. All problems are returned at once; nothing is connected to or written. */
export function parseSettings(read: ReadInput, around: Surroundings): ParsedSettings {
  const reader = inputReader(read);
  complainAboutMisplacedKeys(reader, read);
  const mode = reader.value('mode');
  const skip = reader.value('skip');
  const uses = usesOf(mode, skip, read);
  const environment = checked(reader, 'environment', checkEnvironmentName);
  const workingDirectory = reader.value('working-directory');
  complainAbout(reader, 'working-directory', checkWorkingDirectory(workingDirectory));

  const files = readFiles(reader);
  const server = hasServer(uses, read);
  const database = uses.database ? readDatabase(reader, files, server) : undefined;
  const vps = uses.vps ? readVps(reader, mode, around) : undefined;
  const health = readHealth(reader, uses);
  const rollback = readRollback(reader, mode, around);
  const token = reader.value('github-token');

  const common: Common = {
    run: around.run,
    warnings: reader.warnings,
    ...given({ environment }),
    adoptEnvironment: reader.value('adopt-environment'),
    workingDirectory: workingDirectory.startsWith('/')
      ? workingDirectory
      : joinPath(around.workspace, workingDirectory),
    skip,
    ...given({ githubToken: token }),
    githubDeployment: reader.value('github-deployment') === 'on',
    comment: reader.value('comment'),
    files,
    health,
    rollback,
  };
  complainAboutEmptyConnections(reader, { read, mode, skip, uses, files, database, vps, health, around });
  complainAboutFork(reader, mode, around.run);
  if (reader.problems.length > 0) return { problems: [...reader.problems] };
  return { settings: withParts(common, mode, database, vps), problems: [] };
}

/** Puts the settings together: what a mode cannot work without is there, or it was complained of. */
function withParts(
  common: Common,
  mode: Mode,
  database: DatabaseSettings | undefined,
  vps: VpsSettings | undefined,
): Settings {
  switch (mode) {
    case 'verify':
      return { ...common, mode, database: present(database) };
    case 'migrate':
      return { ...common, mode, database: present(database), ...given({ vps }) };
    case 'redeploy':
      return { ...common, mode, vps: present(vps) };
    default:
      return { ...common, mode, ...given({ database, vps }) };
  }
}

function present<T>(part: T | undefined): T {
  if (part === undefined) throw new Error('a part that the mode needs is missing, and nobody complained');
  return part;
}

/**
 * What undoes a failed deploy is the same phase that a person calls, so what a person may ask for there must not stand
 * in the settings of any other mode: with it a deploy would undo what earlier runs did.
 */
function readRollback(reader: InputReader, mode: Mode, around: Surroundings): RollbackSettings {
  const to = reader.value('rollback-to');
  if (to !== undefined) complainAbout(reader, 'rollback-to', checkGitRef(to));
  const runId = reader.value('run-id');
  if (runId !== undefined && !/^[\p{L}\p{N}._-]{1,100}$/u.test(runId)) {
    reader.complain('run-id', 'is not a run id', 'Use the number in the URL of the workflow run.');
  }
  const steps = reader.value('rollback-steps');
  const asked = (
    [
      ['rollback-steps', steps],
      ['rollback-to', to],
    ] as const
  ).filter(([, value]) => value !== undefined);
  if (mode !== 'rollback' && !reader.complained('mode'))
    for (const [input] of asked)
      reader.complain(
        input,
        'belongs to mode: rollback',
        'Remove it: a deploy that fails undoes exactly what it changed.',
      );
  if (asked.length > 1)
    reader.complain(
      'rollback-steps',
      'is set, and so is rollback-to: each says by itself what to undo',
      'Give one of them.',
    );
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
    onFailure: reader.value('rollback-on-failure'),
    database: reader.value('rollback-database'),
    ...given({ steps, to }),
    runId: mode === 'rollback' ? (runId ?? around.run.id) : around.run.id,
  };
}

const FROM_A_FORK = {
  'pull request': 'is refused on a pull request from a fork',
  'workflow run': 'is refused on a workflow run from a fork',
} as const;

/** Code from a fork must not reach the database or the server: only modes that write nothing may run there. */
function complainAboutFork(reader: InputReader, mode: Mode, run: Run): void {
  if (mode === 'plan' || mode === 'health' || mode === 'verify') return;
  if (run.event === 'pull_request_target') {
    reader.complain(
      'mode',
      `"${mode}" is refused on pull_request_target: it would run foreign code with your secrets`,
      'Use pull_request with mode: plan, and deploy on push.',
    );
  } else if (run.fork) {
    reader.complain(
      'mode',
      `"${mode}" ${FROM_A_FORK[run.headOf ?? 'pull request']}`,
      'Use mode: plan there, and deploy on push.',
    );
  }
}

function checkWorkingDirectory(path: string): Complaint {
  return path.startsWith('/') ? undefined : checkRelativePath(path);
}

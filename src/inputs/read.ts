import { definedOnly } from '../lib/defined-only.js';
import { addEmptyConnectionProblems } from './checks/empty-connections.js';
import { checkEnvironmentName, checkGitRef, type NameProblem } from './checks/names.js';
import { checkRelativePath, joinPath } from './checks/paths.js';
import { addInputProblem, addMisplacedKeyProblems, checked } from './input-problems.js';
import { type InputReader, inputReader } from './input-reader.js';
import type { ReadInput } from './input-sources.js';
import { readDatabase, readFiles } from './read-database.js';
import { readHealth } from './read-health.js';
import { readVps } from './read-server.js';
import { hasServer, scopeOf } from './scope.js';
import type {
  Common,
  DatabaseSettings,
  InputContext,
  Mode,
  ParsedSettings,
  RollbackSettings,
  Run,
  Settings,
  VpsSettings,
} from './settings.js';

/** Turns raw strings into typed settings. All problems are returned at once; nothing is connected to or written. */
export function parseSettings(read: ReadInput, context: InputContext): ParsedSettings {
  const reader = inputReader(read);
  addMisplacedKeyProblems(reader, read);
  const mode = reader.value('mode');
  const skip = reader.value('skip');
  const scope = scopeOf(mode, skip, read);
  const environment = checked(reader, 'environment', checkEnvironmentName);
  const workingDirectory = reader.value('working-directory');
  addInputProblem(reader, 'working-directory', checkWorkingDirectory(workingDirectory));

  const files = readFiles(reader);
  const server = hasServer(scope, read);
  const database = scope.database ? readDatabase(reader, files, server) : undefined;
  const vps = scope.vps ? readVps(reader, mode, context) : undefined;
  const health = readHealth(reader, scope, mode, server);
  const rollback = readRollback(reader, mode, context);
  const token = reader.value('github-token');

  const common: Common = {
    run: context.run,
    warnings: reader.warnings,
    ...definedOnly({ environment }),
    adoptEnvironment: reader.value('adopt-environment'),
    workingDirectory: workingDirectory.startsWith('/')
      ? workingDirectory
      : joinPath(context.workspace, workingDirectory),
    skip,
    language: reader.value('language'),
    ...definedOnly({ githubToken: token }),
    githubDeployment: reader.value('github-deployment') === 'on',
    comment: reader.value('comment'),
    files,
    health,
    rollback,
  };
  addEmptyConnectionProblems(reader, { read, mode, skip, scope, files, database, vps, health, context });
  addForkProblems(reader, mode, context.run);
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
      return { ...common, mode, database: mustBeGiven(database) };
    case 'migrate':
      return { ...common, mode, database: mustBeGiven(database), ...definedOnly({ vps }) };
    case 'redeploy':
      return { ...common, mode, vps: mustBeGiven(vps) };
    default:
      return { ...common, mode, ...definedOnly({ database, vps }) };
  }
}

function mustBeGiven<T>(part: T | undefined): T {
  if (part === undefined) throw new Error('a part that the mode needs is missing, and nobody complained');
  return part;
}

/**
 * What undoes a failed deploy is the same phase that a person calls, so what a person may ask for there must not stand
 * in the settings of any other mode: with it a deploy would undo what earlier runs did.
 */
function readRollback(reader: InputReader, mode: Mode, context: InputContext): RollbackSettings {
  const to = reader.value('rollback-to');
  if (to !== undefined) addInputProblem(reader, 'rollback-to', checkGitRef(to));
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
    context.terminal &&
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
    ...definedOnly({ steps, to }),
    runId: mode === 'rollback' ? (runId ?? context.run.id) : context.run.id,
  };
}

const FROM_A_FORK = {
  'pull request': 'is refused on a pull request from a fork',
  'workflow run': 'is refused on a workflow run from a fork',
} as const;

/** Code from a fork must not reach the database or the server: only modes that write nothing may run there. */
function addForkProblems(reader: InputReader, mode: Mode, run: Run): void {
  if (mode === 'plan' || mode === 'health' || mode === 'verify' || mode === 'status') return;
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

function checkWorkingDirectory(path: string): NameProblem {
  return path.startsWith('/') ? undefined : checkRelativePath(path);
}

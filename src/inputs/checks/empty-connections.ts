import { EMPTY_CONNECTION } from '../../lib/empty-connection.js';
import type { InputReader } from '../input-reader.js';
import type { InputName, ReadInput } from '../input-sources.js';
import { withoutQuotes } from '../lists.js';
import { hasServer, makesBackup, type RunScope } from '../scope.js';
import type {
  DatabaseSettings,
  FileSettings,
  HealthSettings,
  InputContext,
  Mode,
  Part,
  VpsSettings,
} from '../settings.js';
import { joinPath } from './paths.js';

/**
 * A secret that is not set arrives as an empty string. It must never switch a part off silently: where anything
 * points to a part and its connection is empty, the run is refused, unless `skip` lists the part.
 */

/** What was read, and what is known around it. */
export interface ReadInputs {
  readonly read: ReadInput;
  readonly mode: Mode;
  readonly skip: readonly Part[];
  readonly scope: RunScope;
  readonly files: FileSettings;
  readonly database: DatabaseSettings | undefined;
  readonly vps: VpsSettings | undefined;
  readonly health: HealthSettings;
  readonly context: InputContext;
}

interface Empty {
  readonly input: InputName;
  readonly wrong: string;
  readonly right: string;
}

/** True for the inputs that were complained about already: a second complaint would say less. */
type HasProblem = InputReader['complained'];

export function addEmptyConnectionProblems(reader: InputReader, given: ReadInputs): void {
  const missing = [
    ...uselessChoices(given),
    ...emptyDatabase(given, reader.complained),
    ...emptyServer(given, reader.complained),
    ...emptyHealth(given, reader.complained),
    ...emptyCommit(given),
  ];
  const all = missing.length > 0 ? missing : nothingToDo(given, reader.complained);
  all.forEach(({ input, wrong, right }, index) => {
    reader.complain(
      input,
      wrong,
      index === 0 && nothingArrived(given) ? `${NOTHING_ARRIVED} ${right}` : right,
    );
  });
  for (const { input, wrong, right } of notAsked(given)) reader.warn(input, wrong, right);
}

const empty = (input: InputName, right: string): Empty => ({ input, wrong: EMPTY_CONNECTION, right });

/** `why`: what points to the part; `part`: what skip would be told. */
const pointedTo = (input: InputName, why: string, part: Part): Empty =>
  empty(input, `${why}: set ${input} (secret or variable), or say skip: ${part}.`);

const emptyToo = (input: InputName): Empty => empty(input, 'Set it too (secret or variable).');

/** `plan` says what a deploy would be refused for. */
function isWhole(mode: Mode): boolean {
  return mode === 'deploy' || mode === 'plan';
}

function emptyDatabase(given: ReadInputs, hasProblem: HasProblem): Empty[] {
  const { mode, scope, database, read } = given;
  if (database || !scope.database) return [];
  if (hasProblem('database-url', 'supabase-project-ref', 'supabase-access-token')) return [];
  const input = emptyHalf(read);
  if (mode === 'migrate' || mode === 'verify')
    return [
      empty(
        input,
        `Mode ${mode} needs a database: set database-url, or supabase-project-ref and supabase-access-token.`,
      ),
    ];
  const why = isWhole(mode) ? pointsToDatabase(given, input) : undefined;
  return why === undefined ? [] : [pointedTo(input, why, 'database')];
}

/** Where half of the Management API's pair is given, the other half is what is missing. */
function emptyHalf(read: ReadInput): InputName {
  const ref = read('supabase-project-ref') !== '';
  const token = read('supabase-access-token') !== '';
  if (ref === token) return 'database-url';
  return ref ? 'supabase-access-token' : 'supabase-project-ref';
}

function pointsToDatabase({ read, files, context }: ReadInputs, input: InputName): string | undefined {
  for (const pointer of ['required-tables', 'required-functions'] as const)
    if (read(pointer) !== '') return `${pointer} is set`;
  if (input === 'supabase-access-token') return 'supabase-project-ref is set';
  if (input === 'supabase-project-ref') return 'supabase-access-token is set';
  const folder = joinPath(withoutQuotes(read('working-directory')), files.migrationsDir);
  return context.holdsMigrations(folder) ? 'the folder of migrations-dir holds migrations' : undefined;
}

const SERVER: readonly InputName[] = ['ssh-host', 'ssh-user', 'ssh-private-key', 'ssh-fingerprint'];

function emptyServer(given: ReadInputs, hasProblem: HasProblem): Empty[] {
  const { mode, scope, vps, read } = given;
  if (vps || !scope.vps || hasProblem('ssh-host')) return [];
  const why = pointsToServer(given);
  if (mode !== 'redeploy' && why === undefined) return [];
  const isEmpty = (input: InputName): boolean =>
    read(input).trim() === '' && (input !== 'ssh-fingerprint' || read('ssh-known-hosts').trim() === '');
  const first =
    why === undefined
      ? empty('ssh-host', 'Mode redeploy needs a server: set ssh-host (secret or variable).')
      : pointedTo('ssh-host', why, 'vps');
  return [first, ...SERVER.filter((input) => input !== 'ssh-host' && isEmpty(input)).map(emptyToo)];
}

function pointsToServer({ mode, read }: ReadInputs): string | undefined {
  if (!isWhole(mode)) return undefined;
  const pointer = (['app-path', 'app-name', 'ssh-private-key'] as const).find(
    (input) => read(input).trim() !== '',
  );
  return pointer === undefined ? undefined : `${pointer} is set`;
}

/** Health that was asked for with nobody there to ask the application would pass on the database alone. */
function emptyHealth(given: ReadInputs, hasProblem: HasProblem): Empty[] {
  const { scope, vps, health, read } = given;
  if (!scope.health || hasProblem('health-url')) return [];
  const servers = vps !== undefined || (scope.vps && hasProblem('ssh-host'));
  if (health.from === 'vps' || health.from === 'none') {
    if (servers || hasProblem('ssh-host')) return [];
    const because = read('ssh-host') === '' ? 'and ssh-host is empty' : 'and skip leaves the server out';
    return [
      {
        input: 'health-from',
        wrong: `"${health.from}" needs a server, ${because}`,
        right: 'Give ssh-host, ask the public address with health-from: runner, or say skip: health.',
      },
    ];
  }
  if (health.url !== undefined || (servers && health.from === 'both')) return [];
  const why = pointsToApplication(given);
  if (why !== undefined) return [pointedTo('health-url', why, 'health')];
  return pointsToServer(given) !== undefined && nothingArrived(given) ? [emptyToo('health-url')] : [];
}

function pointsToApplication({ mode, health, read }: ReadInputs): string | undefined {
  if (health.from === 'runner') return 'health-from is runner';
  if (health.expectVersion !== undefined) return 'expect-version is set';
  // Where only health is asked, the database's own latency may be what is meant.
  return isWhole(mode) && read('health-max-latency') !== '' ? 'health-max-latency is set' : undefined;
}

function emptyCommit({ mode, vps, read, context }: ReadInputs): Empty[] {
  const deploys = mode === 'redeploy' || (mode === 'deploy' && vps !== undefined);
  if (!deploys || read('ref') !== '' || context.run.sha !== undefined) return [];
  return [
    {
      input: 'ref',
      wrong: 'is empty and GITHUB_SHA is not set: no commit to deploy',
      right: 'Give the full commit SHA.',
    },
  ];
}

/** Nothing is wrong with what was given, but nothing was: each mode needs at least one thing to work on. */
function nothingToDo({ mode, skip, database, vps, health }: ReadInputs, hasProblem: HasProblem): Empty[] {
  if (database || vps || hasProblem('database-url', 'supabase-project-ref', 'ssh-host')) return [];
  const filesOnly = mode === 'plan' && skip.includes('database');
  if (!filesOnly && (isWhole(mode) || mode === 'rollback' || mode === 'status'))
    return [
      {
        input: 'database-url',
        wrong: 'is empty, and so is ssh-host: there is nothing to work on',
        right: 'Give a database, a server, or both.',
      },
    ];
  if (mode === 'health' && health.url === undefined && !hasProblem('health-url', 'skip'))
    return [
      {
        input: 'health-url',
        wrong: 'is empty, and so are database-url and ssh-host: there is nothing to ask',
        right: 'Give at least one of them.',
      },
    ];
  return [];
}

const NOTHING_ARRIVED =
  'Nothing arrived: does the job name the GitHub Environment that holds the secrets (environment: ...)?';

const CONNECTIONS: readonly InputName[] = [
  'database-url',
  'supabase-project-ref',
  'supabase-access-token',
  'supabase-service-role-key',
  ...SERVER,
  'ssh-known-hosts',
  'health-url',
];

/** Every connection is empty at once: mostly the job itself names no environment. Forks get no secrets at all. */
function nothingArrived({ read, context }: ReadInputs): boolean {
  return !context.terminal && !context.run.fork && CONNECTIONS.every((input) => read(input).trim() === '');
}

/** `skip` must leave something to do, and a backup cannot lie on a server that is not given. */
function uselessChoices({ mode, skip, scope, read }: ReadInputs): Empty[] {
  const only: Partial<Record<Mode, Part>> = {
    redeploy: 'vps',
    migrate: 'database',
    verify: 'database',
    health: 'health',
  };
  const part = only[mode];
  const found: Empty[] = [];
  if (part !== undefined && skip.includes(part))
    found.push({
      input: 'skip',
      wrong: `"${part}" leaves nothing of mode ${mode}`,
      right: 'Remove it from skip.',
    });
  if (makesBackup(mode, read) && scope.database && read('backup-to') === 'vps' && !hasServer(scope, read))
    found.push({
      input: 'backup-to',
      wrong: `"vps" needs a server, and ${scope.vps ? 'ssh-host is empty' : 'skip leaves it out'}`,
      right: 'Give ssh-host, or use backup-to: runner.',
    });
  return found;
}

/** What is left out without a word pointing to it: no reason to refuse, but a person should know. */
function notAsked({ scope, vps, health }: ReadInputs): Empty[] {
  if (!scope.health || !vps || health.url !== undefined || health.from !== 'both') return [];
  return [
    {
      input: 'health-url',
      wrong: 'is empty: the public address is not asked',
      right: "Set it (secret or variable), or say health-from: vps where the server's own answer is enough.",
    },
  ];
}

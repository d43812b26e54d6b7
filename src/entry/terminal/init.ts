import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { checkGitRef } from '../../inputs/checks/names.js';
import { INPUT_NAMES, type InputName, inputRule } from '../../inputs/input-sources.js';
import { parseSettings } from '../../inputs/read.js';
import type { InputProblem } from '../../inputs/settings.js';
import type { Problem } from '../../lib/report.js';
import { problemLines } from '../../report/log-format.js';
import { type AskPerson, withQuestions } from './ask.js';
import { parseFlags } from './flags.js';
import { mainBranch, repositoryRoot } from './git-repository.js';
import { WORKFLOW_CONNECTIONS, workflowName, workflowText } from './workflow-file.js';

/** What is asked for where no flag says it, in this order. */
const QUESTIONS: readonly (readonly [InputName, string])[] = [
  ['environment', 'Environment (such as production; staging where nothing is said)'],
  ['app-path', 'Folder of the application on the server, such as /var/www/app'],
  ['app-name', 'Its name in `pm2 list`'],
  ['required-tables', 'Tables that must exist, separated by commas (may stay empty)'],
];

/** What a shell says of a program that Ctrl-C ended. */
const INTERRUPTED = 130;

const FLAGS = [...INPUT_NAMES.filter((name) => name !== 'mode'), 'branch'] as const;

/** Where `init` is called from. */
export interface InitContext {
  /** The application's folder: the repository's root, or below it. */
  readonly folder: string;
  readonly write: (text: string) => void;
  /** Undefined where nobody can be asked. */
  readonly ask?: AskPerson;
}

type Values = Map<InputName, string>;

/**
 * `muva-deploy init [--branch main --app-path … --any-input value]`: writes a workflow into the repository and says
 * what is left to do. Never overwrites a file. Returns the exit code.
 */
export async function init(words: readonly string[], context: InitContext): Promise<number> {
  const flags = parseFlags(words, FLAGS);
  if (flags.asked !== undefined) {
    context.write(HELP);
    return 0;
  }
  const root = repositoryRoot(context.folder);
  const base = root ?? context.folder;
  const branch = flags.values.get('branch') || (await mainBranch(base)) || 'main';
  const values: Values = new Map();
  for (const [name, value] of flags.values) if (name !== 'branch') values.set(name, value);
  const problems = [...flags.problems, ...misplaced(values)];
  const wrong = checkGitRef(branch);
  if (wrong) problems.push({ message: `branch: ${wrong.wrong}`, next: 'Give the name of a branch.' });
  const place = placeIn(base, resolve(context.folder, values.get('working-directory') ?? '.'));
  values.delete('working-directory');
  if (place === undefined)
    problems.push({
      message: 'working-directory: leads out of the repository',
      next: 'Name a folder in it.',
    });
  else if (place !== '') values.set('working-directory', place);
  if (!context.ask && !values.get('environment')) values.set('environment', 'staging');
  const given = [...values.keys()];
  problems.push(...(context.ask ? about(given, deployProblems(values, base)) : deployProblems(values, base)));
  if (problems.length === 0 && context.ask) {
    if (!(await answered(values, context.ask, context.write, base))) {
      context.write('\nNothing was written.\n');
      return INTERRUPTED;
    }
    problems.push(...deployProblems(values, base));
  }
  if (problems.length > 0) {
    tell(problems, context.write);
    return 1;
  }
  const path = pathOf(values, base);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, workflowText(values, branch), { flag: 'wx' });
  context.write(`${relative(context.folder, path)} is written; it runs on every push to ${branch}.\n`);
  if (root === undefined)
    context.write('No git repository was found here: GitHub reads the file at the root of one only.\n');
  context.write(`\n${whatIsLeft(values.get('environment')!)}`);
  return 0;
}

/** Asks on a terminal; where standard input is none, there is nobody to ask. */
export async function initFromTerminal(words: readonly string[]): Promise<number> {
  const { stdin, stdout } = process;
  const context: InitContext = { folder: process.cwd(), write: (text) => void stdout.write(text) };
  if (!stdin.isTTY) return init(words, context);
  return withQuestions(stdin, stdout, (ask) => init(words, { ...context, ask }));
}

/** Asks for what is not given, each until it is right; false where the person left. */
async function answered(
  values: Values,
  ask: AskPerson,
  write: InitContext['write'],
  base: string,
): Promise<boolean> {
  for (const [name, question] of QUESTIONS) {
    if (values.has(name)) continue;
    let wrong: Problem[];
    do {
      const answer = await ask(`${question}: `);
      if (answer === undefined) return false;
      values.set(name, answer.trim() || (name === 'environment' ? 'staging' : ''));
      wrong = about([name], deployProblems(values, base));
      tell(wrong, write);
    } while (wrong.length > 0);
  }
  return true;
}

function tell(problems: readonly Problem[], write: InitContext['write']): void {
  for (const problem of problems) write(`${problemLines(problem, '', 'error: ').join('\n')}\n`);
}

function pathOf(values: Values, base: string): string {
  return join(base, '.github/workflows', `${workflowName(values)}.yml`);
}

/** Values that must not stand in a workflow file, or that it takes from the repository's settings. */
function misplaced(values: Values): Problem[] {
  return [...values.keys()]
    .filter((name) => inputRule(name).secret || WORKFLOW_CONNECTIONS.some(([taken]) => taken === name))
    .map((name) => ({
      message: `${name}: does not belong into the workflow file`,
      next: 'The workflow takes it from the secrets and variables of the GitHub Environment.',
    }));
}

/** The application's folder as the workflow names it, from the repository's root; undefined outside of it. */
function placeIn(base: string, folder: string): string | undefined {
  const path = relative(base, folder).replaceAll(sep, '/');
  return path === '..' || path.startsWith('../') ? undefined : path;
}

/** The problems that a deploy with these values would complain about; the connections are taken as given. */
function deployProblems(values: Values, base: string): InputProblem[] {
  const given: Partial<Record<InputName, string>> = {
    mode: 'deploy',
    'database-url': 'postgresql://nobody:nothing@127.0.0.1/postgres',
    'ssh-host': '127.0.0.1',
    'ssh-user': 'nobody',
    'ssh-private-key': '-',
    'ssh-fingerprint': `SHA256:${'A'.repeat(43)}`,
    'health-url': 'http://127.0.0.1',
  };
  const run = { id: 'init', attempt: 1, sha: '0'.repeat(40), serverUrl: 'https://github.com', fork: false };
  const around = { run, terminal: true, workspace: '/', holdsMigrations: () => false };
  const value = (name: InputName): string => values.get(name) || (given[name] ?? inputRule(name).fallback);
  const { problems } = parseSettings(value, around);
  const own = problems.filter(({ input }) => !WORKFLOW_CONNECTIONS.some(([name]) => name === input));
  const path = pathOf(values, base);
  if (values.get('environment') && existsSync(path))
    own.push({
      input: 'environment',
      message: `environment: ${relative(base, path)} exists already`,
      next: 'Move it away, change it by hand, or name another environment.',
    });
  return own;
}

/** The problems that name one of the inputs. */
function about(names: readonly InputName[], problems: readonly InputProblem[]): InputProblem[] {
  return problems.filter(({ input }) => names.includes(input));
}

const ASKED = QUESTIONS.map(([name]) => name).join(', ');
const VARIABLES = WORKFLOW_CONNECTIONS.filter(([, from]) => from.startsWith('vars.')).map(([name]) => name);

const HELP = `Usage: muva-deploy init [--branch name] [--input value ...]

Writes .github/workflows/deploy-<environment>.yml at the root of the repository, and says what is left to do. It never
overwrites a file. On a terminal it asks for what no flag says: ${ASKED}.

  --branch name        every push to it is deployed; by default origin's own branch, else the one checked out
  --environment name   staging by default
  --app-path folder    and any other input (see muva-deploy --help) becomes an input of the workflow's step; but not
                       the secrets, and not ${VARIABLES.join(', ')}:
                       those come from the GitHub Environment

Below the repository's root, as in one of its several applications, working-directory is set to that folder.
`;

function whatIsLeft(environment: string): string {
  return `It uses muva/deploy-action@v1, which must exist: until a version is released, write the full SHA of a commit of that
repository instead of v1 ("Not yet" in its README).

What is left to do, in the repository under Settings > Environments > ${environment}:
  secret    DATABASE_URL     Supabase dashboard, Connect, Session pooler; the password percent-encoded
  secret    VPS_SSH_KEY      a private key whose public half is in ~/.ssh/authorized_keys on the server
  variable  VPS_HOST         the server
  variable  VPS_USER         the login on it
  variable  VPS_FINGERPRINT  what this prints on the server, the part from SHA256: on:
                             ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub
  variable  HEALTH_URL       the public address, such as https://staging.example.com
An application without /api/health also needs "health-paths: /" under "with:".
Then push. To see first what would happen, add "mode: plan" under "with:".
`;
}

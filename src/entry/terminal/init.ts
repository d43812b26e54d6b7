import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { checkGitRef } from '../../inputs/checks/names.js';
import { INPUT_NAMES, type InputName, inputRule } from '../../inputs/input-sources.js';
import { parseSettings } from '../../inputs/read.js';
import type { InputProblem } from '../../inputs/settings.js';
import { runProgram } from '../../lib/local-programs.js';
import type { Problem } from '../../lib/report.js';
import { problemLines } from '../../report/log-format.js';
import { type AskPerson, withQuestions } from './ask.js';
import { expectedRefusals, planCommand } from './first-plan.js';
import { parseFlags } from './flags.js';
import { branchNamed, mainBranch, repositoryRoot } from './git-repository.js';
import { CONNECTION_INPUTS, connectionsFor, type WorkflowConnection, workflowOf } from './known-names.js';
import { type ProjectFacts, readProjectFacts } from './project-facts.js';
import { workflowName, workflowText } from './workflow-file.js';

type Question = InputName | 'branch';

/** What is asked for where no flag says it, in this order. */
const QUESTIONS: readonly (readonly [Question, string])[] = [
  ['environment', 'Environment (such as staging, production)'],
  ['branch', 'Branch whose pushes are deployed to it'],
  ['app-path', 'Folder of the application on the server, such as /var/www/app'],
  ['app-name', 'Its name in `pm2 list`'],
  ['required-tables', 'Tables that must exist, separated by commas (may stay empty)'],
];

/** What a shell says of a program that Ctrl-C ended. */
const INTERRUPTED = 130;

const FLAGS = [...INPUT_NAMES.filter((name) => name !== 'mode'), 'branch', 'force'] as const;

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
 * `muva-deploy init [--branch main --app-path … --any-input value]`: reads what the project has, writes a workflow into
 * the repository and says what is left to do. A file that is there is shown as a difference, and replaced by `--force`
 * alone. Returns the exit code.
 */
export async function init(words: readonly string[], context: InitContext): Promise<number> {
  const flags = parseFlags(words, FLAGS);
  if (flags.asked !== undefined) {
    context.write(HELP);
    return 0;
  }
  const root = repositoryRoot(context.folder);
  const base = root ?? context.folder;
  const values: Values = new Map();
  for (const [name, value] of flags.values)
    if (name !== 'branch' && name !== 'force') values.set(name, value);
  const force = flags.values.get('force') === 'true';
  const problems = [...flags.problems, ...misplaced(values)];
  let branch = flags.values.get('branch') || undefined;
  if (branch !== undefined) problems.push(...branchProblems(branch));
  const folder = resolve(context.folder, values.get('working-directory') ?? '.');
  const place = placeIn(base, folder);
  values.delete('working-directory');
  if (place === undefined)
    problems.push({
      message: 'working-directory: leads out of the repository',
      next: 'Name a folder in it.',
    });
  else if (place !== '') values.set('working-directory', place);
  const found = await readProjectFacts(base, place === undefined ? base : folder);
  const project: Project = {
    base,
    found,
    force,
    branchOf: (environment) => branchFor(environment, base, found),
  };
  suggest(values, found, context.ask === undefined);
  if (!context.ask && !values.get('environment')) values.set('environment', 'staging');
  const given = [...values.keys()];
  const wrong = deployProblems(values, project);
  problems.push(...(context.ask ? about(given, wrong) : wrong));
  if (problems.length === 0 && context.ask) {
    context.write(foundText(found));
    const answers = await answered(values, branch, context.ask, context.write, project);
    if (answers === undefined) {
      context.write('\nNothing was written.\n');
      return INTERRUPTED;
    }
    branch = answers.branch;
    problems.push(...deployProblems(values, project));
  }
  const environment = values.get('environment') ?? 'staging';
  branch ??= await project.branchOf(environment);
  const said = new Set<string>(flags.values.keys());
  const connections = connectionsFor(environment, found.workflows).filter(({ input }) => !said.has(input));
  // A port that stands in a step says less than a name of its own.
  if (connections.some(({ input }) => input === 'ssh-port')) values.delete('ssh-port');
  const text = workflowText(values, branch, connections);
  if (problems.length > 0) {
    tell(problems, context.write);
    if (problems.some((problem) => isThere(problem)))
      context.write(await difference(pathOf(values, base), text));
    return 1;
  }
  const path = pathOf(values, base);
  const before = existsSync(path) ? await difference(path, text) : '';
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text, { flag: force ? 'w' : 'wx' });
  context.write(
    `${before}${relative(context.folder, path)} is written; it runs on every push to ${branch}.\n`,
  );
  if (root === undefined)
    context.write('No git repository was found here: GitHub reads the file at the root of one only.\n');
  context.write(
    `\n${whatIsLeft(environment, connections, values.has('health-paths') || found.healthRoute === true)}`,
  );
  const old = workflowOf(environment, found.workflows);
  if (old && join(base, old.file) !== path)
    context.write(
      `\n${old.file} deploys this environment too: take its deploy steps out, or both run on each push.\n`,
    );
  context.write(`\nWhat a plan will say, and how to mend it first:\n`);
  for (const line of expectedRefusals(found)) context.write(`- ${line}\n`);
  context.write(
    `\nTo see it all from here, without writing anything:\n    ${planCommand(values, connections)}\n`,
  );
  return 0;
}

/** What is known of the project while questions are asked. */
interface Project {
  readonly base: string;
  readonly found: ProjectFacts;
  /** A workflow that is there is replaced. */
  readonly force: boolean;
  readonly branchOf: (environment: string) => Promise<string>;
}

/** The branch that deploys an environment: as a workflow has it, else the one of its name, else origin's own. */
async function branchFor(environment: string, base: string, { workflows }: ProjectFacts): Promise<string> {
  const [known] = workflowOf(environment, workflows)?.branches ?? [];
  return known ?? (await branchNamed(base, environment)) ?? (await mainBranch(base)) ?? 'main';
}

function branchProblems(branch: string): Problem[] {
  const wrong = checkGitRef(branch);
  return wrong ? [{ message: `branch: ${wrong.wrong}`, next: 'Give the name of a branch.' }] : [];
}

/** Takes from the project what no flag says. Where nobody can be asked, also what a person would be offered. */
function suggest(values: Values, found: ProjectFacts, unasked: boolean): void {
  const take = (name: InputName, value: string | undefined): void => {
    if (value !== undefined && !values.has(name)) values.set(name, value);
  };
  if (found.healthRoute === false) take('health-paths', '/');
  if (found.migrations && found.migrations.folder !== inputRule('migrations-dir').fallback)
    take('migrations-dir', found.migrations.folder);
  const port = found.workflows.find((workflow) => workflow.port !== undefined)?.port;
  if (port !== '22') take('ssh-port', port);
  if (!unasked) return;
  for (const name of ['app-path', 'app-name'] as const) take(name, offered(name, found));
}

/** The answer that a person need only confirm; undefined where the project does not tell. */
function offered(name: Question, { ecosystem }: ProjectFacts): string | undefined {
  const [app, other] = ecosystem?.apps ?? [];
  if (name === 'environment') return 'staging';
  if (app === undefined || other !== undefined) return undefined;
  if (name === 'app-name') return app.name;
  return name === 'app-path' && app.cwd?.startsWith('/') ? app.cwd : undefined;
}

/** What was found, so that a person sees why something is offered. */
function foundText({ workflows, ecosystem, lockFiles, migrations }: ProjectFacts): string {
  const lines = [
    ...workflows
      .filter(({ names }) => names.length > 0)
      .map(({ file, names }) => `${file} (${names.join(', ')})`),
    ...(ecosystem ? [`${ecosystem.file} (${ecosystem.apps.map(({ name }) => name ?? '?').join(', ')})`] : []),
    ...lockFiles,
    ...(migrations ? [`${migrations.folder} (${migrations.count}, the newest ${migrations.newest})`] : []),
  ];
  return lines.length === 0 ? '' : `Found: ${lines.join('; ')}\n\n`;
}

/** The difference between a file and the text that would take its place, as git shows it. */
async function difference(path: string, text: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'muva-init-'));
  try {
    const file = join(folder, 'new.yml');
    writeFileSync(file, text);
    const shown = await runProgram(['git', 'diff', '--no-index', '--no-color', '--', path, file]).catch(
      () => undefined,
    );
    const at = shown?.stdout.indexOf('@@') ?? -1;
    return at < 0 ? '' : `\n--- ${path}\n+++ what init would write\n${shown!.stdout.slice(at)}\n`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Asks on a terminal; where standard input is none, there is nobody to ask. */
export async function initFromTerminal(words: readonly string[]): Promise<number> {
  const { stdin, stdout } = process;
  const context: InitContext = { folder: process.cwd(), write: (text) => void stdout.write(text) };
  if (!stdin.isTTY) return init(words, context);
  return withQuestions(stdin, stdout, (ask) => init(words, { ...context, ask }));
}

/** Asks for what is not given, each until it is right; undefined where the person left. */
async function answered(
  values: Values,
  givenBranch: string | undefined,
  ask: AskPerson,
  write: InitContext['write'],
  project: Project,
): Promise<{ branch: string } | undefined> {
  let branch = givenBranch;
  for (const [name, question] of QUESTIONS) {
    if (name === 'branch' ? branch !== undefined : values.has(name)) continue;
    const known =
      name === 'branch'
        ? await project.branchOf(values.get('environment') ?? '')
        : offered(name, project.found);
    let wrong: readonly Problem[];
    do {
      const answer = await ask(`${question}${known === undefined ? '' : ` [${known}]`}: `);
      if (answer === undefined) return undefined;
      const said = answer.trim() || (known ?? '');
      if (name === 'branch') {
        branch = said;
        wrong = branchProblems(said);
      } else {
        values.set(name, said);
        wrong = about([name], deployProblems(values, project));
      }
      tell(wrong, write);
    } while (wrong.length > 0);
  }
  return { branch: branch! };
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
    .filter((name) => inputRule(name).secret || CONNECTION_INPUTS.includes(name))
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
function deployProblems(values: Values, { base, force }: Project): InputProblem[] {
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
  const own = problems.filter(({ input }) => !CONNECTION_INPUTS.includes(input));
  const path = pathOf(values, base);
  if (values.get('environment') && !force && existsSync(path))
    own.push({
      input: 'environment',
      message: `environment: ${relative(base, path)} ${EXISTS}`,
      next: 'Say --force to replace it, or name another environment.',
    });
  return own;
}

const EXISTS = 'exists already';

function isThere({ message }: Problem): boolean {
  return message.endsWith(EXISTS);
}

/** The problems that name one of the inputs. */
function about(names: readonly InputName[], problems: readonly InputProblem[]): InputProblem[] {
  return problems.filter(({ input }) => names.includes(input));
}

const ASKED = QUESTIONS.map(([name]) => name).join(', ');

const HELP = `Usage: muva-deploy init [--branch name] [--force] [--input value ...]

Reads the project (its workflows, ecosystem file, lock file, migrations), writes .github/workflows/deploy-<environment>.yml
at the root of the repository, and says what is left to do. Secrets and variables keep the names that a workflow there has
for them. On a terminal it asks for what no flag says: ${ASKED}.

  --branch name        every push to it is deployed; by default the one of the workflow that deploys the environment now,
                       else a branch of the environment's name, else origin's own, else the one checked out
  --force              replaces the file where it is there; without it the difference is shown
  --environment name   staging by default
  --app-path folder    and any other input (see muva-deploy --help) becomes an input of the workflow's step; but not
                       the secrets, and not ${CONNECTION_INPUTS.filter((name) => !inputRule(name).secret).join(', ')}:
                       those come from the GitHub Environment

Below the repository's root, as in one of its several applications, working-directory is set to that folder.
`;

const SOURCES: Partial<Record<InputName, readonly string[]>> = {
  'database-url': ['Supabase dashboard, Connect, Session pooler; the password percent-encoded'],
  'ssh-private-key': ['a private key whose public half is in ~/.ssh/authorized_keys on the server'],
  'ssh-host': ['the server'],
  'ssh-user': ['the login on it'],
  'ssh-fingerprint': [
    'what this prints on the server, the part from SHA256: on:',
    'ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub',
  ],
  'health-url': ['the public address, such as https://staging.example.com'],
};

function whatIsLeft(
  environment: string,
  connections: readonly WorkflowConnection[],
  healthKnown: boolean,
): string {
  const missing = connections.filter(({ known }) => !known);
  const known = connections.filter((connection) => connection.known);
  const width = Math.max(...connections.map(({ from }) => from.length)) + 2;
  const rows = missing.map(({ input, from }) => {
    const [kind = '', name = ''] = from.split('.');
    const [first = '', ...more] = SOURCES[input] ?? [];
    const head = `  ${(kind === 'secrets' ? 'secret' : 'variable').padEnd(10)}${name.padEnd(width)}`;
    return [head + first, ...more.map((line) => ' '.repeat(head.length) + line)].join('\n');
  });
  return `It uses muva/deploy-action@v1, which must exist: until a version is released, write the full SHA of a commit of that
repository instead of v1 ("Not yet" in its README).
${
  known.length === 0
    ? ''
    : `
Taken as a workflow has it already: ${known.map(({ input, from }) => `${input} from ${from}`).join(', ')}.
What belongs to a GitHub Environment must be in the one named ${environment}; what is a secret of the repository stays one.
`
}
What is left to do, in the repository under Settings > Environments > ${environment} (or Secrets and variables > Actions):
${rows.length === 0 ? '  nothing: every name is there.' : rows.join('\n')}
${healthKnown ? '' : 'An application without /api/health also needs "health-paths: /" under "with:".\n'}${
  connections.some(({ input }) => input === 'supabase-access-token')
    ? 'The access token works with limits; with a secret DATABASE_URL (database-url) SQL goes over one session, and backups are dumps.\n'
    : ''
}Then push. To see first what would happen, add "mode: plan" under "with:".
`;
}

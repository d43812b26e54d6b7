import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import type { Problem } from '../base/report.js';
import { INPUT_NAMES, type InputName, inputRule } from '../settings/inputs.js';
import { parseSettings } from '../settings/parse.js';
import { parseFlags } from './flags.js';

/** The commit of actions/checkout that the written workflow uses. */
const CHECKOUT = 'actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0';

/** What every workflow takes from the repository's settings: input, expression. */
const CONNECTIONS: readonly (readonly [InputName, string])[] = [
  ['database-url', 'secrets.DATABASE_URL'],
  ['ssh-host', 'vars.VPS_HOST'],
  ['ssh-user', 'vars.VPS_USER'],
  ['ssh-private-key', 'secrets.VPS_SSH_KEY'],
  ['ssh-fingerprint', 'vars.VPS_FINGERPRINT'],
  ['health-url', 'vars.HEALTH_URL'],
];

/** What is asked for where no flag says it. */
const QUESTIONS: readonly (readonly [InputName, string])[] = [
  ['environment', 'Environment (staging, production)'],
  ['app-path', 'Folder of the application on the server, such as /var/www/app'],
  ['app-name', 'Its name in `pm2 list`'],
  ['required-tables', 'Tables that must exist, separated by commas (may stay empty)'],
];

export interface InitDoor {
  /** The folder in which .github/workflows lies. */
  readonly folder: string;
  readonly write: (text: string) => void;
  /** Undefined where nobody can be asked. */
  readonly ask?: (question: string) => Promise<string>;
}

/**
 * `muva-deploy init [--app-path … --app-name … --any-input value]`: writes a workflow and says what is left to do.
 * Never overwrites a file. Returns the exit code.
 */
export async function init(argv: readonly string[], door: InitDoor): Promise<number> {
  const flags = parseFlags(
    argv,
    INPUT_NAMES.filter((name) => name !== 'mode'),
  );
  const values = new Map<InputName, string>(flags.values);
  const problems = [...flags.problems, ...misplaced(values)];
  if (problems.length === 0) {
    for (const [name, question] of QUESTIONS) {
      if (!values.has(name) && door.ask) values.set(name, (await door.ask(`${question}: `)).trim());
    }
    if (!values.get('environment')) values.set('environment', 'staging');
    problems.push(...wrongValues(values));
  }
  const file = join('.github/workflows', `deploy-${fileName(values.get('environment') ?? '')}.yml`);
  const path = join(door.folder, file);
  if (problems.length === 0 && existsSync(path))
    problems.push({ message: `${file} exists already`, next: 'Move it away, or change it by hand.' });
  if (problems.length > 0) {
    for (const { message, next } of problems) door.write(`${message}\n${next ? `  ${next}\n` : ''}`);
    return 1;
  }
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, workflowText(values), { flag: 'wx' });
  door.write(`${file} is written.\n\n${whatIsLeft(values.get('environment')!)}`);
  return 0;
}

/** Asks on a terminal; where standard input is none, there is nobody to ask. */
export async function initFromTerminal(argv: readonly string[]): Promise<number> {
  const write = (text: string): void => void process.stdout.write(text);
  if (!process.stdin.isTTY) return init(argv, { folder: process.cwd(), write });
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return await init(argv, { folder: process.cwd(), write, ask: (question) => lines.question(question) });
  } finally {
    lines.close();
  }
}

/** Values that must not stand in a workflow file, or that it takes from the repository's settings. */
function misplaced(values: ReadonlyMap<InputName, string>): Problem[] {
  return [...values.keys()]
    .filter((name) => inputRule(name).secret || CONNECTIONS.some(([taken]) => taken === name))
    .map((name) => ({
      message: `${name}: does not belong into the workflow file`,
      next: 'The workflow takes it from the secrets and variables of the GitHub Environment.',
    }));
}

/** The problems that a deploy with these values would complain about; the connections are taken as given. */
function wrongValues(values: ReadonlyMap<InputName, string>): Problem[] {
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
  return parseSettings((name) => values.get(name) || (given[name] ?? inputRule(name).fallback), {
    run,
    terminal: true,
    workspace: '/',
    holdsMigrations: () => false,
  }).problems.filter(({ message }) => !CONNECTIONS.some(([name]) => message.startsWith(`${name}:`)));
}

function fileName(environment: string): string {
  return environment.toLowerCase().replaceAll(/[^\p{L}\p{N}]+/gu, '-');
}

/** The workflow that `init` writes; every value is quoted as YAML's double-quoted style has it. */
export function workflowText(values: ReadonlyMap<InputName, string>): string {
  const environment = values.get('environment')!;
  const own = [...values].filter(([name, value]) => value !== '' && name !== 'environment');
  const taken = CONNECTIONS.map(([name, from]) => `          ${name}: \${{ ${from} }}`);
  return `name: ${JSON.stringify(`Deploy to ${environment}`)}
on:
  push:
    branches: [main]

permissions:
  contents: read

concurrency:
  group: ${JSON.stringify(`deploy-${environment}`)}

jobs:
  deploy:
    runs-on: ubuntu-latest
    timeout-minutes: 30
    environment: ${JSON.stringify(environment)}
    steps:
      - uses: ${CHECKOUT}
        with:
          persist-credentials: false
      - uses: muva/deploy-action@v1
        with:
          environment: ${JSON.stringify(environment)}
${[...taken, ...own.map(([name, value]) => `          ${name}: ${JSON.stringify(value)}`)].join('\n')}
`;
}

function whatIsLeft(environment: string): string {
  return `What is left to do, in the repository under Settings > Environments > ${environment}:
  secret    DATABASE_URL     Supabase dashboard, Connect, Session pooler; the password percent-encoded
  secret    VPS_SSH_KEY      a private key whose public half is in ~/.ssh/authorized_keys on the server
  variable  VPS_HOST         the server
  variable  VPS_USER         the login on it
  variable  VPS_FINGERPRINT  what this prints on the server, the part from SHA256: on:
                             ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub
  variable  HEALTH_URL       the public address, such as https://staging.example.com
Then push. To see first what would happen, add "mode: plan".
`;
}

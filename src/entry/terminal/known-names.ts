import type { InputName } from '../../inputs/input-sources.js';
import type { WorkflowFacts } from './workflow-facts.js';

/**
 * By which names people keep what a connection needs, without the environment's own word, the most telling one first.
 * The first name of each is what the documents use where there is none yet.
 */
const NAMES: readonly (readonly [InputName, kind: 'secrets' | 'vars', ...string[]])[] = [
  ['database-url', 'secrets', 'DATABASE_URL', 'SUPABASE_DB_URL', 'DB_URL', 'POSTGRES_URL'],
  ['ssh-host', 'vars', 'VPS_HOST', 'SSH_HOST', 'SERVER_HOST', 'DEPLOY_HOST', 'HOST'],
  ['ssh-port', 'vars', 'VPS_PORT', 'SSH_PORT', 'SERVER_PORT'],
  [
    'ssh-user',
    'vars',
    'VPS_USER',
    'VPS_USERNAME',
    'SSH_USER',
    'SSH_USERNAME',
    'SERVER_USER',
    'DEPLOY_USER',
    'USERNAME',
  ],
  [
    'ssh-private-key',
    'secrets',
    'VPS_SSH_KEY',
    'SSH_PRIVATE_KEY',
    'VPS_SSH_PRIVATE_KEY',
    'VPS_KEY',
    'SSH_KEY',
    'DEPLOY_KEY',
  ],
  ['ssh-fingerprint', 'vars', 'VPS_FINGERPRINT', 'SSH_FINGERPRINT', 'SERVER_FINGERPRINT'],
  ['ssh-known-hosts', 'vars', 'VPS_KNOWN_HOSTS', 'SSH_KNOWN_HOSTS', 'KNOWN_HOSTS'],
  ['health-url', 'vars', 'HEALTH_URL', 'APP_URL', 'SITE_URL', 'PUBLIC_URL', 'URL'],
  ['supabase-project-ref', 'vars', 'SUPABASE_PROJECT_REF', 'SUPABASE_PROJECT_ID'],
  ['supabase-access-token', 'secrets', 'SUPABASE_ACCESS_TOKEN'],
];

/**
 * What every workflow takes from the repository's settings, also where nothing is found; the others only where a workflow
 * has them.
 */
export const CONNECTION_INPUTS: readonly InputName[] = [
  'database-url',
  'ssh-host',
  'ssh-user',
  'ssh-private-key',
  'ssh-fingerprint',
  'health-url',
];

/** What a workflow takes from the repository's settings: input, expression, and whether it is there already. */
export interface WorkflowConnection {
  readonly input: InputName;
  /** `secrets.STAGING_VPS_HOST`. */
  readonly from: string;
  readonly known: boolean;
}

/** The words by which people name an environment in a secret: `STAGING`, `PROD`. */
function environmentWords(environment: string): string[] {
  const own = environment.toUpperCase().replaceAll(/[^A-Z0-9]+/g, '_');
  if (/^PROD/.test(own)) return [...new Set([own, 'PRODUCTION', 'PROD', 'LIVE'])];
  if (/^(?:STAG|STG)/.test(own)) return [...new Set([own, 'STAGING', 'STAGE', 'STG'])];
  return own === 'DEVELOPMENT' ? [own, 'DEV'] : [own];
}

/** Names of one environment among those of all workflows. A name of another environment is never taken. */
export function connectionsFor(
  environment: string,
  workflows: readonly WorkflowFacts[],
): WorkflowConnection[] {
  const there = [...new Set(workflows.flatMap(({ names }) => names))];
  const words = environmentWords(environment);
  const bare = (name: string): string => name.slice(name.indexOf('.') + 1).toUpperCase();
  const find = (wanted: readonly string[]): string | undefined => {
    for (const text of wanted) {
      const found = there.find((name) => bare(name) === text);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  const found = NAMES.map(([, , ...names]) => {
    const own = names.flatMap((name) => words.flatMap((word) => withWord(name, word)));
    return find(own) ?? find(names);
  });
  // Who has STAGING_VPS_HOST expects STAGING_VPS_FINGERPRINT: as a variable of the repository it must not be shared.
  const word = words.find((each) => found.some((from) => from && bare(from).startsWith(`${each}_`)));
  const connections = NAMES.flatMap(([input, kind, first], at): WorkflowConnection[] => {
    const from = found[at];
    if (from !== undefined) return [{ input, from, known: true }];
    const name = word === undefined ? first! : `${word}_${first!}`;
    return CONNECTION_INPUTS.includes(input) ? [{ input, from: `${kind}.${name}`, known: false }] : [];
  });
  return withoutNeedless(connections);
}

/** `STAGING_VPS_HOST`, `VPS_HOST_STAGING`, `VPS_STAGING_HOST`. */
function withWord(name: string, word: string): string[] {
  const parts = name.split('_');
  return parts
    .map((_, at) => [...parts.slice(0, at), word, ...parts.slice(at)].join('_'))
    .concat(`${name}_${word}`);
}

/** A second way to the same thing is left out: known_hosts or the fingerprint, the database URL or the token. */
function withoutNeedless(all: readonly WorkflowConnection[]): WorkflowConnection[] {
  const known = (input: InputName): boolean => all.some((each) => each.input === input && each.known);
  const needless = new Set<InputName>();
  needless.add(known('ssh-known-hosts') && !known('ssh-fingerprint') ? 'ssh-fingerprint' : 'ssh-known-hosts');
  const api = known('supabase-project-ref') && known('supabase-access-token');
  if (api && !known('database-url')) needless.add('database-url');
  else for (const input of ['supabase-project-ref', 'supabase-access-token'] as const) needless.add(input);
  return all.filter(({ input }) => !needless.has(input));
}

/** The workflow that deploys this environment today: by its job's environment, its file name, or its names. */
export function workflowOf(
  environment: string,
  workflows: readonly WorkflowFacts[],
): WorkflowFacts | undefined {
  const words = environmentWords(environment);
  const speaks = (text: string): boolean =>
    text
      .toUpperCase()
      .split(/[^A-Z0-9]+/)
      .some((part) => words.includes(part));
  return (
    workflows.find(({ environments }) => environments.some(speaks)) ??
    workflows.find(({ file }) => speaks(file.slice(file.lastIndexOf('/') + 1))) ??
    workflows.find(({ names }) =>
      names.some((name) =>
        name
          .toUpperCase()
          .split(/[._]/)
          .some((part) => words.includes(part)),
      ),
    )
  );
}

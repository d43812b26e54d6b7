/**
 * Every input of the action: its default and the environment variables that can stand in for it.
 * action.yml says the same (a test compares them). An input that can come from the environment has no
 * default in action.yml, because the runner would hand that default over as if a person had set it.
 */
export interface InputRule {
  readonly fallback: string;
  readonly env: readonly string[];
  /** The value is masked before anything else happens and kept in a Secret. */
  readonly secret?: true;
  /** Text that is kept byte for byte; all other inputs are trimmed. */
  readonly text?: true;
}

const plain = (fallback = '', ...env: string[]): InputRule => ({ fallback, env });
/** A secret can always come from the environment: a flag would be seen in the process list. */
const secret = (...env: [string, ...string[]]): InputRule => ({ fallback: '', env, secret: true });

export const INPUTS = {
  mode: plain('deploy'),
  skip: plain(),
  'run-id': plain('', 'GITHUB_RUN_ID'),
  environment: plain(),
  'adopt-environment': plain('false'),
  'working-directory': plain('.'),
  'github-token': secret('GITHUB_TOKEN'),
  'database-url': secret('DATABASE_URL'),
  'database-ca-cert': { fallback: '', env: ['DATABASE_CA_CERT'], text: true } as InputRule,
  'supabase-project-ref': plain('', 'SUPABASE_PROJECT_REF', 'SUPABASE_STAGING_PROJECT_ID'),
  'supabase-access-token': secret('SUPABASE_ACCESS_TOKEN'),
  'supabase-service-role-key': secret('SUPABASE_SERVICE_ROLE_KEY'),
  'supabase-api-url': plain('https://api.supabase.com', 'SUPABASE_API_URL'),
  'migrations-dir': plain('supabase/migrations'),
  transaction: plain('all'),
  'include-all': plain('false'),
  'missing-migrations': plain('refuse'),
  'edited-migrations': plain('warn'),
  'destructive-changes': plain('warn'),
  baseline: plain(),
  'lock-timeout': plain('5s'),
  'statement-timeout': plain('10m'),
  backup: plain('off'),
  'backup-to': plain(),
  'after-health': plain('false'),
  'required-tables': plain(),
  'required-functions': plain(),
  rls: plain('required'),
  'row-counts': plain('estimate'),
  drift: plain('warn'),
  'ssh-host': plain('', 'VPS_HOST'),
  'ssh-port': plain('22', 'VPS_PORT'),
  'ssh-user': plain('', 'VPS_USER'),
  'ssh-private-key': { fallback: '', env: ['VPS_SSH_KEY'], secret: true, text: true } as InputRule,
  'ssh-passphrase': { fallback: '', env: ['VPS_SSH_PASSPHRASE'], secret: true, text: true } as InputRule,
  'ssh-known-hosts': { fallback: '', env: ['VPS_KNOWN_HOSTS'], text: true } as InputRule,
  'ssh-jump': plain('', 'VPS_JUMP'),
  'ssh-fingerprint': plain('', 'VPS_FINGERPRINT'),
  'app-path': plain(),
  'app-name': plain(),
  strategy: plain('auto'),
  'build-on': plain('vps'),
  rehearse: plain('true'),
  'dirty-checkout': plain('refuse'),
  'lock-wait': plain('10m'),
  ref: plain(),
  'build-output': plain(),
  'repository-url': plain(),
  'install-command': plain(),
  'build-command': plain(),
  'start-command': plain(),
  'restart-command': plain(),
  'env-file': { fallback: '', env: ['DEPLOY_ENV_FILE'], secret: true, text: true } as InputRule,
  'env-file-path': plain('.env.local'),
  'shared-paths': plain(),
  'keep-releases': plain('5'),
  'max-parallel': plain('1'),
  'deploy-timeout': plain('15m'),
  'health-url': plain('', 'STAGING_URL', 'HEALTH_URL'),
  'health-paths': plain('/,/api/health'),
  'health-from': plain('both'),
  'health-port': plain(),
  'health-timeout': plain('5s'),
  'health-deadline': plain('60s'),
  'health-max-latency': plain(),
  'health-successes': plain('2'),
  'check-assets': plain('true'),
  'expect-version': plain(),
  'irreversible-migrations': plain('allow'),
  'shadow-database-url': secret('SHADOW_DATABASE_URL'),
  'allow-data-loss': plain('false'),
  'rollback-on-failure': plain('true'),
  'rollback-database': plain('down'),
  'rollback-steps': plain(),
  'rollback-to': plain(),
  'github-deployment': plain('off'),
  comment: plain('auto'),
} as const satisfies Record<string, InputRule>;

export type InputName = keyof typeof INPUTS;
export const INPUT_NAMES = Object.keys(INPUTS) as InputName[];

export function inputRule(name: InputName): InputRule {
  return INPUTS[name];
}

/** Where a value comes from: the GitHub door reads INPUT_*, the terminal door reads flags. */
export type ReadInput = (name: InputName) => string;

/** Adds the environment variables and defaults behind a door's own source; the door's value wins. */
export function withEnvironment(read: ReadInput, env: NodeJS.ProcessEnv): ReadInput {
  return (name) => {
    const rule = inputRule(name);
    const tidy = (value: string): string => (rule.text ? value : value.trim());
    const given = tidy(read(name));
    if (given.trim() !== '') return given;
    for (const variable of rule.env) {
      const value = tidy(env[variable] ?? '');
      if (value.trim() !== '') return value;
    }
    return rule.fallback;
  };
}

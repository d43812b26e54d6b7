import { EMPTY_CONNECTION } from '../base/empty-connection.js';
import type { InputName, ReadInput } from './inputs.js';
import { checkRelativePath, joinPath } from './names.js';
import type { InputReader } from './readers.js';
import type {
  DatabaseSettings,
  HealthSettings,
  Mode,
  Part,
  Run,
  Surroundings,
  VpsSettings,
} from './settings.js';

/**
 * A secret that is not set arrives as an empty string. It must never switch a part off silently: where anything
 * points to a part and its connection is empty, the run is refused, unless `skip` lists the part.
 */
export function complainAboutEmptyConnections(
  reader: InputReader,
  read: ReadInput,
  mode: Mode,
  skip: readonly Part[],
  parts: { database: DatabaseSettings | undefined; vps: VpsSettings | undefined; health: HealthSettings },
  around: Surroundings,
): void {
  const whole = mode === 'deploy' || mode === 'plan';
  const unset = EMPTY_CONNECTION;
  const complained = (...names: InputName[]): boolean =>
    reader.problems.some((problem) => names.some((name) => problem.message.startsWith(`${name}:`)));

  if (!parts.database && !skip.includes('database') && !complained('database-url', 'supabase-project-ref')) {
    const ref = read('supabase-project-ref') !== '';
    const token = read('supabase-access-token') !== '';
    const half: InputName =
      ref && !token ? 'supabase-access-token' : token && !ref ? 'supabase-project-ref' : 'database-url';
    const dir = read('migrations-dir');
    const folder = joinPath(read('working-directory'), dir);
    const points = !whole
      ? undefined
      : read('required-tables') !== '' || read('required-functions') !== ''
        ? 'required-tables or required-functions is set'
        : half !== 'database-url'
          ? 'the other half of the Management API pair is set'
          : checkRelativePath(dir) === undefined && around.holdsMigrations(folder)
            ? `the folder ${dir} holds migrations`
            : undefined;
    if (mode === 'migrate' || mode === 'verify') {
      reader.complain(
        half,
        unset,
        `Mode ${mode} needs a database: set database-url, or supabase-project-ref and supabase-access-token.`,
      );
    } else if (points !== undefined) {
      reader.complain(half, unset, `${capital(points)}. Set the secret, or say skip: database.`);
    }
  }
  if (!parts.vps && !skip.includes('vps') && !complained('ssh-host', 'ssh-user')) {
    const points =
      read('app-path') !== ''
        ? 'app-path is set'
        : read('app-name') !== ''
          ? 'app-name is set'
          : read('ssh-private-key').trim() !== ''
            ? 'ssh-private-key is set'
            : undefined;
    if (mode === 'redeploy')
      reader.complain(
        'ssh-host',
        unset,
        'Mode redeploy needs a server: set ssh-host, ssh-user, ssh-private-key and ssh-fingerprint.',
      );
    else if (whole && points !== undefined)
      reader.complain('ssh-host', unset, `${capital(points)}. Set the secret, or say skip: vps.`);
  }
  const url = parts.health.url !== undefined;
  if (mode === 'redeploy' && skip.includes('vps'))
    reader.complain('skip', '"vps" leaves nothing of mode redeploy', 'Remove it from skip.');
  if ((mode === 'migrate' || mode === 'verify') && skip.includes('database'))
    reader.complain('skip', `"database" leaves nothing of mode ${mode}`, 'Remove it from skip.');
  const none = !parts.database && !parts.vps;
  if (reader.problems.length > 0) return;
  const filesOnly = mode === 'plan' && skip.includes('database');
  if (none && !filesOnly && (mode === 'deploy' || mode === 'plan' || mode === 'rollback')) {
    reader.complain(
      'database-url',
      'is empty, and so is ssh-host: there is nothing to work on',
      'Give a database, a server, or both.',
    );
  }
  if (none && !url && mode === 'health')
    reader.complain(
      'health-url',
      'is empty, and so are database-url and ssh-host: there is nothing to ask',
      'Give at least one of them.',
    );
  if (mode === 'redeploy' || (mode === 'deploy' && parts.vps)) {
    if (parts.vps && parts.vps.ref === undefined)
      reader.complain(
        'ref',
        'is empty and GITHUB_SHA is not set: no commit to deploy',
        'Give the full commit SHA.',
      );
  }
}

/** Code from a fork must not reach the database or the server: only plan may run there. */
export function complainAboutFork(reader: InputReader, mode: Mode, run: Run): void {
  if (mode === 'plan' || mode === 'health' || mode === 'verify') return;
  if (run.event === 'pull_request_target') {
    reader.complain(
      'mode',
      `"${mode}" is refused on pull_request_target: it would run foreign code with your secrets`,
      'Use pull_request with mode: plan, and deploy on push.',
    );
  } else if (run.fork && run.event === 'pull_request') {
    reader.complain(
      'mode',
      `"${mode}" is refused on a pull request from a fork`,
      'Use mode: plan there, and deploy on push.',
    );
  }
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

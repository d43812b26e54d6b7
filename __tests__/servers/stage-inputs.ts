import type { Stage } from './stage.js';

/** The inputs with which the action deploys to all of a stage, each once; `more` are added, or take their place. */
export function stageInputs(
  { databaseUrl, origin, vps, sshd }: Stage,
  more: Readonly<Record<string, string>> = {},
): Record<string, string> {
  return {
    'database-url': databaseUrl,
    'ssh-host': sshd.host,
    'ssh-port': String(sshd.port),
    'ssh-user': sshd.user,
    'ssh-private-key': sshd.privateKey,
    'ssh-fingerprint': sshd.fingerprint,
    'repository-url': origin.url,
    'app-path': vps.appPath,
    'app-name': 'guesthouse',
    'health-url': `http://127.0.0.1:${vps.port}`,
    ...more,
  };
}

import { catchProblem } from '../../lib/catch-problem.js';
import { repair } from '../cutover/repair.js';
import { hostSecrets, textSecrets } from '../host-files/env-file-secrets.js';
import { type HostState, readHostState } from '../host-state/host-state.js';
import type { DeployRequest, RollbackRequest } from '../protocol.js';
import { clearIncoming } from '../state/incoming-builds.js';
import type { Reporter } from './reporter.js';

export interface BeginOptions {
  request: DeployRequest | RollbackRequest;
  env: NodeJS.ProcessEnv;
  reporter: Reporter;
  signal: AbortSignal;
}

/**
 * How every run begins once it holds the lock: it looks at the host, hides the secrets that it finds there from all
 * that will be told, and brings order into what a run that was cut has left. What it returns is true after that.
 */
export async function beginRun({ request, env, reporter, signal }: BeginOptions): Promise<HostState> {
  if (request.command === 'deploy')
    reporter.hide([
      ...textSecrets(request.envFile ?? ''),
      ...(request.fetchAccess?.token === undefined ? [] : [request.fetchAccess.token]),
    ]);
  const look = async (): Promise<HostState> => {
    const seen = await readHostState(request.app, env);
    reporter.hide(hostSecrets(seen));
    return seen;
  };
  const found = await look();
  catchProblem(() => clearIncoming(found.state));
  const { run, health, lockWait } = request;
  const repaired = await repair({
    ...found,
    port: found.facts.port,
    run,
    health,
    lockWait,
    reporter,
    signal,
  });
  return repaired ? look() : found;
}

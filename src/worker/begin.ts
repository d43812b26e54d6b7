import { tried } from '../base/tried.js';
import { repair } from './cutover/repair.js';
import { hostSecrets, textSecrets } from './own-files/host-secrets.js';
import type { DeployRequest, RollbackRequest } from './protocol.js';
import { clearIncoming } from './record/incoming.js';
import { type Survey, survey } from './survey/survey.js';
import type { Teller } from './teller.js';

export interface BeginOptions {
  request: DeployRequest | RollbackRequest;
  env: NodeJS.ProcessEnv;
  teller: Teller;
  signal: AbortSignal;
}

/**
 * How every run begins once it holds the lock: it looks at the host, hides the secrets that it finds there from all
 * that will be told, and brings order into what a run that was cut has left. What it returns is true after that.
 */
export async function beginRun({ request, env, teller, signal }: BeginOptions): Promise<Survey> {
  if (request.command === 'deploy')
    teller.hide([
      ...textSecrets(request.envFile ?? ''),
      ...(request.fetchAccess?.token === undefined ? [] : [request.fetchAccess.token]),
    ]);
  const look = async (): Promise<Survey> => {
    const seen = await survey(request.app, env);
    teller.hide(hostSecrets(seen));
    return seen;
  };
  const found = await look();
  tried(() => clearIncoming(found.state));
  const { run, health, lockWait } = request;
  const repaired = await repair({ ...found, port: found.facts.port, run, health, lockWait, teller, signal });
  return repaired ? look() : found;
}

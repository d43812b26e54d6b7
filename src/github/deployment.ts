import type { Outcome } from '../base/report.js';
import type { Settings } from '../settings/settings.js';
import { type ApiOptions, type Errand, withApi } from './api.js';

type State = 'in_progress' | 'success' | 'failure' | 'error' | 'inactive';

/** How a run's outcome reads on the deployments page. Only `success` takes the place of the deployment before it. */
export const DEPLOYMENT_STATES: Readonly<Record<Outcome, State>> = {
  success: 'success',
  failure: 'failure',
  'rolled-back': 'failure',
  'rollback-failed': 'error',
  cancelled: 'error',
  unknown: 'error',
  skipped: 'inactive',
};

const PERMISSION = 'deployments: write';

/** Creates a deployment that is in progress; its id, or undefined where GitHub would not (a warning says why). */
export async function openDeployment(options: ApiOptions, settings: Settings): Promise<string | undefined> {
  const ref = settings.vps?.ref ?? settings.run.sha;
  const errand: Errand = { what: 'GitHub Deployment not created', permission: PERMISSION };
  if (ref === undefined) {
    options.log({ kind: 'warning', problem: { message: `${errand.what}: there is no commit to name` } });
    return undefined;
  }
  const id = await withApi(options, errand, async ({ rest, owner, repo }) => {
    const created = await rest.repos.createDeployment({
      owner,
      repo,
      ref,
      environment: settings.environment ?? 'production',
      description: `muva-deploy ${settings.mode}`,
      auto_merge: false,
      // The job itself is one of the commit's checks and still running: waiting for it would never end.
      required_contexts: [],
    });
    return 'id' in created.data ? String(created.data.id) : undefined;
  });
  if (id !== undefined) await setStatus(options, settings, id, 'in_progress', 'deploying');
  return id;
}

/** Ends the deployment with the run's outcome. */
export function closeDeployment(
  options: ApiOptions,
  settings: Settings,
  id: string,
  outcome: Outcome,
): Promise<void> {
  return setStatus(options, settings, id, DEPLOYMENT_STATES[outcome], outcome);
}

async function setStatus(
  options: ApiOptions,
  settings: Settings,
  id: string,
  state: State,
  description: string,
): Promise<void> {
  const errand = { what: `GitHub Deployment not marked ${state}`, permission: PERMISSION };
  await withApi(options, errand, ({ rest, owner, repo }) =>
    rest.repos.createDeploymentStatus({
      owner,
      repo,
      deployment_id: Number(id),
      state,
      description,
      ...(settings.run.url === undefined ? {} : { log_url: settings.run.url }),
      ...(settings.health.url === undefined ? {} : { environment_url: settings.health.url }),
    }),
  );
}

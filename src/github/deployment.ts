import type { Settings } from '../inputs/settings.js';
import { definedOnly } from '../lib/defined-only.js';
import type { Outcome, PhaseName, Report } from '../lib/report.js';
import { isUnwatched } from '../report/unwatched.js';
import { type ApiCall, type ApiOptions, withApi } from './api.js';

type State = 'in_progress' | 'success' | 'failure' | 'error' | 'inactive';

/** How a run's outcome reads on the deployments page. Only `success` takes the place of the deployment before it. */
const DEPLOYMENT_STATES: Readonly<Record<Outcome, State>> = {
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
export async function openDeployment(
  options: ApiOptions,
  settings: Settings,
  ref = settings.vps?.ref ?? settings.run.sha,
): Promise<string | undefined> {
  const errand: ApiCall = { what: 'GitHub Deployment not created', permission: PERMISSION };
  if (ref === undefined) {
    options.log({ kind: 'warning', problem: { message: `${errand.what}: there is no commit to name` } });
    return undefined;
  }
  const id = await withApi(options, errand, async ({ rest, owner, repo }) => {
    const created = await rest.repos.createDeployment({
      owner,
      repo,
      ref,
      environment: githubEnvironment(settings),
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

/** Milliseconds; what a phase is called is told or left out, and nothing waits for it for longer. */
const PHASE_DEADLINE = 2_000;

/** Tells which phase a deployment is in. */
export interface PhaseTeller {
  /** Returns at once. Of several phases that begin while one is being told the newest is told next. */
  tell(phase: PhaseName): void;
  /** Tells no further phase; resolves when none is on its way any more. */
  end(): Promise<void>;
}

/** Puts each phase into the description of a deployment that is in progress. What goes wrong is nobody's trouble. */
export function phaseTeller(options: ApiOptions, settings: Settings, id: string): PhaseTeller {
  const quiet = { ...options, log: () => {}, deadline: PHASE_DEADLINE };
  let next: PhaseName | undefined;
  let telling: Promise<void> | undefined;
  const tellAll = async (): Promise<void> => {
    for (let phase = next; phase !== undefined; phase = next) {
      next = undefined;
      await setStatus(quiet, settings, id, 'in_progress', `phase ${phase}`);
    }
    telling = undefined;
  };
  return {
    tell(phase) {
      next = phase;
      telling ??= tellAll();
    },
    async end() {
      next = undefined;
      await telling;
    },
  };
}

/**
 * The commit that a rollback made live again. It is deployed once more, for GitHub: else the commit that was withdrawn
 * would stay the active one there.
 */
export function liveAgain({ mode, outcome, facts }: Report): string | undefined {
  const back = facts.hosts?.some((host) => host.outcome === 'rolled-back');
  return mode === 'rollback' && outcome === 'success' && back ? facts.deployedSha : undefined;
}

/** The outcome that a deployment is ended with: a version that was proven and is live is one, though nobody watched it to the end. */
export function deploymentOutcome({ outcome, phases }: Pick<Report, 'outcome' | 'phases'>): Outcome {
  return outcome === 'cancelled' && isUnwatched(phases) ? 'success' : outcome;
}

/** Ends the deployment with the run's outcome. */
export async function closeDeployment(
  options: ApiOptions,
  settings: Settings,
  id: string,
  outcome: Outcome,
): Promise<void> {
  const state = DEPLOYMENT_STATES[outcome];
  await setStatus(options, settings, id, state, outcome);
  if (state === 'success') await retireOthers(options, settings, id);
}

/**
 * GitHub marks the earlier deployments of an environment as inactive when one has succeeded, but not those of a
 * production environment; there every commit that ever was live would stay active.
 */
async function retireOthers(options: ApiOptions, settings: Settings, id: string): Promise<void> {
  const errand = { what: 'Earlier GitHub Deployments not marked inactive', permission: PERMISSION };
  await withApi(options, errand, async ({ rest, owner, repo }) => {
    const environment = githubEnvironment(settings);
    const { data } = await rest.repos.listDeployments({ owner, repo, environment, per_page: 20 });
    for (const { id: deployment_id, production_environment } of data) {
      if (!production_environment || String(deployment_id) === id) continue;
      const which = { owner, repo, deployment_id };
      const { data: statuses } = await rest.repos.listDeploymentStatuses({ ...which, per_page: 1 });
      if (statuses[0]?.state !== 'success') continue;
      await rest.repos.createDeploymentStatus({ ...which, state: 'inactive', description: 'replaced' });
    }
  });
}

function githubEnvironment({ environment }: Settings): string {
  return environment ?? 'production';
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
      ...definedOnly({ log_url: settings.run.url, environment_url: settings.health.url }),
    }),
  );
}

import { Failure } from '../../lib/report.js';
import { rehearsalObstacle } from '../build/rehearse.js';
import type { HostState } from '../host-state/host-state.js';
import { askLive, judgeLive, provesNothing } from '../host-state/live-version.js';
import type { DeployContext } from './deploy-context.js';

/**
 * Asks the live version before anything is changed: what it can do now is what a put-back must bring back. `later`: it
 * is asked for that after the build, right before the database is changed. @throws a Failure where the new version is not
 * rehearsed, and no check could tell whether it works.
 */
export async function lookAtLive(
  found: HostState,
  { request, reporter, signal }: DeployContext,
  later: boolean,
): Promise<HostState> {
  const obstacle = rehearsalObstacle(request.rehearse, found.supervisor, found.entry);
  if (later && obstacle === undefined) return found;
  const liveHealth = await askLive(found, request.health, signal);
  if (liveHealth === undefined) return found;
  const live = judgeLive(liveHealth);
  if (live.kind === 'deaf' && obstacle !== undefined) throw new Failure(provesNothing(live.check, obstacle));
  if (live.kind === 'down')
    reporter.progress(
      `${obstacle === undefined ? '' : 'not rehearsed; '}live is down: ${live.why}. This deploy is the repair`,
    );
  return { ...found, liveHealth };
}

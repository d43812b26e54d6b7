import { Failure } from '../../lib/report.js';
import { headOf } from '../host/git.js';
import { freeIndex } from '../host/git-index-lock.js';
import type { HostState } from '../host-state/host-state.js';

/**
 * Waits for a git command of a person in the checkout that is to be turned. @throws a Failure where it goes on, or where
 * somebody has committed since the host was looked at; nothing was changed.
 */
export async function waitForGit(
  { strategy, checkout, facts }: Pick<HostState, 'strategy' | 'checkout' | 'facts'>,
  signal: AbortSignal,
): Promise<void> {
  if (strategy !== 'in-place' || checkout === undefined) return;
  await freeIndex(checkout, signal);
  const head = await headOf(checkout);
  if (head === facts.liveSha) return;
  throw new Failure({
    message: `Somebody turned the checkout ${checkout.folder} meanwhile: it was at ${facts.liveSha}, and is at ${head} now.`,
    next: 'Push what was committed there, or take it back; then run the job again.',
  });
}

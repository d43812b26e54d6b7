import { Failure, type Problem, problemsOf } from '../../lib/report.js';
import type { Older } from '../host/ancestry.js';
import type { HostRollbackTarget } from '../protocol.js';
import { type History, type ReleaseRef, runsLive } from '../state/journal.js';
import { previousVerified } from '../state/releases.js';

export interface DeployQuestion {
  sha: string;
  /** A person named this commit. */
  explicit: boolean;
  attempt: number;
  liveSha?: string;
  liveVerified: boolean;
  /** Whether the commit is in the history of the live one. */
  olderThanLive: Older;
  history: History;
  /** PM2's name of the application, and the run that asks. */
  appName: string;
  runId: string;
  /** The environment files differ from those with which the live version was built. */
  envChanges: boolean;
}

export type DeployDecision =
  | { kind: 'go' }
  | { kind: 'unchanged' }
  | { kind: 'newer-is-live' }
  | { kind: 'refuse'; problem: Problem };

/** Whether a commit may be deployed now, from what is live and what the journal remembers. */
export function decideDeploy(question: DeployQuestion): DeployDecision {
  const { sha, explicit, attempt, liveSha, liveVerified, history } = question;
  if (sha === liveSha) return { kind: liveVerified && !mustRepeat(question) ? 'unchanged' : 'go' };
  if (explicit) return { kind: 'go' };
  if (history.badShas.has(sha))
    return {
      kind: 'refuse',
      problem: {
        message: `The commit ${sha} was rolled back on this server and is marked bad.`,
        next: 'Push a commit that cures it. To deploy this one all the same, name it with ref.',
      },
    };
  if (question.olderThanLive === 'unknown')
    return {
      kind: 'refuse',
      problem: {
        message: `Whether the commit ${sha} is older than the live commit ${liveSha} cannot be told: the server does not have their history, and its remote did not give it.`,
        next: 'Run once in the checkout on the server: git fetch --unshallow. To deploy this commit all the same, name it with ref.',
      },
    };
  if (question.olderThanLive === 'no') return { kind: 'go' };
  const wasLive = history.verified.some((release) => release.sha === sha);
  if (attempt === 1 && !wasLive) return { kind: 'newer-is-live' };
  return {
    kind: 'refuse',
    problem: {
      message: `The commit ${sha} is older than the live commit ${liveSha}: this would be a downgrade.`,
      next: 'To go back use mode: rollback. To deploy this commit all the same, name it with ref.',
    },
  };
}

/** Why the live commit is deployed once more. */
function mustRepeat({ history, appName, runId, envChanges, explicit }: DeployQuestion): boolean {
  if (envChanges || !runsLive(history, appName)) return true;
  // A person who names a commit wants it deployed; the same run started again has done so.
  return (
    explicit && history.deploys.findLast(({ to }) => to.release === history.live?.release)?.runId !== runId
  );
}

export interface RollbackQuestion {
  /** Undo what this run changed. */
  undoRun?: string;
  /** `previous`, a commit or a release. */
  to?: string;
  /** PM2's name of the application. */
  appName: string;
  history: History;
  isAvailable: (release: string) => boolean;
}

/** `overtakenBy`: the run was not undone; another commit has come since, and stands on what the run changed. */
export type RollbackChoice =
  | { kind: 'go'; to: ReleaseRef }
  | { kind: 'nothing'; why: string; overtakenBy?: string };

/** Where a rollback goes; a Failure where what was asked for is not there. */
export function chooseRollback(question: RollbackQuestion): RollbackChoice {
  const { history, isAvailable, to, appName } = question;
  // Another application of the same checkout went back before: this one is still to be restarted there.
  const behind = history.live !== undefined && history.liveVerified && !runsLive(history, appName);
  if (to !== undefined && to !== 'previous') return namedTarget(to, history, isAvailable, behind);
  if (to === undefined && question.undoRun !== undefined)
    return undoTarget(question.undoRun, history, isAvailable, behind);
  if (behind) return { kind: 'go', to: history.live! };
  const previous = previousVerified(history, isAvailable);
  if (!previous)
    throw new Failure({
      message: 'There is no verified release before the live one that could be put back.',
      next: 'Deploy a good commit by naming it with ref.',
    });
  return { kind: 'go', to: previous };
}

function namedTarget(
  to: string,
  history: History,
  isAvailable: (release: string) => boolean,
  behind: boolean,
): RollbackChoice {
  const matches = history.verified.filter(
    ({ release, sha }) => release === to || (to.length >= 7 && sha.startsWith(to)),
  );
  const live = history.live;
  if (live && matches.some(({ release }) => release === live.release))
    return behind ? { kind: 'go', to: live } : { kind: 'nothing', why: `${to} is live already` };
  const kept = [...matches].reverse().find(({ release }) => isAvailable(release));
  if (kept) return { kind: 'go', to: kept };
  throw new Failure({
    message:
      matches.length === 0
        ? `${to} was never live and verified on this server.`
        : `The release of ${to} has been pruned, so it cannot be put back without a build.`,
    next: 'Deploy that commit by naming it with ref.',
  });
}

/** Undoes all deploys of a run that are live now, down to what was live before the first of them. */
function undoTarget(
  runId: string,
  history: History,
  isAvailable: (release: string) => boolean,
  behind: boolean,
): RollbackChoice {
  const made = history.deploys.filter((deploy) => deploy.runId === runId);
  const { live } = history;
  if (made.length === 0)
    return {
      kind: 'nothing',
      why: history.putBack.has(runId)
        ? `the server has put back what run ${runId} changed already`
        : `run ${runId} did not change the live version here`,
    };
  const ownReleases = new Set(made.map(({ to }) => to.release));
  if (live === undefined || !ownReleases.has(live.release)) {
    const own = Math.max(...made.map(({ to }) => arrivalOf(history, to.release)));
    if (live !== undefined && arrivalOf(history, live.release) > own)
      return {
        kind: 'nothing',
        why: `${live.sha.slice(0, 7)} came after what run ${runId} deployed, and is live`,
        overtakenBy: live.sha,
      };
    if (behind && live !== undefined) return { kind: 'go', to: live };
    return { kind: 'nothing', why: `what run ${runId} deployed is undone already` };
  }
  let from = made.find(({ to }) => to.release === live.release)?.from;
  while (from && ownReleases.has(from.release)) {
    const release = from.release;
    from = made.find(({ to }) => to.release === release)?.from;
  }
  if (
    from &&
    isAvailable(from.release) &&
    !history.badReleases.has(from.release) &&
    history.verified.some(({ release }) => release === from.release)
  )
    return { kind: 'go', to: from };
  const before = previousVerified(history, isAvailable);
  if (before) return { kind: 'go', to: before };
  throw new Failure({
    message: `Run ${runId} deployed here, but there is no verified release before it that could be put back.`,
    next: 'Deploy a good commit by naming it with ref.',
  });
}

/** When a release came last, as a position among all arrivals; -1 where it never did. */
function arrivalOf({ arrivals }: History, release: string): number {
  return arrivals.findLastIndex((arrival) => arrival.release === release);
}

/** The runs whose releases came after this one: what they changed elsewhere is ahead of it. */
function runsSince(history: History, release: string): string[] {
  const since = history.arrivals.slice(arrivalOf(history, release) + 1);
  return [...new Set(since.flatMap(({ runId }) => runId ?? []))];
}

/** What a rollback would do on this host, and which runs it would take back; decided as the rollback itself decides. */
export function hostRollbackTarget(question: RollbackQuestion): HostRollbackTarget {
  const { history, undoRun, to: named } = question;
  const own = named === undefined && undoRun !== undefined ? [undoRun] : undefined;
  try {
    const decision = chooseRollback(question);
    const { live } = history;
    if (decision.kind === 'nothing')
      return { ...decision, runs: own ?? (live ? runsSince(history, live.release) : []) };
    const { to } = decision;
    const forward = live !== undefined && arrivalOf(history, to.release) > arrivalOf(history, live.release);
    return { kind: 'go', to, forward, runs: own ?? runsSince(history, to.release) };
  } catch (error) {
    return { kind: 'refused', problem: problemsOf(error)[0]! };
  }
}

import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { definedOnly } from '../lib/defined-only.js';
import { Failure, type PhaseReport } from '../lib/report.js';
import { type PhaseRecord, runPhase } from '../report/phase.js';
import { exactCommit } from '../server/checkout/exact-commit.js';
import { describePacked, packBuild } from '../server/checkout/pack-build.js';
import type { HostReport } from '../server/fleet/inspect-fleet.js';
import { beginRollout, type HostEnd, type Rollout, type RolloutPlan } from '../server/fleet/rollout.js';
import { sendToAll } from '../server/fleet/send-build.js';
import type { ServerWork } from '../server/fleet/server-work.js';
import { deployRequest, rollbackRequest, withToken } from '../server/worker-requests.js';
import type { DeployRequest } from '../worker/protocol.js';
import { withMigrateBefore } from './build-reads-schema.js';
import { judgeEnds, redeploySummary } from './host-ends.js';
import { hostRefusals, liveFacts } from './plan-hosts.js';

/** What is done with the database while the hosts wait: it is left alone, recorded in, or changed; that before they build. */
export type Between = 'nothing' | 'records' | 'commits' | 'commits-before-build';

/**
 * Where the hosts wait. One host with nothing in between goes through without the action; where the database is changed
 * in between, the rehearsal is on its new schema. Pure.
 */
export function cutoverOf(between: Between, hosts: number): DeployRequest['cutover'] {
  if (between === 'commits') return 'step-by-step';
  if (between === 'commits-before-build') return 'builds-later';
  return between === 'nothing' && hosts === 1 ? 'at-once' : 'on-go';
}

/** What is asked of the hosts beside the new version, because the database is changed while they wait. */
export interface BeforeCommit {
  onLive?: RolloutPlan['onLive'];
  /** The backup that the first host keeps. */
  backup?: DeployRequest['backup'];
}

/** Starts to prepare every host, from what a look has found there. */
export async function prepareHosts(
  servers: ServerWork,
  looks: readonly HostReport[],
  between: Between,
  record: PhaseRecord,
  { onLive, backup }: BeforeCommit = {},
): Promise<Rollout> {
  const { fleet, settings, log, signal } = servers;
  const sha = await deployedCommit(servers);
  Object.assign(record.facts, liveFacts(looks));
  refuseHosts(looks);
  const packed = settings.vps.buildOn === 'runner' ? await sendBuild(servers, sha, looks, record) : [];
  const request = deployRequest(settings, {
    sha,
    invocation: randomUUID(),
    cutover: cutoverOf(between, fleet.hosts.length),
    goLease: fleet.goLease,
    looksAtLive: onLive !== undefined,
  });
  const undo = rollbackRequest(settings, randomUUID(), { undoRun: settings.run.id });
  const own = looks.map(({ needsToken }, index) => ({
    ...definedOnly({ packedBuild: packed[index], backup: index === 0 ? backup : undefined }),
    ...(needsToken ? withToken(settings) : {}),
  }));
  const plan = {
    request,
    undo,
    own,
    maxParallel: settings.vps.maxParallel,
    signal,
    ...definedOnly({ onLive }),
  };
  return beginRollout(fleet, plan, { log, record });
}

export async function deployedCommit({ settings }: ServerWork): Promise<string> {
  const { ref } = settings.vps;
  if (ref === undefined) throw new Failure({ message: 'there is no commit to deploy' });
  return exactCommit(ref, settings.workingDirectory);
}

/** Tells what became of the hosts, and ends the phase by it. @throws what `judgeEnds` does */
export async function concludeHosts(
  servers: ServerWork,
  ends: readonly HostEnd[],
  record: PhaseRecord,
): Promise<void> {
  record.summarise(redeploySummary(ends, await deployedCommit(servers)));
  judgeEnds(ends, record, servers.signal.aborted);
}

/** Why hosts are stopped that were or would have been prepared in vain. */
export const NOT_PREPARED = 'not every server could be prepared';

/** What `prepare` leaves to the phases after it. */
export interface Prepared {
  report: PhaseReport;
  /** Absent where there is nothing to go on with: a host failed, or a newer run is live. */
  rollout?: Rollout;
}

/**
 * Everything that can fail, on all hosts, before anything is committed or a live application touched. `look`: what a
 * plan found a moment ago. `untouched`: this run has changed nothing before.
 */
export async function prepare(
  servers: ServerWork,
  looks: readonly HostReport[],
  between: Between,
  untouched: boolean,
  beforeCommit: BeforeCommit = {},
): Promise<Prepared> {
  const { settings, log, signal } = servers;
  let prepared: Rollout | undefined;
  const report = await runPhase('prepare', log, settings.vps.ref, async (record) => {
    const rollout = await prepareHosts(servers, looks, between, record, beforeCommit);
    if (await rollout.prepared()) {
      prepared = rollout;
      record.summarise(PREPARED[between]);
      return;
    }
    const ends = await rollout.stop(NOT_PREPARED);
    const sha = await deployedCommit(servers);
    if (untouched && ends.every(isUntouched))
      record.summarise(`Nothing was changed. ${redeploySummary(ends, sha)}`);
    else record.summarise(redeploySummary(ends, sha));
    const told = ends.map((end) => ({ ...end, problems: withMigrateBefore(end.problems) }));
    judgeEnds(between === 'commits' ? told : ends, record, signal.aborted);
  });
  return { report, ...definedOnly({ rollout: prepared }) };
}

const PREPARED: Readonly<Record<Between, string>> = {
  'commits-before-build': 'Installed; neither the database nor the live version was touched.',
  nothing: 'Built, and ready for the cutover.',
  records: 'Ready for the cutover; the live version was not touched.',
  commits: 'Built; neither the database nor the live version was touched.',
};

function isUntouched({ fact }: HostEnd): boolean {
  return fact.outcome === 'unchanged' || fact.outcome === 'failed' || fact.outcome === 'skipped';
}

/** Packs the build of this job and streams it to every host; resolves with its path on each. */
async function sendBuild(
  { fleet, settings, signal }: ServerWork,
  sha: string,
  looks: readonly HostReport[],
  record: PhaseRecord,
): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'muva-build-'));
  try {
    const { workingDirectory } = settings;
    const { buildOutput, sharedPaths } = settings.vps;
    const build = await record.step(
      'pack the build',
      () => packBuild({ workingDirectory, sha, buildOutput, sharedPaths, folder, signal }),
      describePacked,
    );
    return await record.step('send the build', () => sendToAll(fleet, looks, build.file, sha, signal));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What the worker would refuse is refused here, on all hosts, before anything is started on one of them. */
export function refuseHosts(looks: readonly HostReport[]): void {
  const problems = looks.flatMap(hostRefusals);
  if (problems.length > 0) throw new Failure(problems);
}

import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { definedOnly } from '../lib/defined-only.js';
import { formatDuration } from '../lib/duration.js';
import { mergeHosts } from '../lib/merge-facts.js';
import { Cancelled, type Facts, Failure, type PhaseReport, type Problem } from '../lib/report.js';
import { type PhaseRecord, runPhase } from '../report/phase.js';
import { exactCommit } from '../server/checkout/exact-commit.js';
import { describePacked, packBuild } from '../server/checkout/pack-build.js';
import { type HostReport, inspectFleet } from '../server/fleet/inspect-fleet.js';
import { type HostEnd, isGoodEnd, rollOut } from '../server/fleet/rollout.js';
import { sendToAll } from '../server/fleet/send-build.js';
import type { ServerWork } from '../server/fleet/server-work.js';
import { deployRequest, rollbackRequest, withToken } from '../server/worker-requests.js';
import { hostRefusals, liveFacts } from './plan-hosts.js';

/**
 * Brings every host to one exact commit. Everything that can fail is done on all hosts before a live application
 * is touched; after that each host's worker owns the outcome, and puts its old version back by itself.
 * `look` is what a plan found a moment ago; without it the hosts are looked at first.
 */
export async function redeploy(servers: ServerWork, look?: HostReport[]): Promise<PhaseReport> {
  const { settings, log, signal } = servers;
  const { ref } = settings.vps;
  return runPhase('redeploy', log, ref, async (record) => {
    if (ref === undefined) throw new Failure({ message: 'there is no commit to deploy' });
    const sha = await exactCommit(ref, settings.workingDirectory);
    const looks = look ?? (await record.step('look', () => lookFirst(servers)));
    Object.assign(record.facts, liveFacts(looks));
    refuseHosts(looks);
    const ends = await bring(servers, sha, looks, record);
    const live = record.facts.hosts ?? [];
    Object.assign(record.facts, redeployFacts(ends));
    record.facts.hosts = mergeHosts(
      live,
      ends.map(({ fact }) => fact),
    );
    judgeHosts(ends, sha, signal.aborted, record);
  });
}

async function lookFirst(servers: ServerWork): Promise<HostReport[]> {
  const looks = await inspectFleet(servers);
  refuseHosts(looks);
  return looks;
}

/** What the worker would refuse is refused here, on all hosts, before anything is started on one of them. */
function refuseHosts(looks: readonly HostReport[]): void {
  const problems = looks.flatMap(hostRefusals);
  if (problems.length > 0) throw new Failure(problems);
}

async function bring(
  servers: ServerWork,
  sha: string,
  looks: readonly HostReport[],
  record: PhaseRecord,
): Promise<HostEnd[]> {
  const { fleet, settings, log, signal } = servers;
  const packed = settings.vps.buildOn === 'runner' ? await sendBuild(servers, sha, looks, record) : [];
  const request = deployRequest(settings, { sha, invocation: randomUUID(), cutover: 'at-once' });
  const undo = rollbackRequest(settings, randomUUID(), { undoRun: settings.run.id });
  const own = looks.map(({ needsToken }, index) => ({
    ...definedOnly({ packedBuild: packed[index] }),
    ...(needsToken ? withToken(settings) : {}),
  }));
  const plan = { request, undo, own, maxParallel: settings.vps.maxParallel, signal };
  return rollOut(fleet, plan, { log, record });
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

/** The outputs of all hosts in one: the first host's commits, the worst downtime. Pure. */
export function redeployFacts(ends: readonly HostEnd[]): Facts {
  const hosts = ends.map((end) => end.fact);
  const first = <K extends 'previous-sha' | 'deployed-sha' | 'release'>(key: K): string | undefined =>
    hosts.find((host) => host[key] !== undefined)?.[key];
  const longest = (key: 'downtime-ms' | 'rollback-ms'): number | undefined => {
    const times = hosts.flatMap((host) => host[key] ?? []);
    return times.length > 0 ? Math.max(...times) : undefined;
  };
  const facts: Record<string, string | number | undefined> = {
    previousSha: first('previous-sha'),
    deployedSha: first('deployed-sha'),
    release: first('release'),
    downtimeMs: longest('downtime-ms'),
    rollbackMs: longest('rollback-ms'),
  };
  const known = Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined));
  return { ...known, hosts, rolledBack: hosts.some((host) => host.outcome === 'rolled-back') };
}

/** Ends the phase by what became of the hosts. */
function judgeHosts(ends: readonly HostEnd[], sha: string, cancelled: boolean, record: PhaseRecord): void {
  const bad = ends.filter((end) => !isGoodEnd(end) && end.fact.outcome !== 'skipped');
  record.summarise(redeploySummary(ends, sha));
  if (bad.length === 0) return;
  const problems = bad.flatMap((end) => end.problems);
  if (cancelled && problems.length === 0) throw new Cancelled();
  const unknown = bad.some((end) => end.fact.outcome === 'unknown');
  throw new Failure(problems.length > 0 ? problems : [unnamed(bad)], unknown ? 'unknown' : 'failed');
}

function unnamed(bad: readonly HostEnd[]): Problem {
  const which = bad.map((end) => `${end.host.name} ${end.fact.detail ?? end.fact.outcome}`);
  return { message: `the deploy did not succeed: ${which.join(', ')}` };
}

/** The closing sentence: what is served now, and what was left alone. Pure. */
export function redeploySummary(ends: readonly HostEnd[], sha: string): string {
  const short = sha.slice(0, 7);
  const sentences: [words: (hosts: string) => string, which: (end: HostEnd) => boolean][] = [
    [(hosts) => `${short} is live on ${hosts}${downtime(ends)}.`, (end) => end.fact.outcome === 'deployed'],
    [
      (hosts) => `${short} was live on ${hosts} already.`,
      (end) => end.fact.outcome === 'unchanged' && isGoodEnd(end),
    ],
    [
      (hosts) => `On ${hosts} the live version was not touched.`,
      (end) => !isGoodEnd(end) && (end.fact.outcome === 'unchanged' || end.fact.outcome === 'failed'),
    ],
    [
      (hosts) => `On ${hosts} a newer run is live already: nothing was changed.`,
      (end) => end.fact.outcome === 'skipped',
    ],
    [
      (hosts) => `On ${hosts} the previous version is live again.`,
      (end) => end.fact.outcome === 'rolled-back',
    ],
    [
      (hosts) => `On ${hosts} the previous version could not be put back.`,
      (end) => end.fact.outcome === 'rollback-failed',
    ],
    [
      (hosts) => `How it ended on ${hosts} is not known; what is in place there now is told.`,
      (end) => end.fact.outcome === 'unknown' && end.fact['deployed-sha'] !== undefined,
    ],
    [
      (hosts) => `It is not known which version is live on ${hosts}.`,
      (end) => end.fact.outcome === 'unknown' && end.fact['deployed-sha'] === undefined,
    ],
  ];
  return sentences
    .map(([words, which]) => {
      const hosts = ends.filter(which).map((end) => end.host.name);
      return hosts.length === 0 ? '' : words(hosts.join(', '));
    })
    .filter((sentence) => sentence !== '')
    .join(' ');
}

function downtime(ends: readonly HostEnd[]): string {
  const times = ends.flatMap((end) => end.fact['downtime-ms'] ?? []);
  return times.length === 0
    ? ''
    : `, ${formatDuration(Math.max(...times))} without an answer during the cutover`;
}

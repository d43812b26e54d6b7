import { formatDuration } from '../lib/duration.js';
import { mergeHosts } from '../lib/merge-facts.js';
import { Cancelled, type Facts, Failure, type Problem } from '../lib/report.js';
import type { PhaseRecord } from '../report/phase.js';
import { type HostEnd, isGoodEnd } from '../server/fleet/rollout.js';

/** What became of the hosts, as a phase tells it. */

/** Ends the phase by what became of the hosts. @throws a Failure, Cancelled */
export function judgeEnds(ends: readonly HostEnd[], record: PhaseRecord, cancelled: boolean): void {
  const live = record.facts.hosts ?? [];
  Object.assign(record.facts, redeployFacts(ends));
  record.facts.hosts = mergeHosts(
    live,
    ends.map(({ fact }) => fact),
  );
  const bad = ends.filter((end) => !isGoodEnd(end) && end.fact.outcome !== 'skipped');
  if (bad.length === 0) return;
  const problems = bad.flatMap((end) => end.problems);
  if (cancelled && problems.length === 0) throw new Cancelled();
  const unknown = bad.some((end) => end.fact.outcome === 'unknown');
  throw new Failure(problems.length > 0 ? problems : [unnamed(bad)], unknown ? 'unknown' : 'failed');
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

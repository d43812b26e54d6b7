import type { Facts, HealthFact, HostFact, PhaseReport } from './report.js';

/** The facts of all phases as one: later phases win, lists of migrations grow. */
export function mergeFacts(phases: readonly Pick<PhaseReport, 'facts'>[]): Facts {
  const merged: Facts = {};
  for (const { facts } of phases) {
    const applied = union(merged.applied, facts.applied);
    const reverted = union(merged.reverted, facts.reverted);
    const hosts = mergeHosts(merged.hosts ?? [], facts.hosts ?? []);
    Object.assign(merged, facts);
    if (applied) merged.applied = applied;
    if (reverted) merged.reverted = reverted;
    if (hosts.length > 0) merged.hosts = hosts;
  }
  return merged.hosts ? withLive(merged, merged.hosts) : merged;
}

/** The outputs name what the first host serves of which that is known. */
function withLive({ deployedSha: _sha, release: _release, ...facts }: Facts, hosts: HostFact[]): Facts {
  const live = hosts.find((host) => host['deployed-sha'] !== undefined);
  return {
    ...facts,
    ...(live?.['deployed-sha'] === undefined ? {} : { deployedSha: live['deployed-sha'] }),
    ...(live?.release === undefined ? {} : { release: live.release }),
  };
}

function union(before: string[] | undefined, more: string[] | undefined): string[] | undefined {
  if (!before) return more;
  return [...new Set([...before, ...(more ?? [])])];
}

/** What is known of each host: a later fact adds to what an earlier phase found, or takes its place. */
export function mergeHosts(before: readonly HostFact[], more: readonly HostFact[]): HostFact[] {
  const known = new Map(before.map((fact) => [fact.host, fact]));
  for (const fact of more) {
    const earlier = known.get(fact.host);
    // "unchanged" says that this phase had nothing to do there; what an earlier one did stays true.
    const stays = fact.outcome === 'unchanged' && earlier !== undefined && earlier.outcome !== 'unchanged';
    known.set(
      fact.host,
      isBackAfterAll(earlier, fact)
        ? { ...withoutDetail(earlier), ...fact, outcome: 'rolled-back' }
        : stays
          ? earlier
          : { ...knownStill(earlier, fact), ...fact },
    );
  }
  return [...known.values()].sort((a, b) => a.host - b.host);
}

/** A put-back that failed was made good meanwhile: nothing was left to undo, and what serves is known. */
function isBackAfterAll(earlier: HostFact | undefined, fact: HostFact): earlier is HostFact {
  return (
    earlier?.outcome === 'rollback-failed' &&
    fact.outcome === 'unchanged' &&
    fact['deployed-sha'] !== undefined
  );
}

function withoutDetail({ detail: _, ...fact }: HostFact): Partial<HostFact> {
  return fact;
}

/** Where it is not known what a host serves now, what it served before says nothing. */
function knownStill(earlier: HostFact | undefined, { outcome }: HostFact): Partial<HostFact> {
  if (earlier === undefined) return {};
  if (outcome !== 'unknown' && outcome !== 'rollback-failed') return earlier;
  const { 'deployed-sha': _sha, release: _release, ...rest } = earlier;
  return rest;
}

/** The checks that fail now and did not fail before this run. A check that was not made before counts as good then. */
export function newlyFailing(before: readonly HealthFact[], now: readonly HealthFact[]): HealthFact[] {
  const wasBad = new Set(before.filter((fact) => !fact.ok).map((fact) => `${fact.from} ${fact.name}`));
  return now.filter((fact) => !fact.ok && !wasBad.has(`${fact.from} ${fact.name}`));
}

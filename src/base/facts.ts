import type { Facts, HostFact, PhaseReport } from './report.js';

/** The facts of all phases as one: later phases win, lists of migrations grow. */
export function mergeFacts(phases: readonly Pick<PhaseReport, 'facts'>[]): Facts {
  const merged: Facts = {};
  for (const { facts } of phases) {
    const applied = union(merged.applied, facts.applied);
    const reverted = union(merged.reverted, facts.reverted);
    const hosts = mergeHosts(merged.hosts, facts.hosts);
    Object.assign(merged, facts);
    if (applied) merged.applied = applied;
    if (reverted) merged.reverted = reverted;
    if (hosts) merged.hosts = hosts;
  }
  return merged;
}

function union(before: string[] | undefined, more: string[] | undefined): string[] | undefined {
  if (!before) return more;
  return [...new Set([...before, ...(more ?? [])])];
}

function mergeHosts(before: HostFact[] | undefined, more: HostFact[] | undefined): HostFact[] | undefined {
  if (!before || !more) return more ?? before;
  const known = new Map(before.map((fact) => [fact.host, fact]));
  for (const fact of more) {
    const earlier = known.get(fact.host);
    // "unchanged" says that this phase had nothing to do there; what an earlier one did stays true.
    known.set(fact.host, fact.outcome === 'unchanged' && earlier ? earlier : { ...earlier, ...fact });
  }
  return [...known.values()].sort((a, b) => a.host - b.host);
}

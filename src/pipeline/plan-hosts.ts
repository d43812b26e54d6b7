import { formatBytes } from '../lib/bytes.js';
import { definedOnly } from '../lib/defined-only.js';
import type { Facts, HostFact, Problem, Step } from '../lib/report.js';
import type { HostReport } from '../server/fleet/inspect-fleet.js';
import { onHost } from '../server/worker-client.js';
import type { HostFacts } from '../worker/protocol.js';

/** What a deploy would be refused for on one host, with the host's position in front. */
export function hostRefusals(report: HostReport): Problem[] {
  const { problem, facts } = report;
  const problems = problem ? [problem] : facts ? [...facts.refusals, ...facts.deployRefusals] : [];
  return problems.map((problem) => onHost(report, problem));
}

/** Traps of one host that do not stop a deploy. */
export function hostWarnings(report: HostReport): Problem[] {
  return (report.facts?.warnings ?? []).map((problem) => onHost(report, problem));
}

/** What every host serves now, as outputs: it stays true until a later phase changes it. */
export function liveFacts(reports: readonly HostReport[]): Facts {
  const hosts = reports.map(({ host, facts }): HostFact => {
    const { liveSha, liveRelease } = facts ?? {};
    return {
      host,
      outcome: 'unchanged',
      ...(liveSha === undefined ? {} : { 'previous-sha': liveSha, 'deployed-sha': liveSha }),
      ...definedOnly({ release: liveRelease }),
    };
  });
  const live = hosts.find((fact) => fact['deployed-sha'] !== undefined);
  return {
    hosts,
    ...(live?.['deployed-sha'] === undefined
      ? {}
      : { previousSha: live['deployed-sha'], deployedSha: live['deployed-sha'] }),
    ...(live?.release === undefined ? {} : { release: live.release }),
  };
}

/** The look at one host as a step; refused or unreachable is failed. */
export function hostStep(
  report: HostReport,
  next: string | undefined,
  timed: { startedAt: number; milliseconds: number },
): Step {
  const detail = report.facts ? describeHost(report.facts, next) : undefined;
  return {
    name: `host ${report.host}`,
    outcome: hostRefusals(report).length > 0 ? 'failed' : 'passed',
    ...timed,
    ...definedOnly({ detail }),
  };
}

/** What a deploy would do on a host, in one line: commits, layout, process, room; in a second one that it is not rehearsed. */
function describeHost(facts: HostFacts, next: string | undefined): string {
  const short = (sha: string | undefined): string | undefined => sha?.slice(0, 7);
  const live = short(facts.liveSha);
  const move =
    facts.liveSha !== undefined && facts.liveSha === next
      ? `${live} is live already`
      : `${live ?? 'nothing live'} -> ${short(next) ?? 'no commit given'}`;
  const entry = facts.entry ? `${facts.entry.mode} x${facts.entry.instances}` : 'first start';
  const judged = facts.portless ? ['no port: judged by PM2 alone'] : [];
  const parts = [move, facts.strategy, entry, ...judged, `${formatBytes(facts.freeBytes)} free`];
  return facts.notRehearsedWhy === undefined
    ? parts.join(', ')
    : `${parts.join(', ')}\nnot rehearsed: ${facts.notRehearsedWhy}`;
}

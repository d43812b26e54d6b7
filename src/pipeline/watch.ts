import { checkPlace } from '../http/verdict.js';
import { formatBytes } from '../lib/bytes.js';
import { definedOnly } from '../lib/defined-only.js';
import { formatDuration } from '../lib/duration.js';
import { Failure, type HealthFact, type PhaseReport } from '../lib/report.js';
import { pause } from '../lib/retry.js';
import { runPhase } from '../report/phase.js';
import type { ServerWork } from '../server/fleet/server-work.js';
import { type WatchedHost, watchFleet } from '../server/fleet/watch-fleet.js';
import type { WatchedProgram } from '../worker/protocol.js';
import { askPublicOnce, type HealthWork } from './health-checks.js';
import {
  judgeWatch,
  mayAsk,
  nextLookAfter,
  WATCH_PACE,
  type WatchLook,
  type WatchPace,
  type WatchVerdict,
} from './watch-decision.js';

export interface WatchOptions {
  /** What the phase health found: only what was good then is blamed on the new version. */
  before: readonly HealthFact[];
  /** Positions of the hosts on which this run has put the new version in place. */
  deployedOn: ReadonlySet<number>;
  /** Default: a look every 30 seconds. */
  pace?: WatchPace;
}

/** How a watch ended that did not fail. */
export interface WatchEnd {
  report: PhaseReport;
  /** Another run has begun: what waits for the end of the watch is left to it. */
  overtaken: boolean;
}

/**
 * Goes on asking the new version after health has passed, and follows its programs; holds no lock. A version that falls
 * fails the phase, and a server that cannot be looked at says nothing of it.
 */
export async function watch(
  work: HealthWork & { readonly servers: ServerWork },
  { before, deployedOn, pace = WATCH_PACE }: WatchOptions,
): Promise<WatchEnd> {
  const { settings, log, signal } = work;
  const span = settings.health.watch;
  let overtaken = false;
  const headline = `looking for ${formatDuration(span)}, every ${formatDuration(pace.between)}`;
  const report = await runPhase('watch', log, headline, async (record) => {
    const started = performance.now();
    const startedAt = Date.now();
    const elapsed = (): number => performance.now() - started;
    const passed = new Set(before.filter(({ ok }) => ok).map(checkPlace));
    const looks: WatchLook[] = [];
    let [asked, answered, toldAt, bad] = [0, 0, 0, 0];
    let left: number | undefined;
    const seenSoFar = (): string => seenWords({ asked, answered }, looks);
    for (;;) {
      const look = await lookAtParts(work, deployedOn, mayAsk(left));
      looks.push(look);
      asked += look.facts.length;
      answered += look.facts.filter(({ ok }) => ok).length;
      left = leastLeft(look) ?? left;
      const verdict = judgeWatch(looks, passed, settings.run.id);
      bad = verdict.kind === 'doubtful' ? bad + 1 : 0;
      // A version that has just begun to fail is not let go.
      const isOver = elapsed() >= span && verdict.kind !== 'doubtful';
      if (verdict.kind === 'fallen' || verdict.kind === 'overtaken' || isOver) {
        record.add({
          name: 'the new version, watched',
          outcome: verdict.kind === 'fallen' ? 'failed' : 'passed',
          startedAt,
          milliseconds: Math.round(elapsed()),
          detail: seenSoFar(),
        });
        if (verdict.kind === 'overtaken') {
          overtaken = true;
          record.summarise(
            `It ended after ${formatDuration(elapsed())}: ${verdict.why}; what came later is that run's.`,
          );
          return;
        }
        if (verdict.kind === 'fallen') throw fallen(verdict, elapsed());
        record.summarise(`${seenSoFar()}.`);
        return;
      }
      if (elapsed() - toldAt >= pace.told) {
        toldAt = elapsed();
        log({
          kind: 'progress',
          text: `watched for ${formatDuration(toldAt)}: ${seenSoFar()}`,
        });
      }
      const remaining = Math.max(0, span - elapsed());
      await pause(nextLookAfter({ bad, left, remaining }, pace), signal);
    }
  });
  return { report, overtaken };
}

async function lookAtParts(
  work: HealthWork & { readonly servers: ServerWork },
  deployedOn: ReadonlySet<number>,
  ask: boolean,
): Promise<WatchLook> {
  const fromRunner = work.settings.health.from === 'runner';
  const [hosts, outside] = await Promise.all([
    watchFleet(work.servers, ask && !fromRunner),
    ask && fromRunner ? askPublicOnce(work) : [],
  ]);
  const seen = hosts.flatMap(({ watched, host, prefix }) => {
    if (!watched) return [];
    const { liveRun, ...rest } = watched;
    // Where the commit was live before, the run that brought it is another one, and nobody has overtaken this one.
    return [{ ...rest, host, prefix, ...(deployedOn.has(host) ? definedOnly({ liveRun }) : {}) }];
  });
  tellUnseen(work, hosts);
  const inside = seen.flatMap(({ prefix, health }) =>
    health.map((fact): HealthFact => ({ ...fact, from: 'vps', name: prefix + fact.name })),
  );
  return { facts: [...outside, ...inside], hosts: seen };
}

function tellUnseen({ log }: Pick<HealthWork, 'log'>, hosts: readonly WatchedHost[]): void {
  for (const { why } of hosts)
    if (why !== undefined)
      log({ kind: 'progress', text: `not looked at this time, which is no verdict: ${why}` });
}

function leastLeft({ hosts }: WatchLook): number | undefined {
  const known = hosts.flatMap(({ requestsLeft }) => requestsLeft ?? []);
  return known.length === 0 ? undefined : Math.min(...known);
}

/**
 * `4 of 4 answers good, 1 restart, 182 MB`: the answers, where any was wanted, and what the supervisors tell of the
 * programs of all hosts together, where they do.
 */
function seenWords(
  { asked, answered }: { asked: number; answered: number },
  looks: readonly WatchLook[],
): string {
  const programs = watchedPrograms(looks.at(-1));
  const answers = asked > 0 || programs.length === 0 ? [`${answered} of ${asked} answers good`] : [];
  if (programs.length === 0) return answers.join('');
  const restarts = restartsOf(programs) - restartsOf(watchedPrograms(looks[0]));
  const bytes = programs.reduce((sum, program) => sum + (program.bytes ?? 0), 0);
  return [
    ...answers,
    `${restarts} ${restarts === 1 ? 'restart' : 'restarts'}`,
    ...(bytes === 0 ? [] : [formatBytes(bytes)]),
  ].join(', ');
}

function watchedPrograms(look: WatchLook | undefined): WatchedProgram[] {
  return (look?.hosts ?? []).flatMap(({ programs }) => programs);
}

function restartsOf(programs: readonly WatchedProgram[]): number {
  return programs.reduce((sum, { restarts }) => sum + restarts, 0);
}

function fallen({ why, failing }: Extract<WatchVerdict, { kind: 'fallen' }>, after: number): Failure {
  const detail = failing?.detail ?? (failing?.status ? `answers ${failing.status}` : undefined);
  return new Failure({
    message: `The new version was healthy, and fell within ${formatDuration(after)}: ${why}${detail === undefined ? '' : ` (${detail})`}.`,
    next: failing?.next ?? 'See what the application printed on the server, cure that, and deploy again.',
  });
}

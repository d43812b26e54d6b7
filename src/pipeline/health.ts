import { assetsPage } from '../http/checks.js';
import { checkPlace, isCertificate, judgeHealth } from '../http/verdict.js';
import type { HealthSettings } from '../inputs/settings.js';
import { definedOnly } from '../lib/defined-only.js';
import { formatDuration } from '../lib/duration.js';
import { Failure, type HealthFact, type PhaseReport, type Timings } from '../lib/report.js';
import { runPhase } from '../report/phase.js';
import { askEverything, type HealthWork, type VantagePoints, vantagePoints } from './health-checks.js';

export interface HealthPhaseOptions {
  /** What `healthBaseline` found before this run; only what was good then and is bad now is blamed on it. */
  before?: readonly HealthFact[];
  /** The commit that was deployed, for applications that name theirs; a branch or tag is left out. */
  expectSha?: string;
}

/**
 * Asks the database, the public URL and the servers in parallel until all are healthy or the deadline is reached,
 * and says whose fault it is if not. Writes nothing.
 */
export async function health(work: HealthWork, options: HealthPhaseOptions = {}): Promise<PhaseReport> {
  const { settings, log } = work;
  const points = vantagePoints(work);
  return runPhase('health', log, describePoints(points, settings.health), async (record) => {
    if (Object.keys(points).length === 0) throw nothingToAsk(settings.health);
    const startedAt = Date.now();
    const { facts, settledAfter } = await askEverything(
      work,
      points,
      definedOnly({ expectSha: commit(options.expectSha) }),
    );
    const judgement = judgeHealth(facts, options.before ?? [], {
      ...settings.health,
      ...(settings.vps ? { appName: settings.vps.appName } : {}),
    });
    record.facts.health = facts;
    record.facts.healthy = judgement.healthy;
    record.facts.verdict = judgement.verdict;
    const took = Date.now() - startedAt;
    for (const fact of facts) {
      record.add({
        name: checkPlace(fact),
        outcome: fact.ok ? 'passed' : 'failed',
        startedAt,
        milliseconds: Math.round(settledAfter.get(checkPlace(fact)) ?? took),
        detail: describeFact(fact),
      });
    }
    for (const problem of judgement.warnings) log({ kind: 'warning', problem });
    const { verdict } = judgement;
    if (!judgement.healthy) {
      record.summarise(`health failed after ${formatDuration(took)}, verdict ${verdict}.`);
      throw new Failure(judgement.problems);
    }
    const checks = `${facts.length} ${facts.length === 1 ? 'check' : 'checks'}`;
    record.summarise(
      `healthy after ${formatDuration(took)}: ${checks} passed, verdict ${verdict}, ${settings.health.successes} good answers in a row each.`,
    );
  });
}

/** Milliseconds that the look before a deploy may take: for the checks, and for reaching the servers as well. */
const BASELINE = { checks: 3_000, servers: 8_000 };

/**
 * One quick look before anything is changed, so that what is broken already is not blamed on this run. One good
 * answer within three seconds is enough, so that a hiccup now does not excuse a fault later. The expected version
 * is not asked for, because the old one still serves. What gives no answer in time is left out, and so counts as
 * good: had it been given all of `health-timeout`, it might have answered. The database is left to the plan, which
 * uses the same connection at the same time and passes only where it answers. Never fails.
 */
export async function healthBaseline(work: HealthWork): Promise<HealthFact[]> {
  const { expectVersion: _notYet, ...health } = work.settings.health;
  const timeout = Math.min(health.timeout, BASELINE.checks);
  const quick = askedBy(work, {
    ...health,
    successes: 1,
    timeout,
    deadline: Math.min(health.deadline, BASELINE.checks),
    // A server asks for those of the new version before it is live; requests are few.
    checkAssets: health.checkAssets && vantagePoints(work).inside === undefined,
  });
  const { inside, database: _planned, ...near } = vantagePoints(quick);
  const [here, servers] = await Promise.all([
    askEverything(quick, near, { once: true }).then(({ facts }) => facts),
    inside === undefined ? [] : inTime(inside(true)),
  ]).catch(() => [[], []]);
  const hurried = timeout < health.timeout;
  return [...here, ...servers].filter(({ ok, fault }) => ok || !hurried || fault !== 'timeout');
}

/** The same work, without a word, under other settings of health. */
function askedBy(work: HealthWork, health: HealthSettings): HealthWork {
  const log = (): void => {};
  const { servers, settings } = work;
  return {
    ...work,
    log,
    settings: { ...settings, health },
    ...(servers && { servers: { ...servers, log, settings: { ...servers.settings, health } } }),
  };
}

/** The facts, or none where they do not come in time or the servers cannot be asked. */
async function inTime(asking: Promise<HealthFact[]>): Promise<HealthFact[]> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<HealthFact[]>((resolve) => {
    timer = setTimeout(() => resolve([]), BASELINE.servers);
  });
  try {
    return await Promise.race([asking.catch(() => []), late]);
  } finally {
    clearTimeout(timer);
  }
}

function commit(ref: string | undefined): string | undefined {
  return ref !== undefined && /^[0-9a-f]{7,40}$/i.test(ref) ? ref : undefined;
}

function nothingToAsk(health: HealthSettings): Failure {
  const why = {
    both: 'no database, no health-url and no server is given',
    runner: 'health-from is runner, and health-url is empty',
    vps: 'health-from is vps, and no server is given',
    none: 'health-from is none, and no server is given',
  }[health.from];
  return new Failure({
    message: `there is nothing to ask: ${why}`,
    next: `${health.from === 'vps' || health.from === 'none' ? 'Give ssh-host' : 'Set health-url'}, or list health in skip.`,
  });
}

function describePoints(points: VantagePoints, health: HealthSettings): string {
  const places = [
    ...(points.database ? ['the database'] : []),
    ...(points.rest ? ["Supabase's REST endpoint"] : []),
    ...(points.outside === undefined
      ? []
      : [points.more ? `${1 + points.more.length} public URLs` : 'the public URL']),
    ...(points.inside ? ['the server'] : []),
  ];
  const pages = points.outside !== undefined || points.inside !== undefined;
  const unasked =
    pages && health.checkAssets && assetsPage(health) === undefined
      ? '; scripts and styles are not asked for, as no health path is a page'
      : '';
  return `asking ${places.join(', ') || 'nothing'} for at most ${formatDuration(health.deadline)}${unasked}`;
}

/** `200 in 38 ms (dns 2, connect 3, tls 12, first byte 20), 2 tries`, with the reason where it is not ok. */
export function describeFact(fact: HealthFact): string {
  const latency = fact['latency-ms'];
  const answer = [
    ...(fact.status === null || fact.detail !== undefined ? [] : [String(fact.status)]),
    ...(latency === null ? [] : [`in ${formatDuration(latency)}${timingParts(fact.timings)}`]),
  ].join(' ');
  const tries = `${fact.attempts} ${fact.attempts === 1 ? 'try' : 'tries'}`;
  return [fact.detail, answer, isCertificate(fact) ? '' : tries].filter(Boolean).join(', ');
}

function timingParts(timings: Timings | undefined): string {
  if (timings === undefined) return '';
  const parts = (['dns', 'connect', 'tls', 'first-byte'] as const)
    .filter((part) => timings[part] !== null)
    .map((part) => `${part.replace('-', ' ')} ${Math.round(timings[part]!)}`);
  return parts.length === 0 ? '' : ` (${parts.join(', ')})`;
}

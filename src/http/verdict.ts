import { formatDuration } from '../lib/duration.js';
import { newlyFailing } from '../lib/merge-facts.js';
import type { HealthFact, HealthFault, Problem, Verdict } from '../lib/report.js';

/** Checks that say how the database is, not the application. */
export const DATABASE_CHECKS = { database: 'database', rest: 'supabase-rest' } as const;

/** What all checks together say. */
export interface HealthJudgement {
  verdict: Verdict;
  /** Every check passed; `slow` is healthy too. */
  healthy: boolean;
  /** What is wrong, the cause first; empty when healthy. */
  problems: Problem[];
  warnings: Problem[];
}

/** What the judgement needs beside the checks. */
export interface JudgeOptions {
  /** Milliseconds; a healthy answer that took longer makes the verdict `slow`. */
  readonly maxLatency?: number;
  /** For the next action, where the application runs under PM2. */
  readonly appName?: string;
}

/** Days before the end of a certificate from which on it is warned of; renewal is due at 30. */
const CERTIFICATE_WARNING_DAYS = 14;

/**
 * Says from all checks whose fault it is. `before` is what the same checks found before this run: only what passed
 * then and fails now is blamed, as long as there is any such. A check that was not made before counts as good then.
 */
export function judgeHealth(
  facts: readonly HealthFact[],
  before: readonly HealthFact[],
  options: JudgeOptions,
): HealthJudgement {
  const failing = facts.filter((fact) => !fact.ok);
  const warnings = [...limitWarnings(facts), ...certificateWarnings(facts)];
  if (failing.length === 0) {
    const slow = slowest(facts, options.maxLatency);
    if (slow === undefined) return { verdict: 'ok', healthy: true, problems: [], warnings };
    return { verdict: 'slow', healthy: true, problems: [], warnings: [slow, ...warnings] };
  }
  const fresh = newlyFailing(before, failing);
  const blamed = fresh.length > 0 ? fresh : failing;
  const verdict = blame(facts, blamed);
  const rest = failing.filter((fact) => !blamed.includes(fact));
  const told = [...causeFirst(blamed, verdict), ...rest];
  const problems = told.map((fact) => problemOfFact(fact, !fresh.includes(fact)));
  problems[0] = { ...problems[0]!, next: nextActionOfVerdict(verdict, told[0]!, options) };
  return { verdict, healthy: false, problems, warnings };
}

function blame(facts: readonly HealthFact[], blamed: readonly HealthFact[]): Verdict {
  // An application that reports its database's trouble is not at fault itself.
  if (blamed.some(isDatabase)) return 'database';
  const inside = facts.filter((fact) => fact.from === 'vps' && !isDatabase(fact));
  if (inside.length > 0 && inside.every((fact) => fact.ok)) return 'edge';
  // Where the server was not asked, such faults still lie outside of the application for certain.
  const outside = blamed.every(
    (fact) => fact.from === 'runner' && fact.fault !== undefined && NEVER_THE_APP.has(fact.fault),
  );
  return outside ? 'edge' : 'app';
}

/** A name that does not resolve, a network without a way there, a certificate that is refused. */
const NEVER_THE_APP: ReadonlySet<HealthFault> = new Set(['dns', 'route', 'tls']);

function isDatabase(fact: HealthFact): boolean {
  return fact.name === DATABASE_CHECKS.database || fact.name === DATABASE_CHECKS.rest;
}

/** The check of a URL's certificate; where it is not the first URL, the name carries which. */
export function isCertificate({ name }: Pick<HealthFact, 'name'>): boolean {
  return name === 'certificate' || name.endsWith(' certificate');
}

/** With several servers the name carries the server's position, of a further URL the URL. */
function isAssets(fact: HealthFact): boolean {
  return fact.name === 'assets' || fact.name.endsWith(' assets');
}

/** The facts that fit the verdict before the others, so that the first problem told is the cause. */
function causeFirst(facts: readonly HealthFact[], verdict: Verdict): HealthFact[] {
  const fits = (fact: HealthFact): boolean =>
    verdict === 'database'
      ? isDatabase(fact)
      : verdict === 'app'
        ? fact.from === 'vps' && !isAssets(fact)
        : isCertificate(fact);
  return [...facts.filter(fits), ...facts.filter((fact) => !fits(fact))];
}

function problemOfFact(fact: HealthFact, failedBefore: boolean): Problem {
  const since = failedBefore ? ' (it failed before this run too)' : '';
  return { message: `${checkPlace(fact)}: ${fact.detail ?? 'is not healthy'}${since}` };
}

/** A check's name with the place it was asked from, as steps and problems have it. */
export function checkPlace(fact: Pick<HealthFact, 'name' | 'from'>): string {
  return fact.from === 'vps' ? `${fact.name} on the server` : fact.name;
}

function nextActionOfVerdict(verdict: Verdict, cause: HealthFact, options: JudgeOptions): string {
  if (cause.name === DATABASE_CHECKS.rest && (cause.status === 401 || cause.status === 403))
    return 'Check supabase-service-role-key: the project does not take it (another project, rotated, or cut). Without it the REST endpoint is not asked.';
  // What the check itself advises, unless the fault lies on the way there, of which it knows nothing.
  if (cause.next !== undefined && (verdict === 'app' || cause.fault === 'redirect')) return cause.next;
  if (verdict === 'edge' && cause.status === 401)
    return 'The proxy in front of the application asks for a password: say health-from: vps, and the server alone is asked. The new version is left serving.';
  if (verdict === 'edge' && isAssets(cause))
    return 'The application itself is not at fault: the web server in front of it answers scripts and styles by itself (location /static or /_next/static in nginx), from another folder or without the right to read. Let it pass them on, or read them below app-path. The new version is left serving.';
  if (verdict === 'edge')
    return 'The application itself is not at fault: check DNS, the TLS certificate and the proxy in front of it (nginx -t, its error log). The new version is left serving.';
  if (verdict === 'database')
    return 'Check that the database is up and reachable, and that the migrations left what the application needs.';
  return options.appName === undefined
    ? "Look at the application's own log."
    : `Look at the application's own log: pm2 logs ${options.appName}`;
}

function slowest(facts: readonly HealthFact[], maxLatency: number | undefined): Problem | undefined {
  if (maxLatency === undefined) return undefined;
  const late = facts
    .filter((fact) => !isAssets(fact) && (fact['latency-ms'] ?? 0) > maxLatency)
    .sort((a, b) => b['latency-ms']! - a['latency-ms']!)[0];
  if (late === undefined) return undefined;
  return {
    message: `${checkPlace(late)} is healthy but slow: ${formatDuration(late['latency-ms']!)}, more than health-max-latency (${formatDuration(maxLatency)})`,
    next: 'See in the report which part of the way takes the time: dns, connect, tls or first byte.',
  };
}

/** Warnings of checks that only ever answered 429: they pass, because nothing is known against them. */
function limitWarnings(facts: readonly HealthFact[]): Problem[] {
  return facts
    .filter(({ ok, status }) => ok && status === 429)
    .map((fact) => ({
      message: `${checkPlace(fact)} could not be judged: it answers 429, too many requests`,
      next: "Leave the health paths out of the application's rate limit, or see what else asks it so often.",
    }));
}

function certificateWarnings(facts: readonly HealthFact[]): Problem[] {
  return facts
    .filter((fact) => isCertificate(fact) && fact.ok && daysOf(fact) < CERTIFICATE_WARNING_DAYS)
    .map((fact) => ({
      message: `the TLS certificate${ofUrl(fact.name)} is ${fact.detail}`,
      next: 'Renew it, and check that automatic renewal works.',
    }));
}

function ofUrl(name: string): string {
  const url = name.slice(0, -' certificate'.length);
  return url === '' ? '' : ` of ${url}`;
}

function daysOf(fact: HealthFact): number {
  return fact['days-left'] ?? Number.POSITIVE_INFINITY;
}

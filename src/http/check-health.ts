import type { RequestOptions } from 'node:http';
import { definedOnly } from '../lib/defined-only.js';
import type { HealthFact } from '../lib/report.js';
import {
  memoryLedger,
  openRequests,
  type RequestBudget,
  type RequestLedger,
  type Requests,
} from '../lib/request-budget.js';
import { VERIFIED_TLS } from '../lib/verified-tls.js';
import { ASSETS_A_ROUND, type Assets } from './ask-assets.js';
import type { CheckResult, TryResult } from './check.js';
import { checksOf, type HealthOptions } from './checks.js';
import type { HealthTarget } from './find-page.js';
import { LOOPBACK, lookupLoopback } from './loopback-lookup.js';
import { poll } from './poll.js';

export type { HealthOptions, HealthTarget };

/** What a round of health checks may be given beside its target. */
export interface ProbeOptions {
  signal?: AbortSignal;
  /** Where requests are counted, and what this application may be asked still; without it there is no limit. */
  counted?: Counted;
  /** Told of each try; for progress only. */
  onAttempt?: (name: string, attempt: number, look: TryResult) => void;
}

/** The counter of the requests to one application from one host. */
export interface Counted {
  readonly ledger: RequestLedger;
  readonly budget: RequestBudget;
  /** Names the version whose scripts and styles are asked for. */
  readonly version: string;
}

/**
 * Asks every check again and again until all have given `successes` good answers in a row, or the deadline is
 * reached. Returns one fact per check: each path by its name, then `assets`, then (over https) `certificate`.
 * @throws Cancelled when the signal fires; an application that is not healthy is no error.
 */
export async function checkHealth(
  target: HealthTarget,
  health: HealthOptions,
  options: ProbeOptions = {},
): Promise<HealthFact[]> {
  const { counted } = options;
  const needed = health.paths.length * health.successes;
  const requests = counted && openRequests(counted.ledger, counted.budget, needed);
  const findings = await poll(checksOf(target, health, assetsOf(counted, requests, needed)), {
    timeout: health.timeout,
    deadline: health.deadline,
    successes: health.successes,
    ...definedOnly({ requests, once: health.once, signal: options.signal, onAttempt: options.onAttempt }),
  });
  return checkFacts(target, findings);
}

/** `needed`: requests that are kept for the paths. */
function assetsOf(counted: Counted | undefined, requests: Requests | undefined, needed: number): Assets {
  const { ledger, version } = counted ?? { ledger: memoryLedger(), version: '' };
  let added = 0;
  return {
    known: () => ledger.assets(version),
    add(path) {
      added += 1;
      ledger.addAsset(version, path);
    },
    left: () =>
      requests ? Math.min(ASSETS_A_ROUND - added, requests.left() - needed) : Number.POSITIVE_INFINITY,
  };
}

/** A connection of its own, over IPv6 or IPv4 as the name has them (older versions of Node must be told). */
const LIGHT: RequestOptions & { autoSelectFamily: boolean } = {
  agent: false,
  autoSelectFamily: true,
  ...VERIFIED_TLS,
  headers: { 'user-agent': 'muva-deploy-action' },
};

/**
 * True where the URL answers at all (any status below 500) within `timeout` milliseconds. Very light: nothing is
 * judged and no body is read, so that it can be asked many times a second during a cutover. Never rejects.
 */
export async function answers(url: string, timeout: number): Promise<boolean> {
  const protocol = url.startsWith('https:') ? await import('node:https') : await import('node:http');
  return new Promise((resolve) => {
    const own = new URL(url).hostname === LOOPBACK ? { lookup: lookupLoopback } : {};
    const request = protocol.request(url, { ...LIGHT, ...own });
    const done = (answer: boolean): void => {
      clearTimeout(timer);
      request.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => done(false), timeout);
    request.on('error', () => done(false));
    request.once('response', (response) => done((response.statusCode ?? 500) < 500));
    request.end();
  });
}

function checkFacts(target: HealthTarget, findings: readonly CheckResult[]): HealthFact[] {
  const facts = findings.map((finding) => checkFact(target.from, finding));
  const seen = findings.find(({ look }) => look.certificateDays !== undefined);
  if (seen === undefined || !target.baseUrl.startsWith('https:')) return facts;
  const days = seen.look.certificateDays!;
  const ok = seen.look.fault !== 'tls';
  return [
    ...facts,
    {
      name: 'certificate',
      from: target.from,
      ok,
      status: null,
      'latency-ms': null,
      attempts: seen.attempts,
      'days-left': days,
      detail: ok ? `valid for ${days} more ${days === 1 ? 'day' : 'days'}` : (seen.look.detail ?? 'refused'),
      ...(ok ? {} : { fault: 'tls' as const }),
    },
  ];
}

/** One check's outcome as a fact of the report. */
export function checkFact(from: 'runner' | 'vps', { name, ok, attempts, look }: CheckResult): HealthFact {
  return {
    name,
    from,
    ok,
    status: look.status,
    'latency-ms':
      (!ok && look.status === null) || look.timings === undefined ? null : Math.round(look.timings.total),
    attempts,
    ...definedOnly({ detail: look.detail, timings: look.timings }),
    ...(ok || look.fault === undefined ? {} : { fault: look.fault }),
    ...(ok || look.next === undefined ? {} : { next: look.next }),
  };
}

import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { Cancelled, type HealthFact } from '../base/report.js';
import { assetUrls, judgeAsset, MOST_ASSETS } from './assets.js';
import { isHtml, judgeAnswer } from './judge-body.js';
import { type Ask, type Check, type Finding, followingController, type Look, poll } from './poll.js';
import { decideRedirect, withoutFragment } from './redirects.js';
import { type Answer, get, NoAnswer } from './request.js';

/** Where an application is asked: the public URL from the runner, or loopback on its own server. */
export interface Target {
  /** Without a slash at the end; the health paths follow it. */
  baseUrl: string;
  from: 'runner' | 'vps';
}

/** What is asked, and for how long. Has the shape of the worker's health request. */
export interface HealthOptions {
  readonly paths: readonly string[];
  /** Milliseconds, per request. */
  readonly timeout: number;
  /** Milliseconds. */
  readonly deadline: number;
  readonly successes: number;
  readonly checkAssets: boolean;
  readonly expectVersion?: string;
  /** The commit that should be serving, as hex digits; an answer of the last path that names another is unhealthy. */
  readonly expectSha?: string;
  /** Milliseconds; judged by the verdict, not by the probe. */
  readonly maxLatency?: number;
}

export interface ProbeOptions {
  signal?: AbortSignal;
  /** Told of each try; for progress only. */
  onAttempt?: (name: string, attempt: number, look: Look) => void;
}

/** Bytes of a page or health answer that are read. */
const BODY_LIMIT = 1_048_576;
/** Assets asked for at a time. */
const ASSETS_AT_A_TIME = 8;

/**
 * Asks every check again and again until all have given `successes` good answers in a row, or the deadline is
 * reached. Returns one fact per check: each path by its name, then `assets`, then (over https) `certificate`.
 * @throws Cancelled when the signal fires; an application that is not healthy is no error.
 */
export async function checkHealth(
  target: Target,
  health: HealthOptions,
  options: ProbeOptions = {},
): Promise<HealthFact[]> {
  const findings = await poll(checksOf(target, health), {
    timeout: health.timeout,
    deadline: health.deadline,
    successes: health.successes,
    ...(options.signal ? { signal: options.signal } : {}),
    ...(options.onAttempt ? { onAttempt: options.onAttempt } : {}),
  });
  return factsOf(target, findings);
}

/** One try of every check, in parallel; takes at most `health.timeout` for each request and `health.deadline` in all. */
export async function probeOnce(
  target: Target,
  health: HealthOptions,
  options: ProbeOptions = {},
): Promise<HealthFact[]> {
  const started = performance.now();
  const controller = followingController(options.signal);
  const { signal } = controller;
  const timeout = (): number =>
    Math.max(1, Math.min(health.timeout, health.deadline - (performance.now() - started)));
  const findings = await Promise.all(
    checksOf(target, health).map(async (check): Promise<Finding> => {
      const look = await check.ask({ timeout, signal });
      const milliseconds = performance.now() - started;
      return { name: check.name, ok: look.ok, attempts: 1, good: look.ok ? 1 : 0, look, milliseconds };
    }),
  ).finally(() => controller.abort());
  return factsOf(target, findings);
}

/**
 * True where the URL answers at all (any status below 500) within `timeout` milliseconds. Very light: nothing is
 * judged and no body is read, so that it can be asked many times a second during a cutover. Never rejects.
 */
export function answers(url: string, timeout: number): Promise<boolean> {
  return new Promise((resolve) => {
    const send = url.startsWith('https:') ? httpsRequest : httpRequest;
    const request = send(url, { agent: false, headers: { 'user-agent': 'muva-deploy-action' } });
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

function checksOf(target: Target, health: HealthOptions): Check[] {
  const last = health.paths[health.paths.length - 1];
  const checks: Check[] = health.paths.map((path) => ({
    name: path,
    ask: (ask) => askPath(target, path, path === last, health, ask),
  }));
  if (health.checkAssets && health.paths.includes('/'))
    checks.push({ name: 'assets', ask: (ask) => askAssets(target, ask) });
  return checks;
}

async function askPath(
  target: Target,
  path: string,
  last: boolean,
  health: HealthOptions,
  ask: Ask,
): Promise<Look> {
  return looking(async () => {
    const page = await getPage(target, path, ask);
    const { answer } = page;
    const seen = {
      status: answer.status,
      timings: answer.timings,
      ...(answer.certificateDays === undefined ? {} : { certificateDays: answer.certificateDays }),
    };
    if (page.refused !== undefined) return { ok: false, fault: 'redirect', detail: page.refused, ...seen };
    return { ...judgeAnswer(answer, { ...health, path, last }), ...seen };
  });
}

/** Runs one try; no answer becomes a look that says why. */
async function looking(work: () => Promise<Look>): Promise<Look> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof NoAnswer)) throw error;
    return {
      ok: false,
      status: null,
      fault: error.fault,
      detail: error.message,
      timings: error.timings,
      ...(error.certificateDays !== undefined || error.code === 'ENOTFOUND'
        ? { lasting: 'likely' as const }
        : {}),
      ...(error.certificateDays === undefined ? {} : { certificateDays: error.certificateDays }),
    };
  }
}

interface Page {
  url: URL;
  answer: Answer;
  /** Why a redirect was not followed. */
  refused?: string;
}

/** The answer of a path; redirects are followed as the rules allow, in one try together. */
async function getPage(target: Target, path: string, ask: Ask): Promise<Page> {
  let url = new URL(target.baseUrl + path);
  const visited: string[] = [];
  for (;;) {
    const answer = await get(url, { timeout: ask.timeout(), bodyLimit: BODY_LIMIT, signal: ask.signal });
    if (![301, 302, 303, 307, 308].includes(answer.status)) return { url, answer };
    const decision = decideRedirect(url, answer.headers.location, visited, path === '/');
    if ('refuse' in decision)
      return { url, answer, refused: `answers ${answer.status} and ${decision.refuse}` };
    visited.push(withoutFragment(url));
    url = decision.follow;
  }
}

async function askAssets(target: Target, ask: Ask): Promise<Look> {
  return looking(async () => {
    const started = performance.now();
    const page = await getPage(target, '/', ask);
    const text = page.answer.body.toString('utf8');
    if (page.refused !== undefined || page.answer.status !== 200)
      return { ok: false, status: null, fault: 'assets', detail: 'the root page did not answer 200' };
    if (!isHtml(page.answer.headers['content-type'], text))
      return { ok: true, status: null, detail: 'the root page is no HTML page' };
    const all = assetUrls(text, page.url);
    const bad = await badAssets(all.slice(0, MOST_ASSETS), ask);
    const timings = { ...page.answer.timings, total: performance.now() - started };
    const more = all.length > MOST_ASSETS ? `; ${all.length - MOST_ASSETS} more were not asked` : '';
    if (bad.length === 0)
      return {
        ok: true,
        status: 200,
        detail: `${Math.min(all.length, MOST_ASSETS)} answer 200${more}`,
        timings,
      };
    const first = bad[0]!;
    return {
      ok: false,
      status: first.status,
      fault: 'assets',
      detail: `${bad.length} of ${all.length}: ${first.url.pathname} ${first.why}${more}`,
      timings,
    };
  });
}

interface BadAsset {
  url: URL;
  status: number | null;
  why: string;
}

async function badAssets(urls: readonly URL[], ask: Ask): Promise<BadAsset[]> {
  const bad: BadAsset[] = [];
  let next = 0;
  async function work(): Promise<void> {
    for (let url = urls[next++]; url !== undefined; url = urls[next++]) {
      try {
        const answer = await get(url, { timeout: ask.timeout(), bodyLimit: 0, signal: ask.signal });
        const why = judgeAsset(answer);
        if (why !== undefined) bad.push({ url, status: answer.status, why });
      } catch (error) {
        if (error instanceof Cancelled || !(error instanceof NoAnswer)) throw error;
        bad.push({ url, status: null, why: error.message });
      }
    }
  }
  await Promise.all(Array.from({ length: ASSETS_AT_A_TIME }, work));
  return bad.sort((a, b) => urls.indexOf(a.url) - urls.indexOf(b.url));
}

function factsOf(target: Target, findings: readonly Finding[]): HealthFact[] {
  const facts = findings.map((finding) => factOf(target.from, finding));
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
export function factOf(from: 'runner' | 'vps', { name, ok, attempts, look }: Finding): HealthFact {
  return {
    name,
    from,
    ok,
    status: look.status,
    'latency-ms':
      (!ok && look.status === null) || look.timings === undefined ? null : Math.round(look.timings.total),
    attempts,
    ...(look.detail === undefined ? {} : { detail: look.detail }),
    ...(look.timings === undefined ? {} : { timings: look.timings }),
    ...(ok || look.fault === undefined ? {} : { fault: look.fault }),
  };
}

import { assetUrls, judgeAsset, MOST_ASSETS } from './assets.js';
import { isHtml, judgeAnswer } from './judge-body.js';
import type { Ask, Check, Look } from './poll.js';
import { decideRedirect, publicOrigin, withoutFragment } from './redirects.js';
import { type Answer, get, NoAnswer, tenths } from './request.js';

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

/** Bytes of a page or health answer that are read. */
const BODY_LIMIT = 1_048_576;
/** Milliseconds between tries where a server says that there are too many, and where many assets are asked for. */
const PACE = { tooMany: 2_000, assets: 1_000 };
/** Assets asked for at a time. */
const ASSETS_AT_A_TIME = 8;

/** The checks of one vantage point: each path by its name, and the assets of the root page. */
export function checksOf(target: Target, health: HealthOptions): Check[] {
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
      ...(answer.status === 429 ? { pace: PACE.tooMany } : {}),
    };
    if (page.refused !== undefined) return { ok: false, fault: 'redirect', detail: page.refused, ...seen };
    return { ...judgeAnswer(answer, { ...health, path, last }), ...seen };
  });
}

/** Runs one try; no answer becomes a look that says why. */
export async function looking(work: () => Promise<Look>): Promise<Look> {
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
      ...(error.certificateDays !== undefined || error.fault === 'route' || error.code === 'ENOTFOUND'
        ? { lasting: 'likely' as const }
        : {}),
      ...(error.certificateDays === undefined ? {} : { certificateDays: error.certificateDays }),
    };
  }
}

interface Page {
  url: URL;
  answer: Answer;
  /** The public origin that an application on loopback wants to be asked as. */
  behindProxy?: URL | undefined;
  /** Why a redirect was not followed. */
  refused?: string;
}

/**
 * The answer of a path; redirects are followed as the rules allow, in one try together. On the server's loopback an
 * application that sends its callers to its public address is asked once more as its proxy would ask.
 */
async function getPage(target: Target, path: string, ask: Ask): Promise<Page> {
  let url = new URL(target.baseUrl + path);
  let behindProxy: URL | undefined;
  const visited: string[] = [];
  for (;;) {
    const answer = await get(url, {
      timeout: ask.timeout(),
      bodyLimit: BODY_LIMIT,
      signal: ask.signal,
      headers: proxyHeaders(behindProxy),
    });
    if (![301, 302, 303, 307, 308].includes(answer.status)) return { url, answer, behindProxy };
    const { location } = answer.headers;
    if (target.from === 'vps' && behindProxy === undefined) {
      behindProxy = publicOrigin(url, location);
      if (behindProxy !== undefined) continue;
    }
    const decision = decideRedirect(url, location, visited, path === '/', behindProxy?.origin);
    if ('refuse' in decision)
      return { url, answer, refused: `answers ${answer.status} and ${decision.refuse}` };
    visited.push(withoutFragment(url));
    url = decision.follow;
  }
}

function proxyHeaders(origin: URL | undefined): Record<string, string> {
  if (origin === undefined) return {};
  return {
    host: origin.host,
    'x-forwarded-host': origin.host,
    'x-forwarded-proto': origin.protocol.slice(0, -1),
  };
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
    const all = assetUrls(text, page.url, page.behindProxy?.origin);
    const bad = await badAssets(all.slice(0, MOST_ASSETS), proxyHeaders(page.behindProxy), ask);
    const timings = { ...page.answer.timings, total: tenths(performance.now() - started) };
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
      pace: PACE.assets,
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

async function badAssets(
  urls: readonly URL[],
  headers: Record<string, string>,
  ask: Ask,
): Promise<BadAsset[]> {
  const bad: BadAsset[] = [];
  let next = 0;
  async function work(): Promise<void> {
    for (let url = urls[next++]; url !== undefined; url = urls[next++]) {
      try {
        const answer = await get(url, {
          timeout: ask.timeout(),
          bodyLimit: 0,
          headers,
          signal: ask.signal,
        });
        const why = judgeAsset(answer);
        if (why !== undefined) bad.push({ url, status: answer.status, why });
      } catch (error) {
        if (!(error instanceof NoAnswer)) throw error;
        bad.push({ url, status: null, why: error.message });
      }
    }
  }
  await Promise.all(Array.from({ length: ASSETS_AT_A_TIME }, work));
  return bad.sort((a, b) => urls.indexOf(a.url) - urls.indexOf(b.url));
}

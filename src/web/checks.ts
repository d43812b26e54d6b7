import { formatBytes } from '../base/bytes.js';
import { given } from '../base/given.js';
import type { HealthFault } from '../base/report.js';
import { assetUrls, judgeAsset, MOST_ASSETS } from './assets.js';
import { isEndpoint, isHtml, judgeAnswer } from './judge-body.js';
import { BODY_LIMIT, findPage, proxyHeaders, type Target } from './page.js';
import type { Ask, Check, Look } from './poll.js';
import { get, NoAnswer, tenths } from './request.js';

/** What is asked, and for how long. Has the shape of the worker's health request. */
export interface HealthOptions {
  readonly paths: readonly string[];
  /** Milliseconds, per request. */
  readonly timeout: number;
  /** Milliseconds. */
  readonly deadline: number;
  readonly successes: number;
  /** A check that was good is not asked again: for a look that must not take long. */
  readonly once?: boolean;
  readonly checkAssets: boolean;
  readonly expectVersion?: string;
  /** The commit that should be serving, as hex digits; an answer of the last path that names another is unhealthy. */
  readonly expectSha?: string;
}

/** Milliseconds between tries where a server says that there are too many, and where many assets are asked for. */
const PACE = { tooMany: 2_000, assets: 1_000 };
/** Assets asked for at a time. */
const ASSETS_AT_A_TIME = 8;

/** The checks of one vantage point: each path by its name, and the assets of a page. */
export function checksOf(target: Target, health: HealthOptions): Check[] {
  const checks: Check[] = health.paths.map((path) => ({
    name: path,
    ask: (ask) => askPath(target, path, isLast(path, health), health, ask),
  }));
  const page = health.checkAssets ? assetsPage(health) : undefined;
  if (page !== undefined) checks.push({ name: 'assets', ask: (ask) => askAssets(target, page, ask) });
  return checks;
}

/** The page whose scripts and styles are asked for: `/`, else the first path that is no endpoint. */
export function assetsPage(health: Pick<HealthOptions, 'paths'>): string | undefined {
  if (health.paths.includes('/')) return '/';
  return health.paths.find((path) => !isEndpoint({ path, last: isLast(path, health) }));
}

function isLast(path: string, { paths }: Pick<HealthOptions, 'paths'>): boolean {
  return path === paths[paths.length - 1];
}

async function askPath(
  target: Target,
  path: string,
  last: boolean,
  health: HealthOptions,
  ask: Ask,
): Promise<Look> {
  return looking(async () => {
    const page = await findPage(target, path, isEndpoint({ path, last }), ask);
    const { answer } = page;
    const seen = {
      status: answer.status,
      timings: answer.timings,
      ...given({ certificateDays: answer.certificateDays }),
      ...(answer.status === 429 ? { pace: PACE.tooMany } : {}),
    };
    if (page.refused !== undefined) {
      const { refuse, next } = page.refused;
      return {
        ok: false,
        fault: 'redirect',
        detail: `answers ${answer.status} and ${refuse}`,
        ...given({ next }),
        ...seen,
      };
    }
    const missing =
      answer.status === 404 && path !== '/'
        ? {
            next: `Does the application have ${path}? If not, leave it out of health-paths (health-paths: /).`,
          }
        : {};
    return { ...judgeAnswer(answer, { ...health, path, last }), ...missing, ...seen };
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
      ...given({ certificateDays: error.certificateDays }),
    };
  }
}

async function askAssets(target: Target, path: string, ask: Ask): Promise<Look> {
  return looking(async () => {
    const started = performance.now();
    const page = await findPage(target, path, false, ask);
    const text = page.answer.body.toString('utf8');
    const name = path === '/' ? 'the root page' : `the page ${path}`;
    if (page.refused !== undefined || page.answer.status !== 200)
      return { ok: false, status: null, fault: 'assets', detail: `${name} did not answer 200` };
    if (!isHtml(page.answer.headers['content-type'], text))
      return { ok: true, status: null, detail: `${name} is no HTML page` };
    const all = assetUrls(text, page.url, page.behindProxy?.origin ?? target.publicOrigin);
    const bad = await badAssets(all.slice(0, MOST_ASSETS), target, proxyHeaders(page.behindProxy), ask);
    const timings = { ...page.answer.timings, total: tenths(performance.now() - started) };
    const unasked = [
      ...(all.length > MOST_ASSETS ? [`; ${all.length - MOST_ASSETS} more were not asked`] : []),
      ...(page.answer.whole ? [] : [`; ${name} was cut at ${formatBytes(BODY_LIMIT)}`]),
    ].join('');
    if (bad.length === 0)
      return {
        ok: true,
        status: 200,
        detail: `${Math.min(all.length, MOST_ASSETS)} answer 200${unasked}`,
        timings,
      };
    const first = bad[0]!;
    return {
      ok: false,
      status: first.status,
      fault: first.fault === 'timeout' ? 'timeout' : 'assets',
      pace: PACE.assets,
      detail: `${bad.length} of ${all.length}: ${first.url.pathname} ${first.why}${unasked}`,
      timings,
    };
  });
}

interface BadAsset {
  url: URL;
  status: number | null;
  fault: HealthFault;
  why: string;
}

async function badAssets(
  urls: readonly URL[],
  target: Target,
  headers: Record<string, string>,
  ask: Ask,
): Promise<BadAsset[]> {
  const bad: BadAsset[] = [];
  let next = 0;
  async function work(): Promise<void> {
    for (let url = urls[next++]; url !== undefined; url = urls[next++]) {
      const fault = await askAsset(url, headers, ask);
      if (fault === undefined) continue;
      const bare = withoutBase(url, target.basePath);
      if (bare === undefined || (await askAsset(bare, headers, ask)) !== undefined)
        bad.push({ url, ...fault });
    }
  }
  await Promise.all(Array.from({ length: ASSETS_AT_A_TIME }, work));
  return bad.sort((a, b) => urls.indexOf(a.url) - urls.indexOf(b.url));
}

/** What is wrong with an asset; undefined where it is good. */
async function askAsset(
  url: URL,
  headers: Record<string, string>,
  ask: Ask,
): Promise<Omit<BadAsset, 'url'> | undefined> {
  try {
    const answer = await get(url, { timeout: ask.timeout(), bodyLimit: 0, headers, signal: ask.signal });
    const why = judgeAsset(answer);
    return why === undefined ? undefined : { status: answer.status, fault: 'assets', why };
  } catch (error) {
    if (!(error instanceof NoAnswer)) throw error;
    return { status: null, fault: error.fault, why: error.message };
  }
}

/** The same asset as the application has it behind a proxy that takes the base path away. */
function withoutBase(url: URL, basePath: string | undefined): URL | undefined {
  if (basePath === undefined || !url.pathname.startsWith(`${basePath}/`)) return undefined;
  const bare = new URL(url);
  bare.pathname = url.pathname.slice(basePath.length);
  return bare;
}

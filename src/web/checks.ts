import { formatBytes } from '../base/bytes.js';
import { given } from '../base/given.js';
import type { HealthFault } from '../base/report.js';
import { pause } from '../base/retry.js';
import { assetUrls, judgeAsset, MOST_ASSETS } from './assets.js';
import { type Ask, type Check, type Look, NoTurn } from './check.js';
import { isEndpoint, isHtml, judgeAnswer } from './judge-body.js';
import { BODY_LIMIT, type Page, type PageFinder, pageFinder, proxyHeaders, type Target } from './page.js';
import { type Answer, NoAnswer, tenths } from './request.js';

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

/** Scripts and styles asked for at a time, and bad ones that are asked for again in one try. */
const ASSETS_AT_A_TIME = 8;
const BAD_ASKED_AGAIN = 4;

/** Scripts and styles that are asked for in one round of checks where requests are counted. */
export const ASSETS_A_ROUND = 8;

/** What is known of a version's scripts and styles; each is asked for once. */
export interface Assets {
  known(): ReadonlySet<string>;
  add(path: string): void;
  /** How many may be asked for now. */
  left(): number;
}

/** The checks of one vantage point: each path by its name, and the assets of a page. */
export function checksOf(target: Target, health: HealthOptions, assets: Assets): Check[] {
  const finder = pageFinder(target);
  const page = health.checkAssets ? assetsPage(health) : undefined;
  const shown = newestPage();
  const checks: Check[] = health.paths.map((path) => ({
    name: path,
    ask: (ask) => askPath(finder, path, health, ask, path === page ? shown.put : () => {}),
  }));
  if (page !== undefined)
    checks.push({ name: 'assets', ask: assetsCheck(target, page, finder, shown, assets) });
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
  finder: PageFinder,
  path: string,
  health: HealthOptions,
  ask: Ask,
  show: (page: Page | NoAnswer) => void,
): Promise<Look> {
  const last = isLast(path, health);
  return looking(async () => {
    const page = await finder.find(path, isEndpoint({ path, last }), ask).catch((error: unknown) => {
      if (error instanceof NoAnswer) show(error);
      throw error;
    });
    show(page);
    const { answer } = page;
    const seen = {
      status: answer.status,
      timings: answer.timings,
      ...given({ certificateDays: answer.certificateDays }),
    };
    if (answer.status === 429) return { ...limitedLook(answer), ...seen };
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

/** True for what waiting does not cure: a certificate that is refused, no way there, a name that does not exist. */
function isLasting({ certificateDays, fault, code }: NoAnswer): boolean {
  return certificateDays !== undefined || fault === 'route' || code === 'ENOTFOUND';
}

/** An answer of 429, with how long it asks to wait: seconds, or a date, which the server's own clock is needed for. */
export function limitedLook({ headers }: Pick<Answer, 'headers'>): Look & { status: 429 } {
  const asked = headers['retry-after'];
  const seconds = asked !== undefined && /^\d{1,7}$/.test(asked.trim()) ? Number(asked) * 1_000 : undefined;
  const until = Date.parse(asked ?? '') - Date.parse(headers.date ?? '');
  const after = seconds ?? (Number.isNaN(until) ? undefined : until);
  return {
    ok: false,
    status: 429,
    fault: 'status',
    detail: 'answers 429 (too many requests)',
    limited: after === undefined ? {} : { after: Math.max(SHORTEST_RETRY, after) },
  };
}

/** Milliseconds that are waited after a 429 at least, whatever the server says. */
const SHORTEST_RETRY = 1_000;

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
      ...(isLasting(error) ? { lasting: 'likely' as const } : {}),
      ...given({ certificateDays: error.certificateDays }),
    };
  }
}

/**
 * The scripts and styles of a page as the check of its path got it; after a bad try the page is asked for again, for it
 * may link to others by now. Each of them is asked for until it was good once.
 */
function assetsCheck(
  target: Target,
  path: string,
  finder: PageFinder,
  shown: NewestPage,
  assets: Assets,
): Check['ask'] {
  const name = path === '/' ? 'the root page' : `the page ${path}`;
  let wasBad = false;
  let bad: BadAsset[] = [];
  return (ask) =>
    looking(async () => {
      const started = performance.now();
      const page = wasBad ? await finder.find(path, false, ask) : await shown.next(ask);
      wasBad = false;
      if (page?.answer.status === 429) return limitedLook(page.answer);
      if (page === undefined || page.refused !== undefined || !isWell(page.answer.status)) {
        const detail = `${name} did not answer 200`;
        return { ok: false, status: null, fault: 'assets', detail, awaitsOther: true };
      }
      const text = page.answer.body.toString('utf8');
      if (!isHtml(page.answer.headers['content-type'], text))
        return { ok: true, status: null, detail: `${name} is no HTML page` };
      const all = assetUrls(text, page.url, page.behindProxy?.origin ?? target.publicOrigin);
      const found = await askAssets(all, target, proxyHeaders(page.behindProxy), assets, ask);
      const timings = { ...page.answer.timings, total: tenths(performance.now() - started) };
      if (found.limited !== undefined) return { ...limitedLook(found.limited), timings };
      const unasked = [
        ...(found.unasked > 0 ? [`; ${found.unasked} more were not asked`] : []),
        ...(page.answer.whole ? [] : [`; ${name} was cut at ${formatBytes(BODY_LIMIT)}`]),
      ].join('');
      bad = stillBad([...found.bad, ...bad], all, assets.known());
      const [first] = bad;
      if (first === undefined)
        return {
          ok: true,
          status: 200,
          detail: `${all.length - found.unasked} answer 200${unasked}`,
          timings,
        };
      wasBad = true;
      return {
        ok: false,
        status: first.status,
        fault: first.fault === 'timeout' ? 'timeout' : 'assets',
        detail: `${bad.length} of ${all.length}: ${first.url.pathname} ${first.why}${unasked}`,
        timings,
      };
    });
}

/**
 * What was bad when it was asked for last, and is linked to still: not to be asked again, for want of requests, makes
 * nothing good.
 */
function stillBad(seen: readonly BadAsset[], all: readonly URL[], good: ReadonlySet<string>): BadAsset[] {
  return all
    .filter((url) => !good.has(pathOf(url)))
    .flatMap((url) => seen.find((each) => pathOf(each.url) === pathOf(url)) ?? []);
}

function isWell(status: number): boolean {
  return status >= 200 && status <= 299;
}

interface BadAsset {
  url: URL;
  status: number | null;
  fault: HealthFault;
  why: string;
}

interface AskedAssets {
  /** In the order of the page. */
  bad: BadAsset[];
  /** Those for which the budget has no request. */
  unasked: number;
  /** The answer that said that there are too many requests. */
  limited?: Pick<Answer, 'headers'>;
}

async function askAssets(
  all: readonly URL[],
  target: Target,
  headers: Record<string, string>,
  assets: Assets,
  ask: Ask,
): Promise<AskedAssets> {
  const known = assets.known();
  const fresh = all.filter((url) => !known.has(pathOf(url)));
  const chosen = spread(fresh, Math.min(MOST_ASSETS, Math.max(0, assets.left())));
  const bad: BadAsset[] = [];
  let next = 0;
  let outOfTurn = 0;
  let limited: Answer | undefined;
  async function work(): Promise<void> {
    for (let url = chosen[next++]; url !== undefined; url = chosen[next++]) {
      if (limited !== undefined || bad.length >= BAD_ASKED_AGAIN) {
        outOfTurn += 1;
        continue;
      }
      const asked = await askAsset(url, target, headers, ask);
      if (asked === 'good') assets.add(pathOf(url));
      else if (asked === 'no-turn') outOfTurn += 1;
      else if ('limited' in asked) limited = asked.limited;
      else bad.push({ url, ...asked });
    }
  }
  await Promise.all(Array.from({ length: ASSETS_AT_A_TIME }, work));
  return {
    bad: bad.sort((a, b) => all.indexOf(a.url) - all.indexOf(b.url)),
    unasked: fresh.length - chosen.length + outOfTurn,
    ...given({ limited }),
  };
}

function pathOf(url: URL): string {
  return url.pathname + url.search;
}

/** At most `most` of them, from the first to the last. */
export function spread<T>(all: readonly T[], most: number): T[] {
  if (all.length <= most) return [...all];
  return Array.from({ length: most }, (_, index) => all[Math.floor((index * all.length) / most)]!);
}

type AssetAsked = 'good' | 'no-turn' | { limited: Answer } | Omit<BadAsset, 'url'>;

/** Also as the application has it behind a proxy that takes the base path away. */
async function askAsset(
  url: URL,
  target: Target,
  headers: Record<string, string>,
  ask: Ask,
): Promise<AssetAsked> {
  const asked = await askAssetOnce(url, headers, ask);
  const bare = withoutBase(url, target.basePath);
  if (bare === undefined || typeof asked === 'string' || 'limited' in asked) return asked;
  const again = await askAssetOnce(bare, headers, ask);
  return again === 'good' ? again : asked;
}

async function askAssetOnce(url: URL, headers: Record<string, string>, ask: Ask): Promise<AssetAsked> {
  try {
    const answer = await ask.get(url, { bodyLimit: 0, headers });
    if (answer.status === 429) return { limited: answer };
    const why = judgeAsset(answer);
    return why === undefined ? 'good' : { status: answer.status, fault: 'assets', why };
  } catch (error) {
    if (error instanceof NoTurn) return 'no-turn';
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

/** The page that the check of its path saw last, for the check of its scripts and styles. */
interface NewestPage {
  put(seen: Page | NoAnswer): void;
  /**
   * The newest page, else the one that is seen next, within the time of a request; undefined where there is none.
   * @throws NoAnswer where the page cannot be had for long.
   */
  next(ask: Ask): Promise<Page | undefined>;
}

function newestPage(): NewestPage {
  let current: Page | NoAnswer | undefined;
  let waiting: (() => void)[] = [];
  const read = (): Page | undefined => {
    if (!(current instanceof NoAnswer)) return current;
    if (isLasting(current)) throw current;
    return undefined;
  };
  return {
    put(seen) {
      current = seen;
      for (const go of waiting) go();
      waiting = [];
    },
    async next(ask) {
      const known = read();
      if (known !== undefined) return known;
      const seen = new Promise<void>((resolve) => waiting.push(resolve));
      await Promise.race([seen, pause(ask.timeout(), ask.signal)]);
      return read();
    },
  };
}

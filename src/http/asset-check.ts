import { formatBytes } from '../lib/bytes.js';
import { type Assets, askAssets, type BadAsset, urlPath } from './ask-assets.js';
import { assetUrls } from './assets.js';
import type { Ask, Check, TryResult } from './check.js';
import { BODY_LIMIT, type HealthTarget, type Page, type PageFinder, proxyHeaders } from './find-page.js';
import { isHtml } from './judge-answer.js';
import { limitedLook, looking } from './looking.js';
import type { NewestPage } from './newest-page.js';
import { tenths } from './request.js';

/** What the check of a page's scripts and styles works with. */
export interface AssetsCheckOptions {
  target: HealthTarget;
  /** The path of the page that links to the assets. */
  path: string;
  finder: PageFinder;
  /** The page as the check of its path gets it. */
  shown: NewestPage;
  assets: Assets;
}

/**
 * Asks for the scripts and styles of a page as the check of its path got it; after a bad try the page is asked for again,
 * for it may link to others by now. Each of them is asked for until it was good once.
 */
export function assetsCheck({ target, path, finder, shown, assets }: AssetsCheckOptions): Check['ask'] {
  const name = path === '/' ? 'the root page' : `the page ${path}`;
  let askPageAgain = false;
  let bad: BadAsset[] = [];
  async function askOnce(ask: Ask): Promise<TryResult> {
    const started = performance.now();
    const page = askPageAgain ? await finder.find(path, false, ask) : await shown.next(ask);
    askPageAgain = false;
    if (page?.answer.status === 429) return limitedLook(page.answer);
    if (page === undefined || !isGoodPage(page)) {
      const detail = `${name} did not answer 200`;
      return { ok: false, status: null, fault: 'assets', detail, awaitsOther: true };
    }
    const text = page.answer.body.toString('utf8');
    if (!isHtml(page.answer.headers['content-type'], text))
      return { ok: true, status: null, detail: `${name} is no HTML page` };
    const linked = assetUrls(text, page.url, page.behindProxy?.origin ?? target.publicOrigin);
    const asked = await askAssets(linked, target, proxyHeaders(page.behindProxy), assets, ask);
    const timings = { ...page.answer.timings, total: tenths(performance.now() - started) };
    if (asked.limited !== undefined) return { ...limitedLook(asked.limited), timings };
    bad = stillBad([...asked.bad, ...bad], linked, assets.known());
    askPageAgain = bad.length > 0;
    const cut = page.answer.whole ? '' : `; ${name} was cut at ${formatBytes(BODY_LIMIT)}`;
    return { ...lookAt(bad, linked.length, asked.unasked, cut), timings };
  }
  return (ask) => looking(() => askOnce(ask));
}

/** What was found of `all` scripts and styles, of which `unasked` were not asked. */
function lookAt(bad: readonly BadAsset[], all: number, unasked: number, cut: string): TryResult {
  const rest = `${unasked > 0 ? `; ${unasked} more were not asked` : ''}${cut}`;
  const [first] = bad;
  if (first === undefined) return { ok: true, status: 200, detail: `${all - unasked} answer 200${rest}` };
  return {
    ok: false,
    status: first.status,
    fault: first.fault === 'timeout' ? 'timeout' : 'assets',
    detail: `${bad.length} of ${all}: ${first.url.pathname} ${first.why}${rest}`,
  };
}

/**
 * What was bad when it was asked for last, and is linked to still: not to be asked again, for want of requests, makes
 * nothing good.
 */
function stillBad(seen: readonly BadAsset[], all: readonly URL[], good: ReadonlySet<string>): BadAsset[] {
  return all
    .filter((url) => !good.has(urlPath(url)))
    .flatMap((url) => seen.find((each) => urlPath(each.url) === urlPath(url)) ?? []);
}

function isGoodPage({ refused, answer }: Page): boolean {
  return refused === undefined && answer.status >= 200 && answer.status <= 299;
}
